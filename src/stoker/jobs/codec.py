"""Arguments as JSON text.

A handler's signature becomes two msgspec Structs: `given` binds and encodes a call (what was not given is left out,
so that defaults stay the handler's), `accepted` decodes and validates (defaults filled in). Whatever is encoded is
decoded again before it leaves: what would arrive changed is refused at enqueue, with the path.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET
from msgspec.structs import astuple

from stoker.errors import ArgumentsError, Corrupt, Misfit
from stoker.jobs.carriers import from_carried, to_carried
from stoker.jobs.fidelity import difference, naive_datetime
from stoker.jobs.hiding import holds_secret
from stoker.jobs.messages import misfit, unbound
from stoker.jobs.obstacles import not_finite, obstacle
from stoker.jobs.schema import accepted_struct, given_struct, holds_datetime
from stoker.jobs.signature import EMPTY, POSITIONAL, Signature

Arguments: TypeAlias = tuple[Sequence[object], Mapping[str, object]]
"""Decoded arguments as a handler is called with them; to everybody else an opaque value."""

_ENCODER: Final = msgspec.json.Encoder(enc_hook=to_carried)
_NO_KEYWORDS: Final[Mapping[str, object]] = {}


class Codec:
    """Encodes and decodes the arguments of one job. Built once, when the job's hints are resolved."""

    def __init__(self, job: str, signature: Signature) -> None:
        self._job = job
        self.signature = signature
        parameters = signature.parameters
        self.secrets = frozenset(one.name for one in parameters if holds_secret(one.hint))
        """Names of the parameters that nobody but the handler may see."""
        self._positional = tuple(one.name for one in parameters if one.kind in POSITIONAL)
        self._positional_only = tuple(one.name for one in parameters if one.kind is inspect.Parameter.POSITIONAL_ONLY)
        self._rest = _named(signature, inspect.Parameter.VAR_POSITIONAL)
        self._extras = _named(signature, inspect.Parameter.VAR_KEYWORD)
        self._given = given_struct(job, signature)
        accepted = accepted_struct(job, signature)
        self._names = accepted.__struct_fields__
        self._holds_datetime = holds_datetime(accepted)
        self._read: Callable[[str | bytes], Any] = msgspec.json.Decoder(accepted, dec_hook=from_carried).decode
        native = not (self._positional_only or self._rest or self._extras)
        self._bind: Callable[..., msgspec.Struct] = self._given if native else self._bind_by_hand
        self._all_positional = len(self._positional) == len(self._names)

    # -- enqueueing --------------------------------------------------------------------------------------------------

    def encode(self, args: Sequence[object], kwargs: Mapping[str, object]) -> str:
        """Bind a call and give its arguments as a JSON object, validated; ArgumentsError names what does not fit."""
        try:
            given = self._bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentsError(unbound(self._job, self.signature, args, kwargs, error)) from None
        try:
            encoded = _ENCODER.encode(given)
        except Exception as error:
            raise self._unwritable(given, error) from self._cause(error)
        try:
            accepted = self._read(encoded)
        except Exception as error:
            raise self._unaccepted(given, error) from self._cause(error)
        sent, arrived = astuple(given), astuple(accepted)
        if self._holds_datetime or _changed(sent, arrived):
            self._check_unchanged(sent, arrived)
        return (self._flattened(encoded) if self._extras else encoded).decode()

    def encode_around(
        self, args: Sequence[object], kwargs: Mapping[str, object], left_open: Callable[[object], bool]
    ) -> tuple[str, dict[str, object]]:
        """Encode a call of which some arguments are known later only; gives these, by name, beside the text.

        ArgumentsError for the others as `encode` has it.
        """
        try:
            given = self._bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentsError(unbound(self._job, self.signature, args, kwargs, error)) from None
        values = {name: value for name, value in zip(self._names, astuple(given), strict=True) if value is not UNSET}
        later = {name: value for name, value in values.items() if left_open(value)}
        if later.keys() & {self._rest, self._extras}:
            raise ArgumentsError(f"{self._job}: a result can be taken by a parameter of its own only")
        known = {name: value for name, value in values.items() if name not in later}
        hints = {one.name: one.hint for one in self.signature.parameters}
        for name, value in known.items():
            if name not in (self._rest, self._extras):
                self._check_alone(name, value, Any if hints[name] is EMPTY else hints[name])
        extras: Any = known.pop(self._extras, {}) if self._extras else {}
        return _ENCODER.encode({**known, **extras}).decode(), later

    def _check_alone(self, name: str, value: object, hint: Any) -> None:
        if (found := obstacle(value, name)) is not None:
            raise ArgumentsError(f"{self._job}: argument {found}")
        try:
            accepted = msgspec.json.decode(_ENCODER.encode(value), type=hint, dec_hook=from_carried)
        except Exception as error:
            raise ArgumentsError(f"{self._job}: argument `{name}`: {error}") from error
        if (found := difference(value, accepted, name)) is not None:
            raise ArgumentsError(f"{self._job}: argument {found}")

    def checked(self, text: str) -> str:
        """Give arguments that are JSON text already, as they are; ArgumentsError when they do not fit."""
        try:
            accepted = self._accepted(text)
        except (Misfit, Corrupt) as error:
            raise ArgumentsError(str(error)) from error
        if self._holds_datetime:
            arrived = astuple(accepted)
            self._check_unchanged(arrived, arrived)
        return text

    def _bind_by_hand(self, /, *args: object, **kwargs: object) -> msgspec.Struct:
        """Bind what a Struct's constructor cannot: positional-only, ``*args`` and ``**kwargs``."""
        taken = [name for name in (*self._positional_only, self._rest) if name in kwargs]
        if taken:
            raise TypeError(f"`{taken[0]}` cannot be given by name")
        if self._rest and len(args) > len(self._positional):
            kwargs[self._rest] = args[len(self._positional) :]
            args = args[: len(self._positional)]
        if self._extras:
            others = [name for name in kwargs if name not in self._names or name == self._extras]
            extras = {name: kwargs.pop(name) for name in others}
            if extras:
                kwargs[self._extras] = extras
        return self._given(*args, **kwargs)

    def _check_unchanged(self, sent: tuple[object, ...], arrived: tuple[object, ...]) -> None:
        """Refuse what would arrive as something else, and times that mean another one elsewhere."""
        for name, one, other in zip(self._names, sent, arrived, strict=True):
            if one is UNSET:
                continue
            try:
                found = difference(one, other, name)
            except RecursionError as error:
                raise ArgumentsError(f"{self._job}: argument `{name}` is nested too deeply") from error
            if found is None and self._holds_datetime:
                found = naive_datetime(other, name)
            if found is not None and name in self.secrets:
                raise ArgumentsError(
                    f"{self._job}: argument `{name}`, which is secret, would not arrive as it was sent"
                )
            if found is not None:
                raise ArgumentsError(f"{self._job}: argument {found}")

    def _unwritable(self, given: msgspec.Struct, error: Exception) -> ArgumentsError:
        for name, value in zip(self._names, astuple(given), strict=True):
            found = None if value is UNSET else obstacle(value, name)
            if found is not None and name in self.secrets:
                return ArgumentsError(f"{self._job}: argument `{name}`, which is secret, cannot be written as JSON")
            if found is not None:
                return ArgumentsError(f"{self._job}: argument {found}")
        why = "" if self.secrets else f": {error}"
        return ArgumentsError(f"{self._job}: its arguments cannot be written as JSON{why}")

    def _cause(self, error: Exception) -> Exception | None:
        """Give an error as the cause of another, unless a secret may show in it."""
        return None if self.secrets else error

    def _unaccepted(self, given: msgspec.Struct, error: Exception) -> ArgumentsError:
        # NaN is written as null, so the decoder's complaint about null would mislead.
        for name, value in zip(self._names, astuple(given), strict=True):
            found = None if value is UNSET else not_finite(value, name)
            if found is not None and name not in self.secrets:
                return ArgumentsError(f"{self._job}: argument {found}")
        return ArgumentsError(misfit(self._job, error, self.secrets))

    def _flattened(self, encoded: bytes) -> bytes:
        """Put what ``**kwargs`` took beside the other arguments, where a caller in any language would put it."""
        fields = msgspec.json.decode(encoded, type=dict[str, msgspec.Raw])
        extras = fields.pop(self._extras, None)
        if extras is None:
            return encoded
        return msgspec.json.encode(fields | msgspec.json.decode(extras, type=dict[str, msgspec.Raw]))

    # -- performing --------------------------------------------------------------------------------------------------

    def decode(self, text: str) -> Arguments:
        """Give the arguments to call with; Misfit when they do not fit the handler, Corrupt when it is not JSON."""
        if not self._all_positional:
            return self._spread(astuple(self._accepted(text)))
        if text.startswith("["):
            return astuple(self._otherwise(text, Misfit())), _NO_KEYWORDS
        try:
            return astuple(self._read(text)), _NO_KEYWORDS
        except Exception as error:
            return astuple(self._otherwise(text, error)), _NO_KEYWORDS

    def by_name(self, text: str) -> dict[str, object]:
        """Give all arguments by parameter name, defaults filled in."""
        return dict(zip(self._names, astuple(self._accepted(text)), strict=True))

    def by_position(self, text: str) -> str:
        """Give arguments as a JSON array in the order of the parameters, for those who know no names.

        What was given stays as it is written; what was left out before it gets its default. Arguments that have no
        position (keyword-only, ``**kwargs``) leave the text an object.
        """
        try:
            given = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        except msgspec.MsgspecError:
            return text  # by position already
        rest = msgspec.json.decode(given.pop(self._rest), type=list[msgspec.Raw]) if self._rest in given else []
        if not given.keys() <= set(self._positional):
            return text
        places = [place for place, name in enumerate(self._positional) if rest or name in given]
        names = self._positional[: max(places, default=-1) + 1]
        if len(names) == len(given):
            return msgspec.json.encode([*(given[name] for name in names), *rest]).decode()
        accepted = self._accepted(text)
        values = [given[name] if name in given else getattr(accepted, name) for name in names]
        return _ENCODER.encode([*values, *rest]).decode()

    def _accepted(self, text: str) -> Any:
        try:
            return self._read(self._nested(text) if self._extras else text)
        except Exception as error:
            return self._otherwise(text, error)

    def _otherwise(self, text: str, error: Exception) -> Any:
        """Take a JSON array by position; for anything else say what the error means."""
        try:
            is_array = isinstance(msgspec.json.decode(text), list)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as broken:
            raise Corrupt(f"{self._job}: its arguments are not JSON: {broken}") from broken
        if not is_array:
            raise Misfit(misfit(self._job, error, self.secrets)) from self._cause(error)
        named = self._by_position(msgspec.json.decode(text, type=list[msgspec.Raw]))
        try:
            return self._read(msgspec.json.encode(named))
        except Exception as misfitting:
            raise Misfit(misfit(self._job, misfitting, self.secrets)) from self._cause(misfitting)

    def _by_position(self, items: list[msgspec.Raw]) -> dict[str, object]:
        count = len(self._positional)
        named: dict[str, object] = dict(zip(self._positional, items, strict=False))
        if len(items) > count:
            if not self._rest:
                raise Misfit(f"{self._job}: {len(items)} arguments by position, it takes at most {count}")
            named[self._rest] = items[count:]
        return named

    def _nested(self, text: str) -> bytes:
        """Undo `_flattened`."""
        fields = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        extras = {name: fields.pop(name) for name in tuple(fields) if name not in self._names or name == self._extras}
        return msgspec.json.encode({**fields, self._extras: extras})

    def _spread(self, values: tuple[object, ...]) -> Arguments:
        count = len(self._positional)
        named: dict[str, Any] = dict(zip(self._names[count:], values[count:], strict=True))
        positional: Sequence[object] = values[:count]
        if self._rest:
            positional = (*positional, *named.pop(self._rest))
        if self._extras:
            named.update(named.pop(self._extras))
        return positional, named


def _changed(sent: tuple[object, ...], arrived: tuple[object, ...]) -> bool:
    try:
        return sent != arrived
    except Exception:  # whatever a user's == thinks of being compared
        return True


def _named(signature: Signature, kind: Any) -> str:
    return next((one.name for one in signature.parameters if one.kind is kind), "")
