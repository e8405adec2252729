"""gocraft's JSON: how a job of ours is written, and how anybody's is read.

What a job has that gocraft knows nothing of travels under the key ``stoker``, where it differs from what is usual; Go
leaves it out when it writes a job again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from stoker.core.duration import SECOND
from stoker.core.job import CallId, Claim, JobId, NewJob, Token
from stoker.stores.gocraft.commands import DEFAULT_QUEUE, name_of
from stoker.stores.gocraft.gojson import written
from stoker.stores.holding.text import edited, lenient

USUAL_ATTEMPTS: Final = 4
"""gocraft's MaxFails where nobody says a number. It is not written down: who performs a job has the last word on it."""
_DEFAULT: Final = NewJob("", "")
_OURS: Final = ("crash_limit", "keep", "keep_failed", "version", "parent", "root", "origin", "labels")
UNREADABLE: Final = (ValueError, LookupError, RecursionError, msgspec.MsgspecError)
"""What reading a job raises when it is none."""


class Ours(msgspec.Struct, omit_defaults=True):
    """What a job of ours has beyond gocraft's keys."""

    bare: bool = False
    """Its ``args`` hold one value, under the key ``args``: what was given is no object."""
    queue: str = DEFAULT_QUEUE
    name: str = ""
    """Where the queue is not the default one: the name without it."""
    max_attempts: int = 0
    crash_limit: int = 3
    snoozes: int = 0
    due: int | None = None
    """When it was to become available, where that was before it was put into its list."""
    meta: Raw | UnsetType = UNSET
    keep: int | None = _DEFAULT.keep
    keep_failed: int | None = _DEFAULT.keep_failed
    version: int = 1
    parent: JobId | None = None
    root: JobId | None = None
    origin: JobId | None = None
    labels: tuple[str, ...] = ()


class Payload(msgspec.Struct):
    """A job as gocraft has it."""

    name: str
    id: str = ""
    t: int | float = 0
    args: Raw = Raw(b"null")
    unique: bool = False
    unique_key: str = ""
    fails: int | float = 0
    stoker: Ours = msgspec.field(default_factory=Ours)

    @property
    def native(self) -> bool:
        """Tell whether nothing in it is of ours."""
        return self.stoker == Ours()


# Made here and not at first use: threads that make msgspec look into one class at once can crash the interpreter.
_payload: Final = msgspec.json.Decoder(Payload)


def read_payload(payload: bytes) -> Payload:
    """Read a job; ValueError for what is none."""
    job = lenient(payload, _payload)
    if bytes(job.args)[:1] not in (b"{", b"n"):
        raise msgspec.ValidationError("args must be an object or null")
    return job


# -- writing -----------------------------------------------------------------------------------------------------------


def ids_of(call: CallId, count: int) -> list[str]:
    """Give the ids of a call's jobs, 24 hex digits as Go's: the same for the same call."""
    start = hashlib.blake2b(call.encode(), digest_size=10).hexdigest()
    return [f"{start}{place:04x}" for place in range(count)]


def head(job: NewJob) -> str:
    """Write a job as far as its id."""
    return f'{{"name":{_text(name_of(job.queue, job.name))},"id":"'


def tails(jobs: Sequence[NewJob], unique: Sequence[str] = ()) -> list[str]:
    """Write of each job what follows its time; ``unique`` has the key of each, or an empty text."""
    lines: list[str] = []
    before: object = None
    tail = ""
    for place, job in enumerate(jobs):
        args = job.args
        bare = not args.startswith("{")
        shared = (*[getattr(job, field) for field in _OURS], job.name, job.queue, job.max_attempts, job.meta, bare)
        if shared != before:
            before = shared
            tail = _tail(job, bare=bare)
        if bare:
            args = f'{{"args":{args}}}'
        key = f',"unique":true,"unique_key":{_text(unique[place])}' if unique and unique[place] else ""
        lines.append(f',"args":{args}{key}{tail}')
    return lines


def _tail(job: NewJob, *, bare: bool) -> str:
    ours: dict[str, Any] = {
        field: value for field in _OURS if (value := getattr(job, field)) != getattr(_DEFAULT, field)
    }
    if job.max_attempts != USUAL_ATTEMPTS:
        ours["max_attempts"] = job.max_attempts
    if job.meta != _DEFAULT.meta:
        ours["meta"] = Raw(job.meta.encode())
    if job.queue != DEFAULT_QUEUE:
        ours |= {"queue": job.queue, "name": job.name}
    if bare:
        ours["bare"] = True
    return f',"stoker":{msgspec.json.encode(ours).decode()}}}' if ours else "}"


def pushed(job: Payload, payload: bytes, due: int, now: int) -> bytes:
    """Give a job as it is put into its list: the time of that, and the planned one in a place of ours."""
    changes: dict[str, bytes | None] = {"t": b"%d" % (now // SECOND)}
    if due // SECOND != now // SECOND or job.stoker.due is not None:
        changes["stoker"] = msgspec.json.encode(msgspec.structs.replace(job.stoker, due=due))
    return edited(payload, changes)


def unlocked(job: Payload, changes: dict[str, bytes | None] | None = None) -> dict[str, bytes | None]:
    """Give what is to be changed in a job that has started: it holds no key any more, which may be another's by now."""
    return {**({"unique": None, "unique_key": None} if job.unique else {}), **(changes or {})}


def _text(value: str) -> str:
    return written(value)


# -- reading -----------------------------------------------------------------------------------------------------------


def read_claim(id: str, queue: str, name: str, payload: bytes, crashes: int, token: Token, now: int) -> Claim:
    """Read a claimed job; what is none has ``defect`` set."""
    try:
        job = read_payload(payload)
        args = _args(job).decode()
    except UNREADABLE as error:
        return Claim(JobId(id), token, name, queue, "null", defect=f"not a job: {error}")
    ours = job.stoker
    enqueued, failures = int(job.t) * SECOND or now, int(job.fails)
    return Claim(
        JobId(id),
        token,
        name,
        queue,
        args,
        0,
        ours.max_attempts,
        failures + crashes + 1,
        failures,
        crashes,
        ours.snoozes,
        enqueued,
        ours.due or enqueued,
        "{}" if ours.meta is UNSET else bytes(ours.meta).decode(),
        ours.keep,
        ours.keep_failed,
        ours.version,
        ours.parent,
        ours.root,
    )


def _args(job: Payload) -> bytes:
    args = bytes(job.args)
    if job.stoker.bare:
        return args[len(b'{"args":') : -1]
    return b"{}" if args == b"null" else args
