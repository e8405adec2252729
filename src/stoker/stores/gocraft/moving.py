"""How jobs leave for another store: out of lists and sets into lists of a pool that nobody reaps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from stoker.core.command import Script
from stoker.core.duration import SECOND
from stoker.core.filters import Filter
from stoker.core.job import WAITING, JobId, State, StoredJob, Token
from stoker.core.moving import HELD_FOR
from stoker.stores.gocraft.commands import DEFAULT_QUEUE, MOVING_POOL, Scripts, name_of
from stoker.stores.gocraft.failing import held as parts_of
from stoker.stores.gocraft.look import Lanes
from stoker.stores.gocraft.unique import key_in
from stoker.stores.gocraft.wire import UNREADABLE, read_claim, read_payload
from stoker.stores.holding.commands import Arg
from stoker.stores.matching import matches
from stoker.stores.walks import Course

_PART: Final = 500
"""Jobs looked at by one script."""
_SETS: Final = {"scheduled": State.SCHEDULED, "retry": State.RETRYABLE}


class _Found(NamedTuple):
    job: StoredJob
    known_as: str
    source: str
    score: int
    payload: bytes


def hold(
    scripts: Scripts, only: Filter, limit: int, token: Token, worker: str
) -> Callable[[], Course[list[StoredJob]]]:
    """Look for jobs, take what is still there, and show what is held."""
    keys = scripts.claim_keys(token)[:1]
    waiting = msgspec.structs.replace(only, states=tuple(sorted(WAITING & frozenset(only.states or WAITING))))

    def course() -> Course[list[StoredJob]]:
        lanes = Lanes((yield scripts.script("pools", [])))
        now, fields, crashes = yield scripts.script("held", [], keys)
        if not fields and limit and waiting.states:
            found = yield from _waiting(scripts, lanes, waiting, limit)
            if found:
                yield _taking(scripts, found, token, worker)
                now, fields, crashes = yield scripts.script("held", [], keys)
        return list(_held(lanes, fields, crashes, int(now)))

    return course


def _waiting(scripts: Scripts, lanes: Lanes, only: Filter, limit: int) -> Course[list[_Found]]:
    places = [("list", name, scripts.jobs(name)) for name in sorted(lanes.of)] if State.AVAILABLE in only.states else []
    places += [("set", name, scripts.key(name)) for name, state in _SETS.items() if state in only.states]
    found: list[_Found] = []
    for kind, name, key in places:
        first = 0
        while len(found) < limit:
            now, page = yield scripts.script("stretch", [kind, first, first + _PART - 1], [key])
            step = 1 if kind == "list" else 2
            scores = [0] * len(page) if step == 1 else [int(float(score)) for score in page[1::2]]
            for payload, score in zip(page[::step], scores, strict=True):
                one = _seen(
                    lanes, name if step == 1 else "", _SETS.get(name, State.AVAILABLE), payload, score, int(now)
                )
                if one is not None and matches(only, one.job):
                    found.append(one)
            if len(scores) < _PART:
                break
            first += _PART
    return found[:limit]


def _seen(lanes: Lanes, known_as: str, state: State, payload: bytes, score: int, now: int) -> _Found | None:
    job = _stored(lanes, payload, state, score, 0, now)
    if job is None:
        return None
    source = {State.SCHEDULED: "scheduled", State.RETRYABLE: "retry"}.get(state, "")
    return _Found(job, known_as or name_of(job.queue, job.name), source, score, payload)


def _taking(scripts: Scripts, found: list[_Found], token: Token, worker: str) -> Script:
    names = list(dict.fromkeys(one.known_as for one in found))
    keys = scripts.claim_keys(token)
    for name in names:
        keys += [scripts.jobs(name), scripts.in_progress(name, MOVING_POOL)]
    args: list[Arg] = [token, worker, HELD_FOR, MOVING_POOL]
    for one in found:
        place = names.index(one.known_as)
        key = key_in(scripts, one.payload)
        keys += [key] if key else []
        unique = len(keys) if key else 0
        args += [one.job.id, one.job.queue, one.job.name, one.known_as, place, one.source, one.score, unique]
        args.append(one.payload)
    return scripts.script("hold", args, keys)


def _held(lanes: Lanes, fields: list[bytes], crashes: list[bytes], now: int) -> Iterator[StoredJob]:
    told = dict(zip(fields[::2], fields[1::2], strict=True))
    died = dict(zip(fields[::2], map(int, crashes), strict=True))
    ids = [id for id, value in told.items() if not (id.startswith(b"\0") or value.startswith(b"\0"))]
    for id in sorted(ids, key=lambda id: int(told[id].partition(b" ")[0])):
        _, payload = parts_of(told[id])
        source, _, score = told.get(b"\0due" + id, b" 0").decode().partition(" ")
        job = _stored(lanes, payload, _SETS.get(source, State.AVAILABLE), int(score), died[id], now)
        if job is not None:
            yield msgspec.structs.replace(job, id=JobId(id.decode(errors="replace")))


def _stored(lanes: Lanes, payload: bytes, state: State, score: int, crashes: int, now: int) -> StoredJob | None:
    try:
        job = read_payload(payload)
    except UNREADABLE:
        return None
    queue, own = lanes.of.get(job.name, (DEFAULT_QUEUE, job.name))
    claim = read_claim("", queue, own, payload, crashes, Token(""), now)
    return StoredJob(
        JobId(job.id),
        claim.name,
        claim.queue,
        state,
        claim.args,
        0,
        claim.max_attempts,
        claim.failures + crashes,
        claim.failures,
        crashes,
        claim.snoozes,
        score * SECOND if score else claim.due,
        claim.enqueued_at,
        None,
        None,
        claim.keep,
        claim.keep_failed,
        None,
        None,
        labels=job.stoker.labels,
        meta=claim.meta,
        version=claim.version,
        parent=claim.parent,
        root=claim.root,
    )


def last_due(reply: Any) -> int | None:
    """Read the latest due time of both sets."""
    return max((int(float(entry[1])) * SECOND for entry in reply if entry), default=None)
