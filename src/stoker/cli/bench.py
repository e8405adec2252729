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
    from stoker.bench.plan import Plan

COLUMNS = ("measure", "at once", "processes", "jobs", "jobs/s", "p50 ms", "p95 ms", "p99 ms", "CPU %", "RSS MB", "")


@click.command(cls=Verb)
@click.option("--n", default=10_000, show_default=True, metavar="N", help="Jobs of each enqueue and drain.")
@click.option("--concurrency", default="1,2,5,10,100,1000", show_default=True, help="Jobs at once, of each drain.")
@click.option("--processes", default="1,2,4", show_default=True, help="Worker processes, of each drain.")
@click.option("--payload", default=0, metavar="BYTES", help="Text that each job carries beside its integer.")
@click.option("--keep", default="0", show_default=True, metavar="DURATION", help='"1h", "forever", "default", or 0.')
@click.option("--only", metavar="MEASURE[,…]", help="enqueue, enqueue_many, drain, latency, idle, memory; else all.")
def bench(n: int, concurrency: str, processes: str, payload: int, keep: str, only: str | None) -> ExitCode:
    """Measure a store: enqueue, drain, latency, idle CPU, memory.

    On --url, or on a SQLite file in a temporary folder. It works in a place of its own, which it removes: never on
    a user's jobs. Exits 1 when a job was lost, ran twice or was left over.
    """
    from stoker.bench.plan import MEASURES, Plan, measures, numbers

    plan = Plan(
        n=n,
        concurrency=numbers(concurrency, "concurrency"),
        processes=numbers(processes, "processes"),
        payload=payload,
        keep=int(keep) if keep.isdecimal() else keep,
        only=MEASURES if only is None else measures(only),
    )
    return _run(plan)


def _run(plan: Plan) -> ExitCode:
    from stoker.bench.conditions import conditions
    from stoker.bench.figures import Figure, as_json
    from stoker.bench.ground import Ground
    from stoker.bench.run import measured
    from stoker.settings import find_root

    with Ground(current().url, find_root(Path.cwd())) as ground:
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
    for name, value in conditions.items():
        click.echo(f"{name.replace('_', ' '):<14}{value}")
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
        figure.note if figure.verified else f"{figure.note} NOT VERIFIED".lstrip(),
    )


def _verdict(figures: Sequence[Figure]) -> ExitCode:
    for figure in figures:
        for fault in figure.faults:
            where = f"{figure.measure}, {figure.concurrency or 1} at once, {figure.processes} process(es)"
            click.echo(f"stoker: {where}: {fault}", err=True)
    return ExitCode.CLEAN if all(figure.verified for figure in figures) else ExitCode.FAILURE
