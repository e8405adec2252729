"""What bytes mean: the store contract, and the stores that keep it. The names here are for those who write one."""

from stoker.core.capability import Capability
from stoker.core.clock import Clock
from stoker.core.command import Command, Retry
from stoker.core.filters import Filter
from stoker.core.job import (
    CallId,
    Changed,
    Claimed,
    Ending,
    Enqueued,
    Extended,
    JobId,
    Moved,
    NewJob,
    QueueCount,
    Reclaimed,
    State,
    StoredJob,
    Token,
)
from stoker.core.settlement import Settled, Settlement
from stoker.stores import moves
from stoker.stores.base import Store
from stoker.stores.matching import matches
from stoker.stores.plugins import Opener, Opening
from stoker.stores.records import Kept, Records, RecordStore
from stoker.stores.simple import SimpleStore

__all__ = [
    "CallId",
    "Capability",
    "Changed",
    "Claimed",
    "Clock",
    "Command",
    "Ending",
    "Enqueued",
    "Extended",
    "Filter",
    "JobId",
    "Kept",
    "Moved",
    "NewJob",
    "Opener",
    "Opening",
    "QueueCount",
    "Reclaimed",
    "RecordStore",
    "Records",
    "Retry",
    "Settled",
    "Settlement",
    "SimpleStore",
    "State",
    "Store",
    "StoredJob",
    "Token",
    "matches",
    "moves",
]
