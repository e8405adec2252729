"""What becomes of a job's JSON when an attempt did not complete it: gocraft's keys, all others as they were."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import msgspec

from stoker.core.duration import SECOND
from stoker.core.job import AttemptFailure, State
from stoker.core.settlement import Settlement
from stoker.stores.gocraft.gojson import written
from stoker.stores.gocraft.wire import UNREADABLE, Payload, read_payload, unlocked
from stoker.stores.holding.text import edited

_HELD: Final = re.compile(rb"\d+ [^\n]*\n[^\n]*\n([^\n]*)\n")
_LONGEST_MESSAGE: Final = 10_000
_ACTIONS: Final = {
    State.AVAILABLE: "back",
    State.SCHEDULED: "scheduled",
    State.RETRYABLE: "retry",
    State.DISCARDED: "dead",
}


class Ended(NamedTuple):
    """Where a job goes."""

    action: str
    payload: bytes = b""


def held(value: bytes) -> tuple[str, bytes]:
    """Give the name that gocraft has, and the JSON, of what a claim holds."""
    found = _HELD.match(value)
    return ("", value) if found is None else (found[1].decode(errors="replace"), value[found.end() :])


def ended(ending: Settlement, payload: bytes, now: int) -> Ended:
    """Say what an ending makes of a job."""
    action = _ACTIONS.get(ending.state, "drop")
    if action == "dead" and ending.keep == 0:
        action = "drop"
    try:
        job = read_payload(payload)
    except UNREADABLE:
        # The dead set takes what is no JSON as it is, and so do all others.
        return Ended(action, payload)
    match action:
        case "scheduled" if ending.counts == "snooze":
            ours = msgspec.structs.replace(job.stoker, snoozes=job.stoker.snoozes + 1)
            return Ended(action, edited(payload, unlocked(job, {"stoker": msgspec.json.encode(ours)})))
        case "retry" | "dead":
            return Ended(action, failed_payload(job, payload, ending.error, now))
        case _:
            return Ended(action, given_back(job, payload))


def given_back(job: Payload, payload: bytes) -> bytes:
    """Give a job that goes back as it came, but for the unique key that it held."""
    return edited(payload, unlocked(job)) if job.unique else payload


def failed_payload(job: Payload, payload: bytes, error: AttemptFailure | None, now: int) -> bytes:
    """Write down a failure as gocraft does."""
    message = f"{error.type}: {error.message}" if error else "Error"
    changes: dict[str, bytes | None] = {
        "fails": b"%d" % (int(job.fails) + 1),
        "err": written(message[:_LONGEST_MESSAGE]).encode(),
        "failed_at": b"%d" % (now // SECOND),
    }
    return edited(payload, unlocked(job, changes))
