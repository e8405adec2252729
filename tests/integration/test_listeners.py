"""What listeners are told by workers that are frozen, and by those that go on: what the store accepted."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from stoker import State, Stoker
from stoker.core.filters import Filter
from stoker.core.job import NewJob, new_call
from tests.rigs.processes import freeze, processes, until

LISTENER = "tests.integration.apps.listener"


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give a place on each store that several processes share."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/jobs.sqlite3"
    place: str = request.getfixturevalue(f"{request.param}_url")
    return place


def heard(folder: Path, pid: int) -> list[str]:
    """Give what a process wrote down."""
    path = folder / f"events.{pid}"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


@pytest.mark.timeout(240)
def test_a_frozen_and_continued_worker_reports_the_lost_claim_and_no_completion(url: str, tmp_path: Path) -> None:
    app: Stoker[None] = Stoker(url)
    store = app.store()
    (answer,) = store.run(store.enqueue([NewJob("slow", "{}")], new_call()))
    with processes(tmp_path, LISTENER_URL=url, LISTENER=str(tmp_path / "events")) as started:
        frozen = started.start(LISTENER)
        until(lambda: "AttemptStarted" in heard(tmp_path, frozen.pid), 60, "the attempt begins")
        freeze(frozen, store)
        other = started.start(LISTENER)
        until(lambda: "AttemptEnded completed" in heard(tmp_path, other.pid), 60, "another worker completes it")
        frozen.send_signal(signal.SIGCONT)
        until(lambda: "SettleRefused" in heard(tmp_path, frozen.pid), 60, "the frozen one hears of its loss")
        for worker in (frozen, other):
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(60) == 0

        of_frozen, of_other = heard(tmp_path, frozen.pid), heard(tmp_path, other.pid)
    assert not {"AttemptEnded completed", "ResultDropped", "LateEnding"} & set(of_frozen)
    assert of_frozen.count("SettleRefused") == 1
    assert of_other.count("AttemptEnded completed") == of_other.count("ResultDropped") == 1
    assert of_other.index("AttemptEnded completed") < of_other.index("ResultDropped")
    assert "WorkerStopped" in of_frozen, "the last events of a process are heard too"
    (job,) = store.run(store.find(Filter(ids=(answer.id,)), 1))
    assert (job.state, job.crashes) == (State.COMPLETED, 1)
    app.close()
