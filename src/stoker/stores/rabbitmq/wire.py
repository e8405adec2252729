"""A job as a message: the body is its arguments, byte for byte; all else stands in properties and headers.

`message_id` is the id, `type` the name, `timestamp` the second of the enqueue. A header is left out where it says what
is usual. What brokers and plugins add (`x-death`, `x-delivery-count`) is never copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from stoker.core.duration import SECOND
from stoker.core.job import AttemptFailure, Claim, JobId, NewJob, Token
from stoker.drivers.rabbitmq_link import Properties
from stoker.errors import EnqueueError

AT: Final = "stoker-at"
DUE: Final = "stoker-due"
CRASHES: Final = "stoker-crashes"
CRASH_LIMIT: Final = "stoker-crash-limit"
FAILURES: Final = "stoker-failures"
STARTS: Final = "stoker-starts"
SNOOZES: Final = "stoker-snoozes"
ERROR: Final = "stoker-error"
REASON: Final = "stoker-reason"
QUEUE: Final = "stoker-queue"
KEEP: Final = "stoker-keep"
KEEP_FAILED: Final = "stoker-keep-failed"
DELIVERIES: Final = "x-delivery-count"
_MOST_HEADERS: Final = 100_000
"""Characters. The headers of a message travel in one frame, of 128 KiB unless a broker is told otherwise."""
_OPTIONAL: Final = (
    ("max_attempts", "stoker-max-attempts", 20),
    ("crash_limit", CRASH_LIMIT, 3),
    ("meta", "stoker-meta", "{}"),
    ("keep", KEEP, 86_400_000_000),
    ("keep_failed", KEEP_FAILED, 1_209_600_000_000),
    ("version", "stoker-version", 1),
    ("parent", "stoker-parent", None),
    ("root", "stoker-root", None),
    ("origin", "stoker-origin", None),
)


def properties_of(job: NewJob, id: JobId, now: int, due: int) -> Any:
    """Write down all of a new job but its arguments."""
    headers: dict[str, Any] = {AT: now}
    if due > now:
        headers[DUE] = due
    for field, header, usual in _OPTIONAL:
        value = getattr(job, field)
        if value != usual:
            headers[header] = value
    if job.labels:
        headers["stoker-labels"] = msgspec.json.encode(job.labels).decode()
    if len(job.meta) + len(headers.get("stoker-labels", "")) > _MOST_HEADERS:
        raise EnqueueError(
            f"{job.name}: meta and labels have more than {_MOST_HEADERS} characters, the most on RabbitMQ"
        )
    return properties(job.name, id, now, headers)


def properties(name: str, id: str, now: int, headers: dict[str, Any], expiration: str | None = None) -> Any:
    """Give the properties of a message that outlives a restart of the broker."""
    return Properties(
        content_type="application/json",
        delivery_mode=2,
        headers=headers,
        message_id=id,
        timestamp=now // SECOND,
        type=name,
        expiration=expiration,
    )


def ours(headers: Mapping[str, Any] | None) -> dict[str, Any]:
    """Give those headers of a delivery that go on with the job."""
    return {name: value for name, value in (headers or {}).items() if not name.startswith("x-")}


def claim_of(properties: Any, body: bytes, queue: str, name: str, token: Token, crashes: int, priority: int) -> Claim:
    """Read a delivery; one that cannot be read has a defect."""
    headers: Mapping[str, Any] = properties.headers or {}
    defect = None if AT in headers else f"no job of stoker's: the message has no header {AT}"
    try:
        args = body.decode()
    except UnicodeDecodeError as error:
        args, defect = "null", f"the body is no UTF-8: {error}"
    at = _number(headers, AT, (properties.timestamp or 0) * SECOND)
    return Claim(
        JobId(properties.message_id),
        token,
        name,
        queue,
        args,
        priority,
        _number(headers, "stoker-max-attempts", 20),
        _number(headers, STARTS, 0) + 1,
        _number(headers, FAILURES, 0),
        crashes,
        _number(headers, SNOOZES, 0),
        at,
        _number(headers, DUE, at),
        _text(headers, "stoker-meta", "{}"),
        kept(headers, KEEP, 86_400_000_000),
        kept(headers, KEEP_FAILED, 1_209_600_000_000),
        _number(headers, "stoker-version", 1),
        headers.get("stoker-parent"),
        headers.get("stoker-root"),
        defect,
    )


def error_text(error: AttemptFailure, now: int) -> str:
    """Write a failure as JSON, with the time."""
    return msgspec.json.encode(msgspec.structs.replace(error, at=now)).decode()


def kept(headers: Mapping[str, Any], name: str, usual: int) -> int | None:
    """Read how long a job is kept."""
    value = headers.get(name, usual)
    return None if value is None else _number(headers, name, usual)


def number(headers: Mapping[str, Any] | None, name: str, usual: int = 0) -> int:
    """Read a number; what is none counts as not there."""
    return _number(headers or {}, name, usual)


def _number(headers: Mapping[str, Any], name: str, usual: int) -> int:
    value = headers.get(name, usual)
    return int(value) if isinstance(value, int) else usual


def _text(headers: Mapping[str, Any], name: str, usual: str) -> str:
    value = headers.get(name, usual)
    return value if isinstance(value, str) else usual
