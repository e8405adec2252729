"""The test suite that the page on testing shows passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.fences import examples

pytest_plugins = ["pytester"]
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "testing.md"


def test_the_page_on_testing_shows_a_suite_that_passes(pytester: pytest.Pytester) -> None:
    for example in examples(PAGE):
        if example.name != "example.py":
            (pytester.path / example.name).write_text(example.code, encoding="utf-8")
    pytester.syspathinsert()
    scope = "asyncio_default_fixture_loop_scope=function"
    done = pytester.runpytest_inprocess("-p", "pytest_stoker", "-o", scope)

    done.assert_outcomes(passed=6)
