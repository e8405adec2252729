"""Jobs that must start in time: the instant travels inside the meta of a claim, so that claims of others carry nothing.

A job has expired when that instant has come and no attempt was made: no failure, no crash, no snooze.
"""

from __future__ import annotations

from typing import Final

import msgspec

from stoker.core.job import AttemptFailure, Claim

RESERVED: Final = "stoker/"
"""No key of a user's meta begins like this."""
_HEAD: Final = '{"stoker/expires":'
TYPE: Final = "Expired"
MESSAGE: Final = "it was not started in time (expires)"


def with_expiry(meta: str, instant: int | None) -> str:
    """Put the instant, if there is one, in front of a JSON object."""
    if instant is None:
        return meta
    return f"{_HEAD}{instant}}}" if meta == "{}" else f"{_HEAD}{instant},{meta[1:]}"


def without_expiry(meta: str) -> tuple[str, int | None]:
    """Take it out again; None where there is none."""
    if not meta.startswith(_HEAD):
        return meta, None
    digits, comma, rest = meta.removeprefix(_HEAD).partition(",")
    return (f"{{{rest}", int(digits)) if comma else ("{}", int(digits.removesuffix("}")))


def read(claim: Claim) -> tuple[Claim, int | None]:
    """Give a claim with the meta that was enqueued, and the instant by which it is to start, if there is one."""
    meta, expires = without_expiry(claim.meta)
    return (claim, None) if expires is None else (msgspec.structs.replace(claim, meta=meta), expires)


def untried(claim: Claim) -> bool:
    """Tell whether no attempt was made before."""
    return claim.failures + claim.crashes + claim.snoozes == 0


def failure(attempt: int, worker: str = "") -> AttemptFailure:
    """Give what is noted with an expired job; the store stamps the time."""
    return AttemptFailure(attempt, 0, TYPE, MESSAGE, worker=worker)
