"""What the database does without a job system: the figures against which the store's are held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from stoker.bench.enqueueing import MOST_SINGLE, opened, task_of
from stoker.bench.figures import Figure, percentile, rate
from stoker.bench.ground import Ground
from stoker.bench.latency import idle_pauses
from stoker.bench.plan import Measure, Plan

CLAIMS = "claim and delete by 500, in a loop"
INSERTS = "INSERT, one by one"
HANDOVERS = "INSERT and NOTIFY, then a claim, after pauses"


def bare(plan: Plan, ground: Ground) -> Iterator[Figure]:
    """Measure bare statements: claims and deletes as of a drain, inserts, and handovers beside latencies."""
    from stoker.stores.postgres.yardstick import bare_claims, bare_handovers, bare_inserts

    with ground.fresh() as url, opened(task_of(plan, ground, url), ground):
        claims = bare_claims(url, plan.n, beyond=plan.backlog, payload=plan.payload)
    faults = () if claims.once else (f"{claims.rows} rows were claimed, not {plan.n}, or one was twice",)
    yield Figure(
        measure="bare",
        processes=1,
        n=plan.n,
        rate=rate(claims.rows, claims.seconds),
        of_bare=1.0,
        verified=not faults,
        note=CLAIMS,
        faults=faults,
    )
    n = min(plan.n, MOST_SINGLE)
    with ground.fresh() as url:
        calls = bare_inserts(url, n, payload=plan.payload)
    yield _timed(INSERTS, calls, rate(n, sum(calls)))
    if "latency" in plan.only:
        with ground.fresh() as url:
            yield _timed(HANDOVERS, bare_handovers(url, idle_pauses(plan)))


def _timed(note: str, calls: Sequence[float], rate: float | None = None) -> Figure:
    taken = [seconds * 1000 for seconds in calls] or [0.0]
    return Figure(
        measure="bare",
        processes=1,
        n=len(calls),
        rate=rate,
        of_bare=1.0,
        p50_ms=round(percentile(taken, 0.5), 3),
        p95_ms=round(percentile(taken, 0.95), 3),
        p99_ms=round(percentile(taken, 0.99), 3),
        note=note,
    )


class Yardstick:
    """Remembers the bare figures of a run, and holds others against them."""

    def __init__(self) -> None:
        self._rates: dict[Measure, float] = {}

    def held(self, figure: Figure) -> Figure:
        """Give a figure with its part of the bare rate, where there is one."""
        found = _rate_of(figure)
        if figure.measure == "bare":
            if found:
                self._rates[_HELD_AGAINST[figure.note]] = found
            return figure
        whole = self._rates.get(figure.measure)
        if not whole or found is None:
            return figure
        return msgspec.structs.replace(figure, of_bare=round(found / whole, 3))


_HELD_AGAINST: Final[dict[str, Measure]] = {CLAIMS: "drain", INSERTS: "enqueue", HANDOVERS: "latency"}


def _rate_of(figure: Figure) -> float | None:
    """Give jobs per second; of latencies as many as could follow one another."""
    return figure.rate if figure.rate is not None or not figure.p50_ms else 1000 / figure.p50_ms
