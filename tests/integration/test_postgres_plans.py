"""No verb of the PostgreSQL store reads all of a large table, whatever the planner believes (contract, trap 9)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from stoker.core.batch import BatchMove, member, new_batch
from stoker.core.command import Command
from stoker.core.filters import Filter
from stoker.core.job import AttemptFailure, Claim, Due, JobId, NewJob, State, new_call, new_token
from stoker.core.limits import Gate, Rule
from stoker.core.settlement import Settled, Settlement
from stoker.drivers import postgres as driver
from stoker.drivers.postgres_exchange import Link
from stoker.drivers.postgres_session import open_link
from stoker.drivers.postgres_text import Texts
from stoker.stores.postgres import PostgresStore
from stoker.stores.postgres_urls import parse
from tests.rigs.plans import Node, Plans

SECOND = 1_000_000
LEASE = 60 * SECOND
JOBS = 50_000
MOST = 1_000
"""Rows that a verb may look at, of batches of 100 at most."""
TURNS = 7
"""More than the executions after which a server may settle for one plan for all parameters."""

FILL = f"""
INSERT INTO stoker.job (id, state, queue, route, name, priority, pos, run_at, max_attempts, crash_limit, enqueued_at,
    expires_at, version, labels, meta, args)
SELECT nextval('stoker.line'), CASE n % 10 WHEN 0 THEN 1 WHEN 1 THEN 4 WHEN 2 THEN 5 WHEN 3 THEN 7 ELSE 2 END,
    'default', '', 'work', 0, n, 4000000000000000 + n, 20, 3, 0,
    CASE WHEN n % 10 IN (2, 3) THEN 4000000000000000 + n END, 1, '[]', '{{}}', '{{}}'
FROM generate_series(1, {JOBS}) AS n;
INSERT INTO stoker.ready SELECT queue, route, name, priority, pos, id, run_at, 2 FROM stoker.job WHERE state = 2;
INSERT INTO stoker.job (id, state, queue, route, name, priority, pos, run_at, max_attempts, crash_limit, enqueued_at,
    gates, version, labels, meta, args)
