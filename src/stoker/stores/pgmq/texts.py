"""SQL for whichever version of pgmq is installed: what differs is written as words with @ and put in here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from psycopg import Connection

from stoker.core.command import Value
from stoker.drivers.postgres_text import Texts
from stoker.stores.pgmq.wire import FOREIGN_NOTES

_WORD: Final = re.compile(r"@[a-z_]+")
_PROBE: Final = """
SELECT to_regprocedure('pgmq.send_batch(text, jsonb[], jsonb[], timestamptz)') IS NOT NULL,
    to_regprocedure('pgmq.set_vt(text, bigint, timestamptz)') IS NOT NULL,
    EXISTS (SELECT FROM pg_attribute WHERE attname = 'last_read_at'
        AND attrelid = to_regtype('pgmq.message_record')::oid::regtype::text::regclass)"""


class Features(NamedTuple):
    """What the installed pgmq can do."""

    headers: bool
    """Messages have headers, and may be sent for an instant (1.5)."""
    instants: bool
    """`set_vt` takes an instant (1.10)."""
    read_times: bool
    """Messages remember when they were read (1.10)."""


def probe(connection: Connection[Any]) -> Features:
    """Look at what is installed."""
    row = connection.execute(_PROBE).fetchone()
    assert row is not None  # noqa: S101 - told to the type checkers
    return Features(*row)


# `sent` names what a call sends: its queue, messages and notes as JSON arrays, and the instant they are due.
_WITH_HEADERS: Final = {
    "@notes": f"coalesce(m.headers->'stoker', '{FOREIGN_NOTES}')",
    "@message": "message, headers",
    "@set_notes": "headers = coalesce(m.headers, '{}') || jsonb_build_object('stoker', x.notes)",
    "@send": """pgmq.send_batch(sent.queue, ARRAY(SELECT jsonb_array_elements(:messages::jsonb)),
        ARRAY(SELECT jsonb_build_object('stoker', note) FROM jsonb_array_elements(:notes::jsonb) AS note),
        'epoch'::timestamptz + sent.due * interval '1 microsecond')""",
}
_WITHOUT_HEADERS: Final = {
    "@notes": f"coalesce(m.message->'stoker', '{FOREIGN_NOTES}')",
    "@message": "message",
    "@set_notes": "message = m.message || jsonb_build_object('stoker', x.notes)",
    "@send": """pgmq.send_batch(sent.queue, ARRAY(SELECT one.message || jsonb_build_object('stoker', one.note)
        FROM ROWS FROM (jsonb_array_elements(:messages::jsonb), jsonb_array_elements(:notes::jsonb))
            AS one (message, note)),
        greatest(0, ceil((sent.due - :now) / 1000000.0))::integer)""",
}
_WITH_INSTANTS: Final = {
    "@set_vt": "pgmq.set_vt(:queue::text, x.id, 'epoch'::timestamptz + x.due * interval '1 microsecond')",
}
_WITHOUT_INSTANTS: Final = {
    "@set_vt": """pgmq.set_vt(:queue::text, x.id,
        greatest(0, ceil(x.due / 1000000.0 - extract(epoch FROM transaction_timestamp())))::integer)""",
}
_WITH_TIMES: Final = {
    "@and_read_at": ", last_read_at = 'epoch'::timestamptz + :now * interval '1 microsecond'",
    "@last_read": ", last_read_at",
}
_WITHOUT_TIMES: Final = {"@and_read_at": "", "@last_read": ""}


class PgmqTexts(Texts):
    """The texts of one store. ``features`` are set before the first is asked for."""

    features: Features = Features(headers=True, instants=True, read_times=True)

    def named(self, text: str) -> bytes:
        return super().named(self._filled_in(text))

    def sent(self, text: str) -> tuple[bytes, tuple[str, ...]]:
        # Looked up as it is: this is where every exchange passes.
        found = self._known.get(text)
        if found is None:
            found = self._known[text] = super().sent(self._filled_in(text))
        return found

    def numbered(self, text: str, params: Mapping[str, Value]) -> tuple[str, list[Value]]:
        return super().numbered(self._filled_in(text), params)

    def use(self, features: Features) -> None:
        """Write texts for these features from now on."""
        self._known: dict[str, tuple[bytes, tuple[str, ...]]] = {}
        self._words = {
            **(_WITH_HEADERS if features.headers else _WITHOUT_HEADERS),
            **(_WITH_INSTANTS if features.instants else _WITHOUT_INSTANTS),
            **(_WITH_TIMES if features.read_times else _WITHOUT_TIMES),
        }

    def __init__(self, schema: str) -> None:
        super().__init__(schema)
        self.use(self.features)

    def _filled_in(self, text: str) -> str:
        return _WORD.sub(lambda word: self._words[word[0]], text)
