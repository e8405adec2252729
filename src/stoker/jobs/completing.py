"""A block of a handler whose writes and the job's completion are one transaction."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self


class Finisher(Protocol):
    """Completes the job of one attempt inside a caller's transaction; made by a worker. Sync and async."""

    def check(self, transaction: object) -> None:
        """Refuse what cannot be joined, before anything is written in it."""

    async def acheck(self, transaction: object) -> None:
        """Do the same without blocking the event loop."""

    def finish(self, transaction: object, result: object) -> None:
        """Complete the job; ClaimLost where this attempt does not hold it any more."""

    async def afinish(self, transaction: object, result: object) -> None:
        """Do the same without blocking the event loop."""


class Completing:
    """What `Context.completing` gives: at the end of the block the job is completed, unless the block raises."""

    def __init__(self, finisher: Finisher | None, transaction: object, result: object) -> None:
        self.result = result
        """What the job's result shall be; may be set inside the block."""
        self._finisher = finisher
        self._transaction = transaction

    def __enter__(self) -> Self:
        if self._finisher is not None:
            self._finisher.check(self._transaction)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._finisher is not None and kind is None:
            self._finisher.finish(self._transaction, self.result)

    async def __aenter__(self) -> Self:
        if self._finisher is not None:
            await self._finisher.acheck(self._transaction)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._finisher is not None and kind is None:
            await self._finisher.afinish(self._transaction, self.result)
