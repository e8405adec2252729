"""What ``app.periodic`` takes: periodic entries as code declares them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypedDict, TypeVar, Unpack, overload

import msgspec

from stoker.core.duration import Duration, micros
from stoker.core.job import NOW
from stoker.errors import ConfigurationError, DefinitionError
from stoker.jobs.definition import JobDefinition
from stoker.jobs.draft import Draft
from stoker.jobs.options import Defaults

if TYPE_CHECKING:
    from stoker.schedule.rhythm import Rhythm
    from stoker.schedule.spec import Spec

J = TypeVar("J", bound="JobDefinition[..., Any]")
Arguments: TypeAlias = Mapping[str, Any] | Sequence[Any]
MISSED: Final = ("skip", "once", "all")


class PeriodicOptions(TypedDict, total=False):
    """What ``app.periodic(…)`` takes beside the time and the job."""

    tz: str
    """Name of the time zone whose clock on the wall is meant; UTC unless given."""
    missed: Literal["skip", "once", "all"]
    """What becomes of runs that no worker was there for; ``once`` unless given."""
    jitter: Duration
    """Delays each run by a random time up to this."""
    start: datetime
    """Nothing is due before."""
    end: datetime
    """Nothing is due after."""
    run_on_start: bool
    """Runs once more when the application's workers start."""


class Declared(msgspec.Struct, frozen=True):
    """One periodic entry; its job is made when a worker registers it, because hints are resolved late."""

    name: str
    rhythm: Rhythm
    said: str
    job: JobDefinition[..., Any]
    draft: Callable[[], Draft[Any]]
    options: PeriodicOptions

    @property
    def store(self) -> str:
        """Name of the store that its jobs go to."""
        return self.job.store

    def spec(self, defaults: Defaults) -> Spec:
        """Give what the store keeps; ArgumentsError when the arguments do not fit the job."""
        from stoker.schedule.spec import Spec, template

        draft, options = self.draft(), self.options
        if draft.args != "{}" and any(codec.hides for codec in draft.definition.codecs):
            raise DefinitionError(
                f"periodic {self.name}: {draft.name} encrypts arguments, but those of an entry are stored readably; "
                "leave them to the handler's defaults, or enqueue the job from a periodic one that has none"
            )
        return Spec(
            self.rhythm,
            self.said,
            template(draft.new_job(defaults)),
            options.get("missed", "once"),
            micros(options.get("jitter", 0), f"{self.name}: jitter"),
            options.get("run_on_start", False),
        )


