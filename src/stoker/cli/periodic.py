"""`stoker periodic`: which periodic entries there are; run, pause, resume, add and remove them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from stoker.cli.invocation import Family, current
from stoker.cli.output import print_json, print_table
from stoker.cli.stores import store_option

if TYPE_CHECKING:
    from stoker.app.entries import Entries

_APPLICATION = click.option(
    "--application", metavar="NAME", help="Whose entries; else the loaded application's, or with --url everybody's."
)


@click.group(cls=Family)
def periodic() -> None:
    """List, run, pause, resume, add and remove periodic entries."""


@periodic.command("list")
@_APPLICATION
@store_option
def list_entries(application: str | None, store: str | None) -> None:
    """List the entries with the times at which they ticked last and are due next."""
    found = _entries(application, store).all()
    if current().as_json:
        print_json(found)
        return
    rows = [
        (
            one.name,
            one.when,
            one.tz,
            one.job,
            one.last_at,
            one.problem or ("paused" if one.paused else one.next_at),
            one.application,
        )
        for one in found
    ]
    print_table(("name", "when", "tz", "job", "last", "next", "application"), rows)


@periodic.command("run")
@click.argument("name")
@_APPLICATION
@store_option
def run_entry(name: str, application: str | None, store: str | None) -> None:
    """Enqueue the job of an entry now and print its id; the entry's own times stay as they are."""
    id = _entries(application, store).run(name)
    print_json({"name": name, "id": id}) if current().as_json else click.echo(id)


@periodic.command("pause")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_APPLICATION
@store_option
def pause_entries(names: tuple[str, ...], application: str | None, store: str | None) -> None:
    """Let entries rest; what falls due meanwhile is not made up for."""
    _report(names, _entries(application, store).pause(names), "paused")


@periodic.command("resume")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_APPLICATION
@store_option
def resume_entries(names: tuple[str, ...], application: str | None, store: str | None) -> None:
    """Let paused entries go on."""
    _report(names, _entries(application, store).resume(names), "resumed")


@periodic.command("remove")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_APPLICATION
@store_option
def remove_entries(names: tuple[str, ...], application: str | None, store: str | None) -> None:
    """Remove entries; those that code or settings declare come back when a worker starts."""
    entries = _entries(application, store)
    _report(names, entries.remove(names), "removed")
    for name in entries.announced(names):
        click.echo(f"stoker: {name} is declared by code or settings and will come back; pause it instead", err=True)


@periodic.command("add")
@click.argument("name")
@click.option("--cron", metavar="TEXT", help='Cron, an alias, or words: "0 3 * * *", @daily, "at 10:30 on mondays".')
@click.option("--every", metavar="DURATION", help="Every so often, e.g. 5m.")
@click.option("--job", metavar="JOB", help="Name of the job; NAME unless given.")
@click.option("--args", "arguments", metavar="JSON", default="{}", help="Its arguments.")
@click.option("--queue", metavar="QUEUE", help="Another queue than the definition's.")
@click.option("--tz", metavar="ZONE", default="UTC", show_default=True, help="Whose clock on the wall is meant.")
@click.option("--missed", type=click.Choice(["skip", "once", "all"]), default="once", show_default=True)
@click.option("--jitter", metavar="DURATION", default="0s", help="Delays each run by a random time up to this.")
@_APPLICATION
@store_option
def add_entry(name: str, application: str | None, store: str | None, **said: Any) -> None:
    """Add an entry; it stays until it is removed. Workers notice it within ten seconds."""
    from stoker.cli.entries import spec_of

    if not said["cron"] and not said["every"]:
        raise click.UsageError('say when: --cron "0 3 * * *" or --every 5m')
    invocation = current()
    spec = spec_of(invocation.loaded_or_target(), name, known=invocation.package is not None, **said)
    _entries(application, store).add(name, spec)
    print_json({"name": name, "added": True}) if invocation.as_json else click.echo(f"{name} added")


def _entries(application: str | None, store: str | None) -> Entries:
    from stoker.cli.entries import entries_of

    invocation = current()
    app = invocation.loaded_or_target()
    return entries_of(app, store or "default", application, known=invocation.package is not None)


def _report(names: Sequence[str], changed: int, done: str) -> None:
    if current().as_json:
        print_json({"names": list(names), "changed": changed})
        return
    others = len(set(names)) - changed
    text = f"{changed} {'entry' if changed == 1 else 'entries'} {done}"
    click.echo(text + (f", {others} already {done}" if others else ""))
