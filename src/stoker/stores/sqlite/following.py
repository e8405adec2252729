"""How follow-ups get in with the ending that they belong to.

While the guard still stands it is noted which endings will be accepted; behind the endings, each of these enqueues what
follows from it like any call. A repeat notes nothing, so its calls are never fresh.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stoker.core.command import Sql
from stoker.core.job import NewJob, new_call
from stoker.core.settlement import Settlement
from stoker.stores.codes import encode
from stoker.stores.grouping import sort_out
from stoker.stores.sqlite import intake, unique

NOTE: Final = """
INSERT OR IGNORE INTO stoker_accepted (job, token)
SELECT job.id, job.token FROM json_each(:attempts) AS said
CROSS JOIN stoker_job AS job NOT INDEXED ON job.id = json_extract(said.value, '$[0]')
WHERE job.state = 3 AND job.token = json_extract(said.value, '$[1]')"""

FORGET: Final = "DELETE FROM stoker_accepted"

RECEIPT: Final = """
INSERT INTO stoker_call (first, call, count, at)
SELECT value + 1, :call, :count, :now FROM stoker_counter
WHERE EXISTS (SELECT 1 FROM stoker_accepted WHERE job = CAST(:job AS INTEGER) AND token = :token)
ON CONFLICT (call) DO NOTHING"""


def with_following(steps: tuple[Sql, ...], follow: Sequence[tuple[Settlement, tuple[NewJob, ...]]]) -> tuple[Sql, ...]:
    """Give the steps of a settle with those around them that store what follows from the endings."""
    attempts = [(ending.id, ending.token) for ending, _ in follow]
    behind = [step for ending, jobs in follow for step in _enqueue(ending, jobs)]
    return (Sql(NOTE, {"attempts": encode(attempts)}), *steps, *behind, Sql(FORGET, {}))


def _enqueue(ending: Settlement, jobs: tuple[NewJob, ...]) -> tuple[Sql, ...]:
    call = new_call()
    whole: dict[str, str | int | None] = {"call": call, "count": len(jobs), "job": ending.id, "token": ending.token}
    steps = (
        intake.plain_steps(jobs, call)
        if all(job.unique is None for job in jobs)
        else unique.unique_steps(jobs, sort_out(jobs), call)
    )
    return (Sql(RECEIPT, whole), *steps[1:-1])
