"""`Breaker`: when the jobs of a name keep failing, let them wait until a probe succeeds."""

from __future__ import annotations

from dataclasses import dataclass, field

from stoker.core.duration import Duration, micros
from stoker.errors import ConfigurationError, DefinitionError


@dataclass(frozen=True, slots=True)
class Breaker:
    """Pauses a name after ``failures`` failed attempts ``within`` a time, and lets one job probe after each ``pause``.

    Each worker process counts for itself; what one of them pauses waits for all workers of the store.
    """

    failures: int
    within: Duration
    pause: Duration = "1m"
    _within: int = field(init=False, repr=False, compare=False)
    _pause: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if type(self.failures) is not int or self.failures < 1:
            raise DefinitionError(f"Breaker: failures={self.failures!r}: write an integer of at least 1")
        for option in ("within", "pause"):
            given = getattr(self, option)
            try:
                checked = micros(given, f"Breaker: {option}")
            except ConfigurationError as wrong:
                raise DefinitionError(str(wrong)) from wrong
            if checked == 0:
                raise DefinitionError(f"Breaker: {option}={given!r}: write a duration above 0")
            object.__setattr__(self, f"_{option}", checked)

    @property
    def window(self) -> int:
        """The time within which failures count, in microseconds."""
        return self._within

    @property
    def rest(self) -> int:
        """How long the name waits until a probe, in microseconds."""
        return self._pause
