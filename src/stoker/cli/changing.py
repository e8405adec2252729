"""How commands change many jobs: count first, ask, change, and say how many were changed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import click
import msgspec

from stoker.cli.exits import ExitCode
from stoker.cli.invocation import current
from stoker.cli.output import number_of, print_json
from stoker.core.filters import Filter
from stoker.core.job import FINAL, WAITING, JobId, State

if TYPE_CHECKING:
    from stoker.app.operations import Operations


class Change(NamedTuple):
    """A way to change jobs: what it does, to jobs in which states, and the word for having done it."""

    help: str
    done: str
    states: frozenset[State]
    run: Callable[[Operations, Filter], int | Sequence[JobId]]

    @property
    def sorted_states(self) -> tuple[State, ...]:
        """The states, in the order of a job's life."""
        return tuple(state for state in State if state in self.states)


CHANGES: Final = {
    "cancel": Change(
        "Cancel waiting jobs, and ask running ones to stop.",
        "cancelled",
        WAITING | {State.RUNNING},
        lambda operations, only: operations.cancel(only),
    ),
    "retry": Change(
        "Make jobs available again, with at least one attempt left.",
        "retried",
        frozenset({State.CANCELLED, State.DISCARDED, State.RETRYABLE, State.SCHEDULED}),
        lambda operations, only: operations.retry(only),
    ),
    "replay": Change(
        "Enqueue finished jobs again, as new jobs with the same arguments.",
        "replayed",
        FINAL,
        lambda operations, only: operations.replay(only),
    ),
    "promote": Change(
        "Make scheduled and retryable jobs available now.",
        "promoted",
        frozenset({State.SCHEDULED, State.RETRYABLE}),
        lambda operations, only: operations.promote(only),
    ),
    "delete": Change(
        "Delete jobs that do not run.",
        "deleted",
        frozenset(State) - {State.RUNNING},
        lambda operations, only: operations.delete(only),
    ),
}


def change(
    verb: str, only: Filter, *, everything: bool = False, dry_run: bool = False, store: str | None = None
) -> ExitCode:
    """Change the matching jobs that the verb applies to, and give the exit code."""
    how, asked = CHANGES[verb], current()
    if only.empty != everything:
        raise click.UsageError("--all and a filter exclude each other" if everything else _NO_FILTER)
    by_id = bool(only.ids) and only == Filter(ids=only.ids)
    only = _applicable(verb, only, how)
    operations = asked.operations(store)
    count = operations.count(only)
    click.echo(f"{number_of(count)} {'matches' if count == 1 else 'match'}", err=asked.as_json)
    if not dry_run and count and not by_id and not agreed(verb, count):
        click.echo("nothing was changed", err=True)
        return ExitCode.FAILURE
    running = operations.count(msgspec.structs.replace(only, states=(State.RUNNING,))) if verb == "cancel" else 0
    answer = how.run(operations, only) if count and not dry_run else 0
    _report(verb, count, answer, dry_run=dry_run, running=running)
    if not by_id or count:
        return ExitCode.CLEAN
    states = ", ".join(how.sorted_states)
    click.echo(f"stoker: {verb} applies to jobs that are {states}; look with: stoker jobs show ID", err=True)
    return ExitCode.FAILURE


_NO_FILTER: Final = "this changes many jobs: give ids, a filter such as --queue or --state, or --all"


def _applicable(verb: str, only: Filter, how: Change) -> Filter:
    states = tuple(state for state in how.sorted_states if not only.states or state in only.states)
    if not states:
        raise click.UsageError(
            f"{verb} does not apply to jobs that are {' or '.join(only.states)}, "
            f"only to those that are {', '.join(how.sorted_states)}"
        )
    return msgspec.structs.replace(only, states=states)


def agreed(verb: str, count: int) -> bool:
    """Ask whether to go on, where somebody looks at a terminal who did not say yes before."""
    if current().yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    return click.confirm(f"{verb} {number_of(count)}?", err=True)


def _report(verb: str, matching: int, answer: int | Sequence[JobId], *, dry_run: bool, running: int) -> None:
    how = CHANGES[verb]
    changed = answer if isinstance(answer, int) else len(answer)
    if current().as_json:
        made = {} if isinstance(answer, int) else {"ids": list(answer)}
        print_json({"verb": verb, "matching": matching, "changed": changed, "dry_run": dry_run, **made})
        return
    if dry_run:
        click.echo(f"dry run: nothing was {how.done}")
        return
    if matching:
        others = f"; {number_of(matching - changed)} could not be, or changed meanwhile" if changed < matching else ""
        asked = "; running ones are asked to stop" if running else ""
        click.echo(f"{number_of(changed)} {how.done}{asked}{others}")
    if not isinstance(answer, int):
        for id in answer:
            click.echo(id)
