"""``--reload``: which files are watched, and what is said when they change."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from stoker.errors import MissingExtra


async def watching(root: Path, changed: Callable[[], None]) -> None:
    """Call ``changed`` whenever code or settings below ``root`` have changed."""
    watch, only_code = _watcher()
    async for changes in watch(root, watch_filter=only_code, step=50):
        names = sorted({path.removeprefix(f"{root}{os.sep}") for _, path in changes})
        more = " …" if len(names) > 3 else ""
        click.echo(f"stoker: {', '.join(names[:3])}{more} changed, workers start anew", err=True)
        changed()


def _watcher() -> tuple[Any, Any]:
    try:
        from watchfiles import PythonFilter, awatch
    except ImportError as error:
        raise MissingExtra("reload", "--reload") from error
    return awatch, PythonFilter(extra_extensions=(".yaml", ".yml", ".toml"))


def check_reload() -> None:
    """Raise MissingExtra where files cannot be watched."""
    _watcher()
