"""Filters as SQL conditions on a row called ``job``."""

from __future__ import annotations

from typing import Final

from stoker.core.filters import Filter
from stoker.core.job import State
from stoker.stores.codes import CODES, GATED, encode
from stoker.stores.postgres.wire import STATE, numbers

_LABELS: Final = """EXISTS (SELECT FROM json_array_elements_text(job.labels::json) AS label
    WHERE label = ANY (ARRAY(SELECT json_array_elements_text(:labels::json))))"""

_TAGS: Final = """string_to_array(job.route, ',') && ARRAY(SELECT json_array_elements_text(:tags::json))"""

_ERROR: Final = """(SELECT strpos(failure.type, :error::text) > 0 OR strpos(failure.message, :error::text) > 0
    FROM stoker.failure WHERE failure.job = job.id ORDER BY failure.id DESC LIMIT 1)"""

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


def where(only: Filter) -> tuple[str, dict[str, str | int | None]]:
    """Give the condition of a filter, and its parameters."""
    params: dict[str, str | int | None] = {}
    terms: list[str] = []
    if only.ids:
        params["ids"] = numbers(only.ids)
        terms.append("job.id = ANY (string_to_array(:ids::text, ',')::bigint[])")
    if only.states:
        terms += _states(only.states)
    for column, values in (("queue", only.queues), ("name", only.names)):
        if values:
            params[f"{column}s"] = encode(list(values))
            terms.append(f"job.{column} = ANY (ARRAY(SELECT json_array_elements_text(:{column}s::json)))")
    if only.batches:
        params["batches"] = encode(list(only.batches))
        terms.append(
            "job.batch IS NOT NULL AND job.batch = ANY (ARRAY(SELECT json_array_elements_text(:batches::json)))"
        )
    for column, bounds in _INSTANTS.items():
        for bound, comparison in zip(bounds, (">=", "<"), strict=True):
            instant: int | None = getattr(only, bound)
            if instant is not None:
                params[bound] = instant
                terms.append(f"job.{column} {comparison} :{bound}::bigint")
    if only.tags:
        params["tags"] = encode(list(only.tags))
        terms.append(_TAGS)
    if only.labels:
        params["labels"] = encode(list(only.labels))
        terms.append(_LABELS)
    if only.error is not None:
        params["error"] = only.error
        terms.append(_ERROR)
    if only.args:
        params["wanted"] = encode(list(only.args))
        terms.append("stoker.args_are(job.args, :wanted::json)")
    return " AND ".join(terms) or "true", params


def _states(states: tuple[State, ...]) -> list[str]:
    terms = [text for indexed, text in _INDEXED_STATES if indexed.issuperset(states)]
    codes = {CODES[state] for state in states}
    stored = sorted({2 if code == 3 else code for code in codes} | ({GATED} if 2 in codes else set()))
    terms.append(f"job.state IN ({', '.join(map(str, stored))})")
    if len(codes & {2, 3}) == 1:
        terms.append(f"{STATE} IN ({', '.join(map(str, sorted(codes)))})")
    return terms
