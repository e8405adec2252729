"""Processes as Sidekiq's web interface shows them: who works, at what, and what they were told to do."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

import msgspec

from stoker.core.command import Command, Retry
from stoker.core.duration import SECOND
from stoker.core.job import Order, WorkerInfo
from stoker.stores.holding.presence import claims_of
from stoker.stores.sidekiq.commands import Arg, Scripts
from stoker.stores.sidekiq.failing import held
from stoker.stores.sidekiq.versions import work_names
from stoker.stores.walks import Course

_ORDERS: Final = {b"TSTP": Order.QUIET, b"TERM": Order.STOP, b"INT": Order.STOP, b"TTIN": Order.DUMP}
_PAGE: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class _Ours(msgspec.Struct):
    """What another of our processes wants to know, in a place of its own beside what Ruby reads."""

    worker: WorkerInfo
    until: int


class _Info(msgspec.Struct):
    hostname: str = ""
    pid: int = 0
    started_at: float = 0.0
    concurrency: int = 0
    queues: tuple[str, ...] = ()
    stoker: _Ours | None = None


def identity(worker: str) -> str:
    """Give a worker's name as Sidekiq writes it: host, pid and some hex with colons between."""
    parts = worker.rsplit("-", 2)
    return ":".join(parts) if len(parts) == 3 else worker


def beat(scripts: Scripts, worker: WorkerInfo, ttl: int) -> Callable[[], Course[None]]:
    """Announce a worker, with as many of the jobs that it holds as it performs."""

    def course() -> Course[None]:
        name = identity(worker.id)
        keys = [scripts.key(key) for key in (name, *work_names(name))]
        if ttl == 0:
            yield scripts.script("beat", [name, 0, 0], keys)
            return
        now, holders = yield scripts.script("holdings", [])
        claims = dict(claims_of(holders, worker.id))
        contents: list[Any] = []
        if claims and worker.running:
            tokens = [scripts.claim_keys(token)[0] for token in claims]
            contents = yield scripts.script("contents", [worker.running], tokens)
        fields = _fields(worker, name, int(now), ttl)
        work: list[Arg] = []
        times = list(claims.values())
        for claim, id, value in zip(contents[::3], contents[1::3], contents[2::3], strict=True):
            queue, payload = held(value)
            said = {"queue": queue, "payload": payload.decode(errors="replace"), "run_at": times[claim - 1] // SECOND}
            work += [id, msgspec.json.encode(said)]
        yield scripts.script("beat", [name, max(1, ttl // 1000), len(fields), *fields, *work], keys)

    return course


def workers(scripts: Scripts) -> Callable[[], Course[list[WorkerInfo]]]:
    """Give the processes, Ruby's too; those know no names of jobs."""

    def course() -> Course[list[WorkerInfo]]:
        names = yield scripts.script("processes", [])
        now, told = yield scripts.script("process", [], [scripts.key(name.decode()) for name in names])
        found = [_worker(name.decode(), fields, int(now)) for name, fields in zip(names, told, strict=True)]
        return sorted((worker for worker in found if worker is not None), key=lambda worker: worker.id)

    return course


def orders(scripts: Scripts, worker: str) -> Command[list[Order]]:
    """Take what a worker was told to do; words that mean nothing here are passed over."""

    def read(reply: list[bytes]) -> list[Order]:
        return [_ORDERS[signal] for signal in reply if signal in _ORDERS]

    return scripts.command("orders", [], read, Retry.NEVER, more=[scripts.key(f"{identity(worker)}-signals")])


def _fields(worker: WorkerInfo, name: str, now: int, ttl: int) -> list[Arg]:
    weights = dict.fromkeys(worker.queues, 0)
    info = {
        "hostname": worker.host,
        "started_at": worker.started_at / SECOND,
        "pid": worker.pid,
        "tag": "stoker",
        "concurrency": worker.concurrency,
        "queues": worker.queues,
        "labels": ["python", *worker.tags],
        "identity": name,
        "weights": [weights],
        "version": "stoker",
        "embedded": False,
        "capsules": {"default": {"concurrency": worker.concurrency, "mode": "strict", "weights": weights}},
        "stoker": _Ours(msgspec.structs.replace(worker, beat_at=now), now + ttl),
    }
    said: dict[str, Arg] = {
        "info": msgspec.json.encode(info),
        "concurrency": worker.concurrency,
        "busy": worker.running,
        "beat": f"{now / SECOND:.6f}",
        "rtt_us": 0,
        "quiet": "true" if worker.stopping else "false",
        "rss": _resident(),
    }
    return [word for field in said.items() for word in field]


def _resident() -> int:
    """Give this process's memory in KB, where the system tells."""
    try:
        with open("/proc/self/statm", "rb") as told:  # noqa: PTH123 - read at every beat
            return int(told.read().split()[1]) * _PAGE // 1024
    except (OSError, IndexError):
        return 0


_info: Final = msgspec.json.Decoder(_Info)


def _worker(name: str, fields: list[bytes | None], now: int) -> WorkerInfo | None:
    said, busy, beat_at, quiet = fields
    if said is None:
        return None
    try:
        info = _info.decode(said)
    except msgspec.MsgspecError:
        return None
    if info.stoker is not None:
        return info.stoker.worker if info.stoker.until > now else None
    return WorkerInfo(
        name,
        info.hostname,
        info.pid,
        round(info.started_at * SECOND),
        info.queues,
        (),
        info.concurrency,
        running=int(busy or 0),
        stopping=quiet == b"true",
        beat_at=round(float(beat_at or 0) * SECOND),
    )
