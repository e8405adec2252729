"""What one worker is to serve, as its starter says it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, TypedDict

import msgspec

from stoker.core.duration import SECOND, Duration, micros
from stoker.errors import ConfigurationError


class WorkOptions(TypedDict, total=False):
    """What ``app.work(…)`` takes; what is not given is left to the settings."""

    queues: Sequence[str]
    """``"mail"``, or ``"mail:10"`` with ten slots of its own."""
    exclude_queues: Sequence[str]
    names: Sequence[str]
    exclude_names: Sequence[str]
    tags: Sequence[str]
    """Take the jobs that share one of these tags; none takes those that have none."""
    all_tags: bool
    """Take all jobs, whatever their tags."""
    strict_order: bool
    """Serve the queues in this order: the next one only when those before it have no job left."""
    concurrency: int
    """Jobs running at once in the shared pool."""
    periodic: bool
    """Whether it sees to periodic jobs too; it does unless told otherwise."""
    grace: Duration
    """How long running jobs have when the worker stops."""


_LISTS: Final = ("queues", "exclude_queues", "names", "exclude_names", "tags")


class Choice(msgspec.Struct, frozen=True):
    """What was chosen for one worker; None leaves it to the settings."""

    queues: tuple[str, ...] | None = None
    """``"mail"`` or ``"mail:10"``, the latter with ten slots of its own."""
    exclude_queues: tuple[str, ...] = ()
    names: tuple[str, ...] | None = None
    exclude_names: tuple[str, ...] = ()
    tags: tuple[str, ...] | None = None
    all_tags: bool = False
    strict_order: bool = False
    concurrency: Annotated[int, msgspec.Meta(ge=1)] | None = None
    grace: float | None = None
    periodic: bool = True

    @classmethod
    def of(cls, options: WorkOptions) -> Choice:
        """Make it of keyword options; ConfigurationError names the one that will not do."""
        given = dict(options)
        for name, value in given.items():
            if name not in cls.__struct_fields__:
                there = ", ".join(cls.__struct_fields__)
                raise ConfigurationError(f"work: unknown option {name!r}; there are: {there}")
            if isinstance(value, str) and name in _LISTS:
                raise ConfigurationError(f"work: {name}={value!r} is one text: write a list, {name}=[{value!r}]")
        if (grace := options.get("grace")) is not None:
            given["grace"] = micros(grace, "work: grace") / SECOND
        try:
            return msgspec.convert(given, cls)
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"work: {error}") from None
