"""The worker of the mode `async`, which lives in the user's process and ends with it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from stoker import Stoker
from stoker.errors import ConfigurationError
from tests.rigs.processes import processes

SCRIPT = """
import asyncio
from stoker import Stoker

app = Stoker(settings={"workers": {"mode": "async"}})

@app.job
async def asks_a_thread() -> None:
    await asyncio.sleep(0.2)
    print(await asyncio.to_thread(str, "a thread answered"))

if __name__ == "__main__":
    asks_a_thread.enqueue()
"""


def application(grace: str, **more: Any) -> Stoker[Any]:
    return Stoker(settings={"workers": {"mode": "async", "grace": grace, "concurrency": 1}}, **more)


def test_a_job_that_is_worked_off_at_exit_may_use_a_thread(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    with processes(tmp_path, PYTHONPATH=str(tmp_path)) as started:
        assert started.start("script").wait(30) == 0
        assert "a thread answered" in started.output()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_closing_does_not_wait_for_a_worker_whose_lifespan_failed() -> None:
    def fails(app: Stoker[Any]) -> AbstractAsyncContextManager[None]:
        raise RuntimeError("no state")

    app = application("20s", lifespan=fails)

    @app.job
    async def note() -> None: ...

    note.enqueue()
    before = time.monotonic()
    app.close()
    assert time.monotonic() - before < 10


def test_after_the_grace_a_closed_worker_begins_no_further_job() -> None:
    app, begun = application("0.2s"), list[int]()

    @app.job
    async def slow(n: int) -> None:
        begun.append(n)
        await asyncio.sleep(0.05)

    app.enqueue_many([slow.draft(n) for n in range(100)])
    app.close()
    time.sleep(0.2)
    before = len(begun)
    time.sleep(0.3)
    assert len(begun) == before < 100


def test_jobs_for_later_that_end_with_the_process_are_not_lost_without_a_word(tmp_path: Path) -> None:
    script = tmp_path / "later.py"
    script.write_text(
        "from stoker import Stoker\n"
        "app: Stoker[None] = Stoker(settings={'workers': {'mode': 'async'}})\n"
        "@app.job\n"
        "def remind() -> None: ...\n"
        "remind.using(delay='1h').enqueue()\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=True)
    assert "1 unfinished job(s) are lost" in done.stderr


def test_the_embedded_worker_sees_to_periodic_jobs() -> None:
    app, ticked = application("5s"), threading.Event()

    @app.periodic(every="1s")
    @app.job
    async def tick() -> None:
        ticked.set()

    with app:
        assert ticked.wait(20)


def test_in_the_foreground_nothing_is_run_periodically() -> None:
    app: Stoker[Any] = Stoker(settings={"workers": {"mode": "foreground"}})

    @app.periodic("* * * * * *")
    @app.job
    def tick() -> int:
        return 1

    with app:
        assert tick.enqueue().result(timeout=0) == 1
    with pytest.raises(ConfigurationError, match="foreground"):
        app.work()
