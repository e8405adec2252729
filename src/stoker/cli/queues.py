"""`stoker queues`: which queues there are, which are paused, and how their jobs move to another store."""

from __future__ import annotations

import click

from stoker.cli.invocation import Family, current
from stoker.cli.moving import move
from stoker.cli.output import print_json, print_table
from stoker.cli.pausing import pause, resume
from stoker.cli.stores import store_option
from stoker.core.job import State


@click.group(cls=Family)
def queues() -> None:
    """List, pause and resume queues, and move their jobs to another store."""


@queues.command("list")
@store_option
def list_queues(store: str | None) -> None:
    """List the queues that have jobs, workers or a pause."""
    found = current().operations(store).status().queues
    if current().as_json:
        print_json(found)
        return
    rows = [(one.name, one.paused, one.served, f"{one.lag_seconds:g} s", *one.states.values()) for one in found]
    print_table(("queue", "paused", "served", "lag", *State), rows)


@queues.command("pause")
@click.argument("queues", nargs=-1, required=True, metavar="QUEUE...")
@store_option
def pause_queues(queues: tuple[str, ...], store: str | None) -> None:
    """Let no worker take jobs of these queues; what runs goes on."""
    pause("queue", queues, store)


@queues.command("resume")
@click.argument("queues", nargs=-1, required=True, metavar="QUEUE...")
@store_option
def resume_queues(queues: tuple[str, ...], store: str | None) -> None:
    """Let workers take jobs of these queues again."""
    resume("queue", queues, store)


queues.add_command(move)
