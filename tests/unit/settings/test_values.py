"""What may be written for each kind of value, and the error for what may not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from stoker.errors import ConfigurationError
from stoker.settings import Settings, load

Write = Callable[..., Path]


def given(root: Path, key: str, value: object) -> Settings:
    return load(root=root, environ={}, overrides={key: value})


@pytest.mark.parametrize(
    ("written", "seconds"), [("2s", 2), ("1h30m", 5400), (2, 2), (0.5, 0.5), ("2", 2), (timedelta(seconds=2), 2)]
)
def test_a_duration_has_units_or_is_in_seconds(root: Path, written: object, seconds: float) -> None:
    assert given(root, "workers.lease", written).workers.lease == timedelta(seconds=seconds)


@pytest.mark.parametrize(("written", "size"), [("1 MiB", 1 << 20), ("2KB", 2000), (100, 100), ("100", 100)])
def test_a_size_has_units_or_is_in_bytes(root: Path, written: object, size: int) -> None:
    assert given(root, "jobs.max_args", written).jobs.max_args == size


@pytest.mark.parametrize("written", [["a", "b"], ("a", "b"), "a,b", " a , b "])
def test_names_are_a_list_or_have_commas(root: Path, written: object) -> None:
    assert given(root, "imports", written).imports == ("a", "b")


@pytest.mark.parametrize(
    ("written", "mode"),
    [
        ("queue", "queue"),
        ("BackgroundQueue", "queue"),
        ("BackgroundAsync", "async"),
        ("ForegroundBlocking", "foreground"),
        ("foreground", "foreground"),
    ],
)
def test_a_mode_has_our_name_or_locos(root: Path, written: str, mode: str) -> None:
    assert given(root, "workers.mode", written).mode == mode


def test_no_timeout_is_written_none(root: Path) -> None:
    assert given(root, "jobs.timeout", "30s").jobs.timeout == timedelta(seconds=30)
    assert given(root, "jobs.timeout", "none").jobs.timeout is None


def test_finished_jobs_can_be_kept_forever_or_not_at_all(root: Path) -> None:
    assert given(root, "jobs.keep", "forever").jobs.keep == "forever"
    assert given(root, "jobs.keep", 0).jobs.keep == timedelta(0)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("workers.concurrency", "ten", r"workers\.concurrency: ten will not do; expected int"),
        ("workers.concurrency", 0, r"workers\.concurrency: 0 will not do; expected int >= 1"),
        ("workers.concurrency", True, r"workers\.concurrency: true will not do"),
        ("workers.lease", "soon", r"workers\.lease: 'soon' is not a duration"),
        ("workers.lease", "0s", r"workers\.lease: must be more than 0"),
        ("workers.lease", -1, r"workers\.lease: -1 is out of range"),
        ("workers.grace", [1], r"workers\.grace: \[1\] is not a duration"),
        ("workers.all_tags", "perhaps", r"workers\.all_tags: perhaps will not do; expected bool"),
        ("workers.mode", "background", r"workers\.mode: 'background' is no mode; write queue, async or foreground"),
        ("jobs.max_args", "1 XB", r"jobs\.max_args: '1 XB' is not a size"),
        ("jobs.max_args", 0, r"jobs\.max_args: 0 is not a size"),
        ("imports", [1], r"imports: \[1\] is not a list of names"),
        ("blocking_enqueue", "never", r"blocking_enqueue: never will not do"),
        ("web.port", 70_000, r"web\.port: 70000 will not do; expected int <= 65535"),
        ("periodic", 5, r"constructor: periodic must be a mapping|periodic: must be a mapping"),
    ],
)
def test_a_wrong_value_is_named_with_its_key_and_source(root: Path, key: str, value: object, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        given(root, key, value)
    assert "constructor" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_key_is_an_error_with_the_nearest_name_and_the_file(root: Path, write: Write) -> None:
    write("workers: {concurency: 3}")
    with pytest.raises(
        ConfigurationError,
        match=r"config/development\.yaml: unknown key workers\.concurency; did you mean workers\.concurrency\?",
    ):
        load(root=root, environ={})


def test_an_unknown_key_of_a_named_section_is_an_error(root: Path, write: Write) -> None:
    write("queue: {queues: {mail: {wieght: 3}}}")
    with pytest.raises(
        ConfigurationError, match=r"queue\.queues\.mail\.wieght; did you mean queue\.queues\.mail\.weight"
    ):
        load(root=root, environ={})


def test_an_unknown_section_with_no_near_name_lists_what_there_is(root: Path, write: Write) -> None:
    write("zebra: {}")
    with pytest.raises(ConfigurationError, match=r"unknown key zebra; there are queue, workers, jobs"):
        load(root=root, environ={})


def test_a_section_that_is_no_mapping_is_an_error(root: Path, write: Write) -> None:
    write("workers: [1]")
    with pytest.raises(ConfigurationError, match=r"config/development\.yaml: workers must be a mapping, not list"):
        load(root=root, environ={})


@pytest.mark.parametrize("queues", ["[on, off]", "{on: {}}", "[7]"])
def test_a_name_that_yaml_reads_as_something_else_is_an_error(root: Path, write: Write, queues: str) -> None:
    write(f"queue: {{queues: {queues}}}")
    with pytest.raises(ConfigurationError, match=r"queue\.queues: YAML reads (True|7) here; put the name in quotes"):
        load(root=root, environ={})


@pytest.mark.parametrize("queues", ["[{mail: 1}]", "7", "{mail: 7}"])
def test_queues_of_another_shape_are_an_error(root: Path, write: Write, queues: str) -> None:
    write(f"queue: {{queues: {queues}}}")
    with pytest.raises(ConfigurationError, match="must be a mapping"):
        load(root=root, environ={})


def test_a_key_without_a_value_keeps_its_default(root: Path, write: Write) -> None:
    write("workers:\njobs: {timeout: , keep: }")

    assert load(root=root, environ={}).jobs.keep == timedelta(days=1)


def test_a_secret_in_a_wrong_url_is_masked_in_the_error(root: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(root=root, environ={"STOKER_URL": "rabbit://me:hunter2@mq/"})
    assert "hunter2" not in str(caught.value)
