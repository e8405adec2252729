"""A bench has a place of its own, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoker.bench.ground import Ground
from stoker.bench.plan import Plan
from stoker.bench.run import check, usual
from stoker.bench.sides import elsewhere
from stoker.errors import ConfigurationError
from stoker.stores.urls import sqlite_path


def test_a_fresh_file_stands_beside_the_given_one_and_is_removed(tmp_path: Path) -> None:
    with Ground("sqlite:///jobs.sqlite3", tmp_path) as ground, ground.fresh() as url:
        file = sqlite_path(url, tmp_path)
        assert file.parent == tmp_path
        assert file.name != "jobs.sqlite3"
        for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
            (tmp_path / name).touch()
        (tmp_path / "jobs.sqlite3").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["jobs.sqlite3"]


def test_each_measurement_has_a_file_of_its_own(tmp_path: Path) -> None:
    with Ground("sqlite:///jobs.sqlite3", tmp_path) as ground, ground.fresh() as one, ground.fresh() as other:
        assert one != other


def test_without_a_url_the_file_is_in_a_folder_that_vanishes(tmp_path: Path) -> None:
    with Ground(None, tmp_path) as ground, ground.fresh() as url:
        folder = sqlite_path(url, tmp_path).parent
        assert folder.is_dir()
        assert ground.shared
    assert not folder.exists()


def test_memory_is_shared_with_no_other_process(tmp_path: Path) -> None:
    with Ground("memory://", tmp_path) as ground, ground.fresh() as url:
        assert url == "memory://"
        assert not ground.shared


def test_a_wrong_url_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="mysql"):
        Ground("mysql://db/jobs", tmp_path)


def test_a_schema_or_a_prefix_of_its_own_replaces_the_given_one_and_nothing_else() -> None:
    assert elsewhere("postgresql://u:p@db/jobs?schema=mine&sslmode=require", "other") == (
        "postgresql://u:p@db/jobs?sslmode=require&schema=other"
    )
    assert elsewhere("redis+cluster://one:1,two:2/?prefix=mine", "other") == (
        "redis+cluster://one:1,two:2/?prefix=other"
    )
    assert elsewhere("redis+unix:///run/redis.sock", "other") == "redis+unix:///run/redis.sock?prefix=other"


def test_a_store_without_snapshots_cannot_have_one_pinned(tmp_path: Path) -> None:
    with Ground("memory://", tmp_path) as ground, pytest.raises(ConfigurationError, match="memory:// has no snapshots"):
        check(Plan(only=("drain",), pin_snapshot=True), ground)


def test_bare_statements_are_measured_unasked_where_there_are_some(tmp_path: Path) -> None:
    with Ground("postgresql://nowhere/jobs", tmp_path) as ground:
        assert "bare" in usual(ground)
    with Ground("memory://", tmp_path) as ground:
        assert "bare" not in usual(ground)
        with pytest.raises(ConfigurationError, match="not on memory://"):
            check(Plan(only=("bare",)), ground)
