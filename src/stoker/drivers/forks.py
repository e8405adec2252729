"""Forks: what must not cross one is put away before, and begun anew in the child."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """What takes part in a fork."""

    def pause_for_fork(self) -> None:
        """Prepare, in the parent."""

    def resume_after_fork(self) -> None:
        """Go on, in the parent."""

    def start_over_in_child(self) -> None:
        """Begin anew, in the child."""


_LIVING: WeakSet[Forkable] = WeakSet()


def follow_forks(driver: Forkable) -> None:
    """Tell a driver about every fork for as long as it lives."""
    _LIVING.add(driver)


def _before() -> None:
    for driver in list(_LIVING):
        driver.pause_for_fork()


def _in_parent() -> None:
    for driver in list(_LIVING):
        driver.resume_after_fork()


def _in_child() -> None:
    for driver in list(_LIVING):
        driver.start_over_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
