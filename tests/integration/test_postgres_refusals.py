"""What the command line says of a PostgreSQL server that will not have us: one line, and the exit code that fits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli_processes import said
from tests.rigs.ledger import sql
from tests.rigs.postgres import Postgres
from tests.rigs.servers import running

APP = """
import os
from stoker import Stoker

app = Stoker(os.environ["APP_URL"])

@app.job
def hello() -> None: ...
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """Give a server that asks one role for a password and lets another do nothing."""
    with running(Postgres(fsync=False)) as server:
        sql(server.url, "CREATE ROLE stranger LOGIN; CREATE ROLE locked LOGIN PASSWORD 'right'")
        sql(server.url, "CREATE DATABASE ready")
        access = server.data / "pg_hba.conf"
        access.write_text(f"host all locked all scram-sha-256\n{access.read_text()}")
        sql(server.url, "SELECT pg_reload_conf()")
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def url(server: Postgres, user: str = "postgres", database: str = "postgres") -> str:
    return f"postgresql://{user}@127.0.0.1:{server.port}/{database}"


def refusal(folder: Path, url: str, *words: str) -> tuple[int, str]:
    """Say a command; give its exit code and the one line that it wrote."""
    ended = said(folder, *words, "--app", "app:app", APP_URL=url)
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("stoker: ")
    return ended.returncode, line


COMMANDS = [("status",), ("worker", "--until-empty"), ("migrate",)]
each_command = pytest.mark.parametrize("words", COMMANDS, ids=" ".join)


@each_command
def test_a_wrong_password_is_named_and_not_shown(server: Postgres, folder: Path, words: tuple[str, ...]) -> None:
    code, line = refusal(folder, url(server, "locked:guess"), *words)
    assert code == 3
    assert 'password authentication failed for user "locked"' in line
    assert "guess" not in line


@each_command
def test_a_database_that_does_not_exist_is_named(server: Postgres, folder: Path, words: tuple[str, ...]) -> None:
    code, line = refusal(folder, url(server, database="nowhere"), *words)
    assert code == 3
    assert 'database "nowhere" does not exist' in line


@each_command
def test_a_role_that_may_make_no_schema_is_told_so(server: Postgres, folder: Path, words: tuple[str, ...]) -> None:
    code, line = refusal(folder, url(server, "stranger"), *words)
    assert code == 1
    assert "permission denied for database postgres" in line


@each_command
def test_a_role_without_rights_on_the_schema_is_told_so(server: Postgres, folder: Path, words: tuple[str, ...]) -> None:
    assert said(folder, "migrate", "--app", "app:app", APP_URL=url(server, database="ready")).returncode == 0
    code, line = refusal(folder, url(server, "stranger", "ready"), *words)
    assert code == 1
    assert "permission denied for schema stoker" in line


@pytest.mark.parametrize("words", COMMANDS[:2], ids=" ".join)
def test_a_missing_schema_is_not_made_in_production(server: Postgres, folder: Path, words: tuple[str, ...]) -> None:
    code, line = refusal(folder, url(server), *words, "--environment", "production")
    assert code == 4
    assert "run: stoker migrate" in line
