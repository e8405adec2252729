"""`stoker status`: how the stores stand, and what nobody serves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
import msgspec

from stoker.cli.invocation import Verb, current
from stoker.cli.outlooks import outlook_lines, outlook_of, plain_outlook
from stoker.cli.output import number_of, print_json, print_table, with_times
from stoker.cli.stores import shown_url
from stoker.core.job import WAITING, State

if TYPE_CHECKING:
    from stoker.app.operations import StoreStatus


@click.command(cls=Verb)
@click.option("--store", metavar="NAME", help="One of the application's stores, by name; else all.")
def status(store: str | None) -> None:
    """Say how the stores stand: lag, states, rates, and what nobody serves."""
    names = [store] if store else current().store_names()
    retiring = current().target().settings.retiring
    found = [(status := _status(name), outlook_of(name, status)) for name in names]
    if current().as_json:
        plain = [{**_plain(status), **plain_outlook(seen, retiring=status.name in retiring)} for status, seen in found]
        print_json({"stores": plain})
        return
    for number, (status, seen) in enumerate(found):
        if number:
            click.echo()
        _print(status)
        for line in outlook_lines(status.name, seen, retiring=status.name in retiring, asked=bool(store)):
            click.echo(line)


def _status(name: str) -> StoreStatus:
    status = current().operations(name).status()
    return msgspec.structs.replace(status, url=shown_url(current().target(), name))


def _plain(status: StoreStatus) -> dict[str, Any]:
    from stoker.app.operations import as_plain

    plain: dict[str, Any] = as_plain(status)
    known = plain["workers"]
    return {**plain, "workers": known and [with_times(one, "started_at", "beat_at") for one in known]}


def _print(status: StoreStatus) -> None:
    seen = "does not know its workers"
    if status.workers is not None:
        seen = f"{number_of(len(status.workers), 'worker')}, {status.rate:g} jobs/s"
    click.echo(f"{status.name}  {status.url}  {seen}")
    rows = [(one.name, f"{one.lag_seconds:g} s", *one.states.values()) for one in status.queues]
    if rows:
        print_table(("queue", "lag", *State), rows)
    else:
        click.echo("no jobs" if status.workers is None else "no jobs, no workers")
    for line in _remarks(status):
        click.echo(line)


def _remarks(status: StoreStatus) -> Iterator[str]:
    for queue in status.queues:
        waiting = sum(queue.states[state] for state in WAITING)
        if queue.paused:
            yield f"queue {queue.name} is paused"
        if waiting and queue.served is False:
            yield f"queue {queue.name}: no live worker serves it; {number_of(waiting)} waiting"
        elif queue.unserved.names:
            yield f"queue {queue.name}: no live worker knows {', '.join(queue.unserved.names)}"
        if queue.limited:
            yield f"queue {queue.name}: {number_of(queue.limited)} of the available ones wait for a limit or a rate"
        for route in queue.unserved.tags:
            yield f"queue {queue.name}: no live worker takes {f'the tags {route}' if route else 'jobs without tags'}"
    if status.open_breakers:
        yield f"failed too often, probed from time to time: {', '.join(status.open_breakers)}"
    if status.paused_names:
        yield f"paused names: {', '.join(status.paused_names)}"
