"""What bound tasks ask of themselves: ``self.request``, ``self.retry``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import libcst as cst

from stoker.convert.calls import NotMoved
from stoker.convert.source import code, keywords

_REQUEST: Final[Mapping[str, str]] = {
    "id": "ctx.id",
    "task": "ctx.name",
    "retries": "(ctx.attempt - 1)",
    "parent_id": "ctx.parent",
}
_TASK: Final[Mapping[str, str]] = {"name": "ctx.name", "max_retries": "(ctx.max_attempts - 1)"}

ASKED: Final[Mapping[str, str]] = {
    "update_state": "ctx.progress(0.4, note)",
    "retry": "raise Retry(delay)",
    "replace": "ctx.then(draft)",
    "backend": "app.store()",
    "app": "the application, imported",
    "delivery_info": "ctx.queue",
    "headers": "ctx.meta",
    "correlation_id": "ctx.id",
    "root_id": "ctx.parent, or meta=",
}
"""What to write in place of what the context does not know."""


def of_request(name: str) -> str | None:
    """Give what the context has in place of ``self.request.NAME``; None if it has nothing."""
    return _REQUEST.get(name)


def of_task(name: str) -> str | None:
    """Give what the context has in place of ``self.NAME``; None if it has nothing."""
    return _TASK.get(name)


def retry(call: cst.Call) -> cst.Raise:
    """Give the statement in place of ``self.retry(…)``; NotMoved for an option without counterpart."""
    said = keywords(call)
    error = said.pop("exc", None)
    delay = said.pop("countdown", None)
    said.pop("throw", None)
    if any(arg.keyword is None for arg in call.args) or said:
        named = ", ".join(f"{option}=" for option in said) or "arguments by position"
        raise NotMoved(named, "raise Retry(delay); what a job is enqueued with does not change")
    words = [] if delay is None or code(delay) == "None" else [code(delay)]
    if isinstance(error, cst.Name):
        words.append(f"str({error.value})" if words else f"reason=str({error.value})")
    cause = cst.From(item=error) if isinstance(error, cst.Name) else None
    return cst.Raise(exc=cst.parse_expression(f"Retry({', '.join(words)})"), cause=cause)
