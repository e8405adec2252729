"""The people who sign up, and how their mailboxes behave."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("people.csv")


class Person(NamedTuple):
    name: str
    email: str
    mailbox: str
    """``open``, ``busy`` (refuses twice, then takes the mail) or ``unknown`` (refuses for good)."""


def people() -> list[Person]:
    """Read them from the file."""
    with FILE.open(encoding="utf-8", newline="") as lines:
        return [Person(**row) for row in csv.DictReader(lines)]
