"""A mover is killed with SIGKILL in the middle, again and again, on real servers, while both stores are worked on."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

from stoker.app.moving import Moved, Mover, Place
from stoker.core.filters import EVERYTHING
from stoker.core.job import Due, NewJob, State, new_call, new_token
from stoker.core.moving import MOVING
from stoker.core.settlement import Settled, Settlement
from stoker.stores.base import Store
from stoker.stores.urls import open_store
from tests.rigs.processes import ROOT

JOBS, BATCH, KILLS = 300, 10, 4
HOUR = 3600 * 1_000_000


def fill(store: Store) -> None:
    """Enqueue jobs that are due, and some that are for later."""
    jobs = [NewJob("work", f'{{"n":{n}}}', keep=0, due=Due(HOUR if n % 3 == 0 else 0)) for n in range(JOBS)]
    store.run(store.enqueue(jobs, new_call()))


def perform(store: Store, most: int) -> list[str]:
    """Perform some jobs as a worker does; give their arguments."""
    claims = store.run(store.claim({"default": most}, ["work"], [""], new_token(), "worker", 30_000_000)).claims
    settled = store.run(store.settle([Settlement(claim.id, claim.token, State.COMPLETED, keep=0) for claim in claims]))
    assert set(settled.values()) <= {Settled.ACCEPTED}
    return [claim.args for claim in claims]


def killed_moves(source: str, target: str, stores: tuple[Store, Store], chance: random.Random) -> list[str]:
    """Start a mover several times and kill it; give what workers performed meanwhile."""
    performed: list[str] = []
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    for _ in range(KILLS):
        command = [sys.executable, "-m", "tests.rigs.moving", source, target, str(BATCH)]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as mover:
            assert mover.stdout is not None
            for _ in range(chance.randint(1, 3)):
                mover.stdout.readline()
            for store in chance.sample(stores, chance.randint(0, 2)):
                performed += perform(store, chance.randint(1, 5))
            assert mover.poll() is None
            mover.kill()
    return performed


def rest_of(store: Store) -> list[str]:
    """Take out all that is still to be performed, also what is for later."""
    found: list[str] = []
    while jobs := store.run(store.hold(EVERYTHING, 500, new_token(), f"{MOVING}nowhere")):
        found += [job.args for job in jobs]
    return found


def none_lost_and_none_doubled(source: str, target: str, folder: Path, seed: int) -> None:
    old, new = open_store(source, root=folder), open_store(target, root=folder)
    try:
        old.migrate()
        new.migrate()
        fill(old)
        performed = killed_moves(source, target, (old, new), random.Random(seed))
        left = old.run(old.holds())
        assert sum(hold.jobs for hold in left) <= BATCH, "a killed mover leaves one batch at most on its way"
        done = Mover(Place(old, "legacy", source), Place(new, "default", target)).move(EVERYTHING, None)
        assert done == Moved(done.moved, sum(hold.jobs for hold in left))
        assert [row for row in old.run(old.count()) if row.count and row.state is not State.COMPLETED] == []
        while more := perform(new, 500):
            performed += more
        assert Counter(performed + rest_of(new)) == Counter(f'{{"n":{n}}}' for n in range(JOBS))
        assert len(performed) >= 2 * JOBS // 3, "what was due is performed, what is for later is not"
    finally:
        old.close()
        new.close()


def sqlite(folder: Path) -> str:
    return f"sqlite:///{folder}/jobs.sqlite3"


def test_from_sqlite_to_postgres(tmp_path: Path, postgres_url: str) -> None:
    none_lost_and_none_doubled(sqlite(tmp_path), postgres_url, tmp_path, 1)


def test_from_postgres_to_redis(tmp_path: Path, postgres_url: str, redis_url: str) -> None:
    none_lost_and_none_doubled(postgres_url, redis_url, tmp_path, 2)


def test_from_redis_to_sqlite(tmp_path: Path, redis_url: str) -> None:
    none_lost_and_none_doubled(redis_url, sqlite(tmp_path), tmp_path, 3)


def test_from_sidekiq_to_postgres(tmp_path: Path, sidekiq_url: str, postgres_url: str) -> None:
    none_lost_and_none_doubled(sidekiq_url, postgres_url, tmp_path, 4)


def test_from_pgmq_to_sqlite(tmp_path: Path, pgmq_url: str) -> None:
    none_lost_and_none_doubled(pgmq_url, sqlite(tmp_path), tmp_path, 5)
