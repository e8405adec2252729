"""The option that chooses one of several stores."""

from __future__ import annotations

import click

store_option = click.option("--store", metavar="NAME", help="One of the application's stores, by name.")
"""Gives a command the option ``--store``."""
