"""Taking what operators say of job names at run time: read every other second, in force from the next attempt on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from stoker.core.job import Claim
from stoker.core.limits import Rule
from stoker.core.override import Override, overridden, read_override
from stoker.jobs.defined import DefinedJob
from stoker.jobs.options import Defaults
from stoker.stores.base import Store

INTERVAL = 2.0


class Overrides:
    """The overrides of one store; ``redefine`` is told the rules whenever an override has changed them.

    ``changed`` is called whenever any has: what was asked before no longer holds.
    """

    def __init__(
        self,
        store: Store,
        defaults: Defaults,
        rules: Sequence[Rule],
        redefine: Callable[[Sequence[Rule]], None],
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._defaults = defaults
        self._rules = tuple(rules)
        self._redefine = redefine
        self._changed = changed
        self.said: dict[str, Override] = {}
        """What is in force, by job name."""

    async def tick(self) -> None:
        """Look what is said."""
        said = {one.name: read_override(one.text or "{}") for one in await self._store.arun(self._store.overrides())}
        if said == self.said:
            return
        before, self.said = overridden(self._rules, self.said), said
        self._changed()
        rules = overridden(self._rules, said)
        if rules != before:
            self._redefine(rules)

    def timeout(self, job: DefinedJob[Any]) -> int | None:
        """Give the timeout of an attempt that begins now, in microseconds; None for none."""
        said = self.said.get(job.name)
        if said is None or said.timeout is None:
            return job.timeout_within(self._defaults)
        return said.timeout or None

    def claim(self, claim: Claim, job: DefinedJob[Any]) -> Claim:
        """Give a claim with as many attempts as are allowed now."""
        said = self.said.get(job.name)
        if said is None or said.max_attempts is None:
            return claim
        return msgspec.structs.replace(claim, max_attempts=said.max_attempts)
