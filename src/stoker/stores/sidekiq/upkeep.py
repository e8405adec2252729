"""What keeps the store in order: promote, reclaim, prune."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stoker.core.duration import SECOND
from stoker.core.job import AttemptFailure, Changed, JobId, Moved, Reclaimed, Token
from stoker.stores.holding.reclaiming import Held, items_of
from stoker.stores.sidekiq.commands import Arg, Scripts
from stoker.stores.sidekiq.failing import failed_payload, held, pushed
from stoker.stores.sidekiq.urls import Stamps
from stoker.stores.sidekiq.wire import UNREADABLE, Payload, read_payload
from stoker.stores.walks import Course

_PART = 200
"""Jobs moved by one script."""


def promote(scripts: Scripts, limit: int, stamps: Stamps) -> Callable[[], Course[Moved]]:
    """Move what is due into its list; what is no job into the dead set, as it is."""

    def course() -> Course[Moved]:
        moved, due = 0, None
        while True:
            part = min(limit - moved, _PART)
            now, retries, scheduled = yield scripts.script("due", [part])
            args: list[Arg] = []
            keys: list[str] = []
            for source, members in (("retry", retries), ("schedule", scheduled)):
                for member, due_at in zip(members[::2], members[1::2], strict=True):
                    queue, payload = _pushed(member, round(float(due_at) * SECOND), int(now), stamps)
                    keys.append(scripts.queue(queue))
                    args += [source, member, len(keys), queue, payload]
            count, due = yield scripts.script("promote", args, keys)
            moved += count
            if len(retries) + len(scheduled) < 2 * part or moved >= limit:
                return Moved(moved, int(due) if due else None)

    return course


def _pushed(member: bytes, due: int, now: int, stamps: Stamps) -> tuple[str, bytes]:
    try:
        job = read_payload(member)
        return job.queue, pushed(job, member, due, now, stamps)
    except UNREADABLE:
        return "", member


def reclaim(scripts: Scripts, limit: int, tokens: Sequence[Token], stamps: Stamps) -> Callable[[], Course[Reclaimed]]:
    """Give back what silent workers hold."""

    def course() -> Course[Reclaimed]:
        over: Sequence[str] = tokens
        if not tokens:
            _, found = yield scripts.script("expired", [limit])
            over = [token.decode() for token in found]
        available: list[JobId] = []
        discarded: list[JobId] = []
        for token in over:
            now, fields, crashes = yield scripts.script("held", [], scripts.claim_keys(token)[:1])
            keys = scripts.claim_keys(token)[:1]
            args: list[Arg] = [token, int(bool(tokens))]
            spent: set[bytes] = set()
            for item in items_of(fields, crashes):
                words, dead = _back(item, int(now), stamps, scripts, keys)
                args += words
                if dead:
                    spent.add(item.id)
            for id in (yield scripts.script("reclaim", args, keys)):
                (discarded if id in spent else available).append(JobId(id.decode(errors="replace")))
        return Reclaimed(tuple(available), (), tuple(discarded))

    return course


def _back(item: Held, now: int, stamps: Stamps, scripts: Scripts, keys: list[str]) -> tuple[list[Arg], bool]:
    queue, payload = held(item.value)
    try:
        job: Payload | None = read_payload(payload)
    except UNREADABLE:
        job = None
    if item.counted and job is not None and item.crashes >= job.stoker.crash_limit:
        error = AttemptFailure(
            job.failures + item.crashes, now, "LeaseExpired", f"its worker died {item.crashes} times while it ran"
        )
        action = "dead" if job.buried and job.stoker.keep_failed != 0 else "drop"
        return [item.id, action, 0, queue, item.crashes, failed_payload(job, payload, error, now, stamps)], True
    keys.append(scripts.queue(queue))
    return [item.id, "back", len(keys), queue, item.crashes, payload], False


def prune(scripts: Scripts) -> Callable[[], Course[Changed]]:
    """Shorten the dead set and forget silent processes."""

    def course() -> Course[Changed]:
        gone, processes = yield scripts.script("prune", [])
        if processes:
            keys = [scripts.key(identity.decode(errors="replace")) for identity in processes]
            yield scripts.script("forget", processes, keys)
        return Changed(gone)

    return course
