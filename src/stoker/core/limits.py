"""Limits: the gates that a job must pass before it can be claimed, and what each of them lets through.

A gate is one count: of a limit or rate (its *rule*), and of one choice of arguments. A job that becomes available waits
at its gates until all of them let it in.
"""

from __future__ import annotations

from typing import Final

import msgspec

OF: Final = "="
"""Between the rule and the chosen values in a gate's key; no rule contains it."""
MOST_STARTS: Final = 100_000
"""Of a rate: more than a store admits, and few enough for its arithmetic to be exact."""
LONGEST_PERIOD: Final = 31 * 86_400 * 1_000_000


class Gate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One of the counts that a job is part of."""

    key: str
    """The rule, ``=``, and the chosen values as JSON; the same for all jobs that are counted together."""
    strict: bool = False
    """Whether the job keeps its place until it has ended, also while it waits for its next attempt."""

    @property
    def rule(self) -> str:
        """The name of the rule that says how many it lets in."""
        return rule_of(self.key)


class Rule(msgspec.Struct, frozen=True, gc=False):
    """What all gates of one rule let in: so many jobs at once, or so many starts in a period; nothing said, any."""

    name: str
    running: int | None = None
    starts: int | None = None
    per: int = 0
    """Microseconds."""


class Admitted(msgspec.Struct, frozen=True):
    """The answer of an admit."""

    count: int = 0
    more: bool = False
    """Whether something was left to look at: call again."""
    next_at: int | None = None
    """When the next gate that waits for time opens, if one does."""
    now: int = 0
    """The store's clock."""


def rule_of(key: str) -> str:
    """Give the name of the rule of a gate."""
    return key.partition(OF)[0]


def written(gates: tuple[Gate, ...]) -> str:
    """Write gates as stores keep them: a line for each, those that keep their place marked by ``!``."""
    return "\n".join([("!" if gate.strict else " ") + gate.key for gate in gates])


def read(text: str | None) -> tuple[Gate, ...]:
    """Read gates as `written` gives them."""
    return tuple([Gate(line[1:], line[0] == "!") for line in text.split("\n")]) if text else ()
