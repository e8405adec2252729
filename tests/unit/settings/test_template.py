"""From the text of a settings file to what it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stoker.errors import ConfigurationError
from stoker.settings import load

Write = Callable[..., Path]


def test_a_placeholder_becomes_the_variable(root: Path, write: Write) -> None:
    write('queue: {uri: "{{ get_env(name="JOBS", default="memory://") }}"}')

    assert load(root=root, environ={"JOBS": "sqlite:///jobs.db"}).queue.uri == "sqlite:///jobs.db"


def test_a_placeholder_without_its_variable_becomes_the_default(root: Path, write: Write) -> None:
    write('queue: {uri: "{{ get_env(name="JOBS", default="memory://") }}"}')

    assert load(root=root, environ={}).queue.uri == "memory://"


def test_a_default_may_be_a_number(root: Path, write: Write) -> None:
    write('workers: {concurrency: {{ get_env(name="N", default=7) }} }')

    assert load(root=root, environ={}).workers.concurrency == 7


def test_a_missing_variable_without_default_is_named(root: Path, write: Write) -> None:
    write('queue: {uri: {{ get_env(name="JOBS") }} }')
    with pytest.raises(ConfigurationError, match=r"config/development\.yaml: the variable JOBS is not set"):
        load(root=root, environ={})


def test_an_undefined_name_is_an_error(root: Path, write: Write) -> None:
    write("queue: {uri: {{ redis_url }} }")
    with pytest.raises(ConfigurationError, match=r"config/development\.yaml: the template fails: 'redis_url'"):
        load(root=root, environ={})


def test_a_template_that_cannot_be_read_names_its_line(root: Path, write: Write) -> None:
    write("workers:\n  concurrency: {{ get_env( }}\n")
    with pytest.raises(ConfigurationError, match=r"config/development\.yaml, line 2"):
        load(root=root, environ={})


def test_templates_cannot_reach_into_the_program(root: Path, write: Write) -> None:
    write("imports: [\"{{ ''.__class__.__mro__ }}\"]")
    with pytest.raises(ConfigurationError, match="the template fails"):
        load(root=root, environ={})


def test_yaml_broken_by_a_value_says_to_quote_the_placeholder_and_keeps_the_secret(root: Path, write: Write) -> None:
    write('queue:\n  uri: {{ get_env(name="JOBS") }}\n')
    with pytest.raises(ConfigurationError, match=r"line 2 is not YAML: .* quote the placeholder") as caught:
        load(root=root, environ={"JOBS": "redis://x:hunter2: yes@h"})
    assert "hunter2" not in str(caught.value)


def test_yaml_that_is_broken_by_itself_does_not_blame_a_placeholder(root: Path, write: Write) -> None:
    write("workers: [1, 2\n")
    with pytest.raises(ConfigurationError, match=r"config/development\.yaml, line 1 is not YAML") as caught:
        load(root=root, environ={})
    assert "placeholder" not in str(caught.value)


def test_a_key_written_twice_is_an_error(root: Path, write: Write) -> None:
    write("workers: {concurrency: 1}\nworkers: {processes: 2}\n")
    with pytest.raises(ConfigurationError, match=r"line 2 is not YAML: workers is written twice"):
        load(root=root, environ={})


def test_a_key_that_is_a_list_is_an_error(root: Path, write: Write) -> None:
    write("? [a, b]\n: 1\n")
    with pytest.raises(ConfigurationError, match="is not YAML: found unhashable key"):
        load(root=root, environ={})


def test_a_byte_order_mark_is_no_part_of_the_text(root: Path, write: Write) -> None:
    write("\ufeffworkers: {concurrency: 3}")

    assert load(root=root, environ={}).workers.concurrency == 3


def test_yaml_anchors_and_merges_work(root: Path, write: Write) -> None:
    write("""
        queue:
          queues:
            mail: &slow {concurrency: 2, weight: 3}
            bulk: {<<: *slow, concurrency: 1}
    """)
    bulk = load(root=root, environ={}).queue.queues["bulk"]

    assert (bulk.concurrency, bulk.weight) == (1, 3)


def test_python_objects_in_yaml_are_refused(root: Path, write: Write) -> None:
    write("imports: !!python/object/apply:os.getcwd []")
    with pytest.raises(ConfigurationError, match="is not YAML: could not determine a constructor"):
        load(root=root, environ={})


def test_a_file_that_is_a_list_is_an_error(root: Path, write: Write) -> None:
    write("- workers")
    with pytest.raises(ConfigurationError, match="the file must be a mapping, not list"):
        load(root=root, environ={})


def test_a_file_that_is_no_text_is_an_error(root: Path, write: Write) -> None:
    write("").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match=r"config/development\.yaml cannot be read"):
        load(root=root, environ={})
