"""The examples that need a PostgreSQL server do what they say, on one."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.docs.fences import examples

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "transactional-enqueue.md"


@pytest.fixture
def database(postgres_server: str) -> Iterator[str]:
    name = f"docs_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield urlsplit(postgres_server)._replace(path=f"/{name}").geturl()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def statements(page: Path) -> list[str]:
    return [part.partition("\n```")[0] for part in page.read_text(encoding="utf-8").split("```sql\n")[1:]]


def test_the_page_on_transactions_works_from_top_to_bottom(database: str, tmp_path: Path) -> None:
    shown = [example for example in examples(PAGE) if "shop import" in example.code or example.name == "shop.py"]
    for example in [example for example in shown if "django" not in example.code]:
        code = example.code.replace("postgresql://localhost/shop", database)
        (tmp_path / example.name).write_text(code, encoding="utf-8")
        environ = {name: value for name, value in os.environ.items() if not name.startswith("STOKER_")}
        words = [sys.executable, example.name]
        subprocess.run(words, cwd=tmp_path, env=environ, stdin=subprocess.DEVNULL, timeout=50, check=True)

    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT id, paid FROM orders ORDER BY id").fetchall() == [
            (1, True),
            (2, False),
            (3, False),
            (4, False),
        ]
        counted = "SELECT name, state, count(*) FROM stoker.job GROUP BY name, state ORDER BY name"
        # Whoever performed the charge knew the receipts too.
        assert connection.execute(counted).fetchall() == [("charge", 5, 1), ("receipt", 5, 4)]
        for text in statements(PAGE):
            connection.execute(text.encode())
        connection.execute("INSERT INTO orders VALUES (9)")
        found = connection.execute("SELECT args FROM stoker.job WHERE state < 5 ORDER BY id").fetchall()
        assert [args for (args,) in found] == ['{"order": 5}', "[5]", '{"order": 5}', '{"order" : 9}']
