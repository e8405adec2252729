"""Sidekiq's JSON: how a job of ours is written, and how anybody's is read.

What a job has that Sidekiq knows nothing of travels under the key ``stoker``, where it differs from what is usual.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from stoker.core.job import CallId, Claim, JobId, NewJob, Token
from stoker.errors import NotSupported
from stoker.stores.holding.text import lenient, top_level
from stoker.stores.sidekiq.urls import Envelope
from stoker.stores.sidekiq.versions import instant

RETRIES: Final = 25
"""What ``retry: true`` means."""
_DEFAULT: Final = NewJob("", "")
_OURS: Final = (
    "priority",
    "crash_limit",
    "meta",
    "keep",
    "keep_failed",
    "version",
    "parent",
    "root",
    "origin",
    "route",
)
NATIVE: Final = re.compile(rb'\{"class":"[^"\\]*","jid":"[^"\\]*","queue":')
_CALL: Final = re.compile(r"0[0-9a-f]{31}")
_KNOWN: Final = frozenset(
    (
        "class",
        "wrapped",
        "args",
        "jid",
        "queue",
        "retry",
        "created_at",
        "enqueued_at",
        "at",
        "stoker",
        "tags",
        "failed_at",
    )
) | {"retry_count", "retried_at", "error_class", "error_message", "error_backtrace"}
UNREADABLE: Final = (ValueError, LookupError, RecursionError, msgspec.MsgspecError)
"""What reading a job raises when it is none."""
_WRAPPED: Final = re.compile(rb'\[\s*\{\s*"metadata"')


class Ours(msgspec.Struct, omit_defaults=True):
    """What a job of ours has beyond Sidekiq's keys."""

    named: bool = False
    """Its ``args`` are one value, which is not to be taken by position."""
    route: str = ""
    priority: int = 0
    crash_limit: int = 3
    snoozes: int = 0
    due: int | None = None
    """When it was to become available, where that was later than its enqueue."""
    meta: Raw | UnsetType = UNSET
    keep: int | None = _DEFAULT.keep
    keep_failed: int | None = _DEFAULT.keep_failed
    version: int = 1
    parent: JobId | None = None
    root: JobId | None = None
    origin: JobId | None = None


class Payload(msgspec.Struct, rename={"name": "class"}):
    """A job as Sidekiq has it; of the keys not named here nothing is needed to perform it."""

    name: str
    args: Raw
    jid: str = ""
    queue: str = "default"
    wrapped: str | None = None
    retry: bool | int | None = True
    retry_count: int | None = None
    retry_for: int | float | None = None
    retry_queue: str | None = None
    backtrace: bool | int | None = None
    dead: bool | None = None
    created_at: int | float | None = None
    enqueued_at: int | float | None = None
    failed_at: int | float | None = None
    stoker: Ours = msgspec.field(default_factory=Ours)

    @property
    def failures(self) -> int:
        """How many attempts have failed: the count begins with 0 at the first."""
        return 0 if self.retry_count is None else self.retry_count + 1

    @property
    def max_attempts(self) -> int:
        """How many may fail."""
        if self.retry_for:
            return 1_000_000_000
        match self.retry:
            case True:
                return RETRIES + 1
            case int(count) if count is not False:
                return max(count, 0) + 1
            case _:
                return 1

    @property
    def buried(self) -> bool:
        """Whether it goes to the dead set when nothing more is tried."""
        return self.retry is not None and self.retry is not False and self.dead is not False


# Made here and not at first use: threads that make msgspec look into one class at once can crash the interpreter.
_payload: Final = msgspec.json.Decoder(Payload)


def read_payload(payload: bytes) -> Payload:
    """Read a job; ValueError for what is none."""
    job = lenient(payload, _payload)
    if not bytes(job.args).lstrip().startswith(b"["):
        raise msgspec.ValidationError("args must be an array")
    return job


# -- writing -----------------------------------------------------------------------------------------------------------


def jids(call: CallId, count: int) -> list[str]:
    """Give the ids of a call's jobs: the same for the same call, and in the order of the calls' times."""
    digest = hashlib.blake2b(call.encode(), digest_size=10).hexdigest()
    start = call[1:14] + digest[:7] if _CALL.match(call) else digest
    return [f"{start}{place:04x}" for place in range(count)]


def heads(jobs: Sequence[NewJob], ids: Sequence[str], envelope: Envelope) -> list[str]:
    """Write jobs, without their times and the closing brace, which the server adds."""
    written: list[str] = []
    before: object = None
    frame = ("", "", "")
    for job, jid in zip(jobs, ids, strict=True):
        args = job.args
        named = not args.lstrip(" \t\r\n").startswith("[")
        shared = (*[getattr(job, field) for field in _OURS], job.name, job.queue, job.max_attempts, job.labels, named)
        if shared != before:
            before = shared
            frame = _frame(job, named=named and envelope == "none")
        if envelope == "roadster":
            args = f'[{{"metadata":{{"id":"{uuid.uuid4()}","worker_name":{_text(job.name)}}},"args":{args}}}]'
        elif named:
            args = f"[{args}]"
        written.append(f"{frame[0]}{jid}{frame[1]}{args}{frame[2]}")
    return written


