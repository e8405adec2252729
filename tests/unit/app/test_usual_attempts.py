"""How often a job is tried where nobody says a number: as others do who share the store's format."""

from __future__ import annotations

from typing import Any

import pytest

from stoker import Stoker


@pytest.mark.parametrize(
    ("stores", "settings", "attempts"),
    [
        ({"default": "sidekiq+redis://cache"}, {}, 26),
        ({"default": "sidekiq+rediss://cache"}, {}, 26),
        ({"default": "gocraft+redis://cache"}, {}, 4),
        ({"default": "redis://cache"}, {}, 20),
        ({"default": "memory://", "ruby": "sidekiq+redis://cache"}, {}, 20),
        ({"default": "sidekiq+redis://cache"}, {"jobs": {"max_attempts": 3}}, 3),
    ],
)
def test_a_sidekiq_store_has_sidekiqs_number_unless_the_settings_say_one(
    stores: dict[str, str], settings: dict[str, Any], attempts: int
) -> None:
    app: Stoker[Any] = Stoker(stores=stores, settings=settings)

    @app.job
    def work() -> None: ...

    assert work.merged(app.defaults).max_attempts == attempts


def test_each_store_has_its_own_number() -> None:
    app: Stoker[Any] = Stoker(stores={"default": "memory://", "ruby": "sidekiq+redis://cache"})
    here = app.job(name="here")(lambda: None)
    there = app.job(name="there", store="ruby")(lambda: None)

    assert [job.merged(app.defaults).max_attempts for job in (here, there)] == [20, 26]
