"""What keeps the store in order: promote, reclaim, prune."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from stoker.core.duration import SECOND
from stoker.core.job import AttemptFailure, JobId, Moved, Reclaimed, Token
from stoker.stores.gocraft.commands import Scripts, pool_of
from stoker.stores.gocraft.failing import failed_payload, given_back, held
from stoker.stores.gocraft.look import Lanes
from stoker.stores.gocraft.presence import said_names
from stoker.stores.gocraft.wire import UNREADABLE, Payload, pushed, read_payload
from stoker.stores.holding.commands import Arg
from stoker.stores.holding.reclaiming import Held, items_of
from stoker.stores.walks import Course

_PART: Final = 200
"""Jobs moved by one script."""
SILENCE: Final = 60
"""Seconds without a heartbeat after which a pool of Go's is dead. Its own reaper says 10, but looks every ten minutes,
and this every few seconds, by another clock than the heartbeats are written by."""


def promote(scripts: Scripts, limit: int) -> Callable[[], Course[Moved]]:
    """Move what is due into its list; what is no job into the dead set, as it is."""

    def course() -> Course[Moved]:
        moved, due = 0, None
        while True:
            part = min(limit - moved, _PART)
            now, retries, scheduled = yield scripts.script("due", [part])
            args: list[Arg] = []
            keys: list[str] = []
            for source, members in (("retry", retries), ("scheduled", scheduled)):
                for member, due_at in zip(members[::2], members[1::2], strict=True):
                    name, payload = _pushed(member, int(float(due_at)) * SECOND, int(now))
                    keys.append(scripts.jobs(name))
                    args += [source, member, len(keys), name, payload]
            count, due = yield scripts.script("promote", args, keys)
            moved += count
            if len(retries) + len(scheduled) < 2 * part or moved >= limit:
                return Moved(moved, int(due) if due else None)

    return course


def _pushed(member: bytes, due: int, now: int) -> tuple[str, bytes]:
    try:
        job = read_payload(member)
        return job.name, pushed(job, member, due, now)
    except UNREADABLE:
        return "", member


def reclaim(scripts: Scripts, limit: int, tokens: Sequence[Token]) -> Callable[[], Course[Reclaimed]]:
    """Give back what silent workers hold, and what dead pools of Go's left."""

    def course() -> Course[Reclaimed]:
        over: Sequence[str] = tokens
        if not tokens:
            _, found = yield scripts.script("expired", [limit])
            over = [token.decode() for token in found]
        available: list[JobId] = []
        discarded: list[JobId] = []
        for token in over:
            now, fields, crashes = yield scripts.script("held", [], scripts.claim_keys(token)[:1])
            spent: set[bytes] = set()
            args, keys = _back(scripts, token, fields, crashes, int(now), spent, forced=bool(tokens))
            for id in (yield scripts.script("reclaim", args, keys)):
                (discarded if id in spent else available).append(JobId(id.decode(errors="replace")))
        if not tokens:
            yield from _reap(scripts)
        return Reclaimed(tuple(available), (), tuple(discarded))

    return course


def _back(
    scripts: Scripts,
    token: str,
    fields: list[bytes],
    crashes: list[bytes],
    now: int,
    spent: set[bytes],
    *,
    forced: bool,
) -> tuple[list[Arg], list[str]]:
    """Give what `reclaim.lua` takes; adds the ids of those that have died too often to ``spent``."""
    told = dict(zip(fields[::2], fields[1::2], strict=True))
    pool = told.get(b"\0pool", b"").decode()
    places: dict[str, int] = {}
    words: list[Arg] = []
    for item in items_of(fields, crashes):
        name, payload = held(item.value)
        place = places.setdefault(name, len(places) + 1)
        action, after = _fate(item, payload, now)
        if action != "back":
            spent.add(item.id)
        words += [item.id, action, place, item.crashes, after]
    keys = scripts.claim_keys(token)[:1]
    for name in places:
        keys += scripts.return_keys(name, pool)
    return [token, int(forced), pool, len(places), *words], keys


def _fate(item: Held, payload: bytes, now: int) -> tuple[str, bytes]:
    try:
        job: Payload | None = read_payload(payload)
    except UNREADABLE:
        job = None
    if job is None:
        return "back", payload
    if not item.counted or item.crashes < job.stoker.crash_limit:
        return "back", given_back(job, payload)
    message = f"its worker died {item.crashes} times while it ran"
    error = AttemptFailure(int(job.fails) + item.crashes, now, "LeaseExpired", message)
    return "drop" if job.stoker.keep_failed == 0 else "dead", failed_payload(job, payload, error, now)


def _reap(scripts: Scripts) -> Course[None]:
    lanes = Lanes((yield scripts.script("pools", [])))
    if not lanes.pools:
        return
    told = yield scripts.script("heartbeats", [], [scripts.pool(pool) for pool in lanes.pools])
    now, beats = int(told[0]), told[1]
    leased = {pool_of(worker) for worker in lanes.holders}
    till = now // SECOND - SILENCE
    for pool, beat in zip(lanes.pools, beats, strict=True):
        # What a worker of ours holds is taken back by its leases, one by one.
        if pool in leased or int(beat[0] or 0) >= till:
            continue
        keys = [scripts.pool(pool)]
        for name in _names(beat, lanes):
            keys += scripts.return_keys(name, pool)
        yield scripts.script("reap", [pool, till], keys)


def _names(beat: list[Any], lanes: Lanes) -> list[str]:
    """Give the names of which a dead pool may hold jobs: all there are, too, because Go's pools may say none."""
    return sorted({*lanes.of, *said_names(beat[1])})
