"""Drain the same number of jobs with graphile-worker and with stoker, A B A B, on one PostgreSQL server.

From the top of the repository: ``.venv/bin/python -m benchmarks.graphile.run``. See README.md beside this file.
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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.graphile.peer import Peer

TITLES: Final = {"graphile": "graphile-worker", "stoker": "stoker"}


def main() -> None:
    """Take the rounds and print the medians and the ratio."""
    wanted = _wanted()
    with contextlib.ExitStack() as stack:
        folder = wanted.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stoker-graphile-")))
        peer = Peer.install(folder)
        url = wanted.url or stack.enter_context(_throw_away())
        _say(
            f"graphile-worker {peer.version}, stoker and {peer.server(url)}; {wanted.n:,} jobs, {wanted.rounds} rounds"
        )
        rates: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
        for number in range(1, wanted.rounds + 1):
            for processes in wanted.peer_processes:
                _note(rates, number, "graphile", processes, peer.drain(url, wanted.n, processes))
            for processes, rate in _stoker(url, wanted.n, wanted.stoker_processes):
                _note(rates, number, "stoker", processes, rate)
    _sum_up(rates)


def _wanted() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.graphile.run", description=main.__doc__)
    parser.add_argument("--url", help="a PostgreSQL server on which databases can be made; else a throw-away one")
    parser.add_argument("--n", type=int, default=200_000, help="jobs of each drain")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-processes", type=_numbers, default=(1, 2, 4), help="of graphile-worker: 1,2,4")
    parser.add_argument("--stoker-processes", type=_numbers, default=(1, 2), help="of stoker: 1,2")
    parser.add_argument(
        "--folder", type=Path, help="where graphile-worker is, or is to be installed; else a temporary one"
    )
    return parser.parse_args()


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


@contextlib.contextmanager
def _throw_away() -> Iterator[str]:
    """Start the server of the tests: an empty database, whose commits wait for the disk."""
    from tests.rigs.postgres import Postgres
    from tests.rigs.servers import running

    with running(Postgres()) as server:
        yield server.url


def _stoker(url: str, n: int, processes: Sequence[int]) -> list[tuple[int, float]]:
    """Give the processes and jobs per second of each drain of async jobs that are deleted when done."""
    numbers = ",".join(map(str, processes))
    command = [sys.executable, "-m", "stoker", "bench", "--json", "--url", url, "--only", "drain", "--n", str(n)]
    done = subprocess.run(  # noqa: S603
        [*command, "--concurrency", "10", "--processes", numbers], stdout=subprocess.PIPE, text=True, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    special = {note["result"] for note in answer["conditions"]["notes"]}
    return [(result["processes"], result["rate"]) for at, result in enumerate(answer["results"]) if at not in special]


def _note(
    rates: defaultdict[tuple[str, int], list[float]], number: int, system: str, processes: int, rate: float
) -> None:
    rates[system, processes].append(rate)
    _say(f"round {number}  {TITLES[system]:<15} {processes} process(es)  {rate:>9,.0f} jobs/s")


def _sum_up(rates: dict[tuple[str, int], list[float]]) -> None:
    medians = {key: statistics.median(taken) for key, taken in rates.items()}
    _say("\nmedians (lowest to highest)")
    for (system, processes), median in sorted(medians.items()):
        taken = rates[system, processes]
        spread = f"{min(taken):,.0f} to {max(taken):,.0f}"
        _say(f"{TITLES[system]:<15} {processes} process(es)  {median:>9,.0f} jobs/s  ({spread})")
    best = {system: max(rate for (who, _), rate in medians.items() if who == system) for system in TITLES}
    one = medians.get(("stoker", 1))
    if one is not None:
        _say(f"\nstoker with one process : graphile-worker at its best = {one / best['graphile']:.2f}")
    _say(f"stoker at its best      : graphile-worker at its best = {best['stoker'] / best['graphile']:.2f}")


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
