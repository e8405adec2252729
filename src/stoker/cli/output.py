"""How answers are printed: JSON for programs, tables for people, plain where nobody looks at a terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
import msgspec

from stoker.core.duration import as_datetime


def print_json(value: object) -> None:
    """Print a value as JSON; integers of any size stay exact."""
    click.echo(json.dumps(msgspec.to_builtins(value, enc_hook=str), ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; nothing is cut off. A terminal gets a bold header unless NO_COLOR is set."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        _print_rich(columns, texts, widths)
        return
    for row in ([name.upper() for name in columns], *texts):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


def moment(instant: datetime | None) -> str:
    """Write an instant the way tables show it: UTC, whole seconds."""
    return "" if instant is None else f"{instant:%Y-%m-%d %H:%M:%S}Z"


def with_times(plain: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Write a store's instants (microseconds) under ``keys`` as RFC 3339 text, as records have them."""
    changed = {key: as_datetime(plain[key]).isoformat().replace("+00:00", "Z") for key in keys}
    return {**plain, **changed}


def number_of(count: int, what: str = "job") -> str:
    """Write a number with its noun: ``1 job``, ``3 jobs``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _text(cell: object) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "yes" if cell else "no"
        case datetime():
            return moment(cell)
        case _:
            return str(cell)


def _print_rich(columns: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        table.add_column(name.upper(), no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    # In a narrow terminal lines run on, as they do in a pipe: folded ids could not be copied.
    console = Console()
    console.width = max(console.width, sum(widths) + 2 * len(widths))
    console.print(table, crop=False)
