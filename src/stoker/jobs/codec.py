"""Arguments and results as JSON text.

A handler's signature becomes two msgspec Structs: `given` binds and encodes a call (what was not given is left out,
so that defaults stay the handler's), `accepted` decodes and validates (defaults filled in). Whatever is encoded is
decoded again before it leaves: what would arrive changed is refused at enqueue, with the path.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from msgspec.structs import astuple

from stoker.errors import ArgumentsError, Corrupt, Misfit
from stoker.jobs.carriers import from_carried, to_carried
from stoker.jobs.fidelity import difference, naive_datetime, obstacle
from stoker.jobs.messages import misfit, unbound
from stoker.jobs.schema import accepted_struct, given_struct, holds_datetime
from stoker.jobs.signature import POSITIONAL, Signature

Arguments: TypeAlias = tuple[Sequence[object], Mapping[str, object]]
"""Decoded arguments as a handler is called with them; to everybody else an opaque value."""

_ENCODER: Final = msgspec.json.Encoder(enc_hook=to_carried)
_NO_KEYWORDS: Final[Mapping[str, object]] = {}
_PLAIN_TYPES: Final = frozenset({str, int, bool})


class Carried(NamedTuple):
    """A result as JSON text, or None and the reason why it is not JSON."""

    text: str | None
    reason: str = ""


class Codec:
    """Encodes and decodes the arguments of one job. Built once, when the job's hints are resolved."""

    def __init__(self, job: str, signature: Signature) -> None:
        self._job = job
        self.signature = signature
        parameters = signature.parameters
        self._positional = tuple(one.name for one in parameters if one.kind in POSITIONAL)
        self._positional_only = tuple(one.name for one in parameters if one.kind is inspect.Parameter.POSITIONAL_ONLY)
        self._rest = _named(signature, inspect.Parameter.VAR_POSITIONAL)
        self._extras = _named(signature, inspect.Parameter.VAR_KEYWORD)
        self._given = given_struct(job, signature)
        accepted = accepted_struct(job, signature)
        self._names = accepted.__struct_fields__
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(accepted, dec_hook=from_carried)
        self._holds_datetime = holds_datetime(accepted)
        native = not (self._positional_only or self._rest or self._extras)
        self._bind: Callable[..., msgspec.Struct] = self._given if native else self._bind_by_hand
        self._all_positional = len(self._positional) == len(self._names)

    def encode(self, args: Sequence[object], kwargs: Mapping[str, object]) -> str:
        """Bind a call and give its arguments as a JSON object, validated; ArgumentsError names what does not fit."""
        try:
            given = self._bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentsError(unbound(self._job, self.signature, args, kwargs, error)) from None
        try:
            encoded = _ENCODER.encode(given)
        except Exception as error:
            raise self._uncarried(given, error) from error
        self._validate(given, encoded)
        if self._extras:
            encoded = self._flattened(encoded)
        return encoded.decode()

    def checked(self, text: str) -> str:
        """Give arguments that are JSON text already, as they are; ArgumentsError when they do not fit."""
        try:
            accepted = self._accepted(text)
        except (Misfit, Corrupt) as error:
            raise ArgumentsError(str(error)) from error
        for name, value in zip(self._names, astuple(accepted), strict=True) if self._holds_datetime else ():
            if found := naive_datetime(value, f"`{name}`"):
                raise ArgumentsError(f"{self._job}: argument {found}")
        return text

    def decode(self, text: str) -> Arguments:
        """Give the arguments to call with; Misfit when they do not fit the handler, Corrupt when it is not JSON."""
        accepted = self._accepted(text)
        return (astuple(accepted), _NO_KEYWORDS) if self._all_positional else self._spread(accepted)

    def by_name(self, text: str) -> dict[str, object]:
        """Give all arguments by parameter name, defaults filled in."""
        return dict(zip(self._names, astuple(self._accepted(text)), strict=True))

    # -- enqueueing --------------------------------------------------------------------------------------------------

    def _bind_by_hand(self, *args: object, **kwargs: object) -> msgspec.Struct:
        """Bind what a Struct's constructor cannot: positional-only, ``*args`` and ``**kwargs``."""
        clash = [name for name in (*self._positional_only, self._rest, self._extras) if name and name in kwargs]
        if clash:
            raise TypeError(f"`{clash[0]}` cannot be given by name")
        if self._rest and len(args) > len(self._positional):
            kwargs[self._rest] = args[len(self._positional) :]
            args = args[: len(self._positional)]
        if self._extras:
            extras = {name: kwargs.pop(name) for name in tuple(kwargs) if name not in self._names}
            if extras:
                kwargs[self._extras] = extras
        return self._given(*args, **kwargs)

    def _validate(self, given: msgspec.Struct, encoded: bytes) -> None:
        try:
            accepted = self._decoder.decode(encoded)
        except Exception as error:
            raise self._unaccepted(given, error) from error
        arrived, sent = astuple(accepted), astuple(given)
        try:
            changed = arrived != sent
        except Exception:  # noqa: BLE001 whatever a user's == thinks of being compared
            changed = True
        if changed or self._holds_datetime:
            self._compare(sent, arrived)

    def _compare(self, sent: Sequence[object], arrived: Sequence[object]) -> None:
        for name, one, other in zip(self._names, sent, arrived, strict=True):
            if one is msgspec.UNSET:
                continue
            found = difference(one, other, f"`{name}`")
            if found is None and self._holds_datetime:
                found = naive_datetime(other, f"`{name}`")
            if found is not None:
                raise ArgumentsError(f"{self._job}: argument {found}")

    def _uncarried(self, given: msgspec.Struct, error: Exception) -> ArgumentsError:
        for name, value in zip(self._names, astuple(given), strict=True):
            found = None if value is msgspec.UNSET else obstacle(value, f"`{name}`")
            if found is not None:
                return ArgumentsError(f"{self._job}: argument {found}")
        return ArgumentsError(f"{self._job}: its arguments cannot be sent as JSON: {error}")

    def _unaccepted(self, given: msgspec.Struct, error: Exception) -> ArgumentsError:
        # NaN arrives as null, so the decoder's complaint about null would mislead.
        for name, value in zip(self._names, astuple(given), strict=True):
            if isinstance(value, float) and (found := difference(value, None, f"`{name}`")):
                return ArgumentsError(f"{self._job}: argument {found}")
        return ArgumentsError(misfit(self._job, error))

    def _flattened(self, encoded: bytes) -> bytes:
        """Put what ``**kwargs`` took beside the other arguments, where a caller in any language would put it."""
        fields = msgspec.json.decode(encoded, type=dict[str, msgspec.Raw])
        extras = fields.pop(self._extras, None)
        if extras is None:
            return encoded
        return msgspec.json.encode(fields | msgspec.json.decode(extras, type=dict[str, msgspec.Raw]))

    # -- performing --------------------------------------------------------------------------------------------------

    def _accepted(self, text: str) -> Any:
        try:
            return self._decoder.decode(self._nested(text) if self._extras else text)
        except msgspec.ValidationError as error:
            return self._by_position(text, error)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Corrupt(f"{self._job}: its arguments are not JSON: {error}") from error
        except Exception as error:
            raise Misfit(misfit(self._job, error)) from error

    def _by_position(self, text: str, error: msgspec.ValidationError) -> Any:
        """Take a JSON array's items as positional arguments; anything else is what the error says it is."""
        try:
            whole = msgspec.json.decode(text)
            items = msgspec.json.decode(text, type=list[msgspec.Raw]) if isinstance(whole, list) else None
        except (msgspec.DecodeError, RecursionError) as broken:
            raise Corrupt(f"{self._job}: its arguments are not JSON: {broken}") from broken
        if items is None:
            raise Misfit(misfit(self._job, error)) from error
        count = len(self._positional)
        named: dict[str, object] = dict(zip(self._positional, items, strict=False))
        if len(items) > count:
            if not self._rest:
                raise Misfit(f"{self._job}: {len(items)} positional arguments, it takes at most {count}")
            named[self._rest] = items[count:]
        try:
            return self._decoder.decode(msgspec.json.encode(named))
        except Exception as misfitting:
            raise Misfit(misfit(self._job, misfitting)) from misfitting

    def _nested(self, text: str) -> bytes | str:
        """Undo `_flattened`."""
        fields = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        extras = {name: fields.pop(name) for name in tuple(fields) if name not in self._names or name == self._extras}
        return msgspec.json.encode({**fields, self._extras: extras})

    def _spread(self, accepted: Any) -> Arguments:
        named = dict(zip(self._names, astuple(accepted), strict=True))
        positional = [named.pop(name) for name in self._positional]
        if self._rest:
            positional.extend(named.pop(self._rest))
        if self._extras:
            named.update(named.pop(self._extras))
        return positional, named


def carried_result(value: object) -> Carried:
    """Give a handler's result as JSON text, or say why it is not JSON."""
    if value is None:
        return Carried("null")
    try:
        encoded = _ENCODER.encode(value)
    except Exception as error:  # noqa: BLE001 a user's class may raise anything
        return Carried(None, obstacle(value, "result") or f"result: {error}")
    if type(value) not in _PLAIN_TYPES and b"null" in encoded and (found := _not_finite(value)):
        return Carried(None, found)
    return Carried(encoded.decode())


def _not_finite(value: object) -> str | None:
    """Find a NaN or infinity, which msgspec writes as null."""
    if isinstance(value, float):
        return difference(value, None, "result")
    from stoker.jobs.fidelity import parts

    return next((found for _, part in parts(value, "result") if (found := _not_finite(part))), None)


def _named(signature: Signature, kind: Any) -> str:
    return next((one.name for one in signature.parameters if one.kind is kind), "")
