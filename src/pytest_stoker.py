"""The pytest plug-in of stoker: fixtures that put an application into a sandbox.

It stands outside of the package because pytest imports it in every run, used or not: importing it costs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from stoker import Stoker
    from stoker.testing import FakeClock, Sandbox

NOWHERE = (
    "the fixture stoker_app does not know your application: override it in conftest.py to return your Stoker, or write "
    'stoker_app = "MODULE:ATTR" in the settings of pytest, or [tool.stoker] app in pyproject.toml'
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Know the setting that names the application."""
    parser.addini("stoker_app", "the application under test, as MODULE[:ATTR]")


def pytest_configure(config: pytest.Config) -> None:
    """Know the marker."""
    config.addinivalue_line("markers", 'stoker(mode="manual"): how the fixture `stoker` handles jobs: manual or inline')


@pytest.fixture
def stoker_app(pytestconfig: pytest.Config) -> Stoker[Any]:
    """The application under test. Override it, or name the application in the settings of pytest or of stoker."""
    from stoker.cli.discovery import find_place, load

    place = find_place(str(pytestconfig.getini("stoker_app") or ""), pytestconfig.rootpath, os.environ)
    if place is None:
        raise pytest.UsageError(NOWHERE)
    return load(place).app


@pytest.fixture
def stoker(stoker_app: Stoker[Any], request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """The application in a sandbox: jobs in memory wait until they are drained, the clock stands still."""
    yield from _opened(stoker_app, _mode(request))


@pytest.fixture
def stoker_inline(stoker: Sandbox) -> Iterator[Sandbox]:
    """The same, where jobs are performed as they are enqueued."""
    with stoker.inline():
        yield stoker


@pytest.fixture
def stoker_clock(stoker: Sandbox) -> FakeClock:
    """The clock of the sandbox; ``stoker.advance`` moves it and makes jobs available that fall due."""
    return stoker.clock


def _opened(app: Stoker[Any], mode: Literal["manual", "inline"]) -> Iterator[Sandbox]:
    from stoker.testing import sandbox

    with sandbox(app, mode=mode) as box:
        yield box


def _mode(request: pytest.FixtureRequest) -> Literal["manual", "inline"]:
    marker = request.node.get_closest_marker("stoker")
    if marker is None:
        return "manual"
    if marker.args or set(marker.kwargs) - {"mode"}:
        raise pytest.UsageError('@pytest.mark.stoker takes mode="manual" or mode="inline"')
    mode: Literal["manual", "inline"] = marker.kwargs.get("mode", "manual")
    return mode
