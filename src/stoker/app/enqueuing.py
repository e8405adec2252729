"""The enqueuing half of the application: what job definitions and handles ask for, answered by stores."""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from stoker.app import foreground
from stoker.app.results import await_ending, wait_for_ending
from stoker.core.filters import Filter
from stoker.core.job import CallId, Ending, Enqueued, JobId, NewJob, State, StoredJob, new_call
from stoker.errors import ConfigurationError, EnqueueError, JobNotFound, ResultError, ResultUnavailable
from stoker.jobs.definition import JobDefinition
from stoker.jobs.draft import Draft
from stoker.jobs.handle import JobHandle
from stoker.jobs.middleware import Middleware
from stoker.jobs.options import Defaults
from stoker.runtime.executor import performing
from stoker.stores.base import Store
from stoker.telemetry.events import Events, JobsEnqueued

if TYPE_CHECKING:
    from stoker.settings import Settings

R = TypeVar("R")


class BlockingEnqueue(RuntimeWarning):
    """A sync enqueue, fetch or wait was called on a running event loop, which stands still meanwhile."""


class Enqueuing:
    """Turns drafts into stored jobs; the base of `Stoker`, which adds settings, stores and workers."""

    events: Events
    _middleware: tuple[Middleware, ...]

    @property
    def settings(self) -> Settings:
        """The settings of the application."""
        raise NotImplementedError

    def store(self, name: str = "default") -> Store:
        """Give a store by name."""
        raise NotImplementedError

    @property
    def defaults(self) -> Defaults:
        """What the settings say where a job says nothing."""
        raise NotImplementedError

    # -- enqueue -----------------------------------------------------------------------------------------------------

    def enqueue(self, drafts: Sequence[Draft[R]], transaction: object | None = None) -> list[JobHandle[R]]:
        """Store all drafts or none and give their handles in input order."""
