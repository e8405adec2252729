"""How a user's functions listen for events: ``@app.on(AttemptEnded)``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar, overload

from stoker.errors import DefinitionError
from stoker.telemetry.board import Events
from stoker.telemetry.events import KINDS, Event

E = TypeVar("E")
E1 = TypeVar("E1", bound=Event)
E2 = TypeVar("E2", bound=Event)
E3 = TypeVar("E3", bound=Event)
T = TypeVar("T")


class Listens(Protocol, Generic[E]):
    """Makes a listener of a function, and gives it back."""

    def __call__(self, listener: Callable[[E], T], /) -> Callable[[E], T]:
        """Listen from now on."""


class Listening:
    """What ``app.on`` is."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._ends: dict[Callable[[Any], object], Callable[[], None]] = {}

    @overload
    def __call__(self, kind: type[E1], /) -> Listens[E1]: ...
    @overload
    def __call__(self, kind: type[E1], kind2: type[E2], /) -> Listens[E1 | E2]: ...
    @overload
    def __call__(self, kind: type[E1], kind2: type[E2], kind3: type[E3], /) -> Listens[E1 | E2 | E3]: ...
    @overload
    def __call__(self, *kinds: type[Event]) -> Listens[Event]: ...
    def __call__(self, *kinds: Any) -> Any:
        """Call a function, sync or async, for each event of these kinds (none: of all) that this process sees.

        It runs in a thread of its own, so it may block and raise without hurting a job; of more than 10,000 events
        that wait for it the newest are dropped.
        """
        _check_kinds(kinds)

        def listens(listener: Callable[[Any], object]) -> Any:
            if not callable(listener):
                raise DefinitionError(f"app.on(…): {listener!r} is not a function")
            self.end(listener)
            self._ends[listener] = self._events.post(listener, *kinds)
            return listener

        return listens

    def end(self, listener: Callable[[Any], object]) -> None:
        """Call a function no more; one that was not listening is no error."""
        end = self._ends.pop(listener, None)
        if end is not None:
            end()


def _check_kinds(kinds: Sequence[object]) -> None:
    """Refuse what is no kind of event; DefinitionError names the nearest."""
    for kind in kinds:
        if any(kind is one for one in KINDS):
            continue
        name = getattr(kind, "__name__", repr(kind))
        if callable(kind) and not isinstance(kind, type):
            raise DefinitionError(f"app.on: say what {name} listens for: @app.on(AttemptEnded), or @app.on() for all")
        from difflib import get_close_matches

        known = sorted(one.__name__ for one in KINDS)
        near = get_close_matches(name, known, n=1, cutoff=0.0)[0]
        raise DefinitionError(
            f"app.on: {name} is no kind of event; did you mean {near}? stoker.telemetry has {', '.join(known)}"
        )
