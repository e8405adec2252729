"""Which of several stores a command means, and how a store is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

if TYPE_CHECKING:
    from stoker.app.stoker import Stoker

store_option = click.option("--store", metavar="NAME", help="One of the application's stores, by name.")
"""Gives a command the option ``--store``."""


def shown_url(app: Stoker[Any], name: str) -> str:
    """Give a store's URL without its secrets; the path of a SQLite file in full, whatever it is relative to."""
    from stoker.stores.urls import sqlite_path

    url = app.store(name).url
    if not url.startswith("sqlite:"):
        return url
    _, question, options = url.partition("?")
    return f"sqlite:///{quote(str(sqlite_path(url, app.settings.root)))}{question}{options}"
