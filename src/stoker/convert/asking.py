"""What is asked of the results of tasks: of a handle, of several, of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import libcst as cst

from stoker.convert.calls import NotMoved, arguments
from stoker.convert.handles import Kind
from stoker.convert.source import code, keywords, literal

_GET: Final = ("timeout", "propagate", "interval", "no_ack", "follow_parents")
"""The arguments of Celery's ``get``, in their order."""
_IDLE: Final = frozenset({"interval", "no_ack", "follow_parents", "disable_sync_subtasks"})
_JOB: Final[Mapping[str, str]] = {
    "get": "handle.result(timeout=…)",
    "wait": "handle.result(timeout=…)",
    "result": "handle.result(timeout=…)",
    "info": "handle.fetch(): what is known of the job",
    "revoke": "handle.cancel()",
    "ready": "handle.fetch().state.final",
    "state": "handle.fetch().state",
    "status": "handle.fetch().state",
    "successful": "handle.fetch().state is State.COMPLETED",
    "failed": "handle.fetch().state is State.DISCARDED",
    "traceback": "handle.fetch().errors",
    "forget": "keep=0 in @app.job",
    "task_id": "handle.id",
}
_ALL: Final = "it is a list of handles now: [one.result(timeout=…) for one in handles], one.fetch(), one.cancel()"
_FLOW: Final = "it is a batch now: batch.progress() tells how far it is; a last job can keep the result"
_PROPAGATE: Final = "handle.fetch() has state and error; handle.result(timeout=…) raises JobFailed"
_TERMINATE: Final = 'handle.cancel() asks a running job to stop; executor="process" in @app.job ends it for certain'


def result(call: cst.Call) -> str:
    """Give the arguments of ``result(…)`` in place of those of ``get(…)``; NotMoved."""
    given = dict(zip(_GET, (arg.value for arg in call.args if arg.keyword is None), strict=False))
    given |= keywords(call)
    if any(arg.star for arg in call.args):
        raise NotMoved(f"get({arguments(call)})", _JOB["get"])
    timeout = given.pop("timeout", None)
    for option, value in given.items():
        if option == "propagate" and literal(value) is True:
            continue
        if option not in _IDLE:
            raise NotMoved(f"get({option}={code(value)})", _PROPAGATE if option == "propagate" else _JOB["get"])
    return f"timeout={'None' if timeout is None else code(timeout)}"


def cancel(call: cst.Call) -> str:
    """Give the arguments of ``cancel()``: none; NotMoved for those that ``revoke`` alone has."""
    said = keywords(call)
    terminate = said.pop("terminate", None)
    if said or any(arg.keyword is None for arg in call.args) or (terminate and literal(terminate) is not False):
        raise NotMoved(f"revoke({arguments(call)})", _TERMINATE)
    return ""


def advice(kind: Kind, verb: str) -> str | None:
    """Say what to write in place of what is asked; None where that may stay."""
    match kind:
        case Kind.JOB:
            return None if verb == "id" else _JOB.get(verb, "see what JobHandle has")
        case Kind.GROUP:
            return _ALL
        case Kind.FLOW:
            return None if verb == "id" else _FLOW
        case Kind.UNSURE if verb in _JOB:
            return f"{_JOB[verb]}, if it is the handle of a job here: that is not certain"
        case _:
            return None
