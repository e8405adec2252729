"""How jobs pass their gates: admit and define."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from stoker.core.command import Inside, Replies, Sql
from stoker.core.limits import Admitted, Rule, read
from stoker.stores.admission import MOST_STIRRED, Bucket, Head, Order, admit, paused_gate
from stoker.stores.codes import encode

DEFINE: Final = """
INSERT INTO stoker_rule (name, running, starts, per)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
    json_extract(value, '$[3]')
FROM json_each(:rules) WHERE true
ON CONFLICT (name) DO UPDATE SET running = excluded.running, starts = excluded.starts, per = excluded.per
WHERE :replace AND (stoker_rule.running IS NOT excluded.running OR stoker_rule.starts IS NOT excluded.starts
    OR stoker_rule.per IS NOT excluded.per)"""

STIR_PARKED: Final = """
INSERT INTO stoker_stirred (text) SELECT DISTINCT key FROM stoker_parked WHERE changes() > 0
ON CONFLICT (text) DO NOTHING"""

STIR_PAUSED: Final = """
INSERT INTO stoker_stirred (text) SELECT value FROM json_each(:gates) WHERE true ON CONFLICT (text) DO NOTHING"""

_RING_ALARMS: Final = (
    "INSERT INTO stoker_stirred (text) SELECT key FROM stoker_alarm WHERE at <= :now ON CONFLICT (text) DO NOTHING",
    "DELETE FROM stoker_alarm WHERE at <= :now",
)
_STIRRED: Final = """
SELECT CAST(text AS BLOB), spent, EXISTS (SELECT 1 FROM stoker_waiting WHERE line = text)
FROM stoker_stirred ORDER BY text LIMIT :limit"""
_PARKED: Final = "SELECT CAST(line AS BLOB) FROM stoker_parked WHERE key = :text"


def define_steps(rules: Sequence[Rule], *, replace: bool) -> tuple[Sql, ...]:
    """Give the steps that write rules down, and have waiting jobs looked at again where that changed one."""
    rows = [(rule.name, rule.running, rule.starts, rule.per) for rule in rules]
    return (Sql(DEFINE, {"rules": encode(rows), "replace": int(replace)}), Sql(STIR_PARKED, {}))


def stir_paused(kind: str, values: Sequence[str]) -> Sql:
    """Have lines looked at that waited because their queue or name was paused."""
    return Sql(STIR_PAUSED, {"gates": encode([paused_gate(kind, value) for value in values])})


def admit_steps(limit: int) -> tuple[Sql | Inside, ...]:
    """Give the steps of an admit; the unit has the database's lock, so it counts what is there."""
    return (*(Sql(text, {}) for text in _RING_ALARMS), Inside(lambda cursor, now: _admit(cursor, now, limit)))


def admitted(replies: Replies) -> Admitted:
    """Read the answer of an admit."""
    ((count, more, next_at, now),) = replies[-1]
    return Admitted(count, more, next_at, now)


def _admit(cursor: sqlite3.Cursor, now: int, limit: int) -> list[tuple[int, bool, int | None, int]]:
    found = cursor.execute(_STIRRED, {"limit": MOST_STIRRED}).fetchall()
    ledger = _Ledger(cursor, {text.decode(): spent for text, spent, _ in found if spent})
    lines: list[str] = []
    for text, _, is_line in found:
        if is_line:
            lines.append(text.decode())
        else:
            lines += [line.decode() for (line,) in cursor.execute(_PARKED, {"text": text.decode()})]
    texts = encode([text.decode() for text, *_ in found])
    cursor.execute("DELETE FROM stoker_stirred WHERE text IN (SELECT value FROM json_each(?))", (texts,))
    count, more = admit(ledger, lines, now, limit)
    (next_at,) = cursor.execute("SELECT min(at) FROM stoker_alarm").fetchone()
    return [(count, more or len(found) == MOST_STIRRED, next_at, now)]


