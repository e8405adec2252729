"""`stoker jobs`: look at jobs and change them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click
import msgspec

from stoker.cli.changing import CHANGES, Change, change
from stoker.cli.filters import filtered
from stoker.cli.invocation import Family, current
from stoker.cli.output import number_of, print_json, print_table
from stoker.cli.stores import store_option
from stoker.core.duration import SECOND
from stoker.core.filters import Filter
from stoker.core.job import FINAL, JobId, State

_LOCO_STATES: Final = {
    "queued": (State.SCHEDULED, State.AVAILABLE, State.RETRYABLE),
    "processing": (State.RUNNING,),
    "failed": (State.DISCARDED,),
}
"""States by the names that Loco has for them."""


@click.group(cls=Family)
def jobs() -> None:
    """List, show, cancel, retry, replay, promote and delete jobs."""


@jobs.command("list")
@filtered
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
@store_option
def list_jobs(only: Filter, limit: int, store: str | None) -> None:
    """List jobs, the newest first."""
    from stoker.cli.records import COLUMNS, record_of, row_of

    found = current().operations(store).find(only, limit)
    if current().as_json:
        print_json([record_of(job).to_json() for job in found])
        return
    print_table(COLUMNS, [row_of(record_of(job)) for job in found])
    if len(found) == limit:
        click.echo(f"the newest {number_of(limit)}; there may be more: --limit", err=True)


@jobs.command("show")
@click.argument("id")
@click.option("--logs", is_flag=True, help="With the lines that its attempts logged.")
@store_option
def show(id: str, logs: bool, store: str | None) -> None:
    """Show all that is known of a job."""
    from stoker.cli.records import logs_as_json, print_logs, print_record, record_of

    operations = current().operations(store)
    record = record_of(operations.show(JobId(id)))
    kept = operations.logs(record.id) if logs else None
    batch = None if record.batch is None else operations.batch(record.batch)
    if current().as_json:
        plain = {} if batch is None else {"batch_progress": msgspec.to_builtins(batch)}
        print_json({**record.to_json(), **plain, **({} if kept is None else logs_as_json(kept))})
    else:
        print_record(record)
        if batch is not None:
            click.echo(f"{batch.kind} {batch.name or batch.id}: {batch}")
        if kept is not None:
            print_logs(kept)


def _changing(name: str, how: Change) -> None:
    """Define the command of one change."""

    def command(only: Filter, ids: tuple[str, ...], everything: bool, dry_run: bool, store: str | None) -> int:
        if ids:
            only = msgspec.structs.replace(only, ids=(*only.ids, *(JobId(id) for id in ids)))
        return change(name, only, everything=everything, dry_run=dry_run, store=store)

    command.__doc__ = (
        f"{how.help}\n\nGive ids, a filter, or --all. Applies to jobs that are {', '.join(how.sorted_states)}."
    )
    jobs.command(name)(_many(click.argument("ids", nargs=-1, metavar="[ID]...")(command), filtered))


def _many(command: Callable[..., int], choose: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that changes many jobs the options that all of them have."""
    command = store_option(command)
    command = click.option("--dry-run", is_flag=True, help="Count only, change nothing.")(command)
    command = click.option("--all", "everything", is_flag=True, help="All jobs, without a filter.")(command)
    chosen: Callable[..., Any] = choose(command)
    return chosen


for _name, _how in CHANGES.items():
    _changing(_name, _how)


@jobs.command("tidy")
@click.option("--dry-run", is_flag=True, help="Count only, change nothing.")
@store_option
def tidy(dry_run: bool, store: str | None) -> int:
    """Delete completed and cancelled jobs (Loco's word for it)."""
    only = Filter(states=(State.COMPLETED, State.CANCELLED))
    return change("delete", only, dry_run=dry_run, store=store)


@jobs.command("purge")
@click.option(
    "--max-age", type=click.IntRange(min=0), default=90, show_default=True, metavar="DAYS", help="Older ones."
)
@click.option("--status", multiple=True, metavar="STATE[,STATE]", help="In these states only, stoker's or Loco's.")
@click.option("--dry-run", is_flag=True, help="Count only, change nothing.")
@store_option
def purge(max_age: int, status: tuple[str, ...], dry_run: bool, store: str | None) -> int:
    """Delete finished jobs that were enqueued long ago (Loco's word for it)."""
    states = [state for text in status for name in text.split(",") for state in _states_named(name.strip())]
    before = current().target().clock.now() - max_age * 86_400 * SECOND
    only = Filter(states=tuple(states) or tuple(sorted(FINAL)), enqueued_before=before)
    return change("delete", only, dry_run=dry_run, store=store)


def _states_named(name: str) -> tuple[State, ...]:
    if name in _LOCO_STATES:
        return _LOCO_STATES[name]
    if name not in list(State):
        raise click.BadParameter(f"no state {name!r}; there are {', '.join([*State, *_LOCO_STATES])}")
    return (State(name),)
