"""Drain the same number of jobs with Ruby's Sidekiq and with stoker in its format, A B A B, on one server.

From the top of the repository: ``.venv/bin/python -m benchmarks.sidekiq.run``. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import contextlib
from typing import Final

from benchmarks.rounds import Rounds, drained, numbers, say
from benchmarks.sidekiq.peer import Peer
from tests.rigs.servers import running
from tests.rigs.valkey import Valkey

TITLES: Final = {"sidekiq": "Ruby's Sidekiq", "stoker": "stoker"}


def main() -> None:
    """Take the rounds and print the medians and the ratio."""
    wanted = _wanted()
    peer = Peer.find()
    rounds = Rounds(TITLES)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running(Valkey()))
        say(f"Sidekiq {peer.version} and stoker on one Valkey; {wanted.n:,} jobs, {wanted.rounds} rounds")
        for number in range(1, wanted.rounds + 1):
            for processes in wanted.peer_processes:
                rate = peer.drain(server.url, wanted.n, processes, wanted.concurrency)
                rounds.note(number, "sidekiq", processes, rate)
            url = f"sidekiq+{server.url}?namespace=bench"
            for processes, rate in drained(url, wanted.n, wanted.stoker_processes, wanted.stoker_concurrency):
                rounds.note(number, "stoker", processes, rate)
    rounds.sum_up()


def _wanted() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sidekiq.run", description=main.__doc__)
    parser.add_argument("--n", type=int, default=50_000, help="jobs of each drain")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=10, help="threads of each of Sidekiq's processes")
    parser.add_argument("--stoker-concurrency", type=int, default=100, help="async jobs at once in each of stoker's")
    parser.add_argument("--peer-processes", type=numbers, default=(1, 2), help="of Sidekiq: 1,2")
    parser.add_argument("--stoker-processes", type=numbers, default=(1, 2), help="of stoker: 1,2")
    return parser.parse_args()


if __name__ == "__main__":
    main()
