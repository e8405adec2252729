"""`stoker doctor`: what slows jobs down or loses them, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from stoker.cli.exits import ExitCode
from stoker.cli.invocation import Verb, current
from stoker.cli.outlooks import outlook_of
from stoker.cli.output import print_json
from stoker.cli.stores import store_option

if TYPE_CHECKING:
    from stoker.core.finding import Finding

_MARKS: Final = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


@click.command(cls=Verb)
@store_option
def doctor(store: str | None) -> int:
    """Look for what slows jobs down or loses them; exits 1 when something is wrong."""
    names = [store] if store else current().store_names()
    found = {name: _examined(name) for name in names}
    if current().as_json:
        print_json([{"store": name, "findings": findings} for name, findings in found.items()])
    else:
        for name, findings in found.items():
            _print(name, findings)
    wrong = any(finding.level == "fail" for findings in found.values() for finding in findings)
    return ExitCode.FAILURE if wrong else ExitCode.CLEAN


def _examined(name: str) -> list[Finding]:
    from stoker.app.outlook import findings

    operations, retiring = current().operations(name), name in current().target().settings.retiring
    found = operations.examine()
    if any(finding.level == "fail" for finding in found):
        return found
    return [*found, *findings(name, outlook_of(name, operations.status()), retiring=retiring)]


def _print(name: str, findings: list[Finding]) -> None:
    for finding in findings:
        click.echo(f"{_MARKS[finding.level]}  {name}  {finding.subject}: {finding.text}")
        if finding.advice:
            click.echo(f"      {finding.advice}")
