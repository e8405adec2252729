"""How jobs leave for another store: out of lists and sets into a hash, from which nobody's workers take them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from stoker.core.duration import SECOND
from stoker.core.filters import Filter
from stoker.core.job import WAITING, JobId, State, StoredJob, Token
from stoker.core.moving import HELD_FOR, MOVING, Hold
from stoker.core.routes import tags_of
from stoker.errors import NotSupported
from stoker.stores.arguments import args_are
from stoker.stores.sidekiq.commands import Arg, Scripts
from stoker.stores.sidekiq.failing import held as parts_of
from stoker.stores.sidekiq.wire import UNREADABLE, read_claim, read_payload
from stoker.stores.walks import Course

_PART: Final = 500
"""Jobs looked at by one script."""
_UNKNOWN: Final = ("batches", "error", "failed_since", "failed_before", "finished_since", "finished_before")
_SETS: Final = {State.SCHEDULED: "schedule", State.RETRYABLE: "retry"}


class _Found(NamedTuple):
    source: str
    """``schedule``, ``retry``, or the name of a list's key."""
    queue: str
    due: int | None
    payload: bytes


class _Labels(msgspec.Struct):
    tags: tuple[str, ...] = ()


def hold(
    scripts: Scripts, only: Filter, limit: int, token: Token, worker: str
) -> Callable[[], Course[list[StoredJob]]]:
    """Look for jobs, take what is still there, and show what is held; NotSupported for what jobs do not tell."""
    if unknown := [field for field in _UNKNOWN if getattr(only, field)]:
        raise NotSupported(f"jobs of Sidekiq cannot be chosen by {unknown[0].replace('_', ' ')}", verb="hold")
    keys = scripts.claim_keys(token)[:1]

    def course() -> Course[list[StoredJob]]:
        now, fields, crashes = yield scripts.script("held", [], keys)
        if not fields and limit:
            found = yield from _candidates(scripts, only, limit, int(now))
            lists = list(dict.fromkeys(one.source for one in found if one.source not in _SETS.values()))
            place = {name: str(number) for number, name in enumerate(lists, 2)}
            args: list[Arg] = [token, worker, HELD_FOR]
            for one in found:
                args += [place.get(one.source, one.source), one.queue, "" if one.due is None else one.due, one.payload]
            yield scripts.script("hold", args, [*keys, *lists])
            now, fields, crashes = yield scripts.script("held", [], keys)
        return list(_held(fields, crashes, int(now)))

    return course


def _candidates(scripts: Scripts, only: Filter, limit: int, now: int) -> Course[list[_Found]]:
    found: list[_Found] = []
    for state in sorted(WAITING):
        if only.states and state not in only.states:
            continue
        if state is State.AVAILABLE:
            _, lists, _, _ = yield scripts.script("overview", [])
            queues = [name.decode() for name in lists]
            places = [(scripts.queue(name), name) for name in sorted(only.queues or queues) if name in queues]
        else:
            places = [(_SETS[state], "")]
        for source, queue in places:
            yield from _gather(scripts, only, limit, now, found, source, queue)
    return found


def _gather(
    scripts: Scripts, only: Filter, limit: int, now: int, found: list[_Found], source: str, queue: str
) -> Course[None]:
    """Add what matches of one list or set, a stretch at a time."""
    first, kind = 0, "list" if queue else "set"
    key = source if queue else scripts.key(source)
    while len(found) < limit:
        page: list[bytes] = yield scripts.script("stretch", [kind, first, first + _PART - 1], [key])
        pairs = [(payload, None) for payload in page] if queue else zip(page[::2], page[1::2], strict=True)
        looked = 0
        for payload, score in pairs:
            looked += 1
            due = None if score is None else round(float(score) * SECOND)
            one = _Found(source, queue or _queue_of(payload), due, payload)
            job = _job(b"1", one, now)
            if job is not None and _matches(only, job) and len(found) < limit:
                found.append(one)
        if looked < _PART:
            return
        first += _PART


