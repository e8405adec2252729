"""The plans that PostgreSQL really used for a store's statements, with the rows and pages that each part touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from stoker.drivers import postgres as driver
from stoker.drivers.postgres_exchange import Link
from stoker.drivers.postgres_session import open_link

_SETTINGS = (
    "LOAD 'auto_explain'",
    "SET auto_explain.log_min_duration = 0",
    "SET auto_explain.log_analyze = on",
    "SET auto_explain.log_buffers = on",
    "SET auto_explain.log_timing = off",
    "SET auto_explain.log_format = json",
    "SET client_min_messages = log",
)


class Node:
    """A part of a plan: one scan, join or the like."""

    def __init__(self, facts: dict[str, Any], text: str) -> None:
        self.facts = facts
        self.text = text

    @property
    def table(self) -> str:
        """The table it reads, if it reads one."""
        return str(self.facts.get("Relation Name", ""))

    @property
    def rows(self) -> int:
        """How many rows it looked at, those it threw away included."""
        each = float(self.facts["Actual Rows"]) + float(self.facts.get("Rows Removed by Filter", 0))
        return round(each * int(self.facts["Actual Loops"]))

    @property
    def reads_all(self) -> bool:
        """Whether it reads a table from beginning to end, or an index without a condition on it."""
        kind = self.facts["Node Type"]
        return kind == "Seq Scan" or (kind.startswith("Index") and "Index Cond" not in self.facts)

    def __repr__(self) -> str:
        words = ("Node Type", "Relation Name", "Index Name", "Index Cond", "Filter")
        return f"{[self.facts[word] for word in words if word in self.facts]} {self.rows} rows, of: {self.text}"


class Plans:
    """What the connections that a store opens from now on let the server do; ``nested`` statements of functions too."""

    def __init__(self, *, nested: bool = False) -> None:
        self._seen: list[dict[str, Any]] = []
        self._settings = (*_SETTINGS, f"SET auto_explain.log_nested_statements = {nested}")

    def forget(self) -> None:
        """Forget what was seen so far."""
        self._seen.clear()

    @property
    def pages(self) -> int:
        """How many pages were touched, in memory or on disk; a function's are its caller's too."""
        tops = [seen["Plan"] for seen in self._seen]
        return sum(int(top["Shared Hit Blocks"]) + int(top["Shared Read Blocks"]) for top in tops)

    @property
    def nodes(self) -> list[Node]:
        """Give the parts of all plans that were really used."""
        found = [node for seen in self._seen for node in _parts(seen["Plan"], seen["Query Text"])]
        return [node for node in found if node.facts["Actual Loops"]]

    def watch(self, link: Link) -> Link:
        """Listen to what the server tells of a connection."""
        connection: psycopg.Connection[Any] = link.connection  # type: ignore[assignment]
        for setting in self._settings:
            connection.execute(setting.encode())
        connection.add_notice_handler(self._note)
        return link

    def _note(self, notice: psycopg.errors.Diagnostic) -> None:
        message = notice.message_primary or ""
        if "plan:\n" in message:
            self._seen.append(json.loads(message.partition("plan:\n")[2]))


def watched_plans(monkeypatch: pytest.MonkeyPatch) -> Plans:
    """Watch the plans on all connections that stores open for sync callers from now on."""
    plans = Plans()
    monkeypatch.setattr(driver, "open_link", lambda params: plans.watch(open_link(params)))
    return plans


def _parts(plan: dict[str, Any], text: str) -> Iterator[Node]:
    yield Node(plan, text)
    for part in plan.get("Plans", ()):
        yield from _parts(part, text)
