"""Beat schedules: each entry becomes an ``app.periodic(…)`` behind the job that it enqueues."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import libcst as cst

from stoker.convert.calls import NotMoved, spread_args, spread_kwargs, using
from stoker.convert.project import Project, Task
from stoker.convert.source import Source, code, keywords, literal

NAMES: Final = frozenset({"beat_schedule", "CELERY_BEAT_SCHEDULE", "CELERYBEAT_SCHEDULE"})
_FIELDS: Final = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
_UNITS: Final = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400, "weeks": 604800, "milliseconds": 0.001}


class Entry(NamedTuple):
    """One entry that was moved: the statement for the module of its task."""

    task: Task
    said: str
    """What stands between ``app.`` and the end of the line."""
    priority: str = ""
    """The priority that it gives."""


def entry_of(project: Project, source: Source, item: cst.DictElement) -> Entry:
    """Read one entry of a schedule; NotMoved says why it cannot be moved."""
    name, spec = literal(item.key), item.value
    if not isinstance(name, str) or not isinstance(spec, cst.Dict):
        raise NotMoved(f"beat entry {code(item.key)}", "app.periodic(…)")
    words = {str(literal(one.key)): one.value for one in spec.elements if isinstance(one, cst.DictElement)}
    task = project.by_celery_name.get(str(literal(words["task"]))) if "task" in words else None
    if task is None or "schedule" not in words:
        raise NotMoved(f"beat entry {name!r}: its task was not found here", "app.periodic(…) where its job is")
    when = _when(project, source, words["schedule"], name)
    args = ", ".join(filter(None, [spread_args(words.get("args")), spread_kwargs(words.get("kwargs"))]))
    options = _dictionary(words["options"], name) if "options" in words else {}
    chosen = using(options)
    draft = f"{task.name}{f'.using({chosen})' if chosen else ''}.draft({args})"
    # With `every` there is no place for a draft before it: both are taken by position.
    positional, named = (f"{when}, ", "") if when.startswith('"') else ("", f"{when}, ")
    said = f'periodic({positional}{draft}, {named}name="{_entry_name(name)}"{_zone(project, when)})'
    return Entry(task, said, code(options["priority"]) if "priority" in options else "")


def _entry_name(name: str) -> str:
    return re.sub(r"[^\w.:/-]+", "-", name).strip("-") or "entry"


def _zone(project: Project, when: str) -> str:
    return f', tz="{project.timezone}"' if project.timezone != "UTC" and when.startswith('"') else ""


def _when(project: Project, source: Source, node: cst.BaseExpression, name: str) -> str:
    number = literal(node)
    if isinstance(number, int | float) and not isinstance(number, bool):
        return f"every={number:g}"
    if isinstance(node, cst.Call):
        match project.named(source, node.func):
            case "celery.schedules.crontab":
                return f'"{_cron(node, name)}"'
            case "celery.schedules.schedule":
                inner = keywords(node).get("run_every") or (node.args[0].value if node.args else None)
                if inner is not None:
                    return _when(project, source, inner, name)
            case "datetime.timedelta":
                return f"every={_seconds(node, name):g}"
            case _:
                pass
    raise NotMoved(f"beat entry {name!r}: schedule {code(node)}", "cron, words or every= in app.periodic(…)")


def _cron(call: cst.Call, name: str) -> str:
    said = keywords(call)
    positional = [arg.value for arg in call.args if arg.keyword is None]
    strange = set(said) - set(_FIELDS)
    if len(positional) > 2 or strange:
        problem = "more than two fields by position" if len(positional) > 2 else ", ".join(sorted(strange))
        raise NotMoved(f"beat entry {name!r}: crontab with {problem}", "write the cron text")
    said |= dict(zip(_FIELDS, positional, strict=False))
    values = [literal(said[field]) if field in said else "*" for field in _FIELDS]
    if any(not isinstance(value, str | int) for value in values):
        raise NotMoved(f"beat entry {name!r}: {code(call)} is not known before it runs", "write the cron text")
    texts = [str(value).replace(" ", "") for value in values]
    if "*" not in (texts[2], texts[4]):
        raise NotMoved(
            f"beat entry {name!r}: Celery wants both days to fit, cron either", "two entries, or a test in the job"
        )
    return " ".join(texts)


def _seconds(call: cst.Call, name: str) -> float:
    said = {word: literal(value) for word, value in keywords(call).items()}
    if any(arg.keyword is None for arg in call.args) or not all(
        word in _UNITS and isinstance(value, int | float) for word, value in said.items()
    ):
        raise NotMoved(f"beat entry {name!r}: {code(call)} is not known before it runs", "every= in app.periodic(…)")
    return sum(_UNITS[word] * value for word, value in said.items() if isinstance(value, int | float))


def _dictionary(node: cst.BaseExpression, name: str) -> Mapping[str, cst.BaseExpression]:
    if not isinstance(node, cst.Dict):
        raise NotMoved(f"beat entry {name!r}: options {code(node)}", "job.using(…).draft(…)")
    return {str(literal(one.key)): one.value for one in node.elements if isinstance(one, cst.DictElement)}
