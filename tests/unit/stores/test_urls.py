"""What a store's URL means."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoker.errors import ConfigurationError
from stoker.stores.memory import MemoryStore
from stoker.stores.sqlite import SqliteStore
from stoker.stores.urls import canonical_url, mask, open_store


def test_memory_gives_a_store_of_its_own_each_time(tmp_path: Path) -> None:
    first, second = open_store("memory://", root=tmp_path), open_store("memory://", root=tmp_path)

    assert isinstance(first, MemoryStore)
    assert first is not second


def test_sqlite_gives_a_store_without_touching_the_disk(tmp_path: Path) -> None:
    store = open_store("sqlite:///jobs.db", root=tmp_path)

    assert isinstance(store, SqliteStore)
    assert list(tmp_path.iterdir()) == []


def test_a_sqlite_path_is_relative_to_the_root(tmp_path: Path) -> None:
    store = open_store("sqlite:///my%20jobs.db", root=tmp_path)
    store.migrate()
    store.close()

    assert (tmp_path / "my jobs.db").is_file()


def test_a_sqlite_path_with_four_slashes_is_absolute(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/jobs.db", root=Path("/elsewhere"))
    store.migrate()
    store.close()

    assert (tmp_path / "jobs.db").is_file()


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("sqlite:///", "names no file"),
        ("sqlite:///folder/", "names no file"),
        ("sqlite://jobs.db", "write three slashes"),
        ("sqlite:///:memory:", "write memory://"),
        ("sqlite:///a#b.db", "%23"),
        ("sqlite:///jobs.db?timeout=5", "has no parameter timeout"),
        ("memory://jobs", "nothing behind the slashes"),
        ("jobs.db", "is not a store URL; for a SQLite file write sqlite:///jobs.db"),
        ("", "is not a store URL"),
        ("sqllite:///jobs.db", r"did you mean sqlite://\?"),
        ("mysql://localhost", "no store has the scheme mysql://"),
    ],
)
def test_a_wrong_url_says_what_to_write(tmp_path: Path, url: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        open_store(url, root=tmp_path)


def test_an_absolute_path_with_three_slashes_is_an_error_where_its_folder_would_be_missing(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(ConfigurationError, match=f"an absolute path has four slashes: sqlite:///{other}/jobs.db"):
        open_store(f"sqlite://{other}/jobs.db", root=tmp_path)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("postgres://db/shop", "postgresql://db/shop"),
        ("pgmq+postgres://db/shop", "pgmq+postgresql://db/shop"),
        ("SQLite:///Jobs.db", "sqlite:///Jobs.db"),
        ("memory://", "memory://"),
    ],
)
def test_a_url_has_one_spelling(written: str, canonical: str) -> None:
    assert canonical_url(written) == canonical


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://me:secret@db:5432/shop", "postgresql://me:***@db:5432/shop"),
        ("redis://:secret@cache/0", "redis://:***@cache/0"),
        ("redis://me@cache/0", "redis://me@cache/0"),
        ("redis://me:p@ss/wo?rd#@cache/0", "redis://me:***@cache/0"),
        ("postgresql://db/shop?sslpassword=x&schema=jobs", "postgresql://db/shop?sslpassword=***&schema=jobs"),
        ("redis://cache?prefix=a&TOKEN=x", "redis://cache?prefix=a&TOKEN=***"),
        ("sqlite:///jobs.db", "sqlite:///jobs.db"),
        ("memory://", "memory://"),
        ("jobs.db", "jobs.db"),
    ],
)
def test_a_masked_url_has_no_secret(url: str, masked: str) -> None:
    assert mask(url) == masked


def test_a_url_in_an_error_is_masked(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_store("mqtt://me:hunter2@db/shop", root=tmp_path)
    assert "hunter2" not in str(caught.value)
