"""The board that hands events to listeners: to stoker's own at once, to users' through a mailbox."""

from __future__ import annotations

import logging
from collections.abc import Callable, KeysView
from typing import Any, TypeAlias

from stoker.telemetry.events import KINDS, Event
from stoker.telemetry.mailbox import Mailbox, flush

Listener: TypeAlias = Callable[[Any], object]
log = logging.getLogger("stoker.events")


class Events:
    """`listen` adds a listener that is called where things happen, `post` one that has a thread; `emit` tells them."""

    def __init__(self) -> None:
        self._by_kind: dict[type[Event], tuple[Listener, ...]] = {}
        self._mailboxes: list[Mailbox] = []
        self._reported: set[int] = set()

    def listen(self, listener: Listener, *kinds: type[Event]) -> Callable[[], None]:
        """Call a listener where and when something happens, which waits for it: for stoker's own, which are quick.

        Without ``kinds``: of all kinds. Returns a function that removes it again.
        """
        for kind in kinds or KINDS:
            self._by_kind[kind] = (*self._by_kind.get(kind, ()), listener)

        def deaf() -> None:
            for kind in kinds or KINDS:
                left = tuple(one for one in self._by_kind.get(kind, ()) if one is not listener)
                self._by_kind[kind] = left
                if not left:
                    del self._by_kind[kind]

        return deaf

    def post(self, listener: Listener, *kinds: type[Event]) -> Callable[[], None]:
        """Call a listener in a thread of its own, events in order: it may take its time, block, and raise."""
        mailbox = Mailbox(listener)
        self._mailboxes.append(mailbox)
        deaf = self.listen(mailbox.put, *kinds)

        def stop() -> None:
            deaf()
            if mailbox in self._mailboxes:
                self._mailboxes.remove(mailbox)
            mailbox.close()

        return stop

    @property
    def heard(self) -> KeysView[type[Event]]:
        """The kinds that somebody listens for, now and whenever it is looked at: what nobody hears need not be said."""
        return self._by_kind.keys()

    def emit(self, event: Event) -> None:
        """Tell every listener of its kind; what one raises is logged, once for each listener."""
        for listener in self._by_kind.get(type(event), ()):
            try:
                listener(event)
            except Exception:
                if id(listener) not in self._reported:
                    self._reported.add(id(listener))
                    log.exception("event listener %r raised; it is reported once", listener)

    def flush(self, timeout: float) -> bool:
        """Wait until the listeners in threads have heard everything so far; False where that takes longer."""
        return flush(tuple(self._mailboxes), timeout)
