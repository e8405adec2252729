"""A bench has a place of its own, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoker.bench.ground import Ground
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
