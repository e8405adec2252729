"""A job as workers and drafts see it: its name, its handler, and what was said of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Generic, TypeVar, cast

from stoker.core.decide import Policy
from stoker.core.job import Enqueued, JobId, NewJob
from stoker.core.limits import Gate
from stoker.core.unique import UniqueKey
from stoker.errors import ArgumentsError, Corrupt, DefinitionError, Locked, ResultUnavailable
from stoker.jobs.carried import Carried, carried
from stoker.jobs.codec import Arguments
from stoker.jobs.context import Context
from stoker.jobs.handle import Follower, JobHandle
from stoker.jobs.hiding import texts_in
from stoker.jobs.limits import check_names, gate_of
from stoker.jobs.messages import too_large
from stoker.jobs.options import Defaults, EnqueueTerms, JobRules, Merged, merge
from stoker.jobs.resolved import Resolved
from stoker.jobs.sealing import SEALED_VERSION, is_sealed, seal, unseal
from stoker.jobs.signature import Handler, as_function
from stoker.jobs.unique import Unique

R_co = TypeVar("R_co", covariant=True)


class DefinedJob(Generic[R_co]):
    """The performing side of a definition; `JobDefinition` adds the enqueueing side."""

    is_async = False
    """Whether `call` gives a coroutine."""
    performable = True
    """Whether this application has the handler."""

    def __init__(
        self, name: str, handler: Handler, rules: JobRules, follower: Follower, *, opened: bool = False
    ) -> None:
        """With ``opened`` somebody else saw to it that secret arguments are sealed, and opens them."""
        self.name = name
        self.handler = handler
        self.rules = rules
        self.policy: Policy = rules.policy()
        self._function = as_function(handler)
        self.apart = rules.executor == "process"
        """Whether an attempt is to be made in a process of its own."""
        self._follower = follower
        self._terms = EnqueueTerms()
        self._merged: tuple[Defaults, Merged] | None = None
        self.codecs = rules.codecs
        self._resolved = Resolved(name, handler, hides=opened or any(codec.hides for codec in rules.codecs))

    # -- what was said of it -----------------------------------------------------------------------------------------

    @property
    def aliases(self) -> tuple[str, ...]:
        """Former names."""
        return self.rules.aliases

    @property
    def store(self) -> str:
        """Name of the store that it goes to."""
        return self._terms.store or self.rules.store or "default"

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the handler's parameters, a leading context included; known without resolving hints."""
        return self._resolved.parameter_names

    @property
    def wants_context(self) -> bool:
        """Whether the handler takes the context."""
        return self._resolved.wants_context

    def timeout_within(self, defaults: Defaults) -> int | None:
        """Give the timeout of an attempt in microseconds; None for no timeout."""
        return self.rules.timeout_within(defaults)

    def slow_after_within(self, defaults: Defaults) -> int:
        """Give the microseconds after which an attempt is reported as slow."""
        return self.rules.slow_after_within(defaults)

    def merged(self, defaults: Defaults) -> Merged:
        """Give what holds for an enqueue under these settings."""
        if self._merged is None or self._merged[0] is not defaults:
            self._merged = (defaults, merge(self.rules, self._terms, defaults, self.name))
        return self._merged[1]

    def check(self) -> None:
        """Resolve the hints now; DefinitionError says what is wrong with them."""
        names = [one.name for one in self._resolved.codec.signature.parameters]
        if self.rules.unique:
            self.rules.unique.check(self.name, names)
            self.rules.unique.check_secrets(self.name, self._resolved.codec.secrets)
        self.check_bounds(names)
        self._check_secret_bounds()

    # -- performing --------------------------------------------------------------------------------------------------

    def decode(self, args: str) -> Arguments:
        """Give stored arguments for `call`; Misfit when they do not fit the handler, Corrupt when they are not JSON."""
        return self._resolved.codec.decode(args)

    def checked_args(self, args: str) -> str:
        """Give arguments that are JSON text, as they are; ArgumentsError when they do not fit the handler."""
        return self._resolved.codec.checked(args)

    def by_position(self, args: str) -> str:
        """Give arguments as a JSON array, where all of them have a position: see `Codec.by_position`."""
        return self._resolved.codec.by_position(args)

    def arguments_by_name(self, args: str) -> dict[str, object]:
        """Give stored arguments by parameter name, defaults filled in; raises as `decode` does."""
        return self._resolved.codec.by_name(args)

    def call(self, arguments: Arguments, context: Context[Any] | None = None) -> Any:
        """Call the handler; the context is given exactly where the handler wants it."""
        args, kwargs = arguments
        if context is not None:
            return self._function(context, *args, **kwargs)
        return self._function(*args, **kwargs) if kwargs else self._function(*args)

    def encode_result(self, value: object) -> Carried:
        """Give a result as JSON text, or None and the reason why it is not JSON."""
        return carried(value, "result")

    # -- bodies as they are stored -----------------------------------------------------------------------------------

    def sealed(self, job: NewJob, most: int) -> NewJob:
        """Give a job with its arguments as the store keeps them; ArgumentsError when they are more than ``most``."""
        args = seal(job.args, self.codecs, ("args", job.name))
        if (size := len(args.encode())) > most:
            raise ArgumentsError(too_large(self.name, size, most))
        return job if args is job.args else job.changed(args=args, version=SEALED_VERSION)

    def opened(self, args: str) -> str:
        """Give stored arguments as JSON of the handler's; Locked where this process lacks what that takes."""
        if not is_sealed(args):
            return args
        try:
            return unseal(self.name, args, self.codecs, [("args", name) for name in (self.name, *self.aliases)])
        except (Locked, Corrupt):
            raise
        except Exception as error:  # keys that cannot be fetched, a codec's own trouble: another time, or elsewhere
            raise Locked(f"{self.name}: its arguments cannot be opened: {type(error).__name__}: {error}") from error

    def sealed_result(self, result: Carried) -> Carried:
        """Give a result as the store keeps it, or None and the reason why it cannot be kept."""
        if not self.codecs or result.text is None:
            return result
        try:
            return Carried(seal(result.text, self.codecs, ("result", self.name)))
        except Exception as error:  # a key that cannot be had now: the job has done its work all the same
            return Carried(None, f"it cannot be sealed: {error}")

    def _opened_result(self, text: str) -> str:
        try:
            return unseal(self.name, text, self.codecs, [("result", name) for name in (self.name, *self.aliases)])
        except Exception as error:
            raise ResultUnavailable(f"{self.name}: the stored result cannot be opened here: {error}") from error

    @property
    def secretive(self) -> bool:
        """Whether it has secret arguments."""
        return bool(self._resolved.codec.secrets)

    def secrets_in(self, args: str) -> tuple[str, ...]:
        """Give the texts by which secret arguments may show in an error; none where no parameter is Secret."""
        secrets = self._resolved.codec.secrets
        if not secrets:
            return ()
        named = self._resolved.codec.by_name(self.opened(args))
        return texts_in([named[name] for name in secrets])

    # -- for drafts and handles --------------------------------------------------------------------------------------

    def unique_key(self, unique: Unique, args: str, priority: int) -> UniqueKey:
        """Make the unique key of a job with these encoded arguments."""
        codec = self._resolved.codec
        unique.check_secrets(self.name, codec.secrets)
        chosen: object = None
        if callable(unique.by):
            positional, named = codec.decode(args)
            try:
                chosen = unique.by(*positional, **named)
            except Exception as error:
                raise ArgumentsError(f"{self.name}: Unique(by=…) raised {error!r} for these arguments") from error
        return unique.key_of(self.name, codec.by_name(args), chosen, priority)

    def gates(self, said: Merged, args: str) -> tuple[Gate, ...]:
        """Give the gates of a job with these encoded arguments: its own, then those of its queue."""
        if not said.bounds:
            return said.gates
        self._check_secret_bounds()
        arguments = self._resolved.codec.by_name(args) if any(bound.names for bound in said.bounds) else {}
        return (*[gate_of(bound, self.name, arguments) for bound in said.bounds], *said.gates)

    def check_bounds(self, parameters: Collection[str]) -> None:
        """Check what limits tell apart; DefinitionError names what is no parameter."""
        for bound in self.rules.bounds:
            check_names(self.name, bound, parameters)

    def _check_secret_bounds(self) -> None:
        for bound in self.rules.bounds if self._resolved.codec.secrets else ():
            if taken := sorted(self._resolved.codec.secrets.intersection(bound.names)):
                raise DefinitionError(
                    f"{self.name}: a limit by `{taken[0]}`, which is Secret, would store its values readably; "
                    "name other arguments: by=…"
                )

    def handle(self, id: JobId | str, *, duplicate: bool = False) -> JobHandle[R_co]:
        """Give the handle of a job of this definition that has been enqueued."""
        return JobHandle(self._follower, JobId(id), self.name, self.store, duplicate, self.read_result)

    def handles(self, answers: Sequence[Enqueued]) -> list[JobHandle[R_co]]:
        """Give the handles of many jobs of this definition at once."""
        follower, name, store, read = self._follower, self.name, self.store, self.read_result
        return [JobHandle(follower, answer.id, name, store, answer.duplicate, read) for answer in answers]

    def read_result(self, text: str) -> R_co:
        """Make the handler's return type of a stored result; ResultUnavailable when it does not fit (any more)."""
        if is_sealed(text):
            text = self._opened_result(text)
        try:
            return cast("R_co", self._resolved.result_decoder.decode(text))
        except Exception as error:
            raise ResultUnavailable(f"{self.name}: the stored result does not fit its return type: {error}") from error

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
