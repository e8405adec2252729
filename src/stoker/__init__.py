"""stoker: background jobs for Python. One typed definition, one API, a queue that is a URL."""

from stoker import errors
from stoker.app.backend import BlockingEnqueue
from stoker.app.stoker import Stoker
from stoker.core.backoff import exponential, fixed, gocraft, linear, power_minutes, sidekiq
from stoker.core.duration import Duration
from stoker.core.job import NewJob, State
from stoker.jobs.breaker import Breaker
from stoker.jobs.budget import RetryBudget
from stoker.jobs.compressing import Compress
from stoker.jobs.context import Context
from stoker.jobs.definition import AsyncJob, JobDefinition, SyncJob
from stoker.jobs.draft import Draft
from stoker.jobs.encrypting import Encrypt
from stoker.jobs.freeform import JSON
from stoker.jobs.handle import JobHandle
from stoker.jobs.hiding import Secret
from stoker.jobs.keeping import Ended
from stoker.jobs.limits import Limit, Rate
from stoker.jobs.middleware import Middleware
from stoker.jobs.options import EnqueueOptions, JobOptions
from stoker.jobs.passing import Step
from stoker.jobs.record import JobRecord
from stoker.jobs.sealing import BodyCodec
from stoker.jobs.signals import Cancel, Discard, Retry, Snooze
from stoker.jobs.unique import Unique
from stoker.jobs.workflow import Workflow, chain

__all__ = [
    "JSON",
    "AsyncJob",
    "BlockingEnqueue",
    "BodyCodec",
    "Breaker",
    "Cancel",
    "Compress",
    "Context",
    "Discard",
    "Draft",
    "Duration",
    "Encrypt",
    "Ended",
    "EnqueueOptions",
    "JobDefinition",
    "JobHandle",
    "JobOptions",
    "JobRecord",
    "Limit",
    "Middleware",
    "NewJob",
    "Rate",
    "Retry",
    "RetryBudget",
    "Secret",
    "Snooze",
    "State",
    "Step",
    "Stoker",
    "SyncJob",
    "Unique",
    "Workflow",
    "chain",
    "errors",
    "exponential",
    "fixed",
    "gocraft",
    "linear",
    "power_minutes",
    "sidekiq",
]
