"""Overrides: what operators say of a job name at run time, kept in the store, in place of what the code says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from stoker.core.limits import Rule


class Rated(msgspec.Struct, frozen=True):
    """A rate: so many starts in ``per`` microseconds."""

    starts: int
    per: int


class Override(msgspec.Struct, frozen=True, omit_defaults=True):
    """What holds for a name in place of its definition; what is not said is left alone."""

    limits: dict[str, int] = {}
    """By the arguments that a limit tells apart (``"tenant"``); ``""`` for the one that tells none, or the only one."""
    rates: dict[str, Rated] = {}
    timeout: int | None = None
    """Microseconds; 0 for none."""
    max_attempts: int | None = None

    def rule(self, rule: Rule, siblings: int) -> Rule:
        """Give a rule of the name as it is now; it has so many of its kind."""
        by = rule.name.partition(" by ")[2]
        if rule.running is not None:
            running = self.limits.get(by, self.limits.get("") if siblings == 1 else None)
            return rule if running is None else msgspec.structs.replace(rule, running=running)
        rate = self.rates.get(by, self.rates.get("") if siblings == 1 else None)
        return rule if rate is None else msgspec.structs.replace(rule, starts=rate.starts, per=rate.per)


class Overriding(msgspec.Struct, frozen=True, array_like=True):
    """An override as a store keeps it, or one line of its history: who said it, and when."""

    name: str
    text: str | None
    """The override as JSON; None in the history where it was taken back."""
    by: str
    at: int


def overridden(rules: Sequence[Rule], overrides: dict[str, Override]) -> tuple[Rule, ...]:
    """Give rules as the overrides of their names make them."""
    kinds = [_kind(rule) for rule in rules]
    return tuple(
        overrides[name].rule(rule, kinds.count((name, kind))) if name in overrides else rule
        for rule, (name, kind) in zip(rules, kinds, strict=True)
    )


def _kind(rule: Rule) -> tuple[str, str]:
    """Give the job name of a rule and whether it is a limit or a rate; queues have no overrides."""
    of, _, kind = rule.name.partition(" by ")[0].rpartition(" ")
    return of.removeprefix("job ") if of.startswith("job ") else "", kind


_override: Final = msgspec.json.Decoder(Override)


def read_override(text: str) -> Override:
    """Read an override as it was written; what another version wrote in a way we do not know says nothing."""
    try:
        return _override.decode(text)
    except msgspec.MsgspecError:
        return Override()
