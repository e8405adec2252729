"""What a periodic entry says, as it travels to the store and back."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

from stoker.core.job import Due, NewJob
from stoker.core.periodic import PERIODIC_TICK, NewEntry
from stoker.errors import ConfigurationError
from stoker.schedule.rhythm import Rhythm

Missed: TypeAlias = Literal["skip", "once", "all"]
"""What becomes of ticks that no worker was there for: nothing, one run for all of them, or a run for each."""


class Spec(msgspec.Struct, frozen=True, omit_defaults=True):
    """When, and which job. Durations in microseconds."""

    rhythm: Rhythm
    said: str
    """When, in the words of whoever wrote it."""
    job: dict[str, Any]
    """The fields of the job to enqueue that are not a `NewJob`'s defaults."""
    missed: Missed = "once"
    jitter: int = 0
    """The job is delayed by up to this; its tick is not."""
    run_on_start: bool = False
    """One more run each time the application's workers start."""
    version: int = 1
    """Of this format; what is newer than a worker knows it leaves to others."""

    def entry(self, name: str) -> NewEntry:
        """Give the entry as a store takes it."""
        return NewEntry(name, msgspec.json.encode(self.rhythm).decode(), msgspec.json.encode(self).decode())

    def job_at(self, tick: int, delay: int = 0, following: int | None = None) -> NewJob:
        """Give the job of one tick; one that has not begun at the ``following`` tick expires, unless it says otherwise.

        Where all missed runs are to be made up for, none expires: each is wanted, however late.
        """
        job = msgspec.convert(self.job, NewJob)
        expires = job.expires
        if expires is None and following is not None and self.missed != "all":
            expires = Due(at=following + self.jitter)
        return job.changed(meta={PERIODIC_TICK: tick}, due=Due(delay), expires=expires)


_VERSION: Final = Spec.__struct_defaults__[-1]


_spec: Final = msgspec.json.Decoder(Spec)


def read_spec(text: str) -> Spec:
    """Read what a store has; ValueError when it is not of this version, or not possible on this machine."""
    try:
        spec = _spec.decode(text)
        spec.job_at(0)
        spec.rhythm.check()
    except (msgspec.MsgspecError, ConfigurationError) as error:
        raise ValueError(f"its specification cannot be read: {error}") from error
    if spec.version > _VERSION:
        raise ValueError(f"its specification is of version {spec.version}, this worker knows {_VERSION}")
    return spec


def template(job: NewJob) -> dict[str, Any]:
    """Give the fields of a job that are not the defaults: so a field that a later version adds changes no entry.

    A key that must be free is one that is left to its holder: a tick cannot fail.
    """
    if job.unique is not None and job.unique.on_conflict == "raise":
        job = msgspec.structs.replace(job, unique=msgspec.structs.replace(job.unique, on_conflict="keep"))
    said: dict[str, Any] = msgspec.to_builtins(job)
    plain: dict[str, Any] = msgspec.to_builtins(NewJob(job.name, job.args))
    return {name: value for name, value in said.items() if name in ("name", "args") or value != plain[name]}
