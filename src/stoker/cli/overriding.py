"""`stoker names override`: what holds for a job name at run time, who said so, and when."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Collection
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from stoker.cli.invocation import current
from stoker.cli.output import moment, print_json
from stoker.core.duration import SECOND, as_datetime, in_words, micros
from stoker.core.override import Override, Overriding, Rated, read_override
from stoker.errors import ConfigurationError

if TYPE_CHECKING:
    from stoker.app.operations import Operations


def override(
    name: str,
    store: str | None,
    *,
    limits: tuple[str, ...],
    rates: tuple[str, ...],
    timeout: str | None,
    max_attempts: int | None,
    clear: bool,
    by: str | None,
) -> None:
    """Change what is said of a name, where anything is asked for; then show it and its latest changes."""
    operations = current().operations(store)
    said = bool(limits or rates or timeout is not None or max_attempts is not None)
    if clear and said:
        raise click.UsageError("--clear takes back all that is said of the name; leave the other options out")
    if clear or said:
        wanted = None if clear else _changed(operations, name, limits, rates, timeout, max_attempts)
        operations.override(name, wanted, by or f"{_user()}@{socket.gethostname()}")
    _show(operations, name)


def _changed(
    operations: Operations,
    name: str,
    limits: tuple[str, ...],
    rates: tuple[str, ...],
    timeout: str | None,
    max_attempts: int | None,
) -> Override:
    standing = next((read_override(one.text or "{}") for one in operations.overrides() if one.name == name), Override())
    _refuse_unlimited(name, dict(map(_limit, limits)), dict(map(_rate, rates)))
    return Override(
        limits=standing.limits | dict(_limit(text) for text in limits),
        rates=standing.rates | dict(_rate(text) for text in rates),
        timeout=standing.timeout if timeout is None else _timeout(timeout),
        max_attempts=standing.max_attempts if max_attempts is None else max_attempts,
    )


def _refuse_unlimited(name: str, limits: Collection[str], rates: Collection[str]) -> None:
    """Refuse what could have no effect, as far as the application tells: jobs are counted from their enqueue on."""
    job = next((job for job in current().loaded_or_target().definitions if job.name == name), None)
    if job is None:
        return
    for word, asked, bounds in (("limit", limits, job.rules.limit), ("rate", rates, job.rules.rate)):
        known = {",".join(bound.names) for bound in bounds}
        for by in asked:
            if by not in known and not (by == "" and len(known) == 1):
                has = ", ".join(f"{word} by {one}" if one else f"{word} without by=" for one in sorted(known))
                raise click.UsageError(
                    f"{name} has no such {word} in its code, so its jobs are not counted for one; "
                    f"it has {has or 'none'}"
                )


def _limit(text: str) -> tuple[str, int]:
    by, number = _split(text)
    if not number.isdecimal() or int(number) < 1:
        raise click.BadParameter(f"{text!r}: write how many may run at once, 5 or tenant=5", param_hint="--limit")
    return by, int(number)


def _rate(text: str) -> tuple[str, Rated]:
    from stoker.jobs.limits import rate_of

    by, rate = _split(text)
    try:
        found = rate_of("--rate", rate)
        return by, Rated(found.starts, micros(found.per))
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from error


def _timeout(text: str) -> int:
    try:
        return 0 if text == "none" else micros(text, "--timeout")
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from error


def _split(text: str) -> tuple[str, str]:
    """Give the arguments that a limit tells apart, in the order in which rules name them, and the number."""
    by, equals, number = text.rpartition("=")
    return ",".join(sorted(part.strip() for part in by.split(",") if part.strip())) if equals else "", number.strip()


def _show(operations: Operations, name: str) -> None:
    standing = [one for one in operations.overrides() if one.name == name]
    history = operations.override_history(name)
    if current().as_json:
        print_json({"name": name, "override": _plain(standing), "history": [_line(one) for one in history]})
        return
    if not standing:
        click.echo(f"{name}: nothing is overridden")
    for one in standing:
        click.echo(f"{name}: {_in_words(read_override(one.text or '{}'))}  ({_origin(one)})")
    for one in history:
        click.echo(f"  {_origin(one)}: {'taken back' if one.text is None else _in_words(read_override(one.text))}")


def _plain(standing: list[Overriding]) -> object:
    return _line(standing[0]) if standing else None


def _line(one: Overriding) -> dict[str, object]:
    said = None if one.text is None else _in_seconds(read_override(one.text))
    return {"said": said, "by": one.by, "at": as_datetime(one.at)}


def _in_seconds(said: Override) -> dict[str, object]:
    """Give what is said; `timeout` 0 is none."""
    rates = {by: {"starts": rate.starts, "per": rate.per / SECOND} for by, rate in said.rates.items()}
    timeout = None if said.timeout is None else said.timeout / SECOND
    parts = {"limits": said.limits, "rates": rates, "timeout": timeout, "max_attempts": said.max_attempts}
    return {part: value for part, value in parts.items() if value not in (None, {})}


def _origin(one: Overriding) -> str:
    return f"{one.by}, {moment(as_datetime(one.at))}"


def _in_words(said: Override) -> str:
    parts = [f"limit {_by(by)}{number}" for by, number in said.limits.items()]
    parts += [f"rate {_by(by)}{rate.starts} in {in_words(rate.per)}" for by, rate in said.rates.items()]
    if said.timeout is not None:
        parts.append(f"timeout {in_words(said.timeout) if said.timeout else 'none'}")
    if said.max_attempts is not None:
        parts.append(f"max attempts {said.max_attempts}")
    return ", ".join(parts) or "nothing that this version knows"


def _by(by: str) -> str:
    return f"by {by} " if by else ""


def _user() -> str:
    with suppress(KeyError, OSError):
        return getpass.getuser()
    return "somebody"
