"""What a process says when it starts: where jobs come from, which ones, and how many at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from stoker.cli.stores import shown_url

if TYPE_CHECKING:
    from stoker.app.stoker import Stoker
    from stoker.cli.invocation import Invocation
    from stoker.runtime.plan import WorkerPlan
    from stoker.runtime.worker import Worker


def print_banner(
    app: Stoker[Any],
    asked: Invocation,
    workers: Sequence[Worker] = (),
    *,
    address: str | None = None,
    processes: int = 1,
) -> None:
    """Print the banner; with ``--json`` nothing, for then the answer alone is printed."""
    if asked.as_json:
        return
    click.echo(f"stoker {_version()}: {asked.name}, environment {app.settings.environment}")
    if address:
        click.echo(f"  serving  {app.settings.web.app} on {address}")
    for worker in workers:
        name = worker.store_name
        for key, text in _lines(name, shown_url(app, name), worker.plan):
            click.echo(f"  {key:7}  {text}")
    if processes > 1:
        click.echo(f"  {'run by':7}  {processes} processes, each with so many slots")


def _lines(name: str, url: str, plan: WorkerPlan) -> Iterator[tuple[str, str]]:
    yield "store", url if name == "default" else f"{url} ({name})"
    yield "queues", ", ".join(_queues(plan))
    yield "names", ", ".join(plan.names)
    if plan.all_tags or plan.tags:
        yield "tags", "all" if plan.all_tags else ", ".join(plan.tags)
    yield "slots", f"{plan.concurrency} at once, {plan.grace:g} s of grace"


def _queues(plan: WorkerPlan) -> Iterator[str]:
    for pool in plan.pools:
        own = f":{pool.concurrency}" if pool.queues == (pool.name,) else ""
        for queue in pool.queues:
            yield f"{queue}{own}"


def _version() -> str:
    from importlib.metadata import version

    return version("stoker")
