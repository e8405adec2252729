"""Pools as gocraft's web interface shows them: who works, and at what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from stoker.core.duration import SECOND
from stoker.core.job import WorkerInfo
from stoker.stores.gocraft.commands import Scripts, name_of, pool_of, speakable
from stoker.stores.gocraft.failing import held
from stoker.stores.gocraft.look import Lanes
from stoker.stores.gocraft.wire import UNREADABLE, read_payload
from stoker.stores.holding.commands import Arg
from stoker.stores.holding.presence import claims_of
from stoker.stores.walks import Course

LEAD = 5
"""Seconds that a heartbeat is ahead: ours come every 7.5, and a Go pool takes one for dead that is 10 s old."""
GO_SILENT = 10
"""Seconds after which Go takes a pool for dead."""
_MOST_SHOWN = 200
"""Workers of one pool that are shown one by one."""


class _Ours(msgspec.Struct):
    """What another of our processes wants to know, in a place of its own beside what Go reads."""

    worker: WorkerInfo
    until: int


def beat(scripts: Scripts, worker: WorkerInfo, ttl: int) -> Callable[[], Course[None]]:
    """Announce a worker as a pool, and of the jobs that it holds as many as it performs."""

    def course() -> Course[None]:
        pool = pool_of(worker.id)
        workers = scripts.worker_ids(pool, min(max(worker.concurrency, 1), _MOST_SHOWN))
        keys = [scripts.pool(pool), *map(scripts.observation, workers)]
        if ttl == 0:
            yield scripts.script("beat", [pool, 0, 0], keys)
            return
        now, holders = yield scripts.script("holdings", [])
        claims = dict(claims_of(holders, worker.id))
        contents: list[Any] = []
        if claims and worker.running:
            tokens = [scripts.claim_keys(token)[0] for token in claims]
            contents = yield scripts.script("contents", [min(worker.running, len(workers))], tokens)
        fields = _fields(worker, workers, int(now), ttl)
        times = list(claims.values())
        work: list[Arg] = []
        for claim, id, value in zip(contents[::3], contents[1::3], contents[2::3], strict=True):
            name, payload = held(value)
            work += [name, id, times[claim - 1] // SECOND, _shown(payload)]
        yield scripts.script("beat", [pool, 1, len(fields), *fields, *work], keys)

    return course


def workers(scripts: Scripts) -> Callable[[], Course[list[WorkerInfo]]]:
    """Give the pools, Go's too."""

    def course() -> Course[list[WorkerInfo]]:
        lanes = Lanes((yield scripts.script("pools", [])))
        now, told = yield scripts.script("heartbeats", [], [scripts.pool(pool) for pool in lanes.pools])
        found = [_worker(pool, fields, int(now)) for pool, fields in zip(lanes.pools, told, strict=True)]
        return sorted((worker for worker in found if worker is not None), key=lambda worker: worker.id)

    return course


def _fields(worker: WorkerInfo, workers: Any, now: int, ttl: int) -> list[Arg]:
    names = {name_of(queue, name) for queue in worker.queues for name in worker.names if speakable(queue, name)}
    said: dict[str, Arg] = {
        "heartbeat_at": now // SECOND + LEAD,
        "started_at": worker.started_at // SECOND,
        "job_names": ",".join(sorted(names)),
        "concurrency": worker.concurrency,
        "worker_ids": ",".join(workers),
        "host": worker.host,
        "pid": worker.pid,
        "stoker": msgspec.json.encode(_Ours(msgspec.structs.replace(worker, beat_at=now), now + ttl)),
    }
    return [word for field in said.items() for word in field]


def said_names(names: bytes | None) -> tuple[str, ...]:
    """Give the names of a heartbeat."""
    return tuple(name for name in (names or b"").decode(errors="replace").split(",") if name)


def _shown(payload: bytes) -> bytes:
    try:
        args = bytes(read_payload(payload).args)
    except UNREADABLE:
        return b""
    return b"" if args in (b"null", b"{}") else args


_ours: Final = msgspec.json.Decoder(_Ours)


def _worker(pool: str, fields: list[bytes | None], now: int) -> WorkerInfo | None:
    beat_at, names, ours, started_at, concurrency, host, pid = fields
    if ours is not None:
        try:
            said = _ours.decode(ours)
        except msgspec.MsgspecError:
            return None  # a claim was made before the first announcement
        return said.worker if said.until > now else None
    if int(beat_at or 0) < now // SECOND - GO_SILENT:
        return None
    return WorkerInfo(
        pool,
        (host or b"").decode(errors="replace"),
        int(pid or 0),
        int(started_at or 0) * SECOND,
        ("default",),
        said_names(names),
        int(concurrency or 0),
        beat_at=int(beat_at or 0) * SECOND,
    )
