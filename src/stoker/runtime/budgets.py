"""Retry budgets: what fails in masses is retried in portions."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import msgspec

from stoker.core.clock import Clock
from stoker.core.duration import SECOND
from stoker.core.job import Due, State
from stoker.core.settlement import Settlement
from stoker.jobs.budget import RetryBudget


class Budgets:
    """The budgets of one worker's names."""

    def __init__(self, rules: Mapping[str, RetryBudget], clock: Clock) -> None:
        self._rules = rules
        self._clock = clock
        self._granted: dict[str, deque[float]] = {name: deque(maxlen=rule.retries) for name, rule in rules.items()}
        """When the last retries were let in, in monotonic seconds; those put off in the future."""

    def spread(self, name: str, ending: Settlement) -> Settlement:
        """Give the ending of an attempt, a retry beyond the budget put off until there is room."""
        rule = self._rules.get(name)
        if rule is None or ending.state is not State.RETRYABLE:
            return ending
        now, granted = self._clock.monotonic(), self._granted[name]
        full = len(granted) == rule.retries
        wait = max(0.0, granted[0] + rule.window / SECOND - now) if full else 0.0
        granted.append(now + wait)
        if ending.due.delay >= wait * SECOND:
            return ending
        return msgspec.structs.replace(ending, due=Due(round(wait * SECOND)))
