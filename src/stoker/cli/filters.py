"""The options that choose jobs, the same for every command that looks at or changes many."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import click

from stoker.cli.moments import read_moment
from stoker.core.filters import Filter
from stoker.core.job import JobId, State

_SINCE_BEFORE: Final = tuple(
    f"{what}_{side}" for what in ("enqueued", "failed", "finished") for side in ("since", "before")
)
_FIELDS: Final = ("id", "name", "queue", "state", "tag", "label", "batch", "arg", "error", *_SINCE_BEFORE)


def read_argument(text: str) -> tuple[str, str]:
    """Read ``PATH=JSON`` as (dotted path, JSON text); click.BadParameter."""
    path, equals, value = text.partition("=")
    if not path or not equals:
        raise click.BadParameter(f"{text!r} is not PATH=JSON; write user.id=42")
    try:
        json.loads(value)
    except ValueError:
        quoted = f"'{path}={json.dumps(value)}'"
        raise click.BadParameter(f"{value!r} is not JSON; write text in double quotes: {quoted}") from None
    return path, value


def filtered(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the filter's options; it is called with one `Filter` as ``only``."""

    @functools.wraps(command)
    def with_filter(**options: Any) -> Any:
        chosen = {field: options.pop(field) for field in _FIELDS}
        return command(only=_filter(chosen), **options)

    return functools.reduce(lambda made, option: option(made), reversed(_options()), with_filter)


def _options() -> Sequence[Callable[[Callable[..., Any]], Callable[..., Any]]]:
    return (
        click.option("--id", multiple=True, metavar="ID", help="This job. Repeated options choose more."),
        click.option("--name", multiple=True, metavar="NAME", help="Jobs of this name."),
        click.option("--queue", multiple=True, metavar="QUEUE", help="Jobs of this queue."),
        click.option(
            "--state",
            multiple=True,
            type=click.Choice([state.value for state in State]),
            metavar="STATE",
            help=f"Jobs in this state: {', '.join(State)}.",
        ),
        click.option("--tag", multiple=True, metavar="TAG", help="Jobs with this tag."),
        click.option("--batch", multiple=True, metavar="ID", help="Jobs of this batch or workflow."),
        click.option("--label", multiple=True, metavar="LABEL", help="Jobs with this label."),
        click.option(
            "--arg",
            multiple=True,
            type=read_argument,
            metavar="PATH=JSON",
            help="Jobs whose arguments have this value at this path, e.g. user.id=42.",
        ),
        click.option("--error", metavar="TEXT", help="Jobs whose latest error has this text in its type or message."),
        *map(_time_option, _SINCE_BEFORE),
    )


def _time_option(field: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    words = field.replace("_", " ")
    return click.option(
        f"--{field.replace('_', '-')}",
        type=read_moment,
        metavar="TIME",
        help=f"Jobs {words} this time: 2027-01-31T12:00:00Z, or an age such as 2h.",
    )


def _filter(chosen: dict[str, Any]) -> Filter:
    return Filter(
        ids=tuple(JobId(id) for id in chosen["id"]),
        names=chosen["name"],
        queues=chosen["queue"],
        states=tuple(State(state) for state in chosen["state"]),
        tags=chosen["tag"],
        labels=chosen["label"],
        batches=chosen["batch"],
        args=chosen["arg"],
        error=chosen["error"],
        **{field: chosen[field] for field in _SINCE_BEFORE},
    )
