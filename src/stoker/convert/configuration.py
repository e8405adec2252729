"""Where a Celery application is made and configured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import libcst as cst
from libcst import matchers as m

from stoker.convert import beat
from stoker.convert.calls import NotMoved, apply_async, priority
from stoker.convert.project import Project, zone_of
from stoker.convert.report import Remark
from stoker.convert.source import Source, code, keywords, literal

SAME: Final = frozenset({"task", "job", "conf", "autodiscover_tasks", "config_from_object", "periodic", "name", "main"})
ADVICE: Final[Mapping[str, str]] = {
    "send_task": "app.enqueue_by_name(name, args); app.remote(…) for a job that somebody else performs",
    "AsyncResult": "app.handle(id)",
    "control": "stoker jobs cancel, app.operations()",
    "on_after_configure": "app.periodic(…)",
    "on_after_finalize": "app.periodic(…)",
    "add_periodic_task": "app.periodic(…)",
    "start": "app.work(), or stoker worker -A MODULE",
    "worker_main": "app.work(), or stoker worker -A MODULE",
    "Task": "middleware, or app.register(…)",
    "signature": "job.draft(…)",
    "connection": "app.store()",
    "tasks": "app.get(name)",
}
_SAME_HERE: Final = frozenset(
    {
        *(
            "broker_url",
            "result_backend",
            "task_serializer",
            "result_serializer",
            "accept_content",
            "enable_utc",
            "timezone",
        ),
        *("task_acks_late", "task_reject_on_worker_lost", "task_track_started", "task_ignore_result", "result_expires"),
        *(
            "worker_prefetch_multiplier",
            "broker_connection_retry_on_startup",
            "worker_concurrency",
            "result_persistent",
        ),
        *("task_store_errors_even_if_ignored", "worker_send_task_events", "task_send_sent_event", "beat_scheduler"),
    }
)
_ADVICE: Final[Mapping[str, str]] = {
    "task_routes": "queue= in @app.job",
    "task_queues": "queues need no declaration",
    "task_default_queue": "queue= in @app.job",
    "task_annotations": "options in @app.job, or stoker names override at run time",
    "task_always_eager": "Stoker(settings={'workers': {'mode': 'foreground'}}), or the testing kit",
    "task_time_limit": "jobs.timeout in the settings",
    "task_soft_time_limit": "jobs.timeout in the settings",
    "task_default_priority": "priority= in @app.job; the highest number is first",
    "task_default_rate_limit": "rate= in @app.job",
    "imports": "Stoker(imports=[…])",
    "include": "Stoker(imports=[…])",
    "worker_max_tasks_per_child": "stoker worker --max-jobs",
    "worker_max_memory_per_child": "stoker worker --max-rss",
}
PREFIX: Final = "CELERY_"
"""What Django's settings for Celery begin with (``namespace="CELERY"``)."""
STORE: Final = "where jobs are kept is said by queue.uri in the settings or STOKER_URL"


class Answer(NamedTuple):
    """What becomes of a statement: other text, gone (None), or as it is (empty); and what is to be said of it."""

    text: str | None
    remarks: list[Remark]
    needs: str = ""


def configured(project: Project, source: Source, statement: cst.BaseSmallStatement) -> Answer | None:
    """Say what becomes of a statement; None where it has nothing to do with configuration."""
    if m.matches(statement, m.Assign(value=m.Call())):
        assign = cst.ensure_type(statement, cst.Assign)
        call = cst.ensure_type(assign.value, cst.Call)
        if source.origin(call.func) in ("celery.Celery", "celery.app.Celery"):
            return _application(project, source, assign, call)
        if source.origin(call.func) == "celery.utils.log.get_task_logger":
            target = code(assign.targets[0].target)
            return Answer(f"{target} = logging.getLogger({code(call.args[0].value)})", [], "logging")
    if isinstance(statement, cst.Expr) and isinstance(statement.value, cst.Call):
        return _called(project, source, statement.value)
    if isinstance(statement, cst.Assign):
        return _assigned(project, source, statement)
    return None


def send_task(project: Project, app: str, call: cst.Call) -> str:
    """Give what stands in place of ``app.send_task(…)`` for a task that is known; NotMoved."""
    name = literal(call.args[0].value) if call.args else None
    task = project.by_celery_name.get(str(name))
    if task is None:
        raise NotMoved(f"send_task({name!r}): no such task was found here", ADVICE["send_task"])
    rest = call.with_changes(args=call.args[1:])
    chosen, _ = apply_async(rest)
    options = keywords(rest)
    positional = [arg.value for arg in rest.args if arg.keyword is None]
    args = options.get("args", positional[0] if positional else None)
    kwargs = options.get("kwargs")
    if args is not None and kwargs is not None:
        raise NotMoved(f"send_task({name!r}) with args and kwargs", "app.enqueue_by_name takes one of both")
    given = args if args is not None else kwargs
    return f"{app}.enqueue_by_name({', '.join(filter(None, [quoted(task.job), code(given) if given else '', chosen]))})"


def quoted(text: str) -> str:
    """Write a text as Python does, with double quotes."""
    return f'"{text}"'


