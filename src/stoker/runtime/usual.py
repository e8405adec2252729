"""What holds for jobs of producers who could not say it: how often they are tried, and on which curve."""

from __future__ import annotations

from typing import Any

import msgspec

from stoker.core.decide import Policy
from stoker.core.job import Claim
from stoker.jobs.defined import DefinedJob
from stoker.jobs.options import Defaults
from stoker.stores.base import Store


class Usual:
    """A worker's own word, and its store's."""

    def __init__(self, store: Store, defaults: Defaults) -> None:
        self._backoff = store.backoff
        self._defaults = defaults
        self.curved = self._backoff is not Policy().backoff
        """Whether the store has a curve of its own."""

    def claim(self, claim: Claim, job: DefinedJob[Any]) -> Claim:
        """Give a claim that says no number of attempts with the one of the definition, or of the settings."""
        return msgspec.structs.replace(claim, max_attempts=job.merged(self._defaults).max_attempts)

    def policy(self, job: DefinedJob[Any]) -> Policy:
        """Give what a definition says about failing; without a backoff the store's."""
        if job.rules.backoff is not None:
            return job.policy
        return msgspec.structs.replace(job.policy, backoff=self._backoff)
