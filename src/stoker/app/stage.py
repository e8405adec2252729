"""What may stand in for the stores, the clock and the mode of an application: tests put one on a stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from stoker.app.backend import PerformsHere
from stoker.core.clock import Clock

if TYPE_CHECKING:
    from stoker.stores.base import Store


class Stage(Protocol):
    """Where an application plays for a while: see `Stoker.on_stage`."""

    @property
    def mode(self) -> Literal["queue", "foreground"]:
        """Whether jobs wait, or are performed where they are enqueued."""

    @property
    def clock(self) -> Clock:
        """The time of the stores and of attempts."""

    @property
    def performer(self) -> PerformsHere:
        """What performs jobs where they are enqueued."""

    def make_store(self, name: str) -> Store:
        """Give the store of a name; ConfigurationError for one that is not configured."""
