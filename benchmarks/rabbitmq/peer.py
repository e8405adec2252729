"""One of the peers: installed into an environment of its own, one worker process, the queue checked afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pika
from pika.exceptions import ChannelClosedByBroker

_HERE: Final = Path(__file__).parent / "peers"
_PACKAGES: Final = ("celery", "taskiq", "taskiq-aio-pika", "dramatiq[rabbitmq]")
_PATIENCE: Final = 300.0
_ENQUEUE: Final = """
import sys, time
from {module} import enqueue
enqueue(1)
started = time.perf_counter()
enqueue({jobs} - 1)
print(time.perf_counter() - started)
"""


class Kind(NamedTuple):
    """How a peer is run."""

    title: str
    module: str
    worker: str
    """The words that start one worker process."""
    queues: Sequence[str]
    """The first holds the jobs."""


KINDS: Final = {
    "celery": Kind(
        "Celery",
        "celery_peer",
        "celery -A celery_peer worker -P threads -c 10 -l ERROR --without-gossip --without-mingle --without-heartbeat",
        ("celery",),
    ),
    "taskiq": Kind(
        "taskiq",
        "taskiq_peer",
        "taskiq worker taskiq_peer:broker --workers 1 --ack-type when_executed --log-level ERROR",
        ("taskiq", "taskiq.dead_letter", "taskiq.delay"),
    ),
    "dramatiq": Kind(
        "Dramatiq", "dramatiq_peer", "dramatiq dramatiq_peer --processes 1", ("default", "default.DQ", "default.XQ")
    ),
}


class Peers(NamedTuple):
    """An environment with all of them."""

    folder: Path

    @classmethod
    def install(cls, folder: Path) -> Peers:
        """Install them into a folder, unless they are there."""
        if not (folder / "bin" / "dramatiq").exists():
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)  # noqa: S603
            subprocess.run([folder / "bin" / "pip", "install", "--quiet", *_PACKAGES], check=True)  # noqa: S603
        return cls(folder)

    def versions(self) -> str:
        """Name the peers with their versions."""
        names = [package.partition("[")[0] for package in _PACKAGES]
        words = f"from importlib.metadata import version; print(', '.join(n + ' ' + version(n) for n in {names}))"
        return self._python(words, {}).strip()

    def measure(self, kind: Kind, broker: str, jobs: int) -> tuple[float, float]:
        """Give the jobs per second that it enqueues one after the other, and that one worker process performs."""
        with tempfile.TemporaryDirectory(prefix="stoker-peer-") as folder:
            tally = Path(folder) / "tally"
            environment = {"PEER_BROKER": broker, "PEER_JOBS": str(jobs), "PEER_TALLY": str(tally)}
            _forget(broker, kind.queues)
            if kind.module == "taskiq_peer":  # whose queues are declared by its worker
                self._work(kind, environment, lambda: _count(broker, kind.queues[0]) is not None)
            took = float(self._python(_ENQUEUE.format(module=kind.module, jobs=jobs), environment))
            self._work(kind, environment, tally.exists)
            left = _count(broker, kind.queues[0])
            _forget(broker, kind.queues)
            if left != 0:
                raise SystemExit(f"{kind.title} left {left} jobs: its figure would mean nothing")
            return (jobs - 1) / took, (jobs - 1) / float(tally.read_text())

    def _python(self, code: str, environment: dict[str, str]) -> str:
        command = [str(self.folder / "bin" / "python"), "-c", code]
        merged = {**os.environ, "PYTHONPATH": "", **environment}
        done = subprocess.run(command, cwd=_HERE, env=merged, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
        return done.stdout

    def _work(self, kind: Kind, environment: dict[str, str], until: Callable[[], bool]) -> None:
        program, *words = kind.worker.split()
        command = [str(self.folder / "bin" / program), *words]
        merged = {**os.environ, **environment, "PYTHONPATH": str(_HERE)}
        worker = subprocess.Popen(  # noqa: S603
            command, cwd=_HERE, env=merged, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            end = time.monotonic() + _PATIENCE
            while not until():
                if worker.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f"{kind.title} did not perform its jobs")
                time.sleep(0.05)
            time.sleep(1)  # for its last acknowledgement
        finally:
            worker.send_signal(signal.SIGTERM)
            try:
                worker.wait(20)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


def _count(broker: str, queue: str) -> int | None:
    with pika.BlockingConnection(pika.URLParameters(broker)) as connection:
        try:
            found: int = connection.channel().queue_declare(queue, passive=True).method.message_count
        except ChannelClosedByBroker:
            return None
        return found


def _forget(broker: str, queues: Sequence[str]) -> None:
    with pika.BlockingConnection(pika.URLParameters(broker)) as connection:
        for queue in queues:
            connection.channel().queue_delete(queue)
