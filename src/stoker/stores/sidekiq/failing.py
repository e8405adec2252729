"""What becomes of a job's JSON when an attempt did not complete it: Sidekiq's keys, all others as they were."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import msgspec

from stoker.core.duration import SECOND
from stoker.core.job import AttemptFailure, State
from stoker.core.settlement import Settlement
from stoker.stores.holding.text import edited
from stoker.stores.sidekiq.urls import Stamps
from stoker.stores.sidekiq.versions import instant, packed_trace, stamp
from stoker.stores.sidekiq.wire import UNREADABLE, Payload, read_payload

_HELD: Final = re.compile(rb"\d+ ([^\n]*)\n[^\n]*\n[^\n]*\n")
_LONGEST_MESSAGE: Final = 10_000
_ACTIONS: Final = {
    State.AVAILABLE: "back",
    State.SCHEDULED: "schedule",
    State.RETRYABLE: "retry",
    State.DISCARDED: "dead",
}


class Ended(NamedTuple):
    """Where a job goes, and what is to be counted."""

    action: str
    queue: str = ""
    payload: bytes = b""
    counts: str = "none"


def held(value: bytes) -> tuple[str, bytes]:
    """Give the queue and the JSON of what a claim holds."""
    found = _HELD.match(value)
    return ("default", value) if found is None else (found[1].decode(errors="replace"), value[found.end() :])


def ended(ending: Settlement, value: bytes | None, now: int, stamps: Stamps) -> Ended:
    """Say what an ending makes of what its claim holds; nothing where it holds nothing."""
    if not value or value.startswith(b"\0"):
        return Ended("drop")
    queue, payload = held(value)
    action = _ACTIONS.get(ending.state, "drop")
    try:
        job = read_payload(payload)
    except UNREADABLE:
        # The dead set takes what is no JSON as it is, and so do all others.
        return Ended(action, queue, payload, ending.counts)
    match action:
        case "back":
            return Ended(action, queue, payload)
        case "schedule":
            return Ended(action, queue, _snoozed(job, payload) if ending.counts == "snooze" else payload)
        case "retry" | "dead":
            failed = failed_payload(job, payload, ending.error, now, stamps)
            if action == "retry" and _over(job, now):
                action = "dead"
            if action == "dead" and (ending.keep == 0 or not job.buried):
                action = "drop"
            return Ended(action, queue, failed, "failure")
        case _:
            return Ended(action, queue, payload, "ended")


def failed_payload(job: Payload, payload: bytes, error: AttemptFailure | None, now: int, stamps: Stamps) -> bytes:
    """Write down a failure as Sidekiq does."""
    time = stamp(now, stamps)
    changes: dict[str, bytes | None] = {
        "queue": _json(job.retry_queue or job.queue),
        "error_message": _json((error.message if error else "")[:_LONGEST_MESSAGE]),
        "error_class": _json(error.type if error else "Error"),
        "retry_count": _json(job.failures),
        ("failed_at" if job.failures == 0 else "retried_at"): time,
    }
    if job.backtrace and error is not None:
        lines = error.trace.splitlines()
        kept = lines if job.backtrace is True else lines[-job.backtrace :]
        changes["error_backtrace"] = _json(packed_trace(kept))
    return edited(payload, changes)


def _snoozed(job: Payload, payload: bytes) -> bytes:
    ours = msgspec.structs.replace(job.stoker, snoozes=job.stoker.snoozes + 1)
    return edited(payload, {"stoker": _json(ours)})


def _over(job: Payload, now: int) -> bool:
    """Tell whether the time is over for which a job is to be tried again, if it has one."""
    return bool(job.retry_for) and now - instant(job.failed_at, now) >= (job.retry_for or 0) * SECOND


def pushed(job: Payload, payload: bytes, due: int, now: int, stamps: Stamps) -> bytes:
    """Give a job as it is put into its list: the time of that, and the planned one in a place of ours."""
    ours = msgspec.structs.replace(job.stoker, due=due)
    return edited(payload, {"at": None, "enqueued_at": stamp(now, stamps), "stoker": _json(ours)})


def granted(job: Payload, payload: bytes) -> bytes:
    """Give a job with one attempt left at least; how often it has failed stays."""
    if job.max_attempts > job.failures:
        return payload
    return edited(payload, {"retry": _json(job.failures)})


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)
