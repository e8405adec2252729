"""How jobs get in: all or none, and each call once, by pgmq's own `send_batch`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from stoker.core.command import Replies, Sql, Value
from stoker.core.job import CallId, Enqueued, NewJob
from stoker.core.settlement import Settlement
from stoker.stores.codes import encode
from stoker.stores.pgmq.urls import PgmqUrl
from stoker.stores.pgmq.wire import job_id, messages, parted

# Whoever sends the same call waits here for the first, and then sees what that has sent.
LOCK_CALL: Final = "SELECT pg_advisory_xact_lock(hashtextextended(:call::text, 0))"

_SEND: Final = """
WITH old AS MATERIALIZED (
    SELECT ids FROM stoker.call WHERE call = :call::text AND part = :part::integer
), sent AS MATERIALIZED (
    SELECT :queue::text AS queue, coalesce(:at::bigint, :now + :delay::bigint) AS due
    WHERE NOT EXISTS (SELECT FROM old){condition}
), stored AS MATERIALIZED (
    SELECT one.id, one.place FROM sent CROSS JOIN LATERAL @send WITH ORDINALITY AS one (id, place)
), receipt AS (
    INSERT INTO stoker.call (call, part, at, ids)
    SELECT :call::text, :part::integer, :now, array_agg(id ORDER BY place) FROM stored HAVING count(*) > 0
)
SELECT array_to_string(coalesce((SELECT ids FROM old), (SELECT array_agg(id ORDER BY place) FROM stored)), ',')"""
SEND: Final = _SEND.replace("{condition}", "")
# Behind an ending, which has to be accepted; a repeat finds what it has sent.
FOLLOW: Final = _SEND.replace(
    "{condition}",
    """ AND EXISTS (SELECT FROM stoker.ended
        WHERE token = :token::text AND queue = :from::text AND :id::bigint = ANY (ids))""",
)
# No unique index decides here, so nobody waits for a transaction that notes the same route: then it stands there twice.
ROUTES: Final = """
INSERT INTO stoker.route (route) SELECT value FROM json_array_elements_text(:routes::json)
WHERE value <> '' AND NOT EXISTS (SELECT FROM stoker.route WHERE route.route = value)"""


def enqueue_steps(jobs: Sequence[NewJob], call: CallId, url: PgmqUrl, enqueued: int | None) -> tuple[Sql, ...]:
    """Give the steps that store jobs: one for those of a queue and time."""
    sends = [Sql(SEND, params) for params in _sends(jobs, call, url, enqueued)]
    return (*route_steps(jobs), Sql(LOCK_CALL, {"call": call}), *sends)


def answers(jobs: Sequence[NewJob]) -> Callable[[Replies], list[Enqueued]]:
    """Give the reader of the answer."""
    groups = _groups(jobs)

    def read(replies: Replies) -> list[Enqueued]:
        found: dict[int, Enqueued] = {}
        for places, rows in zip(groups, replies[-len(groups) :], strict=True):
            queue = jobs[places[0]].queue
            for place, id in zip(places, rows[0][0].split(","), strict=True):
                found[place] = Enqueued(job_id(queue, id))
        return [found[place] for place in range(len(jobs))]

    return read


def follow_steps(endings: Sequence[Settlement], url: PgmqUrl, enqueued: int | None) -> tuple[Sql, ...]:
    """Give the steps that store what follows from endings, behind those that carry them out."""
    steps: list[Sql] = []
    for ending in endings:
        place = parted(ending.id)
        if not ending.then or place is None:
            continue
        steps += route_steps(ending.then)
        guard: dict[str, Value] = {"token": ending.token, "from": url.table(place[0]), "id": place[1]}
        call = CallId(f"then {ending.token} {ending.id}")
        steps += [Sql(FOLLOW, params | guard) for params in _sends(ending.then, call, url, enqueued)]
    return tuple(steps)


def route_steps(jobs: Sequence[NewJob]) -> tuple[Sql, ...]:
    """Give the step that notes the routes of jobs; none where they have no tags."""
    routes = {job.route for job in jobs} - {""}
    return (Sql(ROUTES, {"routes": encode(sorted(routes))}),) if routes else ()


def _sends(jobs: Sequence[NewJob], call: CallId, url: PgmqUrl, enqueued: int | None) -> list[dict[str, Value]]:
    found: list[dict[str, Value]] = []
    for part, places in enumerate(_groups(jobs)):
        group = [jobs[place] for place in places]
        written, noted = messages(group, enqueued)
        first = group[0]
        found.append(
            {
                "call": call,
                "part": part,
                "queue": url.table(first.queue),
                "at": first.due.at,
                "delay": first.due.delay,
                "messages": written,
                "notes": noted,
            }
        )
    return found


def _groups(jobs: Sequence[NewJob]) -> list[list[int]]:
    """Give the places of jobs by queue and time."""
    groups: dict[object, list[int]] = {}
    before: object = None
    places: list[int] = []
    for place, job in enumerate(jobs):
        key = (job.queue, job.due)
        if key != before:
            before, places = key, groups.setdefault(key, [])
        places.append(place)
    return list(groups.values())