def _held(fields: list[bytes], crashes: list[bytes], now: int) -> Iterator[StoredJob]:
    told = dict(zip(fields[::2], fields[1::2], strict=True))
    died = dict(zip(fields[::2], map(int, crashes), strict=True))
    ids = [id for id, value in told.items() if not (id.startswith(b"\0") or value.startswith(b"\0"))]
    for id in sorted(ids, key=lambda id: int(told[id].partition(b" ")[0])):
        queue, payload = parts_of(told[id])
        source, _, due = told.get(b"\0due" + id, b"list ").decode().partition(" ")
        job = _job(id, _Found(source, queue, int(due) if due else None, payload), now, died[id])
        if job is not None:
            yield job


def _queue_of(payload: bytes) -> str:
    try:
        return read_payload(payload).queue
    except UNREADABLE:
        return "default"


def _job(id: bytes, found: _Found, now: int, crashes: int = 0) -> StoredJob | None:
    """Read a job; None for what is none, which stays where it is."""
    payload, queue = found.payload, found.queue.encode()
    claim = read_claim(id, queue, payload, str(crashes).encode(), Token(""), "", now)
    if claim.defect is not None:
        return None
    job = read_payload(payload)
    try:
        labels = msgspec.json.decode(payload, type=_Labels).tags
    except msgspec.MsgspecError:
        labels = ()
    return StoredJob(
        id=JobId(job.jid) if id == b"1" else claim.id,
        name=claim.name,
        queue=claim.queue,
        state={"schedule": State.SCHEDULED, "retry": State.RETRYABLE}.get(found.source, State.AVAILABLE),
        args=claim.args,
        priority=claim.priority,
        max_attempts=claim.max_attempts,
        starts=claim.starts - 1,
        failures=claim.failures,
        crashes=claim.crashes,
        snoozes=claim.snoozes,
        run_at=claim.due if found.due is None else found.due,
        enqueued_at=claim.enqueued_at,
        started_at=None,
        finished_at=None,
        keep=claim.keep,
        keep_failed=claim.keep_failed,
        result=None,
        worker=None,
        route=job.stoker.route,
        labels=labels,
        meta=claim.meta,
        version=claim.version,
        crash_limit=job.stoker.crash_limit,
        parent=claim.parent,
        root=claim.root,
        origin=job.stoker.origin,
    )


def _matches(only: Filter, job: StoredJob) -> bool:
    since, before = only.enqueued_since, only.enqueued_before
    return (
        (not only.ids or job.id in only.ids)
        and (not only.names or job.name in only.names)
        and (not only.queues or job.queue in only.queues)
        and (not only.tags or not set(only.tags).isdisjoint(tags_of(job.route)))
        and (not only.labels or not set(only.labels).isdisjoint(job.labels))
        and (since is None or job.enqueued_at >= since)
        and (before is None or job.enqueued_at < before)
        and (not only.args or args_are(only.args, job.args))
    )


def holds(scripts: Scripts) -> Callable[[], Course[list[Hold]]]:
    """Give what is held, the longest first."""

    def course() -> Course[list[Hold]]:
        _, found = yield scripts.script("holdings", [])
        said = {
            token.decode(): value.decode(errors="replace") for token, value in zip(found[::2], found[1::2], strict=True)
        }
        ours = {token: value for token, value in said.items() if value.partition(" ")[2].startswith(MOVING)}
        open_ = yield scripts.script("opened", [], [scripts.claim_keys(token)[0] for token in ours])
        made = [
            Hold(Token(token), value.partition(" ")[2], int(value.partition(" ")[0]), int(jobs))
            for (token, value), jobs in zip(ours.items(), open_, strict=True)
        ]
        return sorted(made, key=lambda one: (one.at, one.token))

    return course


def last_due(reply: Any) -> int | None:
    """Read the latest due time of both sets."""
    return max((round(float(entry[1]) * SECOND) for entry in reply if entry), default=None)
