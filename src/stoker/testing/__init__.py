"""What tests of applications, and of stores, are built with.

`sandbox` puts an application into memory, under a clock that stands still; `assert_enqueued`, `refute_enqueued`,
`enqueued`, `perform` and `drain` look at it and work in it. The pytest plug-in gives the same as fixtures.
"""

from __future__ import annotations

from stoker.testing.box import Sandbox
from stoker.testing.expectations import Expected
from stoker.testing.fake_clock import FakeClock
from stoker.testing.opening import sandbox
from stoker.testing.performing import Drained
from stoker.testing.verbs import adrain, aperform, assert_enqueued, drain, enqueued, perform, refute_enqueued

__all__ = [
    "Drained",
    "Expected",
    "FakeClock",
    "Sandbox",
    "adrain",
    "aperform",
    "assert_enqueued",
    "drain",
    "enqueued",
    "perform",
    "refute_enqueued",
    "sandbox",
]
