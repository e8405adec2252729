"""`stoker queues move`: take waiting jobs from one store to another."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from stoker.cli.changing import agreed
from stoker.cli.exits import ExitCode
from stoker.cli.filters import filtered
from stoker.cli.invocation import Verb, current
from stoker.cli.output import number_of, print_json
from stoker.cli.stores import shown_url
from stoker.core.filters import Filter
from stoker.core.job import WAITING, State
from stoker.errors import StoreUnavailable

if TYPE_CHECKING:
    from stoker.app.moving import Moved, Mover, Place
    from stoker.jobs.defined import DefinedJob

_WAITING: Final = tuple(state for state in State if state in WAITING)


@click.command(cls=Verb)
@click.option("--from-store", required=True, metavar="NAME", help="The store that jobs are taken from.")
@click.option("--to-store", default="default", metavar="NAME", help="The one they go to; else the default store.")
@filtered
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many.")
@click.option("--dry-run", is_flag=True, help="Only say how many match.")
def move(from_store: str, to_store: str, only: Filter, limit: int | None, dry_run: bool) -> int:
    """Take waiting jobs from one store to another; killed in the middle and run again, none is lost or there twice."""
    from stoker.app.moving import Mover

    states = tuple(state for state in _WAITING if not only.states or state in only.states)
    if not states:
        raise click.UsageError(
            f"move does not apply to jobs that are {' or '.join(only.states)}, only to those that are "
            f"{', '.join(_WAITING)}"
        )
    source = _place(from_store)
    mover = Mover(source, _place(to_store), _definitions(source), current().target().defaults)
    unfinished = sum(hold.jobs for hold in mover.unfinished())
    only = msgspec.structs.replace(only, states=states)
    count = _count(from_store, only, limit)
    before = f", and {number_of(unfinished)} of an earlier move on the way" if unfinished else ""
    click.echo(f"{number_of(count)} {'matches' if count == 1 else 'match'}{before}", err=current().as_json)
    if not dry_run and count + unfinished and not agreed("move", count + unfinished):
        click.echo("nothing was moved", err=True)
        return ExitCode.FAILURE
    done = None if dry_run else _carry_out(mover, only, limit)
    left = 0 if dry_run or limit is not None else _count(from_store, only, None)
    _report(count, unfinished, done, left)
    return ExitCode.FAILURE if done is not None and done.taken_back else ExitCode.CLEAN


def _place(name: str) -> Place:
    from stoker.app.moving import Place

    return Place(current().target().store(name), name, shown_url(current().target(), name))


def _definitions(source: Place) -> Mapping[str, DefinedJob[Any]]:
    from stoker.stores.urls import usual_attempts

    # Elsewhere each job says how often it is tried, and the code need not be there.
    return {} if usual_attempts(source.store.url) is None else current().loaded_or_target().performable


def _count(name: str, only: Filter, limit: int | None) -> int:
    operations = current().operations(name)
    if only == Filter(queues=only.queues, names=only.names, states=only.states):
        # The store has these sums; else every job would have to be read.
        count = sum(
            row.count
            for row in operations.counts()
            if row.state in only.states
            and (not only.queues or row.queue in only.queues)
            and (not only.names or row.name in only.names)
        )
    else:
        count = operations.count(only)
    return count if limit is None else min(count, limit)


def _carry_out(mover: Mover, only: Filter, limit: int | None) -> Moved:
    done = None

    def tell(so_far: Moved) -> None:
        nonlocal done
        done = so_far
        if sys.stderr.isatty():
            click.echo(f"\r{so_far.moved:,} moved", err=True, nl=False)

    try:
        return mover.move(only, limit, tell)
    except StoreUnavailable:
        moved = 0 if done is None else done.moved
        click.echo(f"{number_of(moved)} moved; nothing is lost: run the same command again to go on", err=True)
        raise
    finally:
        if done is not None and sys.stderr.isatty():
            click.echo(err=True)


def _report(matching: int, unfinished: int, done: Moved | None, left: int) -> None:
    if current().as_json:
        said = {} if done is None else msgspec.to_builtins(done)
        print_json({"verb": "move", "matching": matching, "unfinished": unfinished, "dry_run": done is None, **said})
        return
    if done is None:
        click.echo("dry run: nothing was moved")
        return
    resumed = f", {done.resumed:,} of them from an earlier move" if done.resumed else ""
    click.echo(f"{number_of(done.moved)} moved{resumed}")
    if done.duplicates:
        click.echo(f"{number_of(done.duplicates)} of them were there already, by their unique key")
    if left:
        click.echo(f"{number_of(left)} left: members of batches, which stay with their batch, or new since")
    if done.taken_back:
        click.echo(
            f"stoker: {number_of(done.taken_back)} taken back by force meanwhile: they may be in both stores",
            err=True,
        )