def _frame(job: NewJob, *, named: bool) -> tuple[str, str, str]:
    meta: dict[str, Raw] = msgspec.json.decode(job.meta, type=dict[str, Raw])
    theirs = msgspec.json.decode(meta.pop("sidekiq", Raw(b"{}")), type=dict[str, Raw])
    if taken := theirs.keys() & {"class", "args", "jid", "queue", "at", "created_at", "enqueued_at", "stoker"}:
        raise NotSupported(
            f"{job.name}: meta['sidekiq'] has {min(taken)!r}, which stoker writes itself", verb="enqueue"
        )
    fields: dict[str, Any] = {"queue": job.queue, "retry": job.max_attempts - 1}
    if job.labels:
        fields["tags"] = job.labels
    ours = {field: value for field in _OURS if (value := getattr(job, field)) != getattr(_DEFAULT, field)}
    if "meta" in ours or theirs:
        ours.pop("meta", None)
        if meta or not theirs:
            ours["meta"] = Raw(job.meta.encode()) if not theirs else Raw(msgspec.json.encode(meta))
    if named:
        ours["named"] = True
    lead = f'{{"class":{_text(job.name)},"jid":"'
    # Who has to look closer than at class and jid is told by what follows them.
    early = f'","stoker":{msgspec.json.encode(ours).decode()},' if job.route or theirs else '",'
    late = f',"stoker":{msgspec.json.encode(ours).decode()}' if ours and not (job.route or theirs) else ""
    inner = msgspec.json.encode({**fields, **theirs}).decode()[1:-1]
    return lead, f'{early}{inner},"args":', late


def _text(value: str) -> str:
    return msgspec.json.encode(value).decode()


# -- reading -----------------------------------------------------------------------------------------------------------


def read_claim(id: bytes, queue: bytes, payload: bytes, crashes: bytes, token: Token, fallback: str, now: int) -> Claim:
    """Read a claimed job; what is none has ``defect`` set, under a name that the worker knows."""
    known = JobId(id.decode(errors="replace"))
    try:
        job = read_payload(payload)
        args = args_of(job)
        text = args.decode()
        meta = meta_of(job, payload)
    except UNREADABLE as error:
        return Claim(known, token, fallback, queue.decode(errors="replace"), "null", defect=f"not a job: {error}")
    ours = job.stoker
    enqueued = instant(job.created_at, now)
    return Claim(
        known,
        token,
        job.wrapped or job.name,
        queue.decode(),
        text,
        ours.priority,
        job.max_attempts,
        job.failures + int(crashes) + 1,
        job.failures,
        int(crashes),
        ours.snoozes,
        enqueued,
        ours.due or instant(job.enqueued_at, enqueued),
        meta,
        ours.keep,
        ours.keep_failed if job.buried else 0,
        ours.version,
        ours.parent,
        ours.root,
    )


def args_of(job: Payload) -> bytes:
    """Give the arguments, out of their envelope if they are in one."""
    args = bytes(job.args)
    if job.stoker.named:
        return args[1:-1]
    if _WRAPPED.match(args):
        try:
            (envelope,) = _roadster.decode(args)
        except (msgspec.MsgspecError, ValueError):
            return args
        if envelope.metadata.worker_name != job.name:
            return args
        inner = bytes(envelope.args)
        return b"{}" if inner == b"null" else inner  # how Rust writes the arguments of a worker without any, ()
    return args


class _Metadata(msgspec.Struct, forbid_unknown_fields=True):
    id: Raw
    worker_name: str


class _Roadster(msgspec.Struct, forbid_unknown_fields=True):
    metadata: _Metadata
    args: Raw


_roadster: Final = msgspec.json.Decoder(list[_Roadster])


def meta_of(job: Payload, payload: bytes) -> str:
    """Give our own meta, with the keys of others under ``sidekiq``."""
    ours = b"{}" if job.stoker.meta is UNSET else bytes(job.stoker.meta)
    if NATIVE.match(payload):
        return ours.decode()
    fields = top_level(payload)
    theirs = {name: Raw(value) for name, value in fields.items() if name not in _KNOWN and value != b"null"}
    if not theirs:
        return ours.decode()
    meta = msgspec.json.decode(ours, type=dict[str, Raw])
    return msgspec.json.encode({**meta, "sidekiq": theirs}).decode()
