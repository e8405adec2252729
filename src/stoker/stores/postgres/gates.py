"""How jobs pass their gates: admit and define."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stoker.core.command import Replies, Sql
from stoker.core.limits import Admitted, Rule
from stoker.stores.admission import paused_gate
from stoker.stores.codes import encode

DEFINE: Final = """
WITH said AS (
    INSERT INTO stoker.rule AS rule (name, running, starts, per)
    SELECT value->>0, (value->>1)::integer, (value->>2)::integer, (value->>3)::bigint
    FROM json_array_elements(:rules::json) AS value ORDER BY 1
    ON CONFLICT (name) DO UPDATE SET running = excluded.running, starts = excluded.starts, per = excluded.per
    WHERE :replace::boolean AND (rule.running, rule.starts, rule.per)
        IS DISTINCT FROM (excluded.running, excluded.starts, excluded.per)
    RETURNING rule.name
)
INSERT INTO stoker.stirred (text)
SELECT DISTINCT parked.key FROM stoker.parked JOIN said ON said.name = split_part(parked.key, '=', 1)"""

ADMIT: Final = "SELECT admitted, more, next_at, at FROM stoker.admit(:now, :limit::integer)"


def define_step(rules: Sequence[Rule], *, replace: bool) -> Sql:
    """Give the statement that writes rules down, and has waiting jobs looked at again where that changed one."""
    rows = [(rule.name, rule.running, rule.starts, rule.per) for rule in rules]
    return Sql(DEFINE, {"rules": encode(rows), "replace": replace})


def paused_gates(kind: str, values: Sequence[str]) -> str:
    """Give where lines wait while these queues or names are paused, as JSON."""
    return encode([paused_gate(kind, value) for value in values])


def admitted(replies: Replies) -> Admitted:
    """Read the answer of an admit."""
    ((count, more, next_at, now),) = replies[-1]
    return Admitted(count, more, next_at, now)
