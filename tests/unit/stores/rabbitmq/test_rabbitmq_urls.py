"""What an AMQP URL says, and what is wrong with it."""

from __future__ import annotations

import pytest

from stoker.core.duration import SECOND
from stoker.errors import ConfigurationError
from stoker.stores.rabbitmq.lane import Lane
from stoker.stores.rabbitmq.topology import RUNGS, Topology, split
from stoker.stores.rabbitmq.urls import parse


def test_a_url_names_host_port_virtual_host_and_user() -> None:
    parsed = parse("amqp://me:p%40ss@mq:5673/shop%2Fmail?prefix=shop&timeout=3s", "amqp://me:***@mq")

    wanted = parsed.parameters
    assert (wanted.host, wanted.port, wanted.virtual_host) == ("mq", 5673, "shop/mail")
    assert (wanted.credentials.username, wanted.credentials.password) == ("me", "p@ss")
    assert (parsed.prefix, parsed.timeout) == ("shop", 3.0)


def test_what_is_not_given_is_usual() -> None:
    parsed = parse("amqp://", "amqp://")

    wanted = parsed.parameters
    assert (wanted.host, wanted.port, wanted.virtual_host, wanted.heartbeat) == ("localhost", 5672, "/", 30)
    assert (parsed.prefix, parsed.timeout, wanted.ssl_options) == ("stoker", 10.0, None)


def test_amqps_is_another_port_and_verifies() -> None:
    wanted = parse("amqps://mq", "amqps://mq").parameters

    assert wanted.port == 5671
    assert wanted.ssl_options.context.check_hostname is True


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("amqp://mq/a/b", "%2F"),
        ("amqp://mq/?prefix=a:b", "prefix"),
        ("amqp://mq/?perfix=a", "did you mean prefix"),
        ("amqp://mq/?timeout=soon", "timeout"),
        ("amqp://mq/?heartbeat=0", "heartbeat"),
        ("amqp://mq:port/", "port"),
        ("amqps://mq/?verify=maybe", "verify"),
        ("amqp://mq/?priorities=yes", "classic"),
        ("buffalo+amqp://mq/?priorities=classic", "unknown parameter"),
        ("amqp://mq/?exchange=work", "unknown parameter"),
        ("amqps://mq/?ca_certs=/nowhere.pem", "TLS"),
        ("amqp://mq/#a", "%23"),
    ],
)
def test_what_is_wrong_is_named(url: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        parse(url, url)


def test_delays_take_the_longest_rung_that_is_not_too_long() -> None:
    left, taken = 3725 * SECOND, []
    while left > 0:
        taken.append(split(left))
        left -= taken[-1]

    assert [rung // SECOND for rung in taken] == [3600, 120, 5]
    assert split(1) == RUNGS[0]


def test_names_that_contain_colons_are_not_mixed_up() -> None:
    topology = Topology("p")

    assert topology.key(Lane("a:b", "c")) != topology.key(Lane("a", "b:c"))
