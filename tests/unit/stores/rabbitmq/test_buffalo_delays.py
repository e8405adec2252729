"""The queues of Buffalo's delays are declared again while they are used: the broker deletes what nobody declares."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest

from stoker.drivers.rabbitmq_link import Link
from stoker.stores.rabbitmq.buffalo import BuffaloTopology


class Declaring(BuffaloTopology):
    """Notes what would be declared."""

    def __init__(self) -> None:
        super().__init__("stoker", "")
        self.declared: list[str] = []

    async def _declare(self, link: Link, method: str, name: str, /, **words: Any) -> Any:
        if method == "queue_declare":
            self.declared.append(name)


async def test_a_delay_in_steady_use_is_declared_again_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    topology, link = Declaring(), cast("Link", None)
    rung = topology.step(5_000_000)
    for second in range(1_000, 1_100, 10):
        monkeypatch.setattr(time, "monotonic", lambda now=second: float(now))
        await topology.ensure_rungs(link, {rung})

    assert topology.declared == ["stoker:delayed:5s"] * 3
