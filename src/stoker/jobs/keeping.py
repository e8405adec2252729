"""How long an ended job is kept where a function decides: it is asked once, when the attempt has ended."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

import msgspec

from stoker.core.batch import batch_of
from stoker.core.decide import KeepRule
from stoker.core.duration import Keep, keep_micros
from stoker.core.flow import KEPT_FOR_OTHERS
from stoker.core.job import Claim, JobId, State
from stoker.core.settlement import Settlement
from stoker.jobs.record import read_json

log = logging.getLogger("stoker")


@dataclass(frozen=True, slots=True)
class Ended:
    """A job at its end, as a function is shown it that decides how long it is kept."""

    id: JobId
    name: str
    queue: str
    state: State
    """Completed, cancelled or discarded."""
    attempt: int
    """The attempt with which it ended."""
    duration: timedelta
    """How long that attempt took."""
    args: Any
    """The arguments as they are stored: a dict by name, or a list by position."""
    result: Any
    """What the handler returned; None also for what did not complete."""
    error: str
    """``TypeOfError: message`` of what did not complete, else empty."""
    meta: Any


Predicate: TypeAlias = Callable[[Ended], Keep]
"""Says for how long: a duration, ``"forever"``, or 0 for not at all."""


def rule_of(option: str, predicate: Predicate) -> KeepRule:
    """Make the rule of a function; where it raises, or gives nonsense, the job is kept as the settings say."""

    def rule(claim: Claim, ending: Settlement) -> Settlement:
        try:
            kept = keep_micros(predicate(_ended(claim, ending)), option)
        except Exception:
            log.exception("%s %s: %s= failed; the job is kept as the settings say", claim.name, claim.id, option)
            return ending
        if kept is not None and batch_of(claim.meta) is not None:
            kept = max(kept, _least(claim, option))
        return msgspec.structs.replace(ending, keep=kept)

    return rule


def _least(claim: Claim, option: str) -> int:
    """Give for how long a member of a batch is kept at least: nobody could tell what became of one that is gone."""
    needed = option == "keep" and (claim.keep is None or claim.keep >= KEPT_FOR_OTHERS)
    return KEPT_FOR_OTHERS if needed else 1


def _ended(claim: Claim, ending: Settlement) -> Ended:
    error = ending.error
    return Ended(
        claim.id,
        claim.name,
        claim.queue,
        ending.state,
        claim.attempt,
        timedelta(microseconds=ending.duration),
        read_json(claim.args),
        None if ending.result is None else read_json(ending.result),
        "" if error is None else f"{error.type}: {error.message}",
        read_json(claim.meta),
    )