class Periodic:
    """Declares periodic jobs: ``@app.periodic("0 3 * * *")`` above a job, or ``app.periodic(when, draft, name=…)``.

    When is text: cron with five fields or six (seconds first), an alias such as ``@daily``, or English words such as
    ``"every 5 minutes"`` or ``"at 10:30 on mondays"``; or else ``every=`` a duration. DefinitionError: what is wrong.
    """

    def __init__(self) -> None:
        self._declared: dict[str, Declared] = {}

    @property
    def declared(self) -> tuple[Declared, ...]:
        """Everything declared by code so far."""
        return tuple(self._declared.values())

    @overload
    def __call__(
        self, when: str, /, *, name: str = ..., args: Arguments = ..., **options: Unpack[PeriodicOptions]
    ) -> Callable[[J], J]: ...
    @overload
    def __call__(
        self, /, *, every: Duration, name: str = ..., args: Arguments = ..., **options: Unpack[PeriodicOptions]
    ) -> Callable[[J], J]: ...
    @overload
    def __call__(self, when: str, draft: Draft[Any], /, *, name: str, **options: Unpack[PeriodicOptions]) -> None: ...
    @overload
    def __call__(
        self, draft: Draft[Any], /, *, every: Duration, name: str, **options: Unpack[PeriodicOptions]
    ) -> None: ...
    def __call__(
        self,
        when: str | Draft[Any] | None = None,
        draft: Draft[Any] | None = None,
        /,
        *,
        every: Duration | None = None,
        name: str | None = None,
        args: Arguments = (),
        **options: Unpack[PeriodicOptions],
    ) -> Callable[[J], J] | None:
        """Declare a periodic job."""
        if isinstance(when, Draft):
            when, draft = None, when
        if draft is not None:
            self._declare_draft(draft, when, every, name, options)
            return None

        def decorate(job: J) -> J:
            if not isinstance(job, JobDefinition):
                raise DefinitionError(f"periodic: {job!r} is no job; write @app.periodic(…) above @app.job")
            if isinstance(args, str | bytes):
                raise DefinitionError(
                    f"periodic {name or job.name}: args is {args!r}; write a mapping by name, or a list by position"
                )

            def draft() -> Draft[Any]:
                return job.draft(**args) if isinstance(args, Mapping) else job.draft(*args)

            self._declare(declared(name or job.name, job, draft, when, every, options))
            return job

        if when is None and every is None:
            raise DefinitionError('periodic: say when: @app.periodic("0 3 * * *") or @app.periodic(every="5m")')
        return decorate

    def _declare_draft(
        self,
        draft: Draft[Any],
        when: str | None,
        every: Duration | None,
        name: str | None,
        options: PeriodicOptions,
    ) -> None:
        if name is None:
            raise DefinitionError(f"periodic: an entry for {draft!r} needs a name: name=…")
        if draft.terms.due not in (None, NOW) or draft.terms.transaction is not None:
            raise DefinitionError(f"periodic {name}: delay=, at= and transaction= have no meaning for a periodic job")
        if not isinstance(draft.definition, JobDefinition):
            raise DefinitionError(f"periodic {name}: {draft!r} is no draft of a job of this application")
        self._declare(declared(name, draft.definition, lambda: draft, when, every, options))

    def _declare(self, entry: Declared) -> None:
        holder = self._declared.get(entry.name)
        # The same source run again, as `__main__` and by import, makes the job anew; two entries of one job do not.
        again = holder is not None and holder.job.name == entry.job.name and holder.job is not entry.job
        if holder is not None and not again and (holder.rhythm, holder.said) != (entry.rhythm, entry.said):
            raise DefinitionError(
                f"two periodic entries are named {entry.name!r} ({holder.said!r} and {entry.said!r}); "
                f'give one a name of its own: name="{entry.name}-2"'
            )
        self._declared[entry.name] = entry


def declared(
    name: str,
    job: JobDefinition[..., Any],
    draft: Callable[[], Draft[Any]],
    when: str | None,
    every: Duration | None,
    options: PeriodicOptions,
) -> Declared:
    """Check what was said of an entry; DefinitionError names the entry and what is wrong."""
    from stoker.jobs.checks import job_name
    from stoker.schedule.rhythm import rhythm_of

    job_name(f"periodic {name}: name", name)
    if unknown := options.keys() - PeriodicOptions.__annotations__.keys():
        known = ", ".join(PeriodicOptions.__annotations__)
        raise DefinitionError(
            f"periodic {name}: unknown option {min(unknown)!r}; there are: every, name, args, {known}"
        )
    if (missed := options.get("missed", "once")) not in MISSED:
        raise DefinitionError(f'periodic {name}: missed is {missed!r}; write "skip", "once" or "all"')
    if not isinstance(at_start := options.get("run_on_start", False), bool):
        raise DefinitionError(f"periodic {name}: run_on_start is {at_start!r}; write True or False")
    try:
        micros(options.get("jitter", 0), "jitter")
        rhythm = rhythm_of(when, every, options.get("tz", "UTC"), options.get("start"), options.get("end"))
    except ConfigurationError as error:
        raise DefinitionError(f"periodic {name}: {error}") from None
    said = when if when is not None else f"every {every}"
    return Declared(name, rhythm, said, job, draft, options)
