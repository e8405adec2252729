"""`RetryBudget`: how many retries the jobs of a name may ask for in a time; what is beyond comes later."""

from __future__ import annotations

from dataclasses import dataclass, field

from stoker.core.duration import Duration, micros
from stoker.errors import ConfigurationError, DefinitionError


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """At most ``retries`` failed attempts of a name are to be retried ``per`` time, in each worker process.

    A retry beyond that is put off until the budget has room again; none is lost.
    """

    retries: int
    per: Duration
    _per: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if type(self.retries) is not int or self.retries < 1:
            raise DefinitionError(f"RetryBudget: retries={self.retries!r}: write an integer of at least 1")
        try:
            checked = micros(self.per, "RetryBudget: per")
        except ConfigurationError as wrong:
            raise DefinitionError(str(wrong)) from wrong
        if checked == 0:
            raise DefinitionError(f"RetryBudget: per={self.per!r}: write a duration above 0")
        object.__setattr__(self, "_per", checked)

    @property
    def window(self) -> int:
        """The time for which the retries are, in microseconds."""
        return self._per
