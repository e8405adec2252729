"""The pytest plug-in, in test suites of its own: sync and async, under pytest-asyncio and under anyio."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

pytest_plugins = ["pytester"]

SHOP = """
from stoker import Stoker

app = Stoker("postgresql://nowhere.invalid/none")

@app.job(queue="mail")
def welcome(user: int) -> str:
    return f"hello {user}"

@app.job
async def sign_up(user: int) -> None:
    await welcome.aenqueue(user)
"""
NAMED = "[pytest]\nstoker_app = shop:app\npythonpath = .\n"


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """An application in a folder, named in the settings of pytest."""
    pytester.makepyfile(shop=SHOP)
    pytester.makeini(NAMED)
    return pytester


def run(suite: pytest.Pytester, tests: str, *words: str) -> pytest.RunResult:
    suite.makepyfile(test_shop=tests)
    scope = () if "no:asyncio" in words else ("-o", "asyncio_default_fixture_loop_scope=function")
    return suite.runpytest_inprocess("-p", "pytest_stoker", *scope, *words)


def test_it_is_an_entry_point_of_pytest() -> None:
    assert [one.value for one in entry_points(group="pytest11", name="pytest_stoker")] == ["pytest_stoker"]


def test_loading_it_does_not_import_stoker() -> None:
    code = "import sys, pytest_stoker; sys.exit('stoker' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_fixtures_in_sync_tests(suite: pytest.Pytester) -> None:
    done = run(
        suite,
        """
        import pytest
        from shop import sign_up, welcome
        from stoker.testing import assert_enqueued, drain, refute_enqueued

        def test_manual(stoker):
            sign_up.enqueue(1)
            stoker.assert_enqueued(sign_up, args={"user": 1})
            stoker.refute_enqueued(welcome)
            assert stoker.drain().completed == 2
            stoker.assert_enqueued(welcome.draft(1))

        def test_each_test_begins_empty(stoker):
            assert stoker.enqueued() == []

        @pytest.mark.usefixtures("stoker")
        def test_functions():
            welcome.enqueue(1)
            assert_enqueued(welcome)
            drain()

        def test_inline(stoker_inline):
            assert welcome.enqueue(1).result(timeout=0) == "hello 1"

        @pytest.mark.stoker(mode="inline")
        def test_inline_by_marker(stoker):
            assert welcome.enqueue(1).result(timeout=0) == "hello 1"

        def test_the_clock(stoker, stoker_clock):
            welcome.using(delay="1h").enqueue(1)
            before = stoker_clock.now()
            stoker.advance("1h")
            assert stoker_clock.now() == before + 3_600_000_000
            assert stoker.drain().completed == 1

        def test_perform(stoker):
            assert stoker.perform(welcome, 5) == "hello 5"
        """,
        "--strict-markers",
    )
    done.assert_outcomes(passed=7)


ASYNC = """
import pytest
from shop import sign_up, welcome
from stoker.testing import adrain, aperform, assert_enqueued

pytestmark = pytest.mark.{marker}

{backend}

async def test_manual(stoker):
    await sign_up.aenqueue(1)
    assert (await stoker.adrain()).completed == 2
    assert_enqueued(welcome, args={{"user": 1}})

async def test_inline(stoker_inline):
    handle = await sign_up.aenqueue(1)
    assert await handle.aresult(timeout=0) is None
    stoker_inline.assert_enqueued(welcome, state="completed")

async def test_perform(stoker):
    assert await aperform(welcome, 5) == "hello 5"

@pytest.fixture
async def enqueued(stoker):
    await welcome.aenqueue(8)

async def test_after_an_async_fixture(stoker, enqueued):
    assert_enqueued(welcome, args={{"user": 8}})
    await adrain()
"""


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_the_fixtures_under_pytest_asyncio(suite: pytest.Pytester, mode: str) -> None:
    tests = ASYNC.format(marker="asyncio", backend="")
    if mode == "strict":
        tests = tests.replace("@pytest.fixture", "@pytest_asyncio.fixture").replace(
            "import pytest\n", "import pytest, pytest_asyncio\n"
        )
    done = run(suite, tests, "-p", "asyncio", "-o", f"asyncio_mode={mode}", "-p", "no:anyio")

    done.assert_outcomes(passed=4)


def test_the_fixtures_under_anyio(suite: pytest.Pytester) -> None:
    backend = "@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
    done = run(suite, ASYNC.format(marker="anyio", backend=backend), "-p", "no:asyncio")

    done.assert_outcomes(passed=4)


def test_a_failure_is_shown_at_the_line_of_the_test(suite: pytest.Pytester) -> None:
    done = run(
        suite,
        """
        from shop import welcome

        def test_it(stoker):
            welcome.enqueue(1)
            stoker.assert_enqueued(welcome, args={"user": 2})
        """,
    )
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            '>*stoker.assert_enqueued(welcome, args={"user": 2})',
            "E*AssertionError: enqueued: welcome args={'user': 2}: no job was",
            "E*what was enqueued:",
            "E*welcome {\"user\":1} queue='mail' state=available*(not as expected: args)",
        ]
    )
    assert "box.py" not in done.stdout.str()


def test_the_application_can_be_named_by_pyproject(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(shop=SHOP)
    pytester.makepyprojecttoml('[tool.stoker]\napp = "shop:app"\n')
    done = run(pytester, "def test_it(stoker):\n    assert [one.name for one in stoker.app.definitions]")

    done.assert_outcomes(passed=1)


def test_the_application_can_be_given_by_a_fixture(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest
        from stoker import Stoker

        @pytest.fixture
        def stoker_app():
            return Stoker("memory://", name="mine")
        """
    )
    done = run(pytester, "def test_it(stoker):\n    assert stoker.app.name == 'mine'")

    done.assert_outcomes(passed=1)


def test_without_an_application_the_fixture_says_how_to_name_one(pytester: pytest.Pytester) -> None:
    pytester.makepyprojecttoml("")
    done = run(pytester, "def test_it(stoker): ...")

    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*the fixture stoker_app does not know your application: override it in conftest.py*"])


def test_a_marker_with_something_else_is_refused(suite: pytest.Pytester) -> None:
    done = run(suite, "import pytest\n@pytest.mark.stoker('fast')\ndef test_it(stoker): ...")

    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*takes mode=*"])
