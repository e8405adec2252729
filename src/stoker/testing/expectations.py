"""What a test expects to have been enqueued, what comes closest, and how both are said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypedDict

import msgspec

from stoker.core.duration import SECOND, Duration, instant_micros, micros
from stoker.core.hiding import blanked
from stoker.core.job import State, StoredJob
from stoker.jobs.carriers import to_carried
from stoker.jobs.defined import DefinedJob
from stoker.jobs.draft import Draft
from stoker.jobs.record import read_json

WORDS = ("args", "queue", "priority", "delay", "at", "labels", "meta", "state", "store")


class Expected(TypedDict, total=False):
    """What may be expected of a job besides its name; what is not given may be anything."""

    args: Mapping[str, object]
    """Some of its arguments by name, as the handler gets them or as JSON has them."""
    queue: str
    priority: int
    delay: Duration
    """From its enqueue until it is to run."""
    at: datetime
    """When it is to run."""
    labels: Sequence[str]
    """Some of its labels."""
    meta: Mapping[str, object]
    """Some of its meta."""
    state: State | str
    """What has become of it."""
    store: str


class Kept(msgspec.Struct, frozen=True):
    """A job of a sandbox, its store's name, and its definition if the application knows the name."""

    job: StoredJob
    store: str
    definition: DefinedJob[Any] | None

    @property
    def args(self) -> object:
        """The arguments as the handler gets them, by name; as JSON where no handler's signature is known."""
        return self.plain if self.definition is None else self.definition.arguments_by_name(self._opened)

    @property
    def plain(self) -> object:
        """The arguments as JSON."""
        plain: object = read_json(self._opened)
        return plain

    @property
    def _opened(self) -> str:
        return self.job.args if self.definition is None else self.definition.opened(self.job.args)

    def __str__(self) -> str:
        """Say it in a line of a failure."""
        job = self.job
        said = [f"queue={job.queue!r}", f"state={job.state.value}"]
        if job.priority:
            said.append(f"priority={job.priority}")
        if job.run_at > job.enqueued_at:
            said.append(f"delay={(job.run_at - job.enqueued_at) / SECOND:g}s")
        if job.labels:
            said.append(f"labels={list(job.labels)}")
        if job.meta != "{}":
            said.append(f"meta={job.meta}")
        return f"{job.name} {self.shown_args} {' '.join(said)}"

    @property
    def shown_args(self) -> str:
        """The arguments as a failure shows them."""
        hidden = () if self.definition is None else self.definition.secrets_in(self.job.args)
        return blanked(self._opened, hidden)


class Wanted:
    """A job to look for: its name or draft, and what else is expected of it."""

    def __init__(self, job: DefinedJob[Any] | Draft[Any] | str | None, expected: Mapping[str, Any]) -> None:
        unknown = [word for word in expected if word not in WORDS]
        if unknown:
            raise TypeError(f"{unknown[0]!r} cannot be expected of a job; write one of {', '.join(WORDS)}")
        self.expected = expected
        self.exact = read_json(job.args) if isinstance(job, Draft) else None
        if not isinstance(job, DefinedJob | Draft | str | None):
            raise TypeError(f"{job!r} is no job: write one that @app.job made, a draft of it, or its name")
        if expected.get("state", "running") not in list(State):
            raise ValueError(f"state={expected['state']!r} is none; there are {', '.join(State)}")
        self.name = job if isinstance(job, str) or job is None else job.name

    def same_name(self, kept: Kept) -> bool:
        """Tell whether it is the job's name, or one of its aliases."""
        aliases = () if kept.definition is None else (kept.definition.name, *kept.definition.aliases)
        return self.name is None or self.name == kept.job.name or self.name in aliases

    def misses(self, kept: Kept) -> list[str]:
        """Name what of a job is not as expected."""
        checks = [word for word, value in self.expected.items() if not _FITS[word](kept, value)]
        if self.exact is not None and kept.plain != self.exact:
            checks.append("args")
        return checks

    def matches(self, kept: Kept) -> bool:
        """Tell whether a job is what is looked for."""
        return self.same_name(kept) and not self.misses(kept)

    def __str__(self) -> str:
        said = [f"{word}={value!r}" for word, value in self.expected.items()]
        if self.exact is not None:
            said.insert(0, f"args={self.exact!r}")
        return " ".join([self.name or "a job", *said])


def nothing_like(wanted: Wanted, kept: Sequence[Kept], found: int, count: int | None) -> str:
    """Say that what was expected is not there, and what is."""
    number = "no job was" if not found else f"{found} were"
    asked = "" if count is None else f", {count} expected"
    return f"enqueued: {wanted}: {number}{asked}\n{listing(wanted, kept)}"


def listing(wanted: Wanted, kept: Sequence[Kept]) -> str:
    """Write down what was enqueued, the likest first, each with what of it is not as expected."""
    if not kept:
        return "nothing was enqueued"
    ranked = sorted(kept, key=lambda one: (not wanted.same_name(one), len(wanted.misses(one))))
    lines = ["what was enqueued:"]
    for one in ranked:
        misses = ", ".join(wanted.misses(one) if wanted.same_name(one) else ["name"])
        lines.append(f"  {one}   (not as expected: {misses})" if misses else f"  {one}")
    return "\n".join(lines)


def _has_args(kept: Kept, wanted: Mapping[str, object]) -> bool:
    args = kept.args
    if not isinstance(args, Mapping):
        return False
    plain = kept.plain
    return all(
        name in args and (value == args[name] or _plain(value) == _item(plain, name)) for name, value in wanted.items()
    )


def _plain(value: object) -> object:
    """Give a value as JSON would bring it back; an object that equals nothing where it is not JSON."""
    try:
        return msgspec.json.decode(msgspec.json.encode(value, enc_hook=to_carried))
    except Exception:  # a matcher such as mock.ANY, or the user's own: its == has been asked already
        return _NOTHING


def _item(plain: object, name: str) -> object:
    return plain.get(name, _ABSENT) if isinstance(plain, dict) else _ABSENT


_NOTHING, _ABSENT = object(), object()


def _has_meta(kept: Kept, wanted: Mapping[str, object]) -> bool:
    meta = read_json(kept.job.meta)
    return all(name in meta and meta[name] == value for name, value in wanted.items())


_FITS: Final[Mapping[str, Callable[[Kept, Any], bool]]] = {
    "args": _has_args,
    "queue": lambda kept, queue: kept.job.queue == queue,
    "priority": lambda kept, priority: kept.job.priority == priority,
    "delay": lambda kept, delay: kept.job.run_at - kept.job.enqueued_at == micros(delay, "delay"),
    "at": lambda kept, at: kept.job.run_at == instant_micros(at, "at"),
    "labels": lambda kept, labels: set(labels) <= set(kept.job.labels),
    "meta": _has_meta,
    "state": lambda kept, state: kept.job.state == State(state),
    "store": lambda kept, store: kept.store == store,
}
