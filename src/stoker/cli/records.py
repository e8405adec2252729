"""How a job looks to people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import click
import msgspec
from msgspec.structs import asdict

from stoker.cli.output import moment
from stoker.core.job import State, StoredJob
from stoker.core.lines import AttemptLog
from stoker.jobs.progress import Progress
from stoker.jobs.record import FailedAttempt, JobRecord, read_json
from stoker.jobs.sealing import Envelope

COLUMNS: Final = ("id", "name", "queue", "state", "attempt", "when", "error")
_LONGEST: Final = 80


def record_of(job: StoredJob) -> JobRecord[Any]:
    """Read what a store knows, the result as plain JSON."""
    return JobRecord.of(job, read_json)


def row_of(record: JobRecord[Any]) -> tuple[object, ...]:
    """Give a job's row under COLUMNS."""
    attempt = f"{_attempt(record)}/{record.max_attempts}"
    error = _short(record.errors[-1]) if record.errors else ""
    return (record.id, record.name, record.queue, record.state.value, attempt, _when(record), error)


def _attempt(record: JobRecord[Any]) -> int:
    # A job that has ended is in no further attempt.
    return min(record.attempt, record.max_attempts)


def print_record(record: JobRecord[Any]) -> None:
    """Print all that is known of a job."""
    plain = {**record.to_json(), "attempt": _attempt(record)}
    errors = plain.pop("errors")
    width = max(map(len, plain))
    for key, value in plain.items():
        if value not in (None, [], False) and (key, value) != ("meta", {}):
            shown = getattr(record, key)
            text = _as_text(shown, value)
            click.echo(f"{key:{width}}  {text}")
    for error in record.errors if errors else ():
        click.echo(f"\nattempt {error.attempt}, {moment(error.at)}, {error.worker or 'no worker'}")
        click.echo((error.trace or f"{error.type}: {error.message}").rstrip())


def print_logs(logs: Sequence[AttemptLog]) -> None:
    """Print what attempts logged."""
    for log in logs:
        click.echo(f"\n{log}")
    if not logs:
        click.echo("\nno log lines are kept: its definition does not say keep_logs=, or it has logged nothing")


def logs_as_json(logs: Sequence[AttemptLog]) -> dict[str, object]:
    """Give what attempts logged as ``--json`` prints it."""
    return {"logs": [{**asdict(log), "lines": [asdict(line) for line in log.lines]} for log in logs]}


def _as_text(shown: object, value: object) -> str:
    if isinstance(shown, datetime):
        return moment(shown)
    if isinstance(shown, Progress):
        return str(shown)
    if isinstance(value, dict) and "@sealed" in value:
        return str(msgspec.convert(value, Envelope))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _when(record: JobRecord[Any]) -> str:
    """Say since when it runs, when it finished, or when it becomes available."""
    if record.state is State.RUNNING:
        return moment(record.started_at)
    return moment(record.finished_at if record.state.final else record.run_at)


def _short(error: FailedAttempt) -> str:
    text = " ".join(f"{error.type}: {error.message}".split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
