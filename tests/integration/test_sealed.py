"""Sealed jobs on every store: nothing readable there, performed by who has the key, given back by who has not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest

from stoker import Compress, Encrypt, Secret, State, Stoker, Unique
from stoker.core.filters import Filter
from stoker.core.job import JobId, StoredJob
from stoker.errors import ResultUnavailable
from stoker.jobs.sealing import is_sealed
from tests.rigs.ledger import sql
from tests.rigs.processes import ROOT

OLD, NEW = Encrypt.new_key("old"), Encrypt.new_key("new")
WORDS = "a readable secret "


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give a place on each store that several processes share."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/jobs.sqlite3"
    place: str = request.getfixturevalue(f"{request.param}_url")
    return place


def application(url: str, *keys: str) -> tuple[Stoker[Any], Any]:
    app: Stoker[Any] = Stoker(url)

    @app.job(codecs=[Compress(above=100), Encrypt(keys)])
    def take(user: int, token: Annotated[str, Secret]) -> str:
        if user == 0:
            raise ValueError(f"refused: {token}")
        return token

    return app, take


def found(app: Stoker[Any], id: str) -> StoredJob:
    """Look a job up."""
    store = app.store()
    return store.run(store.find(Filter(ids=(JobId(id),)), 1))[0]


def everything(url: str, tmp_path: Path) -> str:
    """Give all that the store holds, as text."""
    if url.startswith("sqlite"):
        return "".join(path.read_bytes().decode("latin-1") for path in tmp_path.glob("jobs.sqlite3*"))
    if url.startswith("postgres"):
        schema = url.partition("schema=")[2]
        server = url.partition("?")[0]
        tables = sql(server, f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'")
        return str([sql(server, f'SELECT t::text FROM {schema}."{table}" AS t') for (table,) in tables])
    import redis

    dumped: list[object] = []
    with redis.Redis.from_url(url.partition("?")[0]) as client:
        for key in client.scan_iter(match=f"*{url.partition('prefix=')[2].rstrip(':')}*"):
            readers: dict[Any, Any] = {b"hash": client.hgetall, b"string": client.get}
            dumped.append(readers.get(client.type(key), lambda name: name)(key))
    return str(dumped)


@pytest.mark.timeout(120)
def test_only_who_has_the_key_can_read_and_perform_a_sealed_job(url: str, tmp_path: Path) -> None:
    sender, take = application(url, OLD)
    handle, failing = sender.enqueue_many([take.draft(1, WORDS * 20), take.draft(0, WORDS * 20)])
    assert is_sealed(found(sender, handle.id).args)
    assert found(sender, handle.id).version == 2

    stranger, _ = application(url, NEW)
    stranger.work(until_empty=True)
    job = found(stranger, handle.id)
    assert (job.state, job.failures, job.errors) == (State.SCHEDULED, 0, ())
    stranger.operations().promote(Filter())
    stranger.close()

    holder, same = application(url, NEW, OLD)
    holder.work(until_empty=True)
    assert same.handle(handle.id).result(timeout=5) == WORDS * 20
    with pytest.raises(ResultUnavailable, match="cannot be opened here: encrypted with the key 'new'"):
        handle.result(timeout=5)
    error = found(holder, failing.id).errors[-1]
    assert error.message == "refused: [secret]"
    assert WORDS not in everything(url, tmp_path)
    holder.close()
    sender.close()


@pytest.mark.timeout(120)
def test_replaced_arguments_are_sealed_with_the_newer_key_and_filters_see_nothing_inside(url: str) -> None:
    app, take = application(url, OLD)
    latest = take.using(unique=Unique(by="user", on_conflict="replace"), delay="1h")
    handle = latest.enqueue(1, "first")
    rotated, again = application(url, NEW, OLD)
    assert again.using(unique=Unique(by="user", on_conflict="replace")).enqueue(1, "second").id == handle.id

    assert '"new"' in found(app, handle.id).args
    assert app.operations().count(Filter(args=(("user", "1"),))) == 0
    assert app.operations().count(Filter(names=("take",))) == 1
    rotated.operations().promote(Filter())
    rotated.work(until_empty=True)
    assert again.handle(handle.id).result(timeout=5) == "second"
    rotated.close()
    app.close()


@pytest.mark.timeout(120)
def test_a_sealed_job_in_a_process_of_its_own_shows_nothing_either(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    environment["SEALED_URL"] = f"sqlite:///{tmp_path}/jobs.sqlite3"
    words = [sys.executable, "-m", "tests.integration.apps.sealed_apart"]
    done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=True)

    told = json.loads(done.stdout.splitlines()[-1])
    assert told["result"] == "open-sesame"
    assert told["states"] == ["measure completed", "use completed", "use discarded"]
    assert "open" not in json.dumps(told["stored"])
    assert "open" not in done.stderr
