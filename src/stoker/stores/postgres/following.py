# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""How follow-ups get in with the ending that they belong to.

Before the endings, with the leases and the jobs locked, ids are given out to the follow-ups of those that will be
accepted, and none to the others; behind the endings, what has an id is stored like any call. A repeat finds no job
under its token, so nothing of it has an id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stoker.core.command import Sql
from stoker.core.job import CallId, NewJob, new_call
from stoker.core.settlement import Settlement
from stoker.stores.codes import encode, row_ids
from stoker.stores.grouping import Sorted
from stoker.stores.postgres.intake import route_steps
from stoker.stores.postgres.unique import lock_steps, store_steps

# The locks of keys come first: whoever waits for a caller's transaction must not hold leases meanwhile.
_SAID: Final = """said AS MATERIALIZED (
    SELECT place, value->>0 AS token, (value->>1)::bigint AS id
    FROM json_array_elements(:owners::json) WITH ORDINALITY AS one (value, place)
)"""

_OPEN: Final = """INSERT INTO stoker.call (call, at, ids, open)
SELECT :call::text, :now, ARRAY(
    SELECT CASE WHEN one.accepted THEN nextval('stoker.line') END FROM (
        SELECT EXISTS (SELECT FROM held WHERE held.id = said.id AND held.token = said.token) AS accepted
        FROM said ORDER BY said.place
    ) AS one
), true"""

OPEN: Final = f"""
WITH {_SAID}, leased AS MATERIALIZED (
    SELECT said.token, said.id FROM said JOIN stoker.lease ON lease.token = said.token AND said.id = ANY (lease.ids)
), locked AS MATERIALIZED (
    SELECT id FROM stoker.job WHERE state = 2 AND id = ANY (ARRAY(SELECT id FROM leased)) ORDER BY id FOR UPDATE NOWAIT
), held AS MATERIALIZED (SELECT leased.* FROM leased JOIN locked USING (id))
{_OPEN}"""

# In a caller's transaction the lease must not be locked: the job's place in line is the guard (see `completing`).
OPEN_INSIDE: Final = f"""
WITH {_SAID}, leased AS MATERIALIZED (
    SELECT said.token, job.id, job.pos FROM said
    JOIN stoker.lease ON lease.token = said.token AND said.id = ANY (lease.ids)
    JOIN stoker.job ON job.id = said.id AND job.state = 2
), locked AS MATERIALIZED (
    SELECT job.id FROM stoker.job JOIN leased ON job.id = leased.id AND job.pos = leased.pos AND job.state = 2
    FOR UPDATE OF job
), held AS MATERIALIZED (SELECT leased.* FROM leased JOIN locked USING (id))
{_OPEN}"""

CLOSE: Final = "DELETE FROM stoker.call WHERE call = :call::text"


def with_following(
    steps: tuple[Sql, ...], follow: Sequence[tuple[Settlement, tuple[NewJob, ...]]], *, inside: bool = False
) -> tuple[Sql, ...]:
    """Give the steps of a settle with those around them that store what follows from the endings.

    The first of them locks the leases; ``inside`` a caller's transaction none does.
    """
    call = new_call()
    owned = [(ending, job) for ending, jobs in follow for job in jobs if row_ids((ending.id,))]
    jobs = [job for _, job in owned]
    owners = encode([(ending.token, ending.id) for ending, _ in owned])
    opening = Sql(OPEN_INSIDE if inside else OPEN, {"call": call, "owners": owners}, replan=True)
    locks = _lock_steps(jobs)
    if inside:
        return (*locks, opening, *steps, *_store(jobs, call))
    return (*locks, *steps[:1], opening, *steps[1:], *_store(jobs, call))


def _lock_steps(jobs: Sequence[NewJob]) -> tuple[Sql, ...]:
    keys = [job.unique for job in jobs if job.unique is not None]
    return tuple(lock_steps(keys)) if keys else ()


def _store(jobs: Sequence[NewJob], call: CallId) -> tuple[Sql, ...]:
    # Each unique job in a layer of its own: one that is not stored must not take another of its key along.
    plain = {place: job for place, job in enumerate(jobs) if job.unique is None}
    unique = [{place: job} for place, job in enumerate(jobs) if job.unique is not None]
    return (*route_steps(jobs), *store_steps(Sorted(plain, unique, {}), call), Sql(CLOSE, {"call": call}))
