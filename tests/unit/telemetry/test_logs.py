"""The lines that are logged of what happens."""

from __future__ import annotations

import logging

import pytest

from stoker.core.backoff import sidekiq
from stoker.telemetry.events import WorkerStarted
from stoker.telemetry.logs import LogLines


@pytest.mark.parametrize(
    ("tags", "all_tags", "said"),
    [((), False, ""), (("gpu", "eu"), False, ", tags gpu, eu"), ((), True, ", all tags")],
)
def test_a_worker_says_what_it_serves(
    caplog: pytest.LogCaptureFixture, tags: tuple[str, ...], all_tags: bool, said: str
) -> None:
    with caplog.at_level(logging.INFO, "stoker"):
        LogLines(lambda _: sidekiq, lambda: 0)(WorkerStarted("w", ("mail",), ("send",), 10, tags, all_tags))
    assert caplog.messages == [f"worker w: 10 at once, queues mail, jobs send{said}"]
