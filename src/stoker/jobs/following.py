"""What `Context.then` takes: a draft, by what the context needs to know of it."""

from __future__ import annotations

from typing import Protocol


class Following(Protocol):
    """A job bound to arguments; `Draft` is one, nothing else is."""

    @property
    def name(self) -> str:
        """The job's name."""

    @property
    def store(self) -> str:
        """Name of the store that it goes to."""

    @property
    def args(self) -> str:
        """The arguments as JSON text, validated."""
