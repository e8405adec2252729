"""Fixtures of the runtime's tests."""

from __future__ import annotations

import pytest

from tests.rigs.worker import Rig


@pytest.fixture
def rig() -> Rig:
    """Give an application on the memory store under a clock that stands still."""
    return Rig()
