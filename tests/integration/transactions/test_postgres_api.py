"""What users write: `using(transaction=…)` and `enqueue_many(…, transaction=…)`, with each kind of connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from stoker import Stoker
from tests.rigs.callers import KINDS, Caller

if TYPE_CHECKING:
    from tests.integration.transactions.conftest import Shop


@pytest.fixture
async def app(postgres_url: str) -> AsyncIterator[Stoker[Any]]:
    app: Stoker[Any] = Stoker(postgres_url, settings={"blocking_enqueue": "allow"})
    yield app
    app.store().close()


@pytest.mark.parametrize("caller", KINDS, indirect=True)
async def test_every_form_of_enqueue_joins_and_the_worker_performs_what_was_committed(
    app: Stoker[Any], shop: Shop, caller: Caller
) -> None:
    performed: list[int] = []

    @app.job
    async def receipt(order: int) -> None:
        performed.append(order)

    async def enqueue(first: int) -> None:
        joining = receipt.using(transaction=caller.on)
        drafts = [receipt.draft(first + 1), receipt.draft(first + 2)]
        if caller.is_async:
            await joining.aenqueue(first)
            await app.aenqueue_many(drafts, transaction=caller.on)
            await app.aenqueue_many([joining.draft(first + 3)])
        else:
            joining.enqueue(first)
            app.enqueue_many(drafts, transaction=caller.on)
            app.enqueue_many([joining.draft(first + 3)])

    await enqueue(1)
    await caller.rollback()
    await caller.begin()
    await enqueue(11)
    assert shop.stored() == []
    await caller.commit()
    await app.awork(until_empty=True)
    assert performed == [11, 12, 13, 14]


async def test_a_nested_transaction_of_sqlalchemy_takes_its_jobs_along(
    app: Stoker[Any], shop: Shop, postgres_server: str
) -> None:
    @app.job
    def receipt(order: int) -> None: ...

    engine = create_engine(postgres_server.replace("postgresql", "postgresql+psycopg", 1))
    with Session(engine) as session, session.begin():
        kept = receipt.using(transaction=session).enqueue(1)
        nested = session.begin_nested()
        dropped = receipt.using(transaction=session).enqueue(2)
        nested.rollback()
    engine.dispose()
    assert shop.stored() == [kept.id]
    assert dropped.id != kept.id