SELECT nextval('stoker.line'), 0, 'default', '', 'work', 0, n, 0, 20, 3, 0, ' tenant=full', 1, '[]', '{{}}', '{{}}'
FROM generate_series(1, {JOBS}) AS n;
INSERT INTO stoker.waiting SELECT stoker.line_of(job), 1, priority, pos, id FROM stoker.job WHERE state = 0"""
"""Waiting and ended jobs; the work of the test comes behind them, or before them by priority."""
TABLES = ("job", "ready", "lease", "waiting")


class Scene:
    """A store full of jobs, and verbs on a few of them."""

    def __init__(self, store: PostgresStore) -> None:
        self.store = store

    def run(self, command: Command[Any]) -> Any:
        return self.store.run(command)

    def claimed(self, count: int = 100, **fields: Any) -> list[Claim]:
        """Give running jobs, those before all others."""
        self.run(self.store.enqueue([NewJob("work", "{}", priority=5, **fields) for _ in range(count)], new_call()))
        claims: list[Claim] = self.run(
            self.store.claim({"default": count}, ["work"], [""], new_token(), "worker", LEASE)
        ).claims
        assert len(claims) == count
        return claims


def failed(one: Claim) -> Settlement:
    error = AttemptFailure(1, 0, "ValueError", "no")
    return Settlement(one.id, one.token, State.RETRYABLE, due=Due(delay=3600 * SECOND), counts="failure", error=error)


ENDINGS: dict[str, Callable[[Claim], Settlement]] = {
    "delete": lambda one: Settlement(one.id, one.token, State.COMPLETED, keep=0),
    "complete": lambda one: Settlement(one.id, one.token, State.COMPLETED, keep=SECOND, result="1"),
    "retry": failed,
    "give back": lambda one: Settlement(one.id, one.token, State.AVAILABLE),
    "discard": lambda one: Settlement(one.id, one.token, State.DISCARDED),
}


def settle(scene: Scene, *endings: str) -> None:
    claims = scene.claimed()
    made = [ENDINGS[endings[place % len(endings)]](one) for place, one in enumerate(claims)]
    assert set(scene.run(scene.store.settle(made)).values()) == {Settled.ACCEPTED}


def cancel(scene: Scene) -> None:
    ids = tuple(one.id for one in scene.claimed(50))
    scene.run(scene.store.cancel(Filter(ids=ids), 100))


def delete(scene: Scene) -> None:
    answers = scene.run(scene.store.enqueue([NewJob("work", "{}") for _ in range(50)], new_call()))
    assert scene.run(scene.store.delete(Filter(ids=tuple(one.id for one in answers)), 100)).count == 50


def retry(scene: Scene) -> None:
    claims = scene.claimed(50)
    scene.run(scene.store.settle([Settlement(one.id, one.token, State.DISCARDED) for one in claims]))
    assert scene.run(scene.store.retry(Filter(ids=tuple(one.id for one in claims)), 100)).count == 50


def requeue(scene: Scene) -> None:
    ids = tuple(one.id for one in scene.claimed(50))
    assert scene.run(scene.store.requeue(Filter(ids=ids), 100, force=True)).count == 50


def reclaim(scene: Scene) -> None:
    tokens = {one.token for one in scene.claimed(100)}
    assert len(scene.run(scene.store.reclaim(10, tuple(tokens))).available) == 100


def lapsed(scene: Scene) -> None:
    command = scene.store.claim({"default": 50}, ["work"], [""], new_token(), "worker", -SECOND)
    assert scene.run(command).claims
    assert scene.run(scene.store.reclaim(10)).available


def extend(scene: Scene) -> None:
    claims = scene.claimed(100)
    scene.run(scene.store.extend([claims[0].token], LEASE, started=[claims[0].id]))


def promote(scene: Scene) -> None:
    jobs = [NewJob("work", "{}", due=Due(delay=1)) for _ in range(50)]
    scene.run(scene.store.enqueue(jobs, new_call()))
    scene.run(scene.store.promote(100))


def expire(scene: Scene) -> None:
    jobs = [NewJob("work", "{}", expires=Due(delay=1), due=Due(delay=SECOND * place)) for place in range(50)]
    scene.run(scene.store.enqueue(jobs, new_call()))
    assert scene.run(scene.store.expire(100)).count == 50


def admit(scene: Scene) -> None:
    for tenant in "abcd":
        jobs = [NewJob("work", "{}", priority=5, gates=(Gate(f"tenant={tenant}"),)) for _ in range(10)]
        scene.run(scene.store.enqueue(jobs, new_call()))
    scene.run(scene.store.admit(100))
    claims = scene.run(scene.store.claim({"default": 40}, ["work"], [""], new_token(), "worker", LEASE)).claims
    scene.run(scene.store.settle([Settlement(one.id, one.token, State.COMPLETED, keep=0) for one in claims]))


def advance(scene: Scene) -> None:
    batch = new_batch()
    jobs = [member(NewJob("work", "{}", priority=9), batch) for _ in range(50)]
    scene.run(scene.store.open_batch(batch, "{}", jobs, new_call()))
    settle(scene, "delete")
    (found,) = scene.run(scene.store.batches([], 10))
    seen = tuple(event.seq for event in found.events)
    assert len(seen) == 50
    assert scene.run(scene.store.advance(BatchMove(batch, 1, "{}", seen, True), [NewJob("work", "{}")], new_call()))


VERBS: dict[str, Callable[[Scene], None]] = {
    "claim": lambda scene: scene.run(scene.store.claim({"default": 100}, ["work"], [""], new_token(), "worker", LEASE)),
    "claim of several names": lambda scene: scene.run(
        scene.store.claim({"default": 100}, ["work", "mail"], ["", "gpu"], new_token(), "worker", LEASE)
    ),
    "claim by age": lambda scene: scene.run(
        scene.store.claim({"default": 100}, ["work", "mail"], ["", "gpu"], new_token(), "worker", LEASE, oldest=True)
    ),
    "settle: delete": lambda scene: settle(scene, "delete"),
    "settle: complete": lambda scene: settle(scene, "complete"),
    "settle: retry": lambda scene: settle(scene, "retry"),
    "settle: give back": lambda scene: settle(scene, "give back"),
    "settle: discard": lambda scene: settle(scene, "discard"),
    "settle: mixed": lambda scene: settle(scene, *ENDINGS),
    "settle: refused": lambda scene: scene.run(
        scene.store.settle([Settlement(JobId(str(n)), new_token(), State.COMPLETED) for n in range(1, 101)])
    ),
    "extend": extend,
    "promote": promote,
    "admit": admit,
    "advance": advance,
    "reclaim by token": reclaim,
    "reclaim": lapsed,
    "expire": expire,
    "prune": lambda scene: scene.run(scene.store.prune(100)),
    "cancel by id": cancel,
    "delete by id": delete,
    "retry by id": retry,
    "requeue by id": requeue,
    "find by id": lambda scene: scene.run(scene.store.find(Filter(ids=(JobId("7"),)), 10)),
    "result": lambda scene: scene.run(scene.store.result(JobId("7"))),
    "any": lambda scene: scene.run(scene.store.any(["default"], ["work"], [""])),
}


class Server:
    """One store whose tables were empty when statistics were taken, and the plans of each of its statements."""

    def __init__(self, url: str, *, pooled: bool, fresh: bool) -> None:
        self.plans = Plans(nested=True)
        self._pooled = pooled
        parsed = parse(url)
        texts = Texts(parsed.schema)
        self._patched = pytest.MonkeyPatch()
        self._patched.setattr(driver, "open_link", self._open)
        self.store = PostgresStore(url)
        self.store.migrate()
        self.store.run(self.store.define([Rule("tenant", running=10)], replace=True))
        with psycopg.connect(parsed.conninfo, autocommit=True) as connection:
            for table in TABLES:
                connection.execute(texts.plain(f"ALTER TABLE stoker.{table} SET (autovacuum_enabled = off)").encode())
            analyze = "ANALYZE " + ", ".join(f"stoker.{table}" for table in TABLES)
            if not fresh:
                connection.execute(texts.plain(analyze).encode())
            connection.execute(texts.plain(FILL).encode())
            if fresh:
                connection.execute(texts.plain(analyze).encode())

    def close(self) -> None:
        self.store.close()
        self._patched.undo()

    def _open(self, params: Any) -> Link:
        link = open_link(params)
        if self._pooled:
            link.connection.execute("RESET ALL")
            link.pooled = True
        return self.plans.watch(link)


@pytest.fixture
def server(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[Server]:
    statistics, _, pooled = request.param.partition(", ")
    server = Server(postgres_url, pooled=bool(pooled), fresh=statistics == "fresh")
    yield server
    server.close()


def reads_too_much(node: Node) -> bool:
    # In that index are only the running jobs that somebody asked to stop.
    return node.rows > MOST or (node.reads_all and node.facts.get("Index Name") != "job_cancelling")


KINDS = ["stale", "fresh", "stale, behind a pooler", "fresh, behind a pooler"]


@pytest.mark.parametrize("server", KINDS, indirect=True)
def test_no_verb_reads_more_than_it_is_about(server: Server) -> None:
    scene = Scene(server.store)
    wrong: dict[str, list[Node]] = {}
    for verb, act in VERBS.items():
        for turn in range(TURNS):
            server.plans.forget()
            act(scene)
            nodes = [node for node in server.plans.nodes if node.table in ("job", "ready", "waiting")]
            assert nodes, f"{verb} showed no plan"
            if bad := [node for node in nodes if reads_too_much(node)]:
                wrong[f"{verb}, turn {turn}"] = bad
    assert not wrong, "\n".join(f"{verb}: {bad}" for verb, bad in wrong.items())
