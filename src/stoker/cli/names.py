"""`stoker names`: which job names there are, and which are paused."""

from __future__ import annotations

import click

from stoker.cli.invocation import Family, current
from stoker.cli.output import print_json, print_table
from stoker.cli.overriding import override
from stoker.cli.pausing import pause, resume
from stoker.cli.stores import store_option
from stoker.core.job import State


@click.group(cls=Family)
def names() -> None:
    """List, pause, resume and override job names."""


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


@names.command("override")
@click.argument("name", metavar="NAME")
@click.option("--limit", "limits", multiple=True, metavar="[BY=]N", help="How many run at once: 5, or tenant=5.")
@click.option("--rate", "rates", multiple=True, metavar="[BY=]N/TIME", help="How many start in a time: 100/1m.")
@click.option("--timeout", metavar="TIME", help='How long an attempt may take; "none" for ever.')
@click.option("--max-attempts", type=click.IntRange(min=1), metavar="N", help="How many attempts may fail.")
@click.option("--clear", is_flag=True, help="Take everything back: the code says again what holds.")
@click.option("--by", metavar="WHO", help="Who says so, for the history; else your user and host.")
@store_option
def override_name(
    name: str,
    limits: tuple[str, ...],
    rates: tuple[str, ...],
    timeout: str | None,
    max_attempts: int | None,
    clear: bool,
    by: str | None,
    store: str | None,
) -> None:
    """Say what holds for a job name in place of its code, within seconds; without options show it and its history.

    A limit or rate can be overridden where the job has one.
    """
    override(
        name,
        store,
        limits=limits,
        rates=rates,
        timeout=timeout,
        max_attempts=max_attempts,
        clear=clear,
        by=by,
    )
