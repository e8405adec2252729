"""`Encrypt`: bodies that only holders of a key can read, and nobody can change unnoticed.

AES-256-GCM under a key of its own for each body, derived from the given one and 32 random bytes by HKDF-SHA-256: so no
nonce is ever used twice, however many jobs there are. The job's name is authenticated too: a body that is put into
another job's row does not open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Final, TypeAlias

from stoker.errors import Corrupt, DefinitionError, Locked, MissingExtra
from stoker.jobs.sealing import BodyCodec, Coded

Keys: TypeAlias = str | Sequence[str]

_SALT: Final = 32
_TAG: Final = 16
_NONCE: Final = bytes(12)
"""Always the same: no key is used for a second body."""
_ID: Final = re.compile(r"[\w.-]{1,64}")


class Encrypt(BodyCodec):
    """Encrypts with the first of its keys and opens with any of them: put a new key in front, drop the oldest later.

    A key is ``ID:BASE64`` as `new_key` gives it, several are a list or a text with commas; a function that gives them
    is called when they are first needed. Needs the extra ``crypto``.
    """

    name = "aes-256-gcm"
    hides = True

    def __init__(self, keys: Keys | Callable[[], Keys]) -> None:
        self._given = keys
        if not callable(keys):
            _ = self._keys

    @staticmethod
    def new_key(id: str | None = None) -> str:
        """Make a key; its id is what envelopes and errors call it, by default derived from it."""
        if id and not _ID.fullmatch(id):
            raise DefinitionError(f"Encrypt.new_key: the id {id!r}: write 1 to 64 letters, digits and . _ -")
        key = os.urandom(32)
        return f"{id or _fingerprint(key)}:{base64.urlsafe_b64encode(key).decode()}"

    def encode(self, data: bytes, about: bytes) -> Coded:
        """Encrypt with the first key."""
        id, key = next(iter(self._keys.items()))
        salt = os.urandom(_SALT)
        return Coded(salt + _cipher(key, salt).encrypt(_NONCE, data, about), id)

    def decode(self, data: bytes, note: str, about: bytes) -> bytes:
        """Open with the key of that id; Locked where it is not here, or does not fit."""
        key = self._keys.get(note)
        if key is None:
            raise Locked(f"encrypted with the key {note!r}, which is not here; here are {', '.join(self._keys)}")
        if len(data) < _SALT + _TAG:
            raise Corrupt("what is said to be encrypted is too short")
        from cryptography.exceptions import InvalidTag

        try:
            opened: bytes = _cipher(key, data[:_SALT]).decrypt(_NONCE, data[_SALT:], about)
        except InvalidTag:
            raise Locked(
                f"the key {note!r} does not open it: sealed by another key of that id or for another job, or changed"
            ) from None
        return opened

    @cached_property
    def _keys(self) -> dict[str, bytes]:
        given = self._given() if callable(self._given) else self._given
        texts = _texts(given)
        keys = dict(_parsed(text.strip()) for text in texts if text.strip())
        if not keys:
            raise DefinitionError("Encrypt: no keys; Encrypt.new_key() makes one: keep it where your passwords are")
        if len(keys) < sum(1 for text in texts if text.strip()):
            raise DefinitionError("Encrypt: two keys have the same id")
        return keys

    def __repr__(self) -> str:
        return "Encrypt(…)"


def _texts(given: object) -> list[str]:
    """Give the keys as they were written; the error never shows them."""
    if isinstance(given, str):
        return given.split(",")
    if isinstance(given, list | tuple) and all(isinstance(text, str) for text in given):
        return list(given)
    raise DefinitionError(
        f"Encrypt: the keys are of type {type(given).__name__}: write a text ID:BASE64 as Encrypt.new_key() gives it, "
        "a list of such texts, or a function that gives them"
    )


def _parsed(text: str) -> tuple[str, bytes]:
    """Read one key; the error never shows it."""
    advice = "write ID:BASE64 of 32 bytes, as Encrypt.new_key() gives it"
    id, colon, encoded = text.partition(":")
    if not colon or not _ID.fullmatch(id):
        raise DefinitionError(f"Encrypt: a key has no id, or one with more than letters, digits and . _ -: {advice}")
    try:
        key = base64.b64decode(encoded.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32:
        raise DefinitionError(f"Encrypt: the key {id!r} is not 32 bytes in base64: {advice}")
    return id, key


def _fingerprint(key: bytes) -> str:
    return hashlib.sha256(b"stoker key " + key).hexdigest()[:8]


def _cipher(key: bytes, salt: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    except ImportError as error:
        raise MissingExtra("crypto", "Encrypt") from error
    return AESGCM(HKDF(SHA256(), 32, salt, b"stoker body 2").derive(key))
