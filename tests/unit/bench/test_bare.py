"""Figures are held against those of bare statements of the same run."""

from __future__ import annotations

from stoker.bench.bare import CLAIMS, HANDOVERS, INSERTS, Yardstick
from stoker.bench.figures import Figure


def test_a_drain_and_an_enqueue_are_parts_of_what_the_database_does_alone() -> None:
    yardstick = Yardstick()
    yardstick.held(Figure(measure="bare", rate=50_000.0, note=CLAIMS))
    yardstick.held(Figure(measure="bare", rate=4_000.0, note=INSERTS))
    assert yardstick.held(Figure(measure="drain", rate=40_000.0)).of_bare == 0.8
    assert yardstick.held(Figure(measure="enqueue", rate=3_000.0)).of_bare == 0.75


def test_a_latency_is_held_against_bare_handovers_as_a_part_of_their_speed() -> None:
    yardstick = Yardstick()
    yardstick.held(Figure(measure="bare", p50_ms=3.0, note=HANDOVERS))
    assert yardstick.held(Figure(measure="latency", p50_ms=4.0)).of_bare == 0.75
    assert yardstick.held(Figure(measure="drain", rate=40_000.0)).of_bare is None


def test_without_bare_figures_there_is_nothing_to_hold_others_against() -> None:
    assert Yardstick().held(Figure(measure="drain", rate=40_000.0)).of_bare is None


def test_what_bare_statements_cannot_do_is_no_part_of_them() -> None:
    yardstick = Yardstick()
    yardstick.held(Figure(measure="bare", rate=50_000.0, note=CLAIMS))
    assert yardstick.held(Figure(measure="idle")).of_bare is None
