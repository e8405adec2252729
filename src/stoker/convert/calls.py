"""Calls that enqueue: ``delay`` and ``apply_async``, and what their options are in ``using``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import libcst as cst

from stoker.convert.source import code, keywords, literal

_USING: Final[Mapping[str, str]] = {
    "countdown": "delay",
    "eta": "at",
    "expires": "expires",
    "queue": "queue",
    "priority": "priority",
}
_GONE: Final = frozenset({"retry", "retry_policy", "ignore_result", "connection", "producer", "add_to_parent"})
_ADVICE: Final[Mapping[str, str]] = {
    "link": "chain(…), or ctx.then(draft) in the job",
    "link_error": "app.batch(on_failure=…), or app.on(AttemptEnded)",
    "task_id": "ids are the store's; unique=Unique(key=…) keeps a second one out",
    "headers": "using(meta={…}), which is ctx.meta in the job",
    "serializer": "arguments are JSON",
    "shadow": "using(labels=[…])",
    "routing_key": "using(queue=…)",
    "exchange": "using(queue=…)",
    "time_limit": "timeout= in @app.job",
    "soft_time_limit": "timeout= in @app.job",
    "chord": "a Workflow",
}


WITH_OPTIONS: Final = frozenset({"apply_async", "set", "signature", "subtask", "send_task"})
"""Calls that take a priority and an eta among their options."""

NAIVE: Final = re.compile(r"\bdatetime\.(?:now|today)\(\)|\butcnow\(\)")
"""A time that has no zone, as it is usually written."""


class NotMoved(Exception):
    """Something cannot be converted; ``advice`` says what to do instead."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice


def priority(value: str) -> str:
    """Say what to know of a priority that was moved as it is."""
    return f"priority={value}: Celery on Redis takes 0 first, on RabbitMQ the highest; stoker the highest everywhere"


def arguments(call: cst.Call) -> str:
    """Write the arguments of a call as they are."""
    return ", ".join(code(arg).rstrip(",").rstrip() for arg in call.args)


def apply_async(call: cst.Call, first: str = "") -> tuple[str, str]:
    """Give what stands in ``using(…)`` (or nothing) and in ``enqueue(…)`` for an ``apply_async``.

    ``first`` is an argument before all others. Raises NotMoved for an option that has no counterpart.
    """
    options = keywords(call)
    positional = [arg.value for arg in call.args if arg.keyword is None and not arg.star]
    if any(arg.star for arg in call.args):
        raise NotMoved("options that are made at run time (**)", "write them out, or pass them to using(**options)")
    args = options.pop("args", positional[0] if positional else None)
    kwargs = options.pop("kwargs", positional[1] if len(positional) > 1 else None)
    if len(positional) > 2:
        raise NotMoved("options by position", "write them by name")
    return using(options), ", ".join(filter(None, [first, spread_args(args), spread_kwargs(kwargs)]))


def using(options: Mapping[str, cst.BaseExpression]) -> str:
    """Write options of Celery's calls as those of ``using``; NotMoved names the one that has no counterpart."""
    words: list[str] = []
    for option, value in options.items():
        if option in _USING:
            words.append(f"{_USING[option]}={code(value)}")
        elif option not in _GONE:
            raise NotMoved(f"{option}={code(value)}", _ADVICE.get(option, "no such option in stoker"))
    return ", ".join(words)


def spread_args(args: cst.BaseExpression | None) -> str:
    """Write a list or tuple of arguments as the arguments of a call."""
    if args is None or code(args) == "None":
        return ""
    if isinstance(args, cst.List | cst.Tuple):
        return ", ".join(code(one).rstrip(",").rstrip() for one in args.elements)
    return f"*{code(args)}"


def spread_kwargs(kwargs: cst.BaseExpression | None) -> str:
    """Write a dictionary of arguments as the keyword arguments of a call."""
    if kwargs is None or code(kwargs) == "None":
        return ""
    if isinstance(kwargs, cst.Dict):
        words: list[str] = []
        for one in kwargs.elements:
            name = literal(one.key) if isinstance(one, cst.DictElement) else None
            if not isinstance(name, str) or not name.isidentifier():
                break
            words.append(f"{name}={code(one.value)}")
        else:
            return ", ".join(words)
    return f"**{code(kwargs)}"
