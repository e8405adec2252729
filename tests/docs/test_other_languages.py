"""What the page on other languages says puts jobs into each store just as an enqueue in Python does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest

from stoker import Stoker
from stoker.core.job import Claim, Due, NewJob, State, new_call
from stoker.stores.base import Store
from stoker.stores.urls import open_store
from stoker.testing.contract.base import claim, everything
from tests.docs.pages import block

PAGE: Final = "reference/enqueue-from-other-languages.md"
VECTORS: Final[list[dict[str, Any]]] = json.loads(block(PAGE, "vectors.json"))
DELAY: Final = 90_000_000


@pytest.fixture
def opened() -> Iterator[Callable[[str], Store]]:
    stores: list[Store] = []

    def open_one(url: str) -> Store:
        stores.append(open_store(url, root=Path.cwd()))
        stores[-1].migrate()
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


def run(*words: str, folder: Path, text: str | None = None) -> str:
    done = subprocess.run(words, cwd=folder, input=text, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"there is no {name} here")
    return found


def assert_as_said(store: Store, ids: list[str], vectors: list[dict[str, Any]] = VECTORS) -> None:
    """Compare what lies in the store with the vectors, and with what Python's enqueue of the same makes of them."""
    jobs = [
        NewJob(
            vector["name"],
            vector["args"],
            vector["queue"],
            priority=vector["priority"],
            due=Due(vector["delay"] * 1_000_000),
        )
        for vector in vectors
    ]
    ours = [answer.id for answer in store.run(store.enqueue(jobs, new_call()))]
    found = {job.id: job for job in everything(store)}
    for id, own, vector in zip(ids, ours, vectors, strict=True):
        theirs, expected = found[id], found[own]  # type: ignore[index]
        assert (theirs.name, theirs.args, theirs.queue, theirs.priority) == (
            vector["name"], vector["args"], vector["queue"], vector["priority"]
        )  # fmt: skip
        for field in theirs.__struct_fields__:
            if field not in ("id", "run_at", "enqueued_at"):
                assert getattr(theirs, field) == getattr(expected, field), field
        assert expected.run_at - 30_000_000 <= theirs.run_at <= expected.run_at
        if theirs.state is State.SCHEDULED:
            assert theirs.run_at - theirs.enqueued_at == DELAY


def performed(url: str, enqueue: Callable[[str], object]) -> list[str]:
    """Enqueue with a handler's arguments, and let a worker perform what came; give what it saw."""
    app, seen = Stoker(url=url), list[str]()

    @app.job(queue="said")
    def say(text: str) -> None:
        seen.append(text)

    app.store().migrate()
    enqueue('{"text": "by name"}')
    enqueue('["by position"]')
    app.work(until_empty=True)
    return seen


def with_psql(url: str, folder: Path) -> Callable[[dict[str, Any]], str]:
    psql, schema = program("psql"), parse_qs(urlsplit(url).query)["schema"][0]
    statement = block(PAGE, "enqueue.psql").replace("stoker.enqueue", f"{schema}.enqueue")

    def enqueue(vector: dict[str, Any]) -> str:
        values = [word for name, value in vector.items() for word in ("-v", f"{name}={value}")]
        return run(psql, urlsplit(url)._replace(query="").geturl(), "-qAtX", *values, folder=folder, text=statement)

    return enqueue


def with_sqlite(file: Path) -> Callable[[dict[str, Any]], str]:
    sqlite = program("sqlite3")

    def enqueue(vector: dict[str, Any]) -> str:
        text = block(PAGE, "enqueue.sqlite")
        for name, value in vector.items():
            text = text.replace(
                f":{name}", str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
            )
        return run(sqlite, "-bail", "-cmd", ".timeout 5000", str(file), folder=file.parent, text=text)

    return enqueue


def with_node(url: str, folder: Path) -> Callable[[dict[str, Any]], str]:
    node, parts = program("node"), urlsplit(url)
    for name in ("enqueue.lua", "enqueue.mjs"):
        (folder / name).write_text(block(PAGE, name), encoding="utf-8")
    where = [str(parts.hostname), str(parts.port), parse_qs(parts.query)["prefix"][0]]

    def enqueue(vector: dict[str, Any]) -> str:
        return run(node, "enqueue.mjs", *where, *map(str, vector.values()), folder=folder)

    return enqueue


def plain(enqueue: Callable[[dict[str, Any]], str]) -> Callable[[str], object]:
    return lambda args: enqueue({"name": "say", "args": args, "queue": "said", "priority": 0, "delay": 0})


def test_psql_enqueues_into_postgresql(postgres_url: str, tmp_path: Path, opened: Callable[[str], Store]) -> None:
    store, enqueue = opened(postgres_url), with_psql(postgres_url, tmp_path)

    assert_as_said(store, [enqueue(vector) for vector in VECTORS])
    assert performed(postgres_url, plain(enqueue)) == ["by name", "by position"]


def test_the_sqlite_command_enqueues_into_a_file(tmp_path: Path, opened: Callable[[str], Store]) -> None:
    file = tmp_path / "jobs.db"
    store, enqueue = opened(f"sqlite:///{file}"), with_sqlite(file)

    assert_as_said(store, [enqueue(vector) for vector in VECTORS])
    assert performed(f"sqlite:///{file}", plain(enqueue)) == ["by name", "by position"]


def test_node_enqueues_into_redis(redis_url: str, tmp_path: Path, opened: Callable[[str], Store]) -> None:
    store, enqueue = opened(redis_url), with_node(redis_url, tmp_path)
    large = VECTORS[0] | {"args": json.dumps({"text": "ж" * 3000}, ensure_ascii=False)}

    assert_as_said(store, [enqueue(vector) for vector in [*VECTORS, large]], [*VECTORS, large])
    assert performed(redis_url, plain(enqueue)) == ["by name", "by position"]


def test_a_bare_client_enqueues_into_rabbitmq(
    rabbitmq_url: str, tmp_path: Path, opened: Callable[[str], Store]
) -> None:
    (tmp_path / "enqueue.py").write_text(block(PAGE, "enqueue_rabbitmq.py"), encoding="utf-8")
    parts = urlsplit(rabbitmq_url)
    where = [parts._replace(query="").geturl(), parse_qs(parts.query)["prefix"][0]]

    def enqueue(vector: dict[str, Any]) -> str:
        return run(
            sys.executable, "enqueue.py", *where, vector["name"], vector["args"], vector["queue"], folder=tmp_path
        )

    now = [vector for vector in VECTORS if not vector["delay"]]
    for vector in now:
        enqueue(vector)
    store = opened(rabbitmq_url)
    names = {vector["name"] for vector in now}
    claims: list[Claim] = []
    while len(claims) < len(now):
        claims += claim(store, queues=["default", "mail"], names=sorted(names))
    assert sorted((one.name, one.queue, one.args) for one in claims) == sorted(
        (vector["name"], vector["queue"], vector["args"]) for vector in now
    )
    assert {(one.max_attempts, one.starts, one.defect) for one in claims} == {(20, 1, None)}
    assert performed(rabbitmq_url, plain(enqueue)) == ["by name", "by position"]
