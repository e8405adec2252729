"""Sealed bodies: what stands in a store in place of arguments or a result that went through body codecs.

An envelope is a JSON object: which codecs were applied, in order, each with its note (the id of a key), and the bytes
that came of it in base64. No parameter of a handler can be named as its first key is.
"""

from __future__ import annotations

import base64
import binascii
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from stoker.errors import Corrupt, Locked

SEALED_VERSION: Final = 2
"""The version of a job with a sealed body: a worker that reads up to 1 gives it back."""
_BEGIN: Final = '{"@sealed":'


class Coded(NamedTuple):
    """What a codec made of bytes, and what it must be told to undo that."""

    data: bytes
    note: str = ""


class BodyCodec(ABC):
    """One step between encoded arguments and what the store keeps; ``codecs=[…]`` are applied in order."""

    name: str
    """Stands in the envelope: stable, and no other codec's."""
    hides = False
    """Whether nobody without a key can read what comes of it."""

    @abstractmethod
    def encode(self, data: bytes, about: bytes) -> Coded | None:
        """Give what the store shall keep; None leaves the data as it is. ``about`` names the job: to be bound to it."""

    @abstractmethod
    def decode(self, data: bytes, note: str, about: bytes) -> bytes:
        """Undo `encode`; Locked where this process has not what that takes."""


class Envelope(msgspec.Struct, frozen=True):
    """What stands in the store."""

    steps: list[tuple[str, str]] = msgspec.field(name="@sealed")
    """The codecs' names and notes, in the order in which they were applied."""
    body: str

    def __str__(self) -> str:
        """Say it to people, who can do nothing with the bytes."""
        steps = ", ".join(f"{name} ({note})" if note else name for name, note in self.steps)
        return f"sealed: {steps}; {len(self.body) * 3 // 4} bytes"


def is_sealed(text: str) -> bool:
    """Tell whether a stored text is an envelope."""
    return text.startswith(_BEGIN)


def seal(text: str, codecs: Sequence[BodyCodec], about: Iterable[str]) -> str:
    """Give the envelope of a text; the text itself where no codec changed anything."""
    data, steps, bound = text.encode(), list[tuple[str, str]](), _bound(about)
    for codec in codecs:
        coded = codec.encode(data, bound)
        if coded is not None:
            data = coded.data
            steps.append((codec.name, coded.note))
    if not steps:
        return text
    return msgspec.json.encode(Envelope(steps, base64.b64encode(data).decode())).decode()


_envelope: Final = msgspec.json.Decoder(Envelope)


def read_envelope(text: str) -> Envelope:
    """Read an envelope; Corrupt when it is none."""
    try:
        return _envelope.decode(text)
    except msgspec.DecodeError as error:
        raise Corrupt(f"its envelope cannot be read: {error}") from error


def unseal(job: str, text: str, codecs: Sequence[BodyCodec], abouts: Sequence[Iterable[str]]) -> str:
    """Give the text in an envelope; ``abouts`` are the names it may be bound to.

    Locked where this process has not the codec or the key, Corrupt where there is nothing to be read.
    """
    envelope = read_envelope(text)
    known = {codec.name: codec for codec in codecs}
    missing = [name for name, _ in envelope.steps if name not in known]
    if missing:
        raise Locked(
            f"{job}: its arguments or its result are sealed with {missing[0]!r}, which the job does not name here; "
            f"give it the codec again (codecs=[…]) for as long as such jobs are there"
        )
    try:
        sealed = base64.b64decode(envelope.body, validate=True)
    except binascii.Error as error:
        raise Corrupt(f"{job}: the body of its envelope is not base64: {error}") from error
    for about in abouts[:-1]:
        try:
            return _opened(sealed, envelope, known, _bound(about))
        except Locked:
            continue
    return _opened(sealed, envelope, known, _bound(abouts[-1]))


def _opened(data: bytes, envelope: Envelope, known: dict[str, BodyCodec], about: bytes) -> str:
    for name, note in reversed(envelope.steps):
        data = known[name].decode(data, note, about)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Corrupt(f"what was sealed is not text: {error}") from error


def _bound(about: Iterable[str]) -> bytes:
    return "\0".join(about).encode()
