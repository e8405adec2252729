"""Drain the same number of jobs with graphile-worker and with stoker, A B A B, on one PostgreSQL server.

From the top of the repository: ``.venv/bin/python -m benchmarks.graphile.run``. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.graphile.peer import Peer
from benchmarks.rounds import Rounds, drained, numbers, say

TITLES: Final = {"graphile": "graphile-worker", "stoker": "stoker"}


def main() -> None:
    """Take the rounds and print the medians and the ratio."""
    wanted = _wanted()
    with contextlib.ExitStack() as stack:
        folder = wanted.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stoker-graphile-")))
        peer = Peer.install(folder)
        url = wanted.url or stack.enter_context(_throw_away())
        say(f"graphile-worker {peer.version}, stoker and {peer.server(url)}; {wanted.n:,} jobs, {wanted.rounds} rounds")
        rounds = Rounds(TITLES)
        for number in range(1, wanted.rounds + 1):
            for processes in wanted.peer_processes:
                rounds.note(number, "graphile", processes, peer.drain(url, wanted.n, processes))
            for processes, rate in drained(url, wanted.n, wanted.stoker_processes, concurrency=10):
                rounds.note(number, "stoker", processes, rate)
    rounds.sum_up()


def _wanted() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.graphile.run", description=main.__doc__)
    parser.add_argument("--url", help="a PostgreSQL server on which databases can be made; else a throw-away one")
    parser.add_argument("--n", type=int, default=200_000, help="jobs of each drain")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-processes", type=numbers, default=(1, 2, 4), help="of graphile-worker: 1,2,4")
    parser.add_argument("--stoker-processes", type=numbers, default=(1, 2), help="of stoker: 1,2")
    parser.add_argument(
        "--folder", type=Path, help="where graphile-worker is, or is to be installed; else a temporary one"
    )
    return parser.parse_args()


@contextlib.contextmanager
def _throw_away() -> Iterator[str]:
    """Start the server of the tests: an empty database, whose commits wait for the disk."""
    from tests.rigs.postgres import Postgres
    from tests.rigs.servers import running

    with running(Postgres()) as server:
        yield server.url


if __name__ == "__main__":
    main()
