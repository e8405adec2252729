"""Enqueue and drain the same number of jobs with Celery, taskiq, Dramatiq and stoker, in turn, on one RabbitMQ broker.

From the top of the repository: ``.venv/bin/python -m benchmarks.rabbitmq.run``. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.rabbitmq.peer import KINDS, Peers

_TITLES: Final = {**{name: kind.title for name, kind in KINDS.items()}, "stoker": "stoker"}


def main() -> None:
    """Take the rounds and print the medians."""
    wanted = _wanted()
    with contextlib.ExitStack() as stack:
        folder = wanted.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stoker-peers-")))
        peers = Peers.install(folder)
        url = wanted.url or stack.enter_context(_throw_away())
        _say(f"{peers.versions()}, stoker; {wanted.n:,} jobs, {wanted.rounds} rounds, one worker process each")
        rates: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        for number in range(1, wanted.rounds + 1):
            for name in wanted.peers:
                _note(rates, number, name, peers.measure(KINDS[name], f"{url}/%2F", wanted.n))
            _note(rates, number, "stoker", _stoker(url, wanted.n))
    _sum_up(rates)


def _wanted() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rabbitmq.run", description=main.__doc__)
    parser.add_argument("--url", help="amqp://USER:PASSWORD@HOST:PORT of a broker that may be dirtied; else its own")
    parser.add_argument("--n", type=int, default=20_000, help="jobs of each drain")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", type=_names, default=tuple(KINDS), help="which: celery,taskiq,dramatiq")
    parser.add_argument("--folder", type=Path, help="where the peers are, or are to be installed; else a temporary one")
    return parser.parse_args()


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := [name for name in names if name not in KINDS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(KINDS)}")
    return names


@contextlib.contextmanager
def _throw_away() -> Iterator[str]:
    """Start the broker of the tests."""
    from tests.rigs.rabbitmq import RabbitMq
    from tests.rigs.servers import running

    with running(RabbitMq()) as broker:
        yield broker.url


def _stoker(url: str, n: int) -> tuple[float, float]:
    """Give the jobs per second of enqueue_many with confirms, and of a drain from the start of its worker."""
    command = [sys.executable, "-m", "stoker", "bench", "--json", "--url", url, "--only", "enqueue_many,drain"]
    words = ["--n", str(n), "--concurrency", "10", "--processes", "1"]
    done = subprocess.run([*command, *words], stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    answer: dict[str, Any] = json.loads(done.stdout)
    special = {note["result"] for note in answer["conditions"]["notes"]}
    usual = {one["measure"]: one["rate"] for at, one in reversed([*enumerate(answer["results"])]) if at not in special}
    return usual["enqueue_many"], usual["drain"]


def _note(rates: dict[str, list[tuple[float, float]]], number: int, name: str, taken: tuple[float, float]) -> None:
    rates[name].append(taken)
    _say(f"round {number}  {_TITLES[name]:<9} enqueues {taken[0]:>8,.0f}/s  drains {taken[1]:>8,.0f}/s")


def _sum_up(rates: dict[str, list[tuple[float, float]]]) -> None:
    _say("\nmedians")
    drains = {}
    for name, taken in rates.items():
        enqueued, drains[name] = (statistics.median(column) for column in zip(*taken, strict=True))
        _say(f"{_TITLES[name]:<9} enqueues {enqueued:>8,.0f}/s  drains {drains[name]:>8,.0f}/s")
    best = max((rate for name, rate in drains.items() if name != "stoker"), default=0.0)
    if best:
        _say(f"\nstoker's drain : the best peer's = {drains['stoker'] / best:.2f}")


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
