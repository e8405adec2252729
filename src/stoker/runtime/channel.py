"""What a worker and a process that performs jobs for it say to each other: JSON in frames, never pickle."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec

from stoker.core.job import Claim, NewJob

HEADER: Final = struct.Struct("<I")
"""Before each message: its length in bytes."""
STOPPED: Final = "Stopped"
"""The signal of an attempt that ended because it was told to."""
MAIN: Final = "__stoker_main__"
"""The name under which such a process runs the worker's main module, whose ``if __name__ == "__main__":`` is false."""


class Place(msgspec.Struct, frozen=True):
    """Where a handler is defined: at the top of a module, or of the script that was started."""

    module: str
    name: str


class Hello(msgspec.Struct, frozen=True, tag=True):
    """The first message: the world of the worker."""

    path: tuple[str, ...]
    main: str | None = None
    """The file of the worker's main module, if handlers may be defined there."""
    main_module: str | None = None
    """Its name instead, where it was started with ``-m``."""
    level: int = 20
    """From which level on log records are wanted."""
    environment: str | None = None
    arguments: Mapping[str, Any] = {}
    """What the command line said: settings that go before all others."""
    home: str | None = None


class Perform(msgspec.Struct, frozen=True, tag=True):
    """Make one attempt."""

    place: Place
    claim: Claim
    saved: str | None = None
    timeout: int | None = None
    """Microseconds from now."""
    stopping: bool = False
    notes: bool = True
    """Whether the store keeps progress and checkpoints."""
    atomic: bool = True
    """Whether it can store an ending and what follows from it in one unit."""


class Stop(msgspec.Struct, frozen=True, tag=True):
    """The attempt should end."""


class Stopping(msgspec.Struct, frozen=True, tag=True):
    """The worker shuts down."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The process can perform."""


class Noted(msgspec.Struct, frozen=True, tag=True):
    """What the attempt notes, as JSON text."""

    progress: str | None = None
    checkpoint: str | None = None


class Followed(msgspec.Struct, frozen=True, tag=True):
    """The handler said what follows from its ending."""

    job: NewJob


class Logged(msgspec.Struct, frozen=True, tag=True):
    """A log record; ``fields`` are what it carries besides."""

    name: str
    level: int
    message: str
    created: float
    fields: dict[str, Any] = {}
    trace: str | None = None


class Returned(msgspec.Struct, frozen=True, tag=True):
    """The handler returned; ``result`` is None where it is not JSON, for that ``reason``."""

    result: str | None
    reason: str = ""
    rss: int = 0
    """The process's memory in bytes; 0 where that is not known."""


class Raised(msgspec.Struct, frozen=True, tag=True):
    """The handler raised an error of the class ``kinds[0]``, whose bases are the others."""

    kinds: tuple[str, ...]
    message: str
    trace: str
    rss: int = 0


class Signalled(msgspec.Struct, frozen=True, tag=True):
    """The handler raised a signal: ``Retry``, ``Snooze``, ``Cancel`` or ``Discard``; the delay in microseconds."""

    signal: str
    reason: str = ""
    delay: int | None = None
    rss: int = 0


Ended: TypeAlias = Returned | Raised | Signalled
ToChild: TypeAlias = Hello | Perform | Stop | Stopping
FromChild: TypeAlias = Ready | Noted | Followed | Logged | Returned | Raised | Signalled

_encoder: Final = msgspec.json.Encoder()
to_child: Final[msgspec.json.Decoder[ToChild]] = msgspec.json.Decoder(ToChild)
from_child: Final[msgspec.json.Decoder[FromChild]] = msgspec.json.Decoder(FromChild)


def frame(message: ToChild | FromChild) -> bytes:
    """Write a message as it travels."""
    body = _encoder.encode(message)
    return HEADER.pack(len(body)) + body
