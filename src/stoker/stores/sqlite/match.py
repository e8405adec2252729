# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""Filters as SQL conditions on a row called ``job``."""

from __future__ import annotations

import json
from typing import Final

from stoker.core.filters import Filter
from stoker.core.job import State
from stoker.stores.codes import CODES, GATED, encode, row_ids

ARGS_FUNCTION: Final = "stoker_args_are"
"""The name under which `args_are` is known to SQL."""

_ABSENT: Final = object()

_LABELS: Final = """CASE WHEN json_valid(job.labels) THEN EXISTS (
    SELECT 1 FROM json_each(job.labels) AS label WHERE label.value IN (SELECT value FROM json_each(:labels))) END"""

_TAGS: Final = """EXISTS (SELECT 1 FROM json_each(:tags) AS tag
    WHERE instr(',' || job.route || ',', ',' || tag.value || ','))"""

_ERROR: Final = """(SELECT instr(failure.type, :error) > 0 OR instr(failure.message, :error) > 0
    FROM stoker_failure AS failure WHERE failure.job = job.id ORDER BY failure.id DESC LIMIT 1)"""

_INSTANTS: Final = {
    "enqueued_at": ("enqueued_since", "enqueued_before"),
    "failed_at": ("failed_since", "failed_before"),
    "finished_at": ("finished_since", "finished_before"),
}

# The planner takes a partial index only for a condition that is written like the index's own.
_INDEXED_STATES: Final = (
    (frozenset({State.SCHEDULED, State.RETRYABLE}), "job.state IN (1, 4)"),
    (frozenset({State.CANCELLED, State.DISCARDED}), "job.state IN (6, 7)"),
)


def where(only: Filter) -> tuple[str, dict[str, str | int]]:
    """Give the condition of a filter, and its parameters."""
    params: dict[str, str | int] = {}
    terms: list[str] = []
    if only.ids:
        params["ids"] = encode(row_ids(only.ids))
        terms.append("job.id IN (SELECT value FROM json_each(:ids))")
    if only.states:
        terms += _states(only.states)
    for column, values in (("queue", only.queues), ("name", only.names)):
        if values:
            params[f"{column}s"] = encode(values)
            terms.append(f"job.{column} IN (SELECT value FROM json_each(:{column}s))")
    if only.batches:
        params["batches"] = encode(only.batches)
        terms.append("job.batch IS NOT NULL AND job.batch IN (SELECT value FROM json_each(:batches))")
    for column, bounds in _INSTANTS.items():
        for bound, comparison in zip(bounds, (">=", "<"), strict=True):
            instant: int | None = getattr(only, bound)
            if instant is not None:
                params[bound] = instant
                terms.append(f"job.{column} {comparison} :{bound}")
    if only.tags:
        params["tags"] = encode(only.tags)
        terms.append(_TAGS)
    if only.labels:
        params["labels"] = encode(only.labels)
        terms.append(_LABELS)
    if only.error is not None:
        params["error"] = only.error
        terms.append(_ERROR)
    if only.args:
        params["wanted"] = encode(only.args)
        terms.append(f"{ARGS_FUNCTION}(CAST(job.args AS BLOB), :wanted)")
    return " AND ".join(terms) or "true", params


def args_are(args: bytes, wanted: str) -> bool:
    """Tell whether arguments have one of the wanted values at each path. Called from SQL: never raises."""
    try:
        paths: dict[str, set[str]] = {}
        for path, text in json.loads(wanted):
            paths.setdefault(path, set()).add(_canonical(_read(text)))
        found = _read(args)
        return all(_canonical(_at(found, path.split("."))) in texts for path, texts in paths.items())
    except (ValueError, RecursionError):
        return False


def _states(states: tuple[State, ...]) -> list[str]:
    terms = [text for indexed, text in _INDEXED_STATES if indexed.issuperset(states)]
    codes = [CODES[state] for state in states] + ([GATED] if State.AVAILABLE in states else [])
    return [*terms, f"job.state IN ({', '.join(map(str, codes))})"]


def _at(value: object, path: list[str]) -> object:
    for step in path:
        match value:
            case dict() if step in value:
                value = value[step]
            case list() if step.isdecimal() and int(step) < len(value):
                value = value[int(step)]
            case _:
                return _ABSENT
    return value


def _read(text: str | bytes) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return _ABSENT


def _canonical(value: object) -> str:
    # As text, because 1, 1.0 and True are equal in Python but not in JSON.
    return "absent" if value is _ABSENT else json.dumps(value, sort_keys=True)
