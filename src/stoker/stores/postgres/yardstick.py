"""What PostgreSQL itself can do, so that figures of the store can be held against it: bare statements in a loop.

One connection, one statement after another, on a narrow table without anything that a job system needs: no attempts,
no leases, no names, no receipts. What remains is the price of taking rows off a queue table and of a durable commit.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from stoker.stores.postgres_side import PostgresSide

BATCH: Final = 500

_TABLE: Final = """
CREATE TABLE {schema}.bare (id bigint PRIMARY KEY, state smallint NOT NULL DEFAULT 0, args text NOT NULL);
CREATE INDEX bare_waiting ON {schema}.bare (id) WHERE state = 0;
CREATE SEQUENCE {schema}.bare_id"""
_FILL: Final = """
INSERT INTO {schema}.bare (id, args)
SELECT number, format('{{"number":%%s,"payload":"%%s"}}', number, repeat('x', %(payload)s::integer))
FROM generate_series(1, %(rows)s::bigint) AS number"""
_CLAIM: Final = """
UPDATE {schema}.bare SET state = 1 WHERE id = ANY (ARRAY(
    SELECT id FROM {schema}.bare WHERE state = 0 ORDER BY id LIMIT %(batch)s::integer FOR UPDATE SKIP LOCKED
)) RETURNING id, args"""
_DELETE: Final = "DELETE FROM {schema}.bare WHERE id = ANY (%(ids)s::bigint[])"
_INSERT: Final = """
INSERT INTO {schema}.bare (id, args) VALUES (nextval('{schema}.bare_id'), %(args)s::text) RETURNING id"""


_HAND_OVER: Final = """
WITH put AS (INSERT INTO {schema}.bare (id, args) VALUES (nextval('{schema}.bare_id'), '[]') RETURNING id)
SELECT pg_notify({channel}, '') FROM put"""
_PATIENCE: Final = 5.0
"""Seconds after the last row in which its notification arrives."""


class BareClaims(NamedTuple):
    """How long it took to claim and delete rows, and whether each was there once."""

    rows: int
    seconds: float
    once: bool


def bare_claims(url: str, n: int, *, beyond: int, payload: int) -> BareClaims:
    """Claim and delete n rows, 500 at a time, of a table that has ``beyond`` more."""
    side = PostgresSide(url, "the bench's server")
    with side.connected() as connection:
        _make(connection, side.schema, n + beyond, payload)
        claim, delete = _text(_CLAIM, side.schema), _text(_DELETE, side.schema)
        seen: list[int] = []
        started = time.perf_counter()
        while len(seen) < n:
            batch = min(BATCH, n - len(seen))
            ids = [id for id, _ in connection.execute(claim, {"batch": batch}, binary=True).fetchall()]
            if not ids:
                break
            connection.execute(delete, {"ids": ids}, binary=True)
            seen += ids
        seconds = time.perf_counter() - started
    return BareClaims(len(seen), seconds, len(set(seen)) == n)


def bare_inserts(url: str, n: int, *, payload: int) -> list[float]:
    """Insert n rows, each in a transaction of its own; gives the seconds of each."""
    side = PostgresSide(url, "the bench's server")
    calls: list[float] = []
    with side.connected() as connection:
        _make(connection, side.schema, 0, payload)
        insert = _text(_INSERT, side.schema)
        cargo = "x" * payload
        for number in range(n):
            before = time.perf_counter()
            args = f'{{"number":{number},"payload":"{cargo}"}}'
            connection.execute(insert, {"args": args}, binary=True).fetchone()
            calls.append(time.perf_counter() - before)
    return calls


def bare_handovers(url: str, pauses: Sequence[float]) -> list[float]:
    """Insert a row and notify after each pause; gives the seconds after which another connection has claimed it."""
    side = PostgresSide(url, "the bench's server")
    channel = f"{side.schema}.bare"
    with side.connected() as sender, side.connected() as hears, side.connected() as takes:
        _make(sender, side.schema, 0, 0)
        hears.execute(SQL("LISTEN {}").format(Identifier(channel)))
        hand_over = SQL(_HAND_OVER).format(schema=Identifier(side.schema), channel=channel)
        claim = _text(_CLAIM, side.schema)

        def receive() -> list[float]:
            arrived: list[float] = []
            for _ in hears.notifies(timeout=sum(pauses) + _PATIENCE):
                rows = takes.execute(claim, {"batch": BATCH}, binary=True).fetchall()
                arrived += [time.perf_counter()] * len(rows)
                if len(arrived) >= len(pauses):
                    break
            return arrived

        with ThreadPoolExecutor(1) as thread:
            received = thread.submit(receive)
            sent: list[float] = []
            for pause in pauses:
                time.sleep(pause)
                sent.append(time.perf_counter())
                sender.execute(hand_over)
            return [then - before for before, then in zip(sent, received.result(), strict=False)]


def _make(connection: psycopg.Connection[Any], schema: str, rows: int, payload: int) -> None:
    connection.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(schema)))
    connection.execute(_text(_TABLE, schema))
    connection.execute(_text(_FILL, schema), {"rows": rows, "payload": payload})
    connection.execute(_text("ANALYZE {schema}.bare", schema))


def _text(text: Any, schema: str) -> Composed:
    return SQL(text).format(schema=Identifier(schema))
