"""The testing kit: performing has the handler's parameters and result, expectations have known words."""

from __future__ import annotations

from typing import Any, assert_type

from stoker import Context, JobRecord, Stoker
from stoker.testing import Drained, aperform, assert_enqueued, drain, enqueued, perform, refute_enqueued, sandbox

app: Stoker[None] = Stoker()


@app.job
def resize(width: int, *, name: str = "") -> tuple[int, int]:
    return width, width


@app.job
async def welcome(ctx: Context[None], user_id: int) -> str:
    return str(user_id)


async def use() -> None:
    assert_type(perform(resize, 1, name="x"), tuple[int, int])
    assert_type(perform(resize.draft(1), attempt=3), tuple[int, int])
    assert_type(await aperform(welcome, 1), str)
    assert_type(assert_enqueued(welcome, args={"user_id": 1}, queue="mail", count=1), JobRecord[Any])
    assert_type(enqueued(resize, labels=["a"]), list[JobRecord[Any]])
    assert_type(drain(scheduled=True), Drained)
    refute_enqueued(resize.draft(1), delay="5m")
    with sandbox(app, mode="inline") as box:
        assert_type(box.perform(welcome, 1), str)
        assert_type(await box.aperform(welcome.draft(1), attempt=2), str)

    perform(resize)  # error: mypy call-overload; pyright reportCallIssue
    perform(welcome, "1")  # error: mypy call-overload; pyright reportArgumentType
    assert_enqueued(resize, colour="red")  # error: mypy call-arg; pyright reportCallIssue
    sandbox(app, mode="fast")  # error: mypy arg-type; pyright reportArgumentType
