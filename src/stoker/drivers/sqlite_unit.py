"""One exchange with SQLite: all steps of a command as one unit, on our own connection or on a caller's."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import TypeVar

from stoker.core.command import Apply, Command, Inside, Replies, Row, Script, Sql
from stoker.errors import NotSupported

T = TypeVar("T")


class UnitFailed(Exception):
    """The commit itself failed: nobody knows whether the unit will be found after a restart."""

    def __init__(self, error: sqlite3.Error) -> None:
        super().__init__(str(error))
        self.error = error


def exchange(connection: sqlite3.Connection, command: Command[T], now: int) -> Replies:
    """Run a command as a transaction of its own; every statement may use ``:now``.

    A writing unit begins with BEGIN IMMEDIATE, because a transaction that reads first and then cannot write would
    have to be thrown away. Raises sqlite3.Error with nothing done, UnitFailed when that is not known.
    """
    cursor = sqlite3.Cursor(connection)
    if len(command.steps) < 2:
        return [_rows(cursor, command, step, now) for step in command.steps]
    cursor.execute("BEGIN IMMEDIATE" if command.writes else "BEGIN")
    try:
        replies = [_rows(cursor, command, step, now) for step in command.steps]
    except BaseException:
        _roll_back(cursor, "ROLLBACK")
        raise
    try:
        cursor.execute("COMMIT")
    except sqlite3.Error as error:
        _roll_back(cursor, "ROLLBACK")
        if (error.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL):
            raise
        raise UnitFailed(error) from error
    return replies


def exchange_inside(connection: sqlite3.Connection, command: Command[T], now: int) -> Replies:
    """Run a command inside the open transaction of a caller's connection; if it fails, the transaction goes on."""
    # Made directly, because connection.cursor() would pass the caller's row factory on.
    cursor = sqlite3.Cursor(connection)
    cursor.execute("SAVEPOINT stoker")
    try:
        replies = [_rows(cursor, command, step, now) for step in command.steps]
    except BaseException:
        _roll_back(cursor, "ROLLBACK TO stoker")
        _roll_back(cursor, "RELEASE stoker")
        raise
    cursor.execute("RELEASE stoker")
    return replies


def _rows(cursor: sqlite3.Cursor, command: Command[T], step: Sql | Inside | Apply | Script, now: int) -> list[Row]:
    if isinstance(step, Inside):
        return list(step.call(cursor, now))
    if not isinstance(step, Sql):
        raise NotSupported(f"{command.name} was made by another store than this one", verb=command.name)
    if isinstance(step.params, Mapping):
        return cursor.execute(step.text, {**step.params, "now": now}).fetchall()
    return cursor.executemany(step.text, [{**params, "now": now} for params in step.params]).fetchall()


def _roll_back(cursor: sqlite3.Cursor, text: str) -> None:
    # SQLite has ended the transaction by itself after some errors (full disk, failed read); then there is nothing
    # to roll back, and the first error is the one to tell.
    if cursor.connection.in_transaction:
        cursor.execute(text)
