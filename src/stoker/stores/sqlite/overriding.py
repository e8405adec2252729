"""What operators say of job names at run time, and who said it when."""

from __future__ import annotations

from typing import Final

from stoker.core.command import Replies, Sql, Value
from stoker.core.override import Overriding
from stoker.stores.codes import text as printable

# The history first, while it can be told whether anything changes.
NOTE: Final = """
INSERT INTO stoker_override_history (name, text, said_by, at)
SELECT :name, :text, :by, :now
WHERE :text IS NOT (SELECT text FROM stoker_override WHERE name = :name)"""
CHANGED: Final = "SELECT changes() AS changed"
SAY: Final = """
INSERT INTO stoker_override (name, text, said_by, at) SELECT :name, :text, :by, :now WHERE :text IS NOT NULL
ON CONFLICT (name) DO UPDATE SET text = excluded.text, said_by = excluded.said_by, at = excluded.at
WHERE text <> excluded.text"""
TAKE_BACK: Final = "DELETE FROM stoker_override WHERE name = :name AND :text IS NULL"

_COLUMNS: Final = "name || '' AS name, text || '' AS text, said_by || '' AS said_by, at + 0 AS at"
ALL: Final = f"SELECT {_COLUMNS} FROM stoker_override ORDER BY name"  # noqa: S608 - put together from constants
HISTORY: Final = f"""
SELECT {_COLUMNS} FROM stoker_override_history WHERE name = :name ORDER BY id DESC LIMIT :limit"""  # noqa: S608


def override_steps(name: str, text: str | None, by: str) -> tuple[Sql, ...]:
    """Give the steps that keep what is said of a name, or take it back."""
    params: dict[str, Value] = {"name": name, "text": text, "by": printable(by)}
    return (Sql(NOTE, params), Sql(CHANGED, {}), Sql(SAY, params), Sql(TAKE_BACK, params))


def changed(replies: Replies) -> bool:
    """Read whether that changed anything."""
    return bool(replies[1][0][0])


def read(replies: Replies) -> list[Overriding]:
    """Read overrides, or their history."""
    return [Overriding(*row) for row in replies[0]]
