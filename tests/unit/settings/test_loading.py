"""Which source wins, and what the merged settings say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from stoker.errors import ConfigurationError
from stoker.settings import load

Write = Callable[..., Path]


def test_without_any_source_everything_has_its_default(root: Path) -> None:
    settings = load(root=root, environ={})

    assert settings.environment == "development"
    assert settings.mode == "queue"
    assert settings.workers.concurrency == 10
    assert settings.workers.lease == timedelta(seconds=30)
    assert settings.workers.grace == timedelta(seconds=25)
    assert settings.jobs.max_attempts == 20
    assert settings.jobs.timeout is None
    assert settings.jobs.keep == timedelta(days=1)
    assert settings.jobs.max_args == 1024 * 1024
    assert set(settings.origins) == set()


def test_without_a_configured_store_jobs_are_kept_in_a_file_of_the_project(root: Path) -> None:
    assert load(root=root, environ={}).store_urls() == {"default": "sqlite:///stoker.sqlite3"}


def test_every_other_environment_has_a_default_file_of_its_own(root: Path) -> None:
    assert load(root=root, environ={}, environment="test").queue.uri == "sqlite:///stoker-test.sqlite3"


def test_production_without_a_store_is_an_error(root: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"production has no store: set queue\.uri .* STOKER_URL"):
        load(root=root, environ={"STOKER_ENV": "production"})


@pytest.mark.parametrize("mode", ["async", "foreground"])
def test_production_needs_no_store_where_jobs_stay_in_the_process(root: Path, mode: str) -> None:
    settings = load(root=root, environ={"STOKER_WORKERS__MODE": mode}, environment="production")

    assert settings.store_urls() == {}


def test_production_runs_on_the_store_it_is_given(root: Path) -> None:
    settings = load(root=root, environ={"STOKER_URL": "sqlite:////var/lib/jobs.db"}, environment="production")

    assert settings.store_urls() == {"default": "sqlite:////var/lib/jobs.db"}


def test_the_environment_is_the_argument_else_the_variable_else_development(root: Path) -> None:
    assert load(root=root, environ={"STOKER_ENV": "test"}, environment="staging").environment == "staging"
    assert load(root=root, environ={"STOKER_ENV": "test"}).environment == "test"
    assert load(root=root, environ={"STOKER_ENV": ""}).environment == "development"


def test_each_source_wins_over_the_ones_below_it(root: Path, write: Write) -> None:
    write("workers: {concurrency: 1, processes: 1, lease: 1s, grace: 1s}")
    settings = load(
        root=root,
        environ={"STOKER_WORKERS__PROCESSES": "2", "STOKER_WORKERS__LEASE": "2s", "STOKER_WORKERS__GRACE": "2s"},
        overrides={"workers": {"lease": "3s", "grace": "3s"}},
        arguments={"workers.grace": "4s"},
    )

    assert settings.workers.concurrency == 1
    assert settings.workers.processes == 2
    assert settings.workers.lease == timedelta(seconds=3)
    assert settings.workers.grace == timedelta(seconds=4)


def test_every_value_remembers_its_source(root: Path, write: Write) -> None:
    write("workers: {concurrency: 1}")
    settings = load(
        root=root,
        environ={"STOKER_WORKERS__LEASE": "2"},
        overrides={"imports": ["shop.jobs"]},
        arguments={"workers.grace": "4s"},
    )

    assert settings.origins == {
        "workers.concurrency": "config/development.yaml",
        "workers.lease": "STOKER_WORKERS__LEASE",
        "imports": "constructor",
        "workers.grace": "command line",
    }


def test_none_in_an_argument_counts_as_not_given(root: Path) -> None:
    settings = load(root=root, environ={}, overrides={"url": None}, arguments={"workers.concurrency": None})

    assert settings.workers.concurrency == 10
    assert settings.queue.uri == "sqlite:///stoker.sqlite3"


def test_an_argument_with_an_unknown_key_is_an_error(root: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"constructor: unknown key worker; did you mean workers\?"):
        load(root=root, environ={}, overrides={"worker": {}})


def test_arguments_given_by_the_caller_are_left_as_they_are(root: Path) -> None:
    given = {"workers": {"grace": "1s"}, "workers.lease": "2s"}
    settings = load(root=root, environ={}, overrides=given)

    assert given == {"workers": {"grace": "1s"}, "workers.lease": "2s"}
    assert settings.workers.grace == timedelta(seconds=1)
    assert settings.workers.lease == timedelta(seconds=2)


def test_several_stores_are_given_as_urls(root: Path) -> None:
    stores = {"default": "sqlite:///a.db", "legacy": "memory://"}
    settings = load(root=root, environ={}, overrides={"stores": stores, "retiring": ["legacy"]})

    assert settings.store_urls() == {"default": "sqlite:///a.db", "legacy": "memory://"}
    assert settings.retiring == ("legacy",)


def test_retiring_a_store_that_does_not_exist_is_an_error(root: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"retiring: no store is named 'old'; there are legacy"):
        load(root=root, environ={}, overrides={"stores": {"legacy": "memory://"}, "retiring": ["old"]})


@pytest.mark.parametrize("key", ["queue", "stores.legacy"])
def test_a_key_that_nothing_acts_upon_is_told(root: Path, caplog: pytest.LogCaptureFixture, key: str) -> None:
    load(root=root, environ={}, overrides={key: {"uri": "memory://", "dangerously_flush": True}})

    assert caplog.messages == [f"constructor: {key}.dangerously_flush is not used by this version"]


def test_a_danger_that_is_switched_off_is_not_worth_a_word(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    load(root=root, environ={}, overrides={"queue.dangerously_flush": False})

    assert caplog.messages == []


def test_a_further_store_needs_a_url(root: Path, write: Write) -> None:
    write("stores: {legacy: {dangerously_flush: true}}")
    with pytest.raises(ConfigurationError, match=r"stores\.legacy\.uri is missing \(config/development\.yaml\)"):
        load(root=root, environ={})


def test_a_url_is_kept_in_its_one_spelling(root: Path) -> None:
    uri = load(root=root, environ={"STOKER_URL": "postgres://db/shop"}).queue.uri

    assert uri == "postgresql://db/shop"


def test_a_url_of_no_store_names_its_source_and_the_nearest_scheme(root: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"queue\.uri: .* did you mean sqlite://\? \(STOKER_URL\)"):
        load(root=root, environ={"STOKER_URL": "sqllite:///a.db"})


def test_what_is_shown_has_key_value_and_origin(root: Path, write: Write) -> None:
    write("""
        workers: {concurrency: 4, tags: [gpu, eu]}
        queue: {queues: {mail: {concurrency: 2, keep: forever}}}
        jobs: {timeout: 90, max_args: 512 KiB}
    """)
    shown = {key: (value, origin) for key, value, origin in load(root=root, environ={}).shown()}

    assert shown["workers.concurrency"] == ("4", "config/development.yaml")
    assert shown["workers.tags"] == ('["gpu", "eu"]', "config/development.yaml")
    assert shown["queue.queues.mail.concurrency"] == ("2", "config/development.yaml")
    assert shown["queue.queues.mail.keep"] == ("forever", "config/development.yaml")
    assert shown["queue.queues.mail.weight"] == ("1", "default")
    assert shown["jobs.timeout"] == ("1m30s", "config/development.yaml")
    assert shown["jobs.max_args"] == ("512 KiB", "config/development.yaml")
    assert shown["jobs.keep"] == ("1d", "default")


def test_secrets_are_masked_when_shown(root: Path, write: Write) -> None:
    write("""
        queue: {uri: "redis://user:hunter2@cache/0?token=hunter2"}
        periodic: {report: {args: {api_token: hunter2, url: "amqp://me:hunter2@mq"}}}
    """)
    settings = load(root=root, environ={})

    assert settings.queue.uri is not None
    assert "hunter2" in settings.queue.uri
    assert "hunter2" not in str(settings.shown())
    assert ("queue.uri", "redis://user:***@cache/0?token=***", "config/development.yaml") in settings.shown()


def test_settings_cannot_be_changed(root: Path) -> None:
    with pytest.raises(AttributeError):
        load(root=root, environ={}).environment = "production"  # type: ignore[misc]
