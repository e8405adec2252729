"""An application without stores."""

from __future__ import annotations

import pytest

from tests.unit.jobs.rig import Jobs


@pytest.fixture
def app() -> Jobs:
    return Jobs()
