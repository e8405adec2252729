"""What comparisons with other systems share: rates taken in turn, their medians, and stoker's own drain."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any


class Rounds:
    """Rates of two systems, by system and number of processes; ``titles`` has the other one first, then stoker."""

    def __init__(self, titles: Mapping[str, str]) -> None:
        self._titles = titles
        self._width = max(map(len, titles.values()))
        self._rates: defaultdict[tuple[str, int], list[float]] = defaultdict(list)

    def note(self, number: int, system: str, processes: int, rate: float) -> None:
        """Take a rate down and print it."""
        self._rates[system, processes].append(rate)
        say(f"round {number}  {self._line(system, processes, rate)}")

    def sum_up(self) -> None:
        """Print the medians, and how the systems compare."""
        medians = {key: statistics.median(taken) for key, taken in self._rates.items()}
        say("\nmedians (lowest to highest)")
        for (system, processes), median in sorted(medians.items()):
            taken = self._rates[system, processes]
            say(f"{self._line(system, processes, median)}  ({min(taken):,.0f} to {max(taken):,.0f})")
        (peer, title), *_ = self._titles.items()
        best = {system: max(rate for (who, _), rate in medians.items() if who == system) for system in self._titles}
        one = medians.get(("stoker", 1))
        if one is not None:
            say(f"\nstoker with one process : {title} at its best = {one / best[peer]:.2f}")
        say(f"stoker at its best      : {title} at its best = {best['stoker'] / best[peer]:.2f}")

    def _line(self, system: str, processes: int, rate: float) -> str:
        return f"{self._titles[system]:<{self._width}} {processes} process(es)  {rate:>9,.0f} jobs/s"


def numbers(text: str) -> tuple[int, ...]:
    """Read numbers with commas between."""
    return tuple(int(word) for word in text.split(","))


def drained(url: str, n: int, processes: Sequence[int], concurrency: int) -> list[tuple[int, float]]:
    """Give the processes and jobs per second of each of stoker's drains of async jobs that are deleted when done."""
    wanted = ",".join(map(str, processes))
    command = [sys.executable, "-m", "stoker", "bench", "--json", "--url", url, "--only", "drain", "--n", str(n)]
    done = subprocess.run(  # noqa: S603
        [*command, "--concurrency", str(concurrency), "--processes", wanted],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    special = {note["result"] for note in answer["conditions"]["notes"]}
    return [(result["processes"], result["rate"]) for at, result in enumerate(answer["results"]) if at not in special]


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)
