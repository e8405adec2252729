"""`stoker start` and `stoker worker`: processes that stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from stoker.cli.crew import Crew, read_address, read_bytes
from stoker.cli.invocation import Verb, current
from stoker.cli.moments import read_seconds

if TYPE_CHECKING:
    from stoker.app.choice import Choice
    from stoker.app.stoker import Stoker
    from stoker.runtime.probe import Address


def read_names(text: str) -> tuple[str, ...]:
    """Split names at commas; click.BadParameter when one is empty."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise click.BadParameter(f"{text!r}: a name is empty")
    return names


_CREW: Final = ("processes", "max_jobs", "max_rss", "reload", "probe_port", "supervised")
_NAMES: Final[dict[str, Any]] = {"type": read_names, "multiple": True, "metavar": "NAME[,NAME]"}
_WORKER_OPTIONS = (
    click.option("--queues", **_NAMES, help="Only these queues, e.g. mail:10,default (10 at once)."),
    click.option("--exclude-queues", **_NAMES, help="Not these queues."),
    click.option("--names", **_NAMES, help="Only jobs of these names."),
    click.option("--exclude-names", **_NAMES, help="Not jobs of these names."),
    click.option(
        "--tags", type=read_names, multiple=True, metavar="TAG[,TAG]", help="Jobs that share one of these tags."
    ),
    click.option("--all-tags", is_flag=True, help="All jobs, whatever their tags; else only those without."),
    click.option(
        "--strict-order", is_flag=True, help="Serve a queue only when those named before it have no job left."
    ),
    click.option("--concurrency", type=click.IntRange(min=1), metavar="N", help="So many jobs at once."),
    click.option(
        "--grace", type=read_seconds, metavar="DURATION", help="How long running jobs may go on after the first signal."
    ),
    click.option("--no-periodic", is_flag=True, help="Leave periodic jobs to other workers."),
    click.option(
        "--processes",
        type=click.IntRange(min=1),
        metavar="N",
        help="So many processes, each with its own slots.",
    ),
    click.option(
        "--max-jobs", type=click.IntRange(min=1), metavar="N", help="Replace a process after about so many jobs."
    ),
    click.option("--max-rss", type=read_bytes, metavar="SIZE", help="Replace a process that is larger, e.g. 500MB."),
    click.option("--reload", is_flag=True, help="Start anew when code or settings change; for development."),
    click.option(
        "--probe-port",
        type=read_address,
        metavar="[HOST:]PORT",
        help="Answer /livez, /readyz and /metrics; on this machine only unless a host is given.",
    ),
    click.option("--supervised", type=int, hidden=True, help="The supervisor's file descriptor."),
    click.option("--until-empty", is_flag=True, help="End when there is nothing to do; says what is left for later."),
    click.option("--log-format", type=click.Choice(["text", "json"]), help="How log lines look; text by default."),
)


