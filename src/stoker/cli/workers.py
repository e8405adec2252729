"""`stoker workers`: which workers are alive."""

from __future__ import annotations

import click

from stoker.cli.invocation import Family, current
from stoker.cli.output import print_json, print_table, with_times
from stoker.cli.stores import store_option
from stoker.core.duration import as_datetime


@click.group(cls=Family)
def workers() -> None:
    """List the live workers."""


@workers.command("list")
@store_option
def list_workers(store: str | None) -> None:
    """List the live workers of a store."""
    from stoker.app.operations import as_plain

    found = current().operations(store).workers()
    if current().as_json:
        print_json([with_times(as_plain(worker), "started_at", "beat_at") for worker in found])
        return
    rows = [
        (
            one.id,
            "stopping" if one.stopping else "working",
            f"{one.running}/{one.concurrency}",
            f"{one.performed:,}",
            f"{one.rate:g}/s",
            as_datetime(one.started_at),
            ", ".join(one.queues),
            "all" if one.all_tags else ", ".join(one.tags),
        )
        for one in found
    ]
    print_table(("id", "state", "running", "performed", "rate", "since", "queues", "tags"), rows)
