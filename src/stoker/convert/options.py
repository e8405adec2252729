"""What a task's options are as a job's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import libcst as cst

from stoker.convert.calls import priority
from stoker.convert.project import Task
from stoker.convert.source import code, literal

USUAL_RETRIES: Final = 3
USUAL_DELAY: Final = 180
_PERIODS: Final = {"s": "1s", "m": "1m", "h": "1h"}
_GONE: Final = frozenset(
    {
        *("bind", "acks_late", "acks_on_failure_or_timeout", "reject_on_worker_lost", "ignore_result", "track_started"),
        *("send_events", "store_errors_even_if_ignored", "throws", "trail", "shared"),
    }
)
"""What needs no word in stoker: it always does so, or has no such thing to lose."""
_ADVICE: Final[Mapping[str, str]] = {
    "base": "a task class has no counterpart: middleware, app.on(…), or a class with perform and app.register",
    "serializer": "arguments are JSON; what pickle carried has to be passed by its id",
    "typing": "arguments are always checked against the signature",
    "pydantic": "annotate the arguments; they are validated",
    "after_return": "listen with app.on(AttemptEnded)",
    "on_failure": "listen with app.on(AttemptEnded)",
    "on_success": "listen with app.on(AttemptEnded)",
}


class Options(NamedTuple):
    """What stands in a job's decorator, and what has to be imported for it."""

    words: list[str]
    needs: set[str]
    left: list[tuple[str, str]]
    """Options that were not moved, each with advice."""
    notes: list[str]


def options_of(task: Task) -> Options:
    """Give the options of a task's job."""
    made = Options([], set(), [], [])
    given = dict(task.options)
    if task.job != task.name:
        made.words.append(f"name={task.job!r}".replace("'", '"'))
    given.pop("name", None)
    for option in ("queue", "priority", "expires"):
        if option in given:
            said = code(given.pop(option))
            made.words.append(f"{option}={said}")
            if option == "priority":
                made.notes.append(priority(said))
    _failing(task, given, made)
    _times(given, made)
    _rate(given, made)
    for option, value in given.items():
        if option == "serializer" and literal(value) == "json":
            continue
        if option not in _GONE:
            made.left.append((f"{option}={code(value)}", _ADVICE.get(option, "no such option in stoker")))
    return made


def _failing(task: Task, given: dict[str, cst.BaseExpression], made: Options) -> None:
    """Celery retries what ``autoretry_for`` names and what asks for it; stoker, unless told otherwise, every error."""
    auto, never = given.pop("autoretry_for", None), given.pop("dont_autoretry_for", None)
    most, delay = given.pop("max_retries", None), given.pop("default_retry_delay", None)
    said = _retry_kwargs(given, made)
    most, delay = said.get("max_retries", most), said.get("countdown", delay)
    if auto is None and not task.retries_itself:
        made.words.append("max_attempts=1")
        for option in ("retry_backoff", "retry_backoff_max", "retry_jitter"):
            given.pop(option, None)
        return
    made.words.extend(_attempts(most, made))
    if auto is None:
        made.words.append("retry_on=()")
    elif not _everything(auto):
        made.words.append(f"retry_on={code(auto)}")
    if never is not None:
        made.words.append(f"discard_on={code(never)}")
    _backoff(given, delay, made)


def _retry_kwargs(given: dict[str, cst.BaseExpression], made: Options) -> dict[str, cst.BaseExpression]:
    said = given.pop("retry_kwargs", None)
    if said is None:
        return {}
    elements = said.elements if isinstance(said, cst.Dict) else ()
    words = {str(literal(one.key)): one.value for one in elements if isinstance(one, cst.DictElement)}
    if len(words) == len(elements) > 0 and words.keys() <= {"max_retries", "countdown"}:
        return words
    made.left.append((f"retry_kwargs={code(said)}", "say max_attempts= (retries + 1) and backoff= in @app.job"))
    return {}


def _attempts(most: cst.BaseExpression | None, made: Options) -> list[str]:
    if most is None:
        return [f"max_attempts={USUAL_RETRIES + 1}"]
    if code(most) == "None":
        made.left.append(("max_retries=None", "there is no retrying for ever: say how often with max_attempts="))
        return []
    number = literal(most)
    return [f"max_attempts={number + 1}" if isinstance(number, int) else f"max_attempts={code(most)} + 1"]


def _everything(auto: cst.BaseExpression) -> bool:
    return isinstance(auto, cst.Tuple | cst.List) and [code(one.value) for one in auto.elements] == ["Exception"]


def _backoff(given: dict[str, cst.BaseExpression], delay: cst.BaseExpression | None, made: Options) -> None:
    backoff, most = given.pop("retry_backoff", None), given.pop("retry_backoff_max", None)
    jitter = given.pop("retry_jitter", None)
    if backoff is None or literal(backoff) is False:
        made.words.append(f"backoff=fixed({USUAL_DELAY if delay is None else code(delay)})")
        made.needs.add("fixed")
        return
    base = "1" if literal(backoff) is True else code(backoff)
    longest = "600" if most is None else code(most)
    made.words.append(f"backoff=exponential({base}, maximum={longest})")
    made.needs.add("exponential")
    if jitter is None or literal(jitter) is not False:
        made.notes.append(
            "retry_jitter: Celery waits anything from 0 to the backoff, stoker up to a tenth longer than it"
        )


def _times(given: dict[str, cst.BaseExpression], made: Options) -> None:
    hard, soft = given.pop("time_limit", None), given.pop("soft_time_limit", None)
    limit = soft if soft is not None else hard
    if limit is None:
        return
    made.words.append(f"timeout={code(limit)}")
    if soft is not None and hard is not None:
        made.notes.append(f"time_limit={code(hard)}: there is one limit, timeout=; it is the soft one")
    if hard is not None:
        made.notes.append('time_limit: a job in a thread is asked to stop; executor="process" ends it for certain')


def _rate(given: dict[str, cst.BaseExpression], made: Options) -> None:
    if "rate_limit" not in given:
        return
    said = given.pop("rate_limit")
    value = literal(said)
    number, _, unit = str(value).partition("/") if isinstance(value, str) else (str(value), "", "")
    per = _PERIODS.get(unit or "s")
    if value is None or per is None or not number.strip().isdecimal():
        made.left.append((f"rate_limit={code(said)}", "say rate=Rate(NUMBER, per=PERIOD)"))
        return
    made.words.append(f'rate=Rate({number.strip()}, per="{per}")')
    made.needs.add("Rate")
    made.notes.append("rate_limit: Celery's counts for each worker, stoker's for all workers together")
