"""The table at the end."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import quantiles

from rich.table import Table

from stoker import State
from stoker.core.duration import SECOND
from stoker.core.job import StoredJob


def table(jobs: Sequence[StoredJob], doubles: int, seconds: float) -> Table:
    """Sum the jobs up."""
    sent = [job for job in jobs if job.state is State.COMPLETED]
    at_once = [job for job in sent if not job.failures]
    rows = {
        "sent": f"{len(sent)}",
        "retried": f"{len(sent) - len(at_once)}, each refused twice before",
        "discarded": f"{sum(job.state is State.DISCARDED for job in jobs)}",
        "double sign-ups": f"{doubles}, answered with the job that was there",
        "latency p50": latency(at_once, 50),
        "latency p99": latency(at_once, 99),
        "retried, p50": latency([job for job in sent if job.failures], 50),
        "all in all": f"{seconds:.1f} s",
    }
    made = Table("welcome mails", "", title="Sign-up", title_justify="left")
    for name, value in rows.items():
        made.add_row(name, value)
    return made


def latency(jobs: Sequence[StoredJob], percent: int) -> str:
    """Give a percentile of the time from enqueued to sent."""
    times = [(job.finished_at - job.enqueued_at) / SECOND * 1000 for job in jobs if job.finished_at is not None]
    if len(times) < 2:
        return "–"
    return f"{quantiles(times, n=100, method='inclusive')[percent - 1]:,.0f} ms"
