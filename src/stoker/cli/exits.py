"""How a command ends: the exit codes, which error leads to which, and what is said of it on stderr."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum
from types import TracebackType
from typing import Final

import click

from stoker.errors import (
    ConfigurationError,
    DefinitionError,
    DuplicateJob,
    EnqueueError,
    NotSupported,
    QueueFull,
    SchemaOutdated,
    StokerError,
    StoreUnavailable,
)


class ExitCode(IntEnum):
    """What the exit codes mean; they are part of the interface."""

    CLEAN = 0
    FAILURE = 1
    """The command was right, but what it asked for failed or is not ready."""
    WRONG_USE = 2
    UNREACHABLE = 3
    SCHEMA_OUTDATED = 4
    INTERNAL = 70
    INTERRUPTED = 130


class BrokenCode(ConfigurationError):
    """A module of the application cannot be imported; the cause is what it raised."""


# The first that fits decides: errors before their bases.
_CODES: Final[tuple[tuple[type[Exception], ExitCode], ...]] = (
    (StoreUnavailable, ExitCode.UNREACHABLE),
    (SchemaOutdated, ExitCode.SCHEMA_OUTDATED),
    (DuplicateJob, ExitCode.FAILURE),
    (QueueFull, ExitCode.FAILURE),
    (ConfigurationError, ExitCode.WRONG_USE),
    (DefinitionError, ExitCode.WRONG_USE),
    (EnqueueError, ExitCode.WRONG_USE),
    (NotSupported, ExitCode.WRONG_USE),
    (StokerError, ExitCode.FAILURE),
)
_NO_ARGUMENTS: Final = getattr(click.exceptions, "NoArgsIsHelpError", ())
_OURS: Final = "stoker"


def code_of(error: Exception) -> ExitCode:
    """Give the exit code that an error leads to."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.INTERNAL)


def guarded(run: Callable[[], object], *, verbose: Callable[[], bool], package: Callable[[], str | None]) -> int:
    """Run a command and give its exit code; whatever it raises is told on stderr.

    ``verbose`` and ``package`` (the application's, whose own errors are no bugs of ours) are asked afterwards.
    """
    try:
        answer = run()
        sys.stdout.flush()
    except click.ClickException as error:
        return _tell_usage(error)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stoker: interrupted", err=True)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read has gone (`| head`). Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILURE
    except Exception as error:
        return _tell(error, verbose=verbose(), package=package())
    return answer if isinstance(answer, int) else ExitCode.CLEAN


def _tell_usage(error: click.ClickException) -> int:
    if isinstance(error, _NO_ARGUMENTS):
        error.show()
        return ExitCode.WRONG_USE
    context = error.ctx if isinstance(error, click.UsageError) else None
    # What click calls its types is no word for people.
    message = " ".join(error.format_message().replace("a valid integer range", "an integer").split())
    hint = f" ({context.command_path} --help)" if context else ""
    click.echo(f"stoker: {message[:1].lower()}{message[1:].removesuffix('.')}{hint}", err=True)
    return ExitCode.WRONG_USE if isinstance(error, click.UsageError) else ExitCode.FAILURE


def _tell(error: Exception, *, verbose: bool, package: str | None) -> ExitCode:
    code = code_of(error)
    if code is not ExitCode.INTERNAL:
        if isinstance(error, BrokenCode) and error.__cause__ is not None:
            click.echo(_trace_of(error.__cause__, _first_of_others(error.__cause__.__traceback__)), err=True, nl=False)
        elif verbose:
            click.echo(_trace_of(error, error.__traceback__), err=True, nl=False)
        click.echo(f"stoker: {_one_line(str(error))}", err=True)
        return code
    if package and (at := _first_of(package, error.__traceback__)) is not None:
        click.echo(_trace_of(error, error.__traceback__ if verbose else at), err=True, nl=False)
        click.echo(f"stoker: the application raised {type(error).__name__}: {_one_line(str(error))}", err=True)
        return ExitCode.FAILURE
    click.echo(_trace_of(error, error.__traceback__), err=True, nl=False)
    click.echo("stoker: this is a bug in stoker; please report it with the traceback above", err=True)
    return code


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _trace_of(error: BaseException, at: TracebackType | None) -> str:
    return "".join(traceback.format_exception(type(error), error, at))


def _first_of_others(at: TracebackType | None) -> TracebackType | None:
    """Cut our own frames, and those of the import, off the beginning of a traceback."""
    while at is not None and _package(at) in {_OURS, "importlib"}:
        at = at.tb_next
    return at


def _first_of(package: str, at: TracebackType | None) -> TracebackType | None:
    while at is not None and _package(at) != package:
        at = at.tb_next
    return at


def _package(at: TracebackType) -> str:
    name: str = at.tb_frame.f_globals.get("__name__", "")
    return name.partition(".")[0]
