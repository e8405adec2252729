"""What the database does without a job system: the figures against which the store's are held."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from stoker.bench.enqueueing import MOST_SINGLE, opened, task_of
from stoker.bench.figures import Figure, percentile, rate
from stoker.bench.ground import Ground
from stoker.bench.plan import Measure, Plan

CLAIMS = "claim and delete by 500, in a loop"
INSERTS = "INSERT, one by one"


def bare(plan: Plan, ground: Ground) -> Iterator[Figure]:
    """Measure bare statements that claim and delete as many rows as a drain has jobs, and bare inserts."""
    from stoker.stores.postgres.yardstick import bare_claims, bare_inserts

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
    taken = [seconds * 1000 for seconds in calls]
    yield Figure(
        measure="bare",
        processes=1,
        n=n,
        rate=rate(n, sum(calls)),
        of_bare=1.0,
        p50_ms=round(percentile(taken, 0.5), 3),
        p95_ms=round(percentile(taken, 0.95), 3),
        p99_ms=round(percentile(taken, 0.99), 3),
        note=INSERTS,
    )


class Yardstick:
    """Remembers the bare figures of a run, and holds others against them."""

    def __init__(self) -> None:
        self._rates: dict[Measure, float] = {}

    def held(self, figure: Figure) -> Figure:
        """Give a figure with its part of the bare rate, where there is one."""
        if figure.measure == "bare" and figure.rate is not None:
            self._rates["drain" if figure.note == CLAIMS else "enqueue"] = figure.rate
            return figure
        whole = self._rates.get(figure.measure)
        if not whole or figure.rate is None:
            return figure
        return msgspec.structs.replace(figure, of_bare=round(figure.rate / whole, 3))
