"""Settings from `STOKER_*` variables."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from stoker.errors import ConfigurationError
from stoker.settings import load


def test_two_underscores_part_section_and_key(root: Path) -> None:
    settings = load(root=root, environ={"STOKER_WORKERS__ALL_TAGS": "true", "STOKER_WORKERS__LEASE": "2s"})

    assert settings.workers.all_tags is True
    assert settings.workers.lease == timedelta(seconds=2)


def test_the_short_url_is_the_default_store(root: Path) -> None:
    settings = load(root=root, environ={"STOKER_URL": "memory://"})

    assert settings.queue.uri == "memory://"
    assert settings.origins["queue.uri"] == "STOKER_URL"


def test_the_short_url_wins_over_the_long_one(root: Path) -> None:
    environ = {"STOKER_URL": "memory://", "STOKER_QUEUE__URI": "sqlite:///a", "STOKER_STORES__DEFAULT": "sqlite:///b"}

    assert load(root=root, environ=environ).queue.uri == "memory://"


def test_a_queue_is_named_in_lower_case(root: Path) -> None:
    settings = load(root=root, environ={"STOKER_QUEUE__QUEUES__MAIL__CONCURRENCY": "3"})

    assert settings.queue.queues["mail"].concurrency == 3


def test_a_wrong_value_names_the_variable(root: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"workers\.concurrency: ten .* \(STOKER_WORKERS__CONCURRENCY\)"):
        load(root=root, environ={"STOKER_WORKERS__CONCURRENCY": "ten"})


@pytest.mark.parametrize("name", ["STOKER_WORKERS__CONCURENCY", "STOKER_WORKERS_CONCURRENCY"])
def test_an_unknown_variable_only_warns_with_the_nearest_name(
    root: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    settings = load(root=root, environ={name: "3"})

    assert settings.workers.concurrency == 10
    assert caplog.messages == [
        f"{name} is no setting and was ignored; did you mean STOKER_WORKERS__CONCURRENCY?",
    ]


def test_a_variable_that_names_a_section_only_warns(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    load(root=root, environ={"STOKER_WORKERS": "3"})

    assert "STOKER_WORKERS is no setting" in caplog.text


def test_an_empty_variable_counts_as_not_set(root: Path) -> None:
    assert load(root=root, environ={"STOKER_WORKERS__CONCURRENCY": ""}).workers.concurrency == 10


def test_variables_with_another_purpose_are_left_alone(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    load(root=root, environ={"STOKER_APP": "shop", "STOKER_ENV": "test", "STOKER_TEST_REDIS": "redis://", "HOME": "/"})

    assert caplog.messages == []


def test_the_environment_of_the_process_is_read_by_default(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_WORKERS__CONCURRENCY", "3")

    assert load(root=root).workers.concurrency == 3
