"""What Redis URLs mean, and what is said of wrong ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from stoker.drivers.redis_link import Target
from stoker.errors import ConfigurationError, MissingExtra
from stoker.stores.redis.urls import parse
from stoker.stores.urls import open_store

ONE = (("cache", 6379),)
TWO = (("a", 1), ("b", 26379))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://cache", {"kind": "server", "addresses": ONE}),
        ("redis://", {"kind": "server", "addresses": (("localhost", 6379),)}),
        (
            "redis://me:p%40ss@cache:7000/3",
            {"addresses": (("cache", 7000),), "db": 3, "username": "me", "password": "p@ss"},
        ),
        ("redis://:secret@[::1]:7000", {"addresses": (("::1", 7000),), "username": None, "password": "secret"}),
        ("rediss://cache?ca_certs=/ca.pem&verify=none", {"tls": True, "ca_certs": "/ca.pem", "verify": False}),
        ("redis+unix:///run/redis.sock", {"kind": "socket", "addresses": (("/run/redis.sock", 0),)}),
        ("redis+sentinel://a:1,b/jobs/2", {"kind": "sentinel", "addresses": TWO, "service": "jobs", "db": 2}),
        ("rediss+cluster://a:1,b:26379/", {"kind": "cluster", "addresses": TWO, "tls": True}),
        ("redis://cache?timeout=500ms", {"timeout": 0.5}),
    ],
)
def test_a_url_says_where_the_server_is_and_how_to_talk_to_it(url: str, said: dict[str, Any]) -> None:
    target: Target = parse(url, url).target
    assert {name: getattr(target, name) for name in said} == said


def test_the_prefix_names_the_store() -> None:
    assert parse("redis://cache", "").prefix == "stoker"
    assert parse("redis://cache?prefix=shop:jobs", "").prefix == "shop:jobs"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("redis://cache/jobs", "the database is 'jobs'; it must be a number"),
        ("redis://a,b/0", "for several hosts"),
        ("redis://cache:99999", "no host with a port"),
        ("redis://cache?prefx=a", "no parameter prefx; did you mean prefix"),
        ("redis://cache?prefix=a{b}", "may hold no braces"),
        ("redis://cache?verify=maybe", "must be full"),
        ("redis://cache?timeout=soon", "timeout"),
        ("redis+sentinel://a/", "redis\\+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB"),
        ("redis+sentinel:///jobs", "names no host"),
        ("redis+cluster://a/1", "a cluster has no databases"),
        ("redis+unix://", "names no socket"),
        ("redis://cache/0#x", "as %23"),
    ],
)
def test_a_wrong_url_says_what_to_write(tmp_path: Path, url: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        open_store(url, root=tmp_path)


def test_a_wrong_urls_password_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        open_store("redis://me:hunter2@cache/jobs", root=tmp_path)
    assert "hunter2" not in str(raised.value)


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    for module in [name for name in sys.modules if name.startswith(("stoker.stores.redis", "stoker.drivers.redis"))]:
        monkeypatch.delitem(sys.modules, module)
    for module in [name for name in sys.modules if name.startswith("redis.")]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(MissingExtra, match=r'pip install "stoker\[redis\]"'):
        open_store("redis://cache", root=tmp_path)


def test_valkey_is_the_same(tmp_path: Path) -> None:
    assert open_store("valkey://cache/1", root=tmp_path).url == "redis://cache/1"
