"""What running attempts note, gathered: however often a handler does, the store hears the latest now and then."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator, Sequence
from typing import Final

from stoker.core.capability import Capability
from stoker.core.clock import Clock
from stoker.core.job import Claim, JobId, Token
from stoker.core.lines import read
from stoker.core.note import Note
from stoker.errors import StoreError
from stoker.runtime.logbook import Logbook
from stoker.runtime.loop import sleep
from stoker.stores.base import Store
from stoker.telemetry.board import Events
from stoker.telemetry.events import StoreFailed

MOST: Final = 500
MOST_CHARACTERS: Final = 4 * 1024 * 1024
"""In one command."""
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0

log = logging.getLogger("stoker")


class Notes:
    """The notes of one worker that its store has not answered yet. Written and sent from any thread."""

    def __init__(self, store: Store, clock: Clock, events: Events) -> None:
        self._store = store
        self._clock = clock
        self._events = events
        self._pending: dict[tuple[JobId, Token], Note] = {}
        self._logged: dict[tuple[JobId, Token], Logbook] = {}
        """Who logged since its lines were written down."""
        self._changing = threading.RLock()
        """Whoever holds it may be interrupted by what logs: a finalizer, or what handles a signal."""
        self._sending = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._pending or self._logged)

    def write(self, claim: Claim, *, progress: str | None = None, checkpoint: str | None = None) -> None:
        """Take what an attempt notes; NotSupported where the store keeps no notes."""
        note = Note(claim.id, claim.token, progress, checkpoint)
        if not self._store.supports(Capability.NOTE):
            self._store.note([note])
        self._add(note)

    def logged(self, logbook: Logbook) -> None:
        """Take note that an attempt has logged."""
        key = (logbook.claim.id, logbook.claim.token)
        if self._logged.get(key) is not logbook:
            with self._changing:
                self._logged[key] = logbook

    def _add(self, note: Note) -> None:
        key = (note.id, note.token)
        with self._changing:
            earlier = self._pending.get(key)
            self._pending[key] = note if earlier is None else note.after(earlier)

    async def saved(self, claim: Claim) -> str | None:
        """Give the checkpoint that an earlier attempt left, if there was one. Raises StoreError."""
        if claim.starts < 2 or not self._store.supports(Capability.NOTE):
            return None
        return (await self._store.arun(self._store.saved([claim.id]))).get(claim.id)

    async def deliver(self, claim: Claim, patience: float) -> None:
        """Bring what an attempt noted to the store: once its ending is accepted, nothing of it is taken any more.

        A store that does not answer is asked again, for up to ``patience`` seconds; then its notes are dropped.
        """
        end, delay = self._clock.monotonic() + patience, FIRST_DELAY
        key = (claim.id, claim.token)
        while key in self._pending or key in self._logged:
            try:
                await asyncio.get_running_loop().run_in_executor(None, self.send)
            except StoreError as error:
                self._events.emit(StoreFailed("note", error, delay))
                if self._clock.monotonic() + delay > end:
                    break
                await sleep(self._clock, delay)
                delay = min(2 * delay, LONGEST_DELAY)
            except Exception:
                log.exception("%s %s: what it noted cannot be stored", claim.name, claim.id)
                break
        with self._changing:
            self._pending.pop(key, None)
            self._logged.pop(key, None)

    def send(self) -> None:
        """Send what there is; returns when the store has it. Raises StoreError, and keeps what was not answered.

        One at a time: what was written later must not be overtaken.
        """
        with self._sending:
            self._write_down()
            with self._changing:
                notes = list(self._pending.values())
            for part in _parts(notes):
                self._store.run(self._store.note(part))
                with self._changing:
                    for note in part:
                        if self._pending.get((note.id, note.token)) is note:
                            del self._pending[note.id, note.token]

    def _write_down(self) -> None:
        """Make notes of what was logged, behind what earlier attempts of the same jobs did."""
        with self._changing:
            logbooks = list(self._logged.items())
        if unread := [logbook for _, logbook in logbooks if not logbook.complete]:
            earlier = self._store.run(self._store.logged(list(dict.fromkeys(one.claim.id for one in unread))))
            for logbook in unread:
                logbook.learn(read(earlier.get(logbook.claim.id)))
        for key, logbook in logbooks:
            with self._changing:
                # Before they are written down: a line that comes meanwhile is for the next time.
                self._logged.pop(key, None)
            self._add(Note(*key, lines=logbook.text()))


def _parts(notes: Sequence[Note]) -> Iterator[list[Note]]:
    part: list[Note] = []
    size = 0
    for note in notes:
        size += note.size
        if part and (len(part) >= MOST or size > MOST_CHARACTERS):
            yield part
            part, size = [], note.size
        part.append(note)
    if part:
        yield part
