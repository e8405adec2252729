"""`Unique`: what makes two jobs the same, and what becomes of the second.

The key is the SHA-256 of the job's name and of the chosen arguments in canonical JSON (keys sorted, no spaces), with
the handler's defaults filled in: ``f(1)`` and ``f(1, width=800)`` are the same job when 800 is the default.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, get_args

import msgspec

from stoker.core.duration import Duration, micros
from stoker.core.job import WAITING, State
from stoker.core.unique import OnConflict, UniqueKey
from stoker.errors import ArgumentsError, ConfigurationError, DefinitionError
from stoker.jobs.carriers import to_carried

By: TypeAlias = str | Collection[str] | Callable[..., object]
States: TypeAlias = str | Collection[str]

PRIORITY: Final = "priority"
EVERYTHING: Final = "*"
_SETS: Final = {"waiting": WAITING, "unfinished": WAITING | {State.RUNNING}}
_CANONICAL: Final = msgspec.json.Encoder(enc_hook=to_carried, order="sorted")


@dataclass(frozen=True, slots=True)
class Unique:
    """Let a job in only if no other holds its key.

    ``by``: which arguments make the key: all (None), some names, or a function that is called like the handler and
    gives something JSON can say. The name ``"priority"`` (where no parameter is called so) adds the job's priority,
    and ``"*"`` stands for all arguments: ``by=("*", "priority")`` means "identical data and priority".
    ``key``: a text in place of the arguments; jobs of *any* name that give the same one exclude each other.
    ``states``: while the holder is in one of these the key is taken: ``"waiting"`` (scheduled, available, retryable),
    ``"unfinished"`` (those and running), or states by name.
    ``within``: a duration from the enqueue during which the key stays taken, whatever becomes of the holder.
    ``on_conflict``: ``"keep"`` the holder, ``"replace"`` its arguments, ``"reschedule"`` it, or ``"raise"``
    DuplicateJob.
    """

    by: By | None = None
    within: Duration | None = None
    states: States = "waiting"
    on_conflict: OnConflict = "keep"
    key: str | None = None
    _states: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _within: int | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.key is not None and self.by is not None:
            raise DefinitionError("Unique: by= and key= exclude each other: key= stands in place of the arguments")
        if self.key == "":
            raise DefinitionError("Unique: key= is empty")
        if self.on_conflict not in get_args(OnConflict):
            raise DefinitionError(
                f"Unique: on_conflict={self.on_conflict!r}: choose one of {', '.join(get_args(OnConflict))}"
            )
        object.__setattr__(self, "_states", _checked_states(self.states))
        object.__setattr__(self, "_within", _checked_within(self.within))

    def check(self, job: str, parameters: Collection[str]) -> None:
        """Check ``by`` against a signature; DefinitionError names what it has not."""
        if self.by is None or callable(self.by):
            return
        known = {*parameters, PRIORITY, EVERYTHING}
        for name in self.names():
            if name not in known:
                raise DefinitionError(
                    f"{job}: Unique(by=…) names {name!r}, which is not a parameter; "
                    f"it has {', '.join(parameters) or 'none'}"
                )

    def check_secrets(self, job: str, secrets: Collection[str]) -> None:
        """Refuse a key made of secret arguments: it is a hash that is stored readably, and anybody can try secrets."""
        if not secrets or self.key is not None or callable(self.by):
            return
        taken = sorted(secrets if self.by is None or EVERYTHING in self.names() else set(secrets) & set(self.names()))
        if taken:
            raise DefinitionError(
                f"{job}: the unique key would be made of `{taken[0]}`, which is Secret, and its hash is stored "
                "readably; name other arguments: Unique(by=…)"
            )

    def names(self) -> tuple[str, ...]:
        """Give the names in ``by``; none where it is a function or None."""
        if self.by is None or callable(self.by):
            return ()
        return (self.by,) if isinstance(self.by, str) else tuple(self.by)

    def key_of(self, job: str, arguments: Mapping[str, object], chosen: object, priority: int) -> UniqueKey:
        """Make the key of one job.

        ``arguments`` are all of them by name, ``chosen`` what ``by`` gave where it is a function.
        """
        if self.key is not None:
            text = b"key " + self.key.encode()  # no job's name contains a space, so this is nobody's other key
            said = msgspec.json.encode(self.key)
        else:
            said = canonical(
                job, "the unique key", chosen if callable(self.by) else self._selected(arguments, priority)
            )
            text = job.encode() + said
        made_of = "" if self.by is None and self.key is None else said.decode()
        return UniqueKey(hashlib.sha256(text).hexdigest(), self._states, self._within, self.on_conflict, made_of)

    def _selected(self, arguments: Mapping[str, object], priority: int) -> dict[str, object]:
        if self.by is None:
            return dict(arguments)
        selected: dict[str, object] = {}
        for name in self.names():
            if name == EVERYTHING:
                selected.update(arguments)
            elif name in arguments:
                selected[name] = arguments[name]
            elif name == PRIORITY:
                # A name that no parameter can have, so that it collides with none under "*".
                selected["@priority"] = priority
        return selected


def _checked_states(wanted: States) -> tuple[str, ...]:
    """Give the states in their usual order."""
    if isinstance(wanted, str):
        named = _SETS.get(wanted)
        if named is None:
            raise DefinitionError(
                f"Unique: states={wanted!r}: write 'waiting', 'unfinished', or a collection of states"
            )
        return tuple(state.value for state in State if state in named)
    known = {state.value for state in State}
    if not wanted or not known.issuperset(wanted):
        raise DefinitionError(f"Unique: states={wanted!r}: choose from {', '.join(sorted(known))}")
    return tuple(state.value for state in State if state in wanted)


def _checked_within(within: Duration | None) -> int | None:
    if within is None:
        return None
    try:
        return micros(within, "Unique(within)")
    except ConfigurationError as wrong:
        raise DefinitionError(str(wrong)) from wrong


def canonical(job: str, what: str, value: object) -> bytes:
    """Write what JSON can say in one way only; ArgumentsError where it cannot be said."""
    try:
        return _CANONICAL.encode(value)
    except Exception as wrong:
        raise ArgumentsError(f"{job}: {what} cannot be made: {wrong}") from wrong
