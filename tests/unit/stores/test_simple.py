"""A store made of functions says no to what its flags lack, and to whom it does not know."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from examples.directory_store.stoker_directory import DirectoryStore, open_store
from stoker.core.job import Due, NewJob, new_call
from stoker.core.limits import Gate
from stoker.core.unique import UniqueKey
from stoker.errors import ConfigurationError, NotSupported, StoreUnavailable
from stoker.stores import Capability, Opening
from stoker.stores.memory import MemoryStore
from stoker.testing.fake_clock import FakeClock

WISHES: Final[Mapping[str, Mapping[str, Any]]] = {
    "SCHEDULE": {"due": Due(1)},
    "PRIORITY": {"priority": 3},
    "TAGS": {"route": "gpu"},
    "UNIQUE": {"unique": UniqueKey("k")},
    "LIMITS": {"gates": (Gate("k"),)},
    "EXPIRY": {"expires": Due(1)},
    "BATCH": {"batch": "b"},
}


class PlainStore(DirectoryStore):
    capabilities = Capability.LEASE


@pytest.mark.parametrize("flag", WISHES)
def test_a_wish_that_the_store_cannot_keep_is_refused_by_the_name_of_its_flag(flag: str, tmp_path: Path) -> None:
    store = PlainStore(tmp_path, FakeClock())

    with pytest.raises(NotSupported, match=rf"cannot enqueue send with .*: it lacks {flag}"):
        store.enqueue([NewJob("send", "{}", **WISHES[flag])], new_call())


def test_a_command_of_another_store_is_refused(tmp_path: Path) -> None:
    step = MemoryStore().enqueue([], new_call())
    store = DirectoryStore(tmp_path, FakeClock())
    foreign = type(step)(step.name, (), step.read)

    with pytest.raises(NotSupported, match="enqueue was made by another store than dir://"):
        store.run(foreign)


def test_a_folder_that_cannot_be_made_is_a_store_that_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    store = DirectoryStore(tmp_path / "file" / "jobs", FakeClock())

    with pytest.raises(StoreUnavailable, match="dir://"):
        store.run(store.count())


@pytest.mark.parametrize("url", ["dir://host/jobs", "dir:///", "dir:///jobs?x=1"])
def test_a_url_that_names_no_folder_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="write dir:///relative"):
        open_store(Opening(url, tmp_path, FakeClock(), True, url))
