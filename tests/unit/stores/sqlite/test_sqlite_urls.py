"""What a sqlite:/// URL says, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoker.errors import ConfigurationError
from stoker.stores.sqlite.urls import parse

ROOT = Path("/srv/shop")


def test_three_slashes_are_relative_to_the_root() -> None:
    assert parse("sqlite:///data/jobs.db", ROOT).path == Path("/srv/shop/data/jobs.db")


def test_four_slashes_are_absolute() -> None:
    assert parse("sqlite:////var/lib/jobs.db", ROOT).path == Path("/var/lib/jobs.db")


def test_special_characters_are_written_percent_encoded() -> None:
    assert parse("sqlite:///my%20jobs%23%3F.db", ROOT).path == ROOT / "my jobs#?.db"


def test_commits_are_durable_unless_told_otherwise() -> None:
    parsed = parse("sqlite:///jobs.db", ROOT)
    assert (parsed.synchronous, parsed.busy_timeout) == ("FULL", 5.0)


@pytest.mark.parametrize("value", ["NORMAL", "normal", "FULL"])
def test_synchronous_is_full_or_normal(value: str) -> None:
    assert parse(f"sqlite:///jobs.db?synchronous={value}", ROOT).synchronous == value.upper()


@pytest.mark.parametrize(("value", "seconds"), [("5s", 5.0), ("250ms", 0.25), ("1m", 60.0)])
def test_the_busy_timeout_is_a_duration(value: str, seconds: float) -> None:
    assert parse(f"sqlite:///jobs.db?busy_timeout={value}", ROOT).busy_timeout == seconds


def test_the_spelling_of_loco_files_is_accepted() -> None:
    assert parse("sqlite:///loco.sqlite?mode=rwc", ROOT).path == ROOT / "loco.sqlite"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("sqlite:///jobs.db?cache=shared", "cache"),
        ("sqlite:///jobs.db?mode=ro", "mode"),
        ("sqlite:///jobs.db?synchronous=OFF", "OFF"),
        ("sqlite:///jobs.db?busy_timeout=soon", "busy_timeout"),
        ("sqlite://jobs.db", "three slashes"),
        ("sqlite://host/jobs.db", "three slashes"),
        ("sqlite:///", "names no file"),
        ("sqlite:///data/", "names no file"),
        ("sqlite:///:memory:", "memory://"),
        ("sqlite:///jobs#1.db", "%23"),
        ("postgresql://localhost/jobs", "sqlite:///"),
    ],
)
def test_what_is_wrong_is_named(url: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        parse(url, ROOT)
