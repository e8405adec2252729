"""`stoker names`: which job names there are, and which are paused."""

from __future__ import annotations

import click

from stoker.cli.invocation import Family, current
from stoker.cli.output import print_json, print_table
from stoker.cli.pausing import pause, resume
from stoker.cli.stores import store_option
from stoker.core.job import State


@click.group(cls=Family)
def names() -> None:
    """List, pause and resume job names."""


@names.command("list")
@store_option
def list_names(store: str | None) -> None:
    """List the names that have jobs, workers or a pause."""
    found = current().operations(store).names()
    if current().as_json:
        print_json(found)
        return
    print_table(("name", "paused", "served", *State), [(n.name, n.paused, n.served, *n.states.values()) for n in found])


@names.command("pause")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@store_option
def pause_names(names: tuple[str, ...], store: str | None) -> None:
    """Let no worker take jobs of these names; what runs goes on."""
    pause("name", names, store)


@names.command("resume")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@store_option
def resume_names(names: tuple[str, ...], store: str | None) -> None:
    """Let workers take jobs of these names again."""
    resume("name", names, store)