def schedules(source: Source) -> Iterator[cst.Dict]:
    """Give the beat schedules that a file says, as dictionaries."""
    for assign in source.every(cst.Assign):
        if _last_name(assign.targets[0].target) in beat.NAMES and isinstance(assign.value, cst.Dict):
            yield assign.value
    for call in source.every(cst.Call):
        updates = m.matches(call, m.Call(m.Attribute(m.Attribute(attr=m.Name("conf")), m.Name("update"))))
        given = keywords(call).get("beat_schedule") if updates else None
        if isinstance(given, cst.Dict):
            yield given


def _application(project: Project, source: Source, assign: cst.Assign, call: cst.Call) -> Answer:
    words = [] if not call.args or call.args[0].keyword else [f"name={code(call.args[0].value)}"]
    remarks: list[Remark] = []
    for option, value in keywords(call).items():
        if option == "main":
            words.append(f"name={code(value)}")
        elif option in ("broker", "backend"):
            remarks.append(source.remark(call, f"{option}={code(value)}: {STORE}", note=True))
        elif option != "include":
            remarks.append(source.remark(call, f"Celery({option}={code(value)})", "see the settings"))
    beside = project.modules_beside(source.module)
    if beside:
        words.append(f"imports=[{', '.join(map(quoted, beside))}]")
    return Answer(f"{code(assign.targets[0].target)} = Stoker({', '.join(words)})", remarks, "Stoker")


def _called(project: Project, source: Source, call: cst.Call) -> Answer | None:
    if not isinstance(call.func, cst.Attribute):
        return None
    verb, target = call.func.attr.value, call.func.value
    if project.is_app(source, target) and verb == "autodiscover_tasks":
        return Answer(None, [])
    if project.is_app(source, target) and verb == "config_from_object":
        what = f"{code(call)}: settings are in config/ENVIRONMENT.yaml and STOKER_*; {STORE}"
        return Answer(None, [source.remark(call, what, note=True)])
    if (
        verb == "update"
        and isinstance(target, cst.Attribute)
        and target.attr.value == "conf"
        and project.is_app(source, target.value)
    ):
        remarks, stays = [], []
        for arg in call.args:
            said = _setting(project, source, arg.keyword.value, arg.value) if arg.keyword else None
            remarks += [source.remark(call, code(arg), "see the settings")] if said is None else said.remarks
            if said is None or said.text is not None:
                stays.append(arg)
        return Answer("" if stays else None, remarks)
    return None


def _assigned(project: Project, source: Source, assign: cst.Assign) -> Answer | None:
    target = assign.targets[0].target
    if isinstance(target, cst.Attribute) and m.matches(target.value, m.Attribute(attr=m.Name("conf"))):
        around = cst.ensure_type(target.value, cst.Attribute).value
        return _setting(project, source, target.attr.value, assign.value) if project.is_app(source, around) else None
    name = _last_name(target)
    if name in beat.NAMES and isinstance(assign.value, cst.Dict):
        return _setting(project, source, name, assign.value)
    return _of_django(project, source, target.value, assign.value) if isinstance(target, cst.Name) else None


def _of_django(project: Project, source: Source, shown: str, value: cst.BaseExpression) -> Answer | None:
    """Say what becomes of a setting of Django's for Celery, which may be used elsewhere, so it stays."""
    if not shown.startswith(PREFIX):
        return None
    name = shown.removeprefix(PREFIX).lower()
    known = (
        name if name in _SAME_HERE | _ADVICE.keys() | beat.NAMES or f"task_{name}" not in _ADVICE else f"task_{name}"
    )
    return _setting(project, source, known, value, shown)._replace(text="")


def _setting(project: Project, source: Source, name: str, value: cst.BaseExpression, shown: str = "") -> Answer:
    """Say what becomes of one setting, which is ``shown`` by another name where it has one."""
    shown = shown or name
    if name in beat.NAMES:
        return _beat(project, source, value)
    said = f"{shown}={code(value).splitlines()[0]}"
    if name == "timezone" and zone_of(source, value) is None:
        return Answer("", [source.remark(value, f"{said}: not known before it runs", "tz= in each app.periodic(…)")])
    if name in _SAME_HERE:
        return Answer(None, [source.remark(value, f"{shown}: see the settings for what there is of it", note=True)])
    return Answer("", [source.remark(value, said, _ADVICE.get(name, "see the settings"))])


def _beat(project: Project, source: Source, value: cst.BaseExpression) -> Answer:
    if not isinstance(value, cst.Dict):
        return Answer("", [source.remark(value, "a beat schedule that is made at run time", "app.periodic(…)")])
    remarks = [said for item in value.elements for said in _said_of(project, source, item)]
    return Answer("" if any(one.kind == "left" for one in remarks) else None, remarks)


def _said_of(project: Project, source: Source, item: cst.BaseDictElement) -> Iterator[Remark]:
    if not isinstance(item, cst.DictElement):
        yield source.remark(item, code(item), "app.periodic(…)")
        return
    try:
        entry = beat.entry_of(project, source, item)
    except NotMoved as problem:
        yield source.remark(item, problem.what, problem.advice)
        return
    if entry.priority:
        yield source.remark(item, priority(entry.priority), note=True)


def _last_name(node: cst.BaseExpression) -> str:
    match node:
        case cst.Name(value=name) | cst.Attribute(attr=cst.Name(value=name)):
            return name
        case _:
            return ""
