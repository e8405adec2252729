"""`stoker convert celery`: rewrites the source of an application for Celery, and says what it could not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stoker.cli.exits import ExitCode
from stoker.cli.invocation import Family, Verb, current
from stoker.cli.output import number_of, print_json
from stoker.errors import MissingExtra

if TYPE_CHECKING:
    from stoker.convert.report import Conversion


@click.group(cls=Family)
def convert() -> None:
    """Rewrite the source of an application for another queue."""


@convert.command(cls=Verb)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--write", is_flag=True, help="Write the files; without it nothing is changed.")
@click.option("--diff", is_flag=True, help="Print what changes.")
@click.option("--check", is_flag=True, help="Exit 1 also when a file would change.")
@click.option("--to", "app", metavar="MODULE:NAME", help="The application that the jobs are to belong to.")
def celery(paths: tuple[Path, ...], write: bool, diff: bool, check: bool, app: str | None) -> int:
    """Rewrite files and folders of a Celery project; exits 1 when something is left to do by hand.

    Without --write it is a trial. The report says of each line that was left why, and what to write instead.
    """
    if write and check:
        raise click.UsageError("--write changes the files and --check must not: choose one")
    try:
        from stoker.convert.celery import convert as convert_celery
    except ImportError as error:
        if error.name is not None and error.name.partition(".")[0] != "libcst":
            raise
        raise MissingExtra("convert", "stoker convert") from error

    found = convert_celery(paths, app)
    if write:
        for file in found.files:
            file.path.write_bytes(file.new.encode())
    if current().as_json:
        print_json(_plain(found, written=write, diff=diff))
    else:
        _print(found, written=write, diff=diff)
    unfinished = found.left or (check and found.files)
    return ExitCode.FAILURE if unfinished else ExitCode.CLEAN


def _plain(found: Conversion, *, written: bool, diff: bool) -> dict[str, object]:
    return {
        "written": written,
        "jobs": found.jobs,
        "calls": found.calls,
        "left": found.left,
        "files": [{"path": file.path, **({"diff": file.diff()} if diff else {})} for file in found.files],
        "remarks": list(found.remarks),
    }


def _print(found: Conversion, *, written: bool, diff: bool) -> None:
    if diff:
        for file in found.files:
            click.echo(file.diff(), nl=False)
    for remark in found.remarks:
        click.echo(f"{remark.path}:{remark.line}: {remark.kind}: {remark.what}")
        if remark.advice:
            click.echo(f"    instead: {remark.advice}")
    changed = "changed" if written else "to change (--write)"
    click.echo(
        f"{number_of(len(found.files), 'file')} {changed}: {number_of(found.jobs, 'task')} and "
        f"{number_of(found.calls, 'call')} converted, {found.left:,} left to do by hand"
    )
