"""`Limit` and `Rate`: how many jobs may run at once, and how many may start in a time, over all workers of a store."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

from stoker.core.duration import Duration, micros
from stoker.core.limits import LONGEST_PERIOD, MOST_STARTS, OF, Gate, Rule
from stoker.errors import ConfigurationError, DefinitionError
from stoker.jobs.unique import canonical

By: TypeAlias = str | Collection[str]
Order: TypeAlias = Literal["available", "strict"]

MOST_RUNNING: Final = 1_000_000
LONGEST_READABLE: Final = 80
"""Characters of chosen arguments that are written out in a key; more are hashed."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Let so many jobs of a name run at once.

    ``by``: the arguments of which each combination of values has a limit of its own: ``Limit(3, by="tenant")``.
    ``order``: what becomes of the place of a job that is to be tried again: ``"available"`` lets the next one in,
    ``"strict"`` keeps the place until the job has ended. ``Limit(1, by=…, order="strict")`` is a sequence.
    """

    running: int
    by: By | None = None
    order: Order = "available"

    def __post_init__(self) -> None:
        if not _is_number(self.running, MOST_RUNNING):
            raise DefinitionError(f"Limit: {self.running!r}: write how many may run at once, 1 to {MOST_RUNNING}")
        if self.order not in get_args(Order):
            raise DefinitionError(f'Limit: order={self.order!r}: choose "available" or "strict"')
        _check_by("Limit", self.by)

    @property
    def names(self) -> tuple[str, ...]:
        """The names in ``by``, in one order for all ways of writing them."""
        return _names(self.by)

    @property
    def strict(self) -> bool:
        """Whether a job keeps its place between attempts."""
        return self.order == "strict"

    def rule(self, job: str) -> Rule:
        """Give the rule as stores know it."""
        return Rule(rule_name(f"job {job} limit", self.names), running=self.running)


@dataclass(frozen=True, slots=True)
class Rate:
    """Let so many jobs of a name start in each ``per``: a token bucket that holds one period's worth.

    ``by`` as for `Limit`. A start is not refunded, however the attempt ends; attempts count, not jobs.
    """

    starts: int
    per: Duration
    by: By | None = None
    _per: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _is_number(self.starts, MOST_STARTS):
            raise DefinitionError(f"Rate: {self.starts!r}: write how many may start in a period, 1 to {MOST_STARTS}")
        try:
            per = micros(self.per, "Rate: per")
        except ConfigurationError as error:
            raise DefinitionError(str(error)) from error
        if not 0 < per <= LONGEST_PERIOD:
            raise DefinitionError(f"Rate: per={self.per!r}: write a duration above 0, at most 31 days")
        object.__setattr__(self, "_per", per)
        _check_by("Rate", self.by)

    @property
    def names(self) -> tuple[str, ...]:
        """The names in ``by``, in one order for all ways of writing them."""
        return _names(self.by)

    @property
    def strict(self) -> bool:
        """A rate keeps no places."""
        return False

    def rule(self, job: str) -> Rule:
        """Give the rule as stores know it."""
        return Rule(rule_name(f"job {job} rate", self.names), starts=self.starts, per=self._per)


Bound: TypeAlias = Limit | Rate


def rule_name(of: str, names: Collection[str]) -> str:
    """Name a rule after what it limits and the arguments that it tells apart."""
    return f"{of} by {','.join(names)}" if names else of


def queue_rule(queue: str, *, running: int | None = None, starts: int | None = None, per: int = 0) -> Rule:
    """Give the rule of a queue's limit or rate."""
    return Rule(f"queue {queue} {'limit' if starts is None else 'rate'}", running, starts, per)


def gate_of(bound: Bound, job: str, arguments: Mapping[str, object]) -> Gate:
    """Give the gate that a job of these arguments, by name, is counted at."""
    rule = bound.rule(job)
    values = ""
    if bound.names:
        text = canonical(job, "the key of a limit", [arguments.get(name) for name in bound.names]).decode()
        values = text if len(text) <= LONGEST_READABLE and text.isprintable() else _hashed(text)
    return Gate(f"{rule.name}{OF}{values}", bound.strict)


def bounds(what: str, value: object, kind: type[Limit | Rate]) -> tuple[Bound, ...]:
    """Check one limit (or rate) or several of a job; those that tell most arguments apart come first."""
    several = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    checked: list[Bound] = []
    for one in several:
        if isinstance(one, int) and not isinstance(one, bool) and kind is Limit:
            one = Limit(one)  # noqa: PLW2901 - a bare number is one too
        if not isinstance(one, kind):
            example = "Limit(3, by=…)" if kind is Limit else 'Rate(100, per="1m", by=…)'
            raise DefinitionError(f"{what}: {one!r}: write {example}, or a list of them")
        checked.append(one)
    seen = [one.names for one in checked]
    for names in seen:
        if seen.count(names) > 1:
            raise DefinitionError(f"{what}: two of them tell the same arguments apart ({', '.join(names) or 'none'})")
    return tuple(sorted(checked, key=lambda one: -len(one.names)))


def rate_of(what: str, text: str) -> Rate:
    """Read a rate as settings and command lines write it, ``"100/1m"``; ConfigurationError says what to write."""
    starts, slash, per = (part.strip() for part in text.partition("/"))
    if not slash or not starts.isdecimal():
        raise ConfigurationError(f'{what}: {text!r}: write starts and period, for example "100/1m"')
    try:
        return Rate(int(starts), per=per)
    except DefinitionError as error:
        raise ConfigurationError(f"{what}: {text!r}: {error}") from error


def check_names(job: str, bound: Bound, parameters: Collection[str]) -> None:
    """Check ``by`` against a signature; DefinitionError names what it has not."""
    for name in bound.names:
        if name not in parameters:
            kind = type(bound).__name__
            raise DefinitionError(
                f"{job}: {kind}(by=…) names {name!r}, which is no parameter; it has {', '.join(parameters) or 'none'}"
            )


def _is_number(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _names(by: By | None) -> tuple[str, ...]:
    if by is None:
        return ()
    return (by,) if isinstance(by, str) else tuple(sorted(set(by)))


def _check_by(kind: str, by: object) -> None:
    if by is None or (isinstance(by, str) and by):
        return
    if isinstance(by, (list, tuple, set, frozenset)) and by and all(isinstance(name, str) and name for name in by):
        return
    raise DefinitionError(f"{kind}: by={by!r}: write the name of a parameter, or a list of such names")


def _hashed(text: str) -> str:
    from hashlib import sha256

    return f"#{sha256(text.encode()).hexdigest()[:32]}"
