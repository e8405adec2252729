"""Pausing and resuming, of queues and of names."""

from __future__ import annotations

from collections.abc import Sequence

import click

from stoker.cli.invocation import current
from stoker.cli.output import number_of, print_json


def pause(kind: str, values: Sequence[str], store: str | None) -> None:
    """Pause queues or names and say how many were not paused before."""
    _report(kind, values, current().operations(store).pause(kind, values), "paused")


def resume(kind: str, values: Sequence[str], store: str | None) -> None:
    """Resume queues or names and say how many were paused before."""
    _report(kind, values, current().operations(store).resume(kind, values), "resumed")


def _report(kind: str, values: Sequence[str], changed: int, done: str) -> None:
    if current().as_json:
        print_json({"kind": kind, "values": list(values), "changed": changed})
        return
    others = len(set(values)) - changed
    click.echo(f"{number_of(changed, kind)} {done}" + (f", {others} already {done}" if others else ""))
