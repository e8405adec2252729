# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""How jobs are looked up: queues and archives are read a page at a time, from one end, and compared in Python.

Of an archive only what our own workers put there is shown: of others pgmq does not tell how they ended.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from stoker.core.command import Command, Replies, Sql, Value
from stoker.core.filters import Filter
from stoker.core.job import Ending, JobId, StoredJob
from stoker.stores.matching import matches
from stoker.stores.pgmq.commands import Course
from stoker.stores.pgmq.look import LISTED, STATE, listed
from stoker.stores.pgmq.urls import PgmqUrl
from stoker.stores.pgmq.wire import parted, read_stored
from stoker.stores.pgmq.work import MICROS, NAME, on_tables

_PAGE: Final = 500
_AHEAD: Final = 1 << 62

COLUMNS: Final = f"""m.msg_id, m.read_ct, {MICROS.format("m.enqueued_at")}, {MICROS.format("m.vt")}, {NAME},
    (m.message->'args')::text, @notes::text"""
_WHICH: Final = """m.msg_id < :start::bigint
    AND (:ids::text IS NULL OR m.msg_id = ANY (string_to_array(:ids::text, ',')::bigint[]))
ORDER BY m.msg_id DESC LIMIT :limit::integer"""
_UPWARDS: Final = _WHICH.replace("m.msg_id <", "m.msg_id >").replace("DESC", "ASC")
SEEN: Final = {
    "q": f"""
SELECT {COLUMNS}, {STATE}, held.worker, held.at FROM {{table}} AS m LEFT JOIN LATERAL (
    SELECT lease.worker, lease.at FROM stoker.lease CROSS JOIN LATERAL unnest(ids, reads) AS one (id, read)
    WHERE lease.queue = :queue::text AND m.msg_id = ANY (lease.ids) AND one.id = m.msg_id AND one.read = m.read_ct
    LIMIT 1
) AS held ON true WHERE {_WHICH}""",
    "a": f"""
SELECT {COLUMNS}, 7, NULL::text, NULL::bigint FROM {{archive}} AS m WHERE @notes ? 'state' AND {_WHICH}""",
}
_AT: Final = f"""
SELECT {MICROS.format("m.enqueued_at")} FROM {{table}} AS m WHERE m.msg_id <= :id::bigint
UNION ALL
SELECT {MICROS.format("m.enqueued_at")} FROM {{archive}} AS m WHERE m.msg_id <= :id::bigint
ORDER BY 1 DESC LIMIT 1"""

Place: TypeAlias = tuple[int, str, int]
"""When a message was sent, its queue, its number: pages go from high to low, or the other way."""


class Found(NamedTuple):
    """A job and where it is."""

    place: Place
    kind: str
    """``q`` in its queue, ``a`` in the archive."""
    job: StoredJob


class _Source:
    """One queue or archive, read downwards; or upwards, the oldest first."""

    def __init__(self, table: str, queue: str, kind: str, ids: str | None, *, oldest: bool) -> None:
        self.queue, self.kind = queue, kind
        self._params: dict[str, Value] = {"queue": table, "ids": ids}
        self._text = on_tables(SEEN[kind].replace(_WHICH, _UPWARDS) if oldest else SEEN[kind], table)
        self._start = -1 if oldest else _AHEAD
        self.waiting: list[Found] = []
        self.over = False

    def step(self, limit: int) -> Sql:
        return Sql(self._text, self._params | {"start": self._start, "limit": limit})

    def take(self, rows: Sequence[Any], limit: int) -> None:
        self.over = len(rows) < limit
        if rows:
            self._start = rows[-1][0]
        for row in rows:
            if (job := read_stored(self.queue, row)) is not None:
                self.waiting.append(Found((row[2], self.queue, row[0]), self.kind, job))
        self.waiting.reverse()


def search(url: PgmqUrl, only: Filter, limit: int, before: JobId | None = None) -> Course[list[Found]]:
    """Give up to ``limit`` matching jobs, the newest first."""
    queues = yield from _queues(url)
    ceiling: Place | None = None
    if before is not None:
        place = parted(before)
        if place is None or place[0] not in queues:
            return []
        step = Sql(on_tables(_AT, queues[place[0]]), {"id": place[1]})
        sent: int = yield Command("find", (step,), lambda replies: replies[0][0][0] if replies[0] else 0, writes=False)
        ceiling = (sent, *place)
    sources = _sources(queues, only, oldest=False)
    return (yield from _merged(sources, only, limit, max, lambda place: ceiling is None or place < ceiling))


def oldest_first(url: PgmqUrl, only: Filter, limit: int, after: Place | None) -> Course[list[Found]]:
    """Give up to ``limit`` matching jobs behind a place, the oldest first."""
    queues = yield from _queues(url)
    sources = _sources(queues, only, oldest=True)
    return (yield from _merged(sources, only, limit, min, lambda place: after is None or place > after))


def _queues(url: PgmqUrl) -> Course[dict[str, str]]:
    tables: list[str] = yield Command("find", (Sql(LISTED, {"prefix": url.prefix}),), listed, writes=False)
    return {table.removeprefix(url.prefix): table for table in tables}


def _merged(
    sources: Sequence[_Source], only: Filter, limit: int, first: Callable[..., _Source], asked: Callable[[Place], bool]
) -> Course[list[Found]]:
    page = min(max(limit, 50), _PAGE)
    found: list[Found] = []
    while len(found) < limit:
        if empty := [source for source in sources if not source.waiting and not source.over]:
            steps = tuple(source.step(page) for source in empty)
            replies: Replies = yield Command("find", steps, lambda replies: replies, writes=False)
            for source, rows in zip(empty, replies, strict=True):
                source.take(rows, page)
            continue
        full = [source for source in sources if source.waiting]
        if not full:
            break
        one = first(full, key=lambda source: source.waiting[-1].place).waiting.pop()
        if asked(one.place) and matches(only, one.job):
            found.append(one)
    return found


def _sources(queues: dict[str, str], only: Filter, *, oldest: bool) -> list[_Source]:
    asked: dict[str, str | None] = dict.fromkeys(only.queues or queues)
    if only.ids:
        by_queue: defaultdict[str, list[str]] = defaultdict(list)
        for queue, number in filter(None, map(parted, only.ids)):
            by_queue[queue].append(str(number))
        asked = {queue: ",".join(numbers) for queue, numbers in by_queue.items() if queue in asked}
    ended = not only.states or any(state.final for state in only.states)
    return [
        _Source(queues[queue], queue, kind, ids, oldest=oldest)
        for queue, ids in asked.items()
        if queue in queues
        for kind in SEEN
        if kind == "q" or ended
    ]


def find(url: PgmqUrl, only: Filter, limit: int, before: JobId | None) -> Callable[[], Course[list[StoredJob]]]:
    """Look jobs up."""

    def course() -> Course[list[StoredJob]]:
        found = yield from search(url, only, limit, before)
        return [one.job for one in found]

    return course


def result(url: PgmqUrl, id: JobId) -> Callable[[], Course[Ending | None]]:
    """Tell how a job ended."""

    def course() -> Course[Ending | None]:
        found = yield from search(url, Filter(ids=(id,)), 1)
        return _ending(found)

    return course


def _ending(found: Iterable[Found]) -> Ending | None:
    for one in found:
        job = one.job
        return Ending(job.state, job.result, job.errors[-1] if job.errors else None)
    return None
