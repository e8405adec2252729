"""One worker performs from SQLite, PostgreSQL and Redis at once; one of them that is down does the others no harm."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner

from stoker import Stoker
from stoker.cli.program import program
from stoker.errors import StoreUnavailable
from tests.rigs.valkey import Valkey


class Crew:
    """An application over three stores, and what its jobs have done."""

    def __init__(self, folder: Path, postgres: str, redis: str) -> None:
        self.performed: asyncio.Queue[str] = asyncio.Queue()
        self.app: Stoker[None] = Stoker(
            f"sqlite:///{folder}/jobs.sqlite3",
            stores={"pg": postgres, "cache": f"{redis}?timeout=300ms"},
            settings={"workers.concurrency": 2},
        )
        for store in ("default", "pg", "cache"):

            @self.app.job(name=f"in_{store}", store=store)
            async def note(text: str) -> None:
                self.performed.put_nowait(text)

    async def enqueue(self, store: str, text: str) -> None:
        await self.app.get(f"in_{store}").aenqueue(text)

    async def done(self, number: int) -> set[str]:
        async with asyncio.timeout(60):
            return {await self.performed.get() for _ in range(number)}


async def test_a_worker_performs_from_all_stores_and_goes_on_while_one_is_down(
    tmp_path: Path, postgres_url: str, own_redis: Valkey
) -> None:
    crew = Crew(tmp_path, postgres_url, own_redis.url)
    async with crew.app, crew.app.working():
        for store in ("default", "pg", "cache"):
            await crew.enqueue(store, f"{store} 1")
        assert await crew.done(3) == {"default 1", "pg 1", "cache 1"}

        own_redis.kill()
        with pytest.raises(StoreUnavailable):
            await crew.enqueue("cache", "nowhere")
        for store in ("default", "pg"):
            await crew.enqueue(store, f"{store} 2")
        assert await crew.done(2) == {"default 2", "pg 2"}

        own_redis.start()
        await crew.enqueue("cache", "cache 3")
        assert await crew.done(1) == {"cache 3"}


def test_doctor_looks_at_all_stores_and_says_which_one_is_down(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "three_stores.py").write_text(
        "from stoker import Stoker\n"
        f"app = Stoker('sqlite:///jobs.sqlite3', stores={{'pg': {postgres_url!r}, 'cache': 'redis://127.0.0.1:1/0'}})\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    said = CliRunner().invoke(program, ["-A", "three_stores", "doctor"])
    assert said.exit_code == 1
    assert "ok    default  store: sqlite:" in said.stdout
    assert "ok    pg  store: postgresql:" in said.stdout
    assert "FAIL  cache  store: redis://127.0.0.1:1/0" in said.stdout
