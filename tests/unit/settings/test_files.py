"""Finding the project's root and the file of an environment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stoker.errors import ConfigurationError
from stoker.settings import find_root, load

Write = Callable[..., Path]


@pytest.mark.parametrize("marker", ["pyproject.toml", "config/"])
def test_the_root_is_the_nearest_folder_upwards_with_a_marker(root: Path, marker: str) -> None:
    (root / marker).mkdir() if marker.endswith("/") else (root / marker).touch()
    file = root / "src" / "shop" / "jobs.py"
    file.parent.mkdir(parents=True)
    file.touch()

    assert find_root(file) == root


def test_the_nearest_marker_wins(root: Path) -> None:
    (root / "pyproject.toml").touch()
    inner = root / "services" / "mail"
    (inner / "config").mkdir(parents=True)

    assert find_root(inner / "worker.py") == inner


def test_a_file_named_config_is_no_marker(root: Path) -> None:
    (root / "pyproject.toml").touch()
    (root / "inner").mkdir()
    (root / "inner" / "config").touch()

    assert find_root(root / "inner") == root


def test_the_file_of_the_environment_is_read(root: Path, write: Write) -> None:
    write("workers: {concurrency: 3}", "test")
    write("workers: {concurrency: 4}", "staging")

    assert load(root=root, environ={}, environment="staging").workers.concurrency == 4


def test_a_local_file_replaces_the_other(root: Path, write: Write) -> None:
    write("workers: {concurrency: 3, processes: 3}")
    write("workers: {concurrency: 4}", "development.local")
    settings = load(root=root, environ={})

    assert settings.workers.concurrency == 4
    assert settings.workers.processes == 1
    assert settings.origins["workers.concurrency"] == "config/development.local.yaml"


def test_a_missing_environment_is_an_error_that_lists_the_existing_ones(root: Path, write: Write) -> None:
    write("", "production")
    write("", "test.local")
    with pytest.raises(ConfigurationError, match=r"no settings for environment 'development': .* production, test;"):
        load(root=root, environ={})


def test_a_misspelt_environment_does_not_fall_back_to_defaults(root: Path, write: Write) -> None:
    write("", "eu-west")
    with pytest.raises(ConfigurationError, match=r"'eu-wset': .* has eu-west; choose one with -e or STOKER_ENV"):
        load(root=root, environ={"STOKER_ENV": "eu-wset"})


def test_unrelated_yaml_in_config_does_not_ask_for_a_settings_file(root: Path, write: Write) -> None:
    write("version: 1", "logging")

    assert load(root=root, environ={}).environment == "development"


def test_a_project_without_a_config_folder_runs_in_any_environment(root: Path) -> None:
    assert load(root=root, environ={}, environment="staging").environment == "staging"


def test_a_file_with_the_other_ending_is_an_error_not_ignored(root: Path) -> None:
    (root / "config").mkdir()
    (root / "config" / "development.yml").touch()
    with pytest.raises(ConfigurationError, match=r"config/development\.yml: settings files end in \.yaml"):
        load(root=root, environ={})


@pytest.mark.parametrize("name", ["../secrets", "a/b", " ", ".hidden"])
def test_an_environment_is_a_name_not_a_path(root: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="environment"):
        load(root=root, environ={}, environment=name)


def test_an_empty_file_is_a_file_without_settings(root: Path, write: Write) -> None:
    write("# nothing yet\n")

    assert load(root=root, environ={}).workers.concurrency == 10