class _Ledger:
    """The store's gates as one admit reads and writes them (see `Ledger`)."""

    def __init__(self, cursor: sqlite3.Cursor, spent: dict[str, int]) -> None:
        self._cursor = cursor
        self._spent = Counter(spent)

    def head(self, line: str) -> Head | None:
        row = self._one(
            """SELECT waiting.kept, -waiting.priority, waiting.pos, waiting.job, CAST(job.gates AS BLOB),
                CAST(job.queue AS BLOB), CAST(job.name AS BLOB),
                EXISTS (SELECT 1 FROM stoker_pause WHERE kind = 'queue' AND value = job.queue),
                EXISTS (SELECT 1 FROM stoker_pause WHERE kind = 'name' AND value = job.name)
            FROM stoker_waiting AS waiting CROSS JOIN stoker_job AS job NOT INDEXED ON job.id = waiting.job
            WHERE waiting.line = ? ORDER BY waiting.kept, waiting.priority DESC, waiting.pos LIMIT 1""",
            line,
        )
        if row is None:
            return None
        kept, below, pos, job, gates, queue, name, queue_paused, name_paused = row
        paused = paused_gate("queue", queue.decode()) if queue_paused else None
        if name_paused and paused is None:
            paused = paused_gate("name", name.decode())
        return Head((kept, below, pos), job, read(gates.decode()), paused)

    def rule(self, name: str) -> Rule | None:
        row = self._one("SELECT running, starts, per FROM stoker_rule WHERE name = ?", name)
        return None if row is None else Rule(name, *row)

    def holders(self, key: str) -> int:
        return self._number("SELECT count(*) FROM stoker_place WHERE key = ?", key)

    def started(self) -> Mapping[str, int]:
        running = self._cursor.execute(
            """SELECT CAST(place.key AS BLOB), place.job FROM stoker_place AS place INDEXED BY stoker_place_unheard
            CROSS JOIN stoker_job AS job NOT INDEXED ON job.id = place.job WHERE place.heard = 0 AND job.state <> 2"""
        ).fetchall()
        self._cursor.executemany("UPDATE stoker_place SET heard = 1 WHERE key = CAST(? AS TEXT) AND job = ?", running)
        self._spent.update(key.decode() for key, _ in running)
        return self._spent

    def unstarted(self, key: str) -> int:
        return self._number("SELECT count(*) FROM stoker_place WHERE key = ? AND heard = 0", key)

    def keeps(self, key: str, job: int) -> bool:
        return self._one("SELECT 1 FROM stoker_place WHERE key = ? AND job = ?", key, job) is not None

    def bucket(self, key: str) -> Bucket | None:
        row = self._one("SELECT level, at FROM stoker_bucket WHERE key = ?", key)
        return None if row is None else Bucket(*row)

    def let_in(self, head: Head, rates: Collection[str]) -> None:
        self._cursor.execute("DELETE FROM stoker_waiting WHERE job = ?", (head.job,))
        self._cursor.executemany(
            """INSERT INTO stoker_place (key, job, keeps, heard) VALUES (?, ?, ?, ?)
            ON CONFLICT (key, job) DO UPDATE SET keeps = excluded.keeps""",
            [(gate.key, head.job, int(gate.strict), int(gate.key not in rates)) for gate in head.gates],
        )
        self._cursor.execute("UPDATE stoker_counter SET value = value + 1")
        self._cursor.execute(
            "UPDATE stoker_job NOT INDEXED SET state = 2, pos = (SELECT value FROM stoker_counter) WHERE id = ?",
            (head.job,),
        )

    def park(self, line: str, key: str, order: Order) -> None:
        self._cursor.execute(
            "INSERT INTO stoker_parked (line, key) VALUES (?, ?) ON CONFLICT (line) DO UPDATE SET key = excluded.key",
            (line, key),
        )

    def forget(self, line: str) -> None:
        self._cursor.execute("DELETE FROM stoker_parked WHERE line = ?", (line,))

    def stir(self, text: str) -> None:
        self._cursor.execute("INSERT INTO stoker_stirred (text) VALUES (?) ON CONFLICT (text) DO NOTHING", (text,))

    def fill(self, key: str, bucket: Bucket) -> None:
        self._cursor.execute(
            """INSERT INTO stoker_bucket (key, level, at) VALUES (?, ?, ?)
            ON CONFLICT (key) DO UPDATE SET level = excluded.level, at = excluded.at""",
            (key, bucket.level, bucket.at),
        )

    def wake(self, key: str, at: int) -> None:
        self._cursor.execute(
            "INSERT INTO stoker_alarm (key, at) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET at = excluded.at",
            (key, at),
        )

    def _one(self, text: str, *values: object) -> Any:
        return self._cursor.execute(text, values).fetchone()

    def _number(self, text: str, *values: object) -> int:
        (number,) = self._one(text, *values)
        return int(number)
