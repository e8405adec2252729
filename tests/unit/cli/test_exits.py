"""Each error leads to one exit code, and says one line."""

from __future__ import annotations

import click
import pytest

from stoker import errors
from stoker.cli.exits import ExitCode, code_of, guarded


def ended(
    run: object, capsys: pytest.CaptureFixture[str], *, verbose: bool = False, package: str = ""
) -> tuple[int, str]:
    assert callable(run)
    code = guarded(run, verbose=lambda: verbose, package=lambda: package or None)
    return code, capsys.readouterr().err


def raising(error: BaseException) -> object:
    def run() -> None:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.StokerError("x"), 1),
        (errors.JobFailed("x"), 1),
        (errors.WaitTimeout("x"), 1),
        (errors.JobNotFound("x"), 1),
        (errors.DuplicateJob("x", "1"), 1),
        (errors.ConfigurationError("x"), 2),
        (errors.MissingExtra("server", "this"), 2),
        (errors.DefinitionError("x"), 2),
        (errors.UnknownJob("x"), 2),
        (errors.ArgumentsError("x"), 2),
        (errors.NotSupported("x"), 2),
        (errors.StoreUnavailable("x"), 3),
        (errors.SchemaOutdated("x"), 4),
        (ValueError("x"), 70),
    ],
)
def test_an_error_has_its_code(error: Exception, code: int) -> None:
    assert code_of(error) == code


def test_an_ending_without_error_is_clean(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(lambda: None, capsys) == (0, "")


def test_a_command_may_say_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(lambda: ExitCode.SCHEMA_OUTDATED, capsys) == (4, "")


def test_a_mistake_is_one_line_without_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = ended(raising(errors.ConfigurationError("first\nsecond")), capsys)

    assert (code, said) == (2, "stoker: first second\n")


def test_verbose_shows_the_traceback_of_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    _, said = ended(raising(errors.ConfigurationError("x")), capsys, verbose=True)

    assert said.startswith("Traceback")
    assert said.endswith("stoker: x\n")


def test_an_internal_error_shows_its_traceback_and_says_that_it_is_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = ended(raising(KeyError("lost")), capsys)

    assert code == 70
    assert said.startswith("Traceback")
    assert "this is a bug in stoker" in said


def test_what_the_applications_own_code_raises_is_no_bug_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = ended(raising(KeyError("lost")), capsys, package=__name__.partition(".")[0])

    assert code == 1
    assert "the application raised KeyError" in said
    assert "bug" not in said


def test_a_usage_error_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = ended(raising(click.UsageError("No such option: --foo.")), capsys)

    assert (code, said) == (2, "stoker: no such option: --foo\n")


@pytest.mark.parametrize("interruption", [click.Abort(), KeyboardInterrupt()])
def test_an_interrupted_command_ends_with_130(interruption: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(raising(interruption), capsys)[0] == 130