def worker_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a worker."""
    for option in reversed(_WORKER_OPTIONS):
        command = option(command)
    return command


@click.command(cls=Verb)
@worker_options
def worker(until_empty: bool, log_format: str | None, **chosen: Any) -> int:
    """Perform jobs until SIGTERM or SIGINT."""
    return _work(chosen, until_empty=until_empty, log_format=log_format)


@click.command(cls=Verb)
@click.option(
    *("-w", "--worker", "worker_tags"),
    is_flag=False,
    flag_value="",
    metavar="[=TAGS]",
    help="Perform jobs, of these tags where some are given; the same as `stoker worker`.",
)
@click.option("-s", "--server-and-worker", "both", is_flag=True, help="Serve and perform jobs, in one process.")
@click.option("-a", "--all", "everything", is_flag=True, help="Serve, perform jobs and see to periodic ones.")
@worker_options
def start(
    worker_tags: str | None, both: bool, everything: bool, until_empty: bool, log_format: str | None, **chosen: Any
) -> int:
    """Serve the ASGI application that the setting web.app names; -w performs jobs instead, -s and -a do both."""
    only_worker = worker_tags is not None
    if everything and chosen["no_periodic"]:
        raise click.UsageError("-a and --no-periodic exclude each other: write -s --no-periodic")
    both = both or everything
    if only_worker and both:
        raise click.UsageError("-w and -s (or -a) exclude each other: the latter already perform jobs")
    if worker_tags is not None:
        if worker_tags:
            chosen["tags"] = (*chosen["tags"], read_names(worker_tags))
        return _work(chosen, until_empty=until_empty, log_format=log_format)
    if until_empty:
        raise click.UsageError("--until-empty needs -w: a server has no end")
    if not both and (given := [name for name, value in chosen.items() if value]):
        raise click.UsageError(f"--{given[0].replace('_', '-')} needs -w or -s: a server performs no jobs")
    _refuse_crew(chosen)
    _serve(chosen if both else None, log_format=log_format)
    return 0


def _refuse_crew(chosen: dict[str, Any]) -> None:
    for name in _CREW:
        if chosen.pop(name):
            raise click.UsageError(f"--{name.replace('_', '-')} needs -w: what serves is one process")


def _work(chosen: dict[str, Any], *, until_empty: bool, log_format: str | None) -> int:
    from stoker.cli.logs import log_to_stderr
    from stoker.cli.processes import work
    from stoker.runtime.process import run

    app = current().loaded()
    log_to_stderr(log_format, verbose=current().verbose)
    crew, supervised = _crew(app, **{name: chosen.pop(name) for name in _CREW})
    choice = _choice(**chosen)
    if supervised is None and crew.supervised:
        from stoker.cli.supervised import supervise

        return run(supervise(app, current(), choice, crew, until_empty=until_empty))
    run(work(app, current(), choice, until_empty=until_empty, crew=crew, supervised=supervised))
    return 0


def _crew(
    app: Stoker[Any],
    processes: int | None,
    max_jobs: int | None,
    max_rss: int | None,
    reload: bool,
    probe_port: Address | None,
    supervised: int | None,
) -> tuple[Crew, int | None]:
    if reload:
        from stoker.cli.watching import check_reload

        check_reload()
    number = app.settings.workers.processes if processes is None else processes
    return Crew(number, max_jobs, max_rss, reload, probe_port), supervised


def _serve(chosen: dict[str, Any] | None, *, log_format: str | None) -> None:
    from stoker.cli.logs import log_to_stderr
    from stoker.cli.processes import serve, serve_and_work
    from stoker.cli.web import WebServer
    from stoker.runtime.process import run

    app = current().loaded()
    log_to_stderr(log_format, verbose=current().verbose)
    choice = None if chosen is None else _choice(**chosen)
    grace = app.settings.workers.grace.total_seconds()
    server = WebServer(app.settings.web, grace if choice is None or choice.grace is None else choice.grace)
    run(serve(app, current(), server) if choice is None else serve_and_work(app, current(), choice, server))


def _choice(
    queues: Sequence[tuple[str, ...]],
    exclude_queues: Sequence[tuple[str, ...]],
    names: Sequence[tuple[str, ...]],
    exclude_names: Sequence[tuple[str, ...]],
    tags: Sequence[tuple[str, ...]],
    all_tags: bool,
    strict_order: bool,
    concurrency: int | None,
    grace: float | None,
    no_periodic: bool,
) -> Choice:
    from stoker.app.choice import Choice

    return Choice(
        queues=_flat(queues) or None,
        exclude_queues=_flat(exclude_queues),
        names=_flat(names) or None,
        exclude_names=_flat(exclude_names),
        tags=_flat(tags) or None,
        all_tags=all_tags,
        strict_order=strict_order,
        concurrency=concurrency,
        grace=grace,
        periodic=not no_periodic,
    )


def _flat(given: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(name for names in given for name in names)
