"""Stores of other packages are found by the scheme that their entry point names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stoker.errors import ConfigurationError
from stoker.stores import Opening, Store
from stoker.stores.memory import MemoryStore
from stoker.stores.urls import canonical_url, open_store
from stoker.testing.fake_clock import FakeClock

OPENED: list[Opening] = []


def opener(opening: Opening) -> Store:
    OPENED.append(opening)
    return MemoryStore(opening.clock, opening.shown)


def no_opener(opening: Opening) -> str:
    return opening.url


def install(folder: Path, name: str, points: str) -> None:
    info = folder / f"{name}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[stoker.stores]\n{points}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "foreign_stores", sys.modules[__name__])
    return tmp_path


def test_a_scheme_of_another_package_is_opened_with_what_it_needs(site: Path) -> None:
    install(site, "foreign", "cloud = foreign_stores:opener")
    clock = FakeClock()
    store = open_store("CLOUD://ada:secret@host/q", root=site, clock=clock, auto_migrate=False)

    assert store.url == "cloud://ada:***@host/q"
    assert OPENED[-1] == Opening("cloud://ada:secret@host/q", site, clock, False, "cloud://ada:***@host/q")


def test_a_scheme_of_nobody_is_an_error_that_names_those_there_are(site: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no store has the scheme cloud://.*sqlite://"):
        canonical_url("cloud://host")


def test_a_scheme_of_two_packages_is_an_error_that_names_both(site: Path) -> None:
    install(site, "one", "cloud = foreign_stores:opener")
    install(site, "two", "cloud = foreign_stores:no_opener")

    with pytest.raises(ConfigurationError, match="one and two both have a store for cloud://; uninstall one"):
        open_store("cloud://host", root=site)


def test_a_package_whose_store_cannot_be_imported_is_named(site: Path) -> None:
    install(site, "broken", "cloud = foreign_stores:nothing_here")

    with pytest.raises(ConfigurationError, match=r"broken has a store for cloud://.*cannot be imported.*nothing_here"):
        open_store("cloud://host", root=site)


def test_what_is_no_store_is_refused(site: Path) -> None:
    install(site, "odd", "cloud = foreign_stores:no_opener")

    with pytest.raises(ConfigurationError, match="gave str, which is no Store"):
        open_store("cloud://host", root=site)


def test_a_scheme_of_ours_cannot_be_taken(site: Path) -> None:
    install(site, "pirate", "memory = foreign_stores:no_opener")

    assert isinstance(open_store("memory://", root=site), MemoryStore)
