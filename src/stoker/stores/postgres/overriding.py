"""What operators say of job names at run time, and who said it when."""

from __future__ import annotations

from typing import Final

from stoker.core.command import Replies, Sql
from stoker.core.override import Overriding
from stoker.stores.postgres.wire import plain

SAY: Final = """
WITH said AS (
    INSERT INTO stoker.override AS override (name, text, said_by, at)
    SELECT :name::text, :text::text, :by::text, :now
    ON CONFLICT (name) DO UPDATE SET text = excluded.text, said_by = excluded.said_by, at = excluded.at
    WHERE override.text <> excluded.text
    RETURNING 1
), noted AS (
    INSERT INTO stoker.override_history (name, text, said_by, at)
    SELECT :name::text, :text::text, :by::text, :now FROM said
)
SELECT count(*) FROM said"""
TAKE_BACK: Final = """
WITH gone AS (
    DELETE FROM stoker.override WHERE name = :name::text RETURNING 1
), noted AS (
    INSERT INTO stoker.override_history (name, said_by, at) SELECT :name::text, :by::text, :now FROM gone
)
SELECT count(*) FROM gone"""

ALL: Final = 'SELECT name, text, said_by, at FROM stoker.override ORDER BY name COLLATE "C"'
HISTORY: Final = """
SELECT name, text, said_by, at FROM stoker.override_history WHERE name = :name::text ORDER BY id DESC LIMIT :limit"""


def override_step(name: str, text: str | None, by: str) -> Sql:
    """Give the statement that keeps what is said of a name, or takes it back."""
    if text is None:
        return Sql(TAKE_BACK, {"name": name, "by": plain(by)})
    return Sql(SAY, {"name": name, "text": text, "by": plain(by)})


def changed(replies: Replies) -> bool:
    """Read whether that changed anything."""
    return bool(replies[-1][0][0])


def read(replies: Replies) -> list[Overriding]:
    """Read overrides, or their history."""
    return [Overriding(*row) for row in replies[0]]
