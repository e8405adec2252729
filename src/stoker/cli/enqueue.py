"""`stoker enqueue`: one job by its name."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from stoker.cli.invocation import Verb, current
from stoker.cli.moments import read_seconds, read_time
from stoker.cli.output import print_json
from stoker.cli.start import read_names
from stoker.core.capability import Capability
from stoker.errors import ConfigurationError, NotSupported, StokerError

if TYPE_CHECKING:
    from stoker.app.stoker import Stoker
    from stoker.jobs.definition import JobDefinition
    from stoker.jobs.handle import JobHandle
    from stoker.stores.base import Store


class Enqueueing(Verb):
    """A command whose ``--wait`` takes a value only with an equals sign, so that it may stand before the name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give a bare ``--wait`` its value."""
        options = args[: args.index("--")] if "--" in args else args
        given = ["--wait=none" if text == "--wait" else text for text in options]
        return super().parse_args(ctx, [*given, *args[len(options) :]])


@click.command(cls=Enqueueing)
@click.argument("name")
@click.argument("args", metavar="[JSON]", default="{}")
@click.option("--delay", type=read_seconds, metavar="DURATION", help="Not before so long from now, e.g. 5m.")
@click.option("--at", type=read_time, metavar="TIME", help="Not before this time, e.g. 2027-01-31T12:00:00Z.")
@click.option("--expires", type=read_seconds, metavar="DURATION", help="Cancel it unless it has started by then.")
@click.option("--queue", metavar="QUEUE", help="Another queue than the definition's.")
@click.option("--priority", type=int, metavar="N", help="-100 to 100; higher runs first.")
@click.option("--tags", type=read_names, metavar="TAG[,TAG]", help="Other tags than the definition's.")
@click.option("--wait", metavar="[=DURATION]", help="Wait until it has ended, print its result; exits 1 if it failed.")
def enqueue(
    name: str,
    args: str,
    delay: float | None,
    at: datetime | None,
    expires: float | None,
    queue: str | None,
    priority: int | None,
    tags: tuple[str, ...] | None,
    wait: str | None,
) -> None:
    """Enqueue the job NAME with arguments as JSON: an object by name, or an array by position."""
    limit = _limit(wait)
    app = current().loaded()
    _refuse_memory(app)
    job = app.get(name).using(delay=delay, at=at, expires=expires, queue=queue, priority=priority, tags=tags)
    if wait is not None:
        _refuse_waiting(app.store(job.store))
    (handle,) = app.enqueue_many([job.draft_of(args)])
    answer = {"id": handle.id, "name": handle.name, "store": handle.store, "duplicate": handle.duplicate}
    if handle.duplicate:
        click.echo("stoker: its unique key is taken; this is the job that has it", err=True)
    if wait is None:
        print_json(answer) if current().as_json else click.echo(handle.id)
        return
    if not current().as_json:
        click.echo(handle.id, err=True)
    try:
        result = _result(job, handle, limit)
    except StokerError as error:
        if current().as_json:
            print_json({**answer, "error": str(error)})
        raise
    print_json({**answer, "result": json.loads(result)}) if current().as_json else click.echo(result)


def _limit(wait: str | None) -> float | None:
    if wait in (None, "none"):
        return None
    try:
        return read_seconds(wait)
    except click.BadParameter as error:
        error.param_hint = "'--wait'"
        raise


def _refuse_memory(app: Stoker[Any]) -> None:
    if app.settings.mode == "queue" and app.store().url.startswith("memory:"):
        raise ConfigurationError(
            "memory:// lives in one process: the job would end with this command; give another --url"
        )


def _refuse_waiting(store: Store) -> None:
    if not store.supports(Capability.RESULTS):
        problem = f"{store.url} keeps no results to wait for: it lacks RESULTS; leave out --wait"
        raise NotSupported(problem, store=store.url, verb="result")


def _result(job: JobDefinition[..., Any], handle: JobHandle[Any], limit: float | None) -> str:
    text, reason = job.encode_result(handle.result(timeout=limit))
    return json.dumps(reason) if text is None else text
