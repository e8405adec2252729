"""Turns at the interpreter come faster while a store works beside a loop, and as before afterwards."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from stoker.drivers.switching import EAGER, eager_switching


@pytest.fixture(autouse=True)
def usual() -> Iterator[float]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    yield 0.005
    sys.setswitchinterval(before)


def test_it_lasts_as_long_as_the_outermost_block(usual: float) -> None:
    with eager_switching():
        with eager_switching():
            assert sys.getswitchinterval() == pytest.approx(EAGER)
        assert sys.getswitchinterval() == pytest.approx(EAGER)
    assert sys.getswitchinterval() == pytest.approx(usual)


def test_who_chose_faster_turns_keeps_them() -> None:
    sys.setswitchinterval(EAGER / 10)
    with eager_switching():
        assert sys.getswitchinterval() == pytest.approx(EAGER / 10)
    assert sys.getswitchinterval() == pytest.approx(EAGER / 10)


def test_what_is_chosen_meanwhile_is_left_alone() -> None:
    with eager_switching():
        sys.setswitchinterval(0.05)
    assert sys.getswitchinterval() == pytest.approx(0.05)


def test_an_error_ends_it_too(usual: float) -> None:
    def fail() -> None:
        with eager_switching():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert sys.getswitchinterval() == pytest.approx(usual)
