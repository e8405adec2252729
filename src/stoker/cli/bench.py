"""`stoker bench`: what this machine and this store can do, each job accounted for."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stoker.cli.exits import ExitCode
from stoker.cli.invocation import Verb, current
from stoker.cli.output import print_json, print_table

if TYPE_CHECKING:
    from stoker.bench.figures import Figure, Skipped
    from stoker.bench.ground import Ground
    from stoker.bench.plan import Plan

COLUMNS = ("measure", "at once", "processes", "jobs", "jobs/s", "p50 ms", "p95 ms", "p99 ms", "CPU %", "RSS MB", "")
SHOWN = "bare, enqueue, enqueue_many, drain, latency, pair, idle, memory"


@click.command(cls=Verb)
@click.option("--n", default=10_000, show_default=True, metavar="N", help="Jobs of each enqueue and drain.")
@click.option("--concurrency", default="1,2,5,10,100,1000", show_default=True, help="Jobs at once, of each drain.")
@click.option("--processes", default="1,2,4", show_default=True, help="Worker processes, of each drain.")
@click.option("--payload", default=0, metavar="BYTES", help="Text that each job carries beside its integer.")
@click.option("--keep", default="0", show_default=True, metavar="DURATION", help='"1h", "forever", "default", or 0.')
@click.option("--backlog", default=0, metavar="N", help="Jobs that stand in the queue behind those of each drain.")
@click.option("--pin-snapshot", is_flag=True, help="Let another connection hold an old snapshot open meanwhile.")
@click.option("--only", metavar="MEASURE[,…]", help=f"{SHOWN}; else all that the store has.")
def bench(
    n: int,
    concurrency: str,
    processes: str,
    payload: int,
    keep: str,
    backlog: int,
    pin_snapshot: bool,
    only: str | None,
) -> ExitCode:
    """Measure a store: enqueue, drain, latency, idle CPU, memory; on PostgreSQL also bare statements beside it.

    On --url, or on a SQLite file in a temporary folder. It works in a place of its own, which it removes: never on
    a user's jobs. Exits 1 when a job was lost, ran twice or was left over.
    """
    from stoker.bench.ground import Ground
    from stoker.bench.plan import Plan, measures, numbers
    from stoker.bench.run import usual
    from stoker.settings import find_root

    with Ground(current().url, find_root(Path.cwd())) as ground:
        plan = Plan(
            n=n,
            concurrency=numbers(concurrency, "concurrency"),
            processes=numbers(processes, "processes"),
            payload=payload,
            keep=int(keep) if keep.isdecimal() else keep,
            only=usual(ground) if only is None else measures(only),
            backlog=backlog,
            pin_snapshot=pin_snapshot,
        )
        return _run(plan, ground)


def _run(plan: Plan, ground: Ground) -> ExitCode:
    from stoker.bench.conditions import conditions
    from stoker.bench.figures import Figure, as_json
    from stoker.bench.run import check, measured

    check(plan, ground)
    said = conditions(plan, ground)
    taken = _told(measured(plan, ground))
    figures = [one for one in taken if isinstance(one, Figure)]
    skipped = [one for one in taken if not isinstance(one, Figure)]
    if current().as_json:
        print_json(as_json(said, figures, skipped))
    else:
        _print(said, figures, skipped)
    return _verdict(figures)


def _told(measured: Iterator[Figure | Skipped]) -> list[Figure | Skipped]:
    """Collect the figures; somebody at a terminal sees that it goes on."""
    taken: list[Figure | Skipped] = []
    for one in measured:
        taken.append(one)
        if sys.stderr.isatty():
            click.echo(f"\r\033[K{len(taken)} measured, {one.measure} {one.note}", err=True, nl=False)
    if sys.stderr.isatty():
        click.echo("\r\033[K", err=True, nl=False)
    return taken


def _print(conditions: Mapping[str, object], figures: Sequence[Figure], skipped: Sequence[Skipped]) -> None:
    width = max(map(len, conditions)) + 2
    for name, value in conditions.items():
        click.echo(f"{name.replace('_', ' '):<{width}}{value}")
    click.echo()
    print_table(COLUMNS, [_row(figure) for figure in figures])
    for one in skipped:
        click.echo(f"{one.measure} {one.note}: skipped, {one.reason}")


def _row(figure: Figure) -> tuple[object, ...]:
    return (
        figure.measure,
        figure.concurrency,
        figure.processes,
        f"{figure.n:,}" if figure.n else None,
        None if figure.rate is None else f"{figure.rate:,.0f}",
        *(None if value is None else f"{value:.2f}" for value in (figure.p50_ms, figure.p95_ms, figure.p99_ms)),
        None if figure.cpu_percent is None else f"{figure.cpu_percent:g}",
        None if figure.rss_mb is None else f"{figure.rss_mb:g}",
        "; ".join(_remarks(figure)),
    )


def _remarks(figure: Figure) -> Iterator[str]:
    if not figure.verified:
        yield "NOT VERIFIED"
    if figure.note:
        yield figure.note
    if figure.of_bare is not None and figure.measure != "bare":
        yield f"{figure.of_bare:.0%} of bare"
    if figure.fifths is not None:
        yield f"fifths {' '.join(f'{rate:,.0f}' for rate in figure.fifths)}, last to first {figure.last_to_first}"
    if figure.server_cpu_percent is not None:
        yield f"server {figure.server_cpu_percent:g} %"


def _verdict(figures: Sequence[Figure]) -> ExitCode:
    for figure in figures:
        for fault in figure.faults:
            where = f"{figure.measure}, {figure.concurrency or 1} at once, {figure.processes} process(es)"
            click.echo(f"stoker: {where}: {fault}", err=True)
    return ExitCode.CLEAN if all(figure.verified for figure in figures) else ExitCode.FAILURE
