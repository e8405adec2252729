"""What of a job is known only once its hints can be resolved: at the first enqueue, `check()`, or a worker's start."""

from __future__ import annotations

from functools import cached_property
from threading import RLock
from typing import Any, Final

import msgspec

from stoker.errors import DefinitionError
from stoker.jobs.carriers import from_carried
from stoker.jobs.codec import Codec
from stoker.jobs.signature import Handler, names_around, parameter_names, resolve

_one_at_a_time: Final = RLock()
"""Threads that make msgspec look into one class at once, of the user's too, can crash the interpreter."""


class Resolved:
    """Resolves on first use; a failure is not remembered, so that a later import may mend it."""

    def __init__(self, job: str, handler: Handler, *, hides: bool = False) -> None:
        self._job = job
        self._handler = handler
        self._hides = hides
        self._around = names_around(handler)

    @cached_property
    def parameter_names(self) -> tuple[str, ...]:
        """All parameters, a leading context included; known without resolving."""
        return parameter_names(self._handler, self._job)

    @cached_property
    def codec(self) -> Codec:
        """The codec of the handler's arguments; DefinitionError when a hint cannot be resolved or carried."""
        with _one_at_a_time:
            codec = Codec(self._job, resolve(self._handler, self._job, self._around))
        if codec.secrets and not self._hides:
            raise DefinitionError(
                f"{self._job}: `{min(codec.secrets)}` is Secret, but would be stored readably: "
                "give the job a codec that encrypts, codecs=[Encrypt(keys)]"
            )
        return codec

    @cached_property
    def wants_context(self) -> bool:
        """Whether the handler takes the context."""
        return self.codec.signature.wants_context

    @cached_property
    def result_decoder(self) -> msgspec.json.Decoder[Any]:
        """The decoder of the handler's return type; of anything where JSON cannot carry that type."""
        returns = self.codec.signature.returns
        try:
            with _one_at_a_time:
                return msgspec.json.Decoder(returns, dec_hook=from_carried)
        except TypeError:
            return msgspec.json.Decoder()
