"""What is known of a Celery project before anything is rewritten: its application, its tasks, and their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

import libcst as cst
from libcst import matchers as m

from stoker.convert.source import Source, below, code, keywords, literal

_MOST_ALIASES: Final = 5
"""Names that are handed on from module to module more often are not followed."""


class Task:
    """A function that is a Celery task."""

    def __init__(self, source: Source, function: cst.FunctionDef, decorator: cst.Decorator) -> None:
        self.source = source
        self.function = function
        self.decorator = decorator
        self.name = function.name.value
        call = decorator.decorator
        self.options = keywords(call) if isinstance(call, cst.Call) else {}
        self.bound = literal(self.options["bind"]) is True if "bind" in self.options else False
        self.me = function.params.params[0].name.value if self.bound and function.params.params else "self"
        self.retries_itself = any(
            m.matches(call, m.Call(m.Attribute(m.Name(self.me), m.Name("retry")))) for call in below(function)
        )
        self.job = self.name
        """How the job is stored."""

    @property
    def full(self) -> str:
        """Its function's full name."""
        return f"{self.source.module}.{self.name}"

    @property
    def celery_name(self) -> str:
        """How Celery calls it."""
        named = literal(self.options["name"]) if "name" in self.options else None
        return named if isinstance(named, str) else self.full


class Project:
    """All files of a project, and what they say together."""

    def __init__(self, sources: Iterable[Source], app: str | None) -> None:
        self.sources = list(sources)
        self._aliases = {
            f"{source.module}.{local}": full for source in self.sources for local, full in source.imported.items()
        }
        self.apps: dict[str, Source] = {}
        """Full names of the Celery applications."""
        self.timezone = "UTC"
        for source in self.sources:
            self._find_apps(source)
        self.app = app.replace(":", ".") if app else next(iter(self.apps), "")
        """The full name of what is to be the application."""
        self.tasks = {task.full: task for source in self.sources for task in self._tasks(source)}
        self._name_jobs()
        self.by_celery_name = {task.celery_name: task for task in self.tasks.values()}

    def resolve(self, full: str) -> str:
        """Follow a full name through the modules that hand it on to where it is made."""
        for _ in range(_MOST_ALIASES):
            head, _, tail = full.rpartition(".")
            if full in self._aliases and self._aliases[full] != full:
                full = self._aliases[full]
            elif head in self._aliases and self._aliases[head] != head:
                full = f"{self._aliases[head]}.{tail}"
            else:
                break
        return full

    def named(self, source: Source, node: cst.CSTNode) -> str:
        """Give the full name of what an expression in a file names, wherever it is made."""
        return self.resolve(source.origin(node))

    def task(self, source: Source, node: cst.CSTNode) -> Task | None:
        """Give the task that an expression names."""
        return self.tasks.get(self.named(source, node))

    def is_app(self, source: Source, node: cst.CSTNode) -> bool:
        """Tell whether an expression names a Celery application."""
        return self.named(source, node) in self.apps

    def task_decorator(self, source: Source, decorator: cst.Decorator) -> bool:
        """Tell whether a decorator makes a task."""
        named = decorator.decorator.func if isinstance(decorator.decorator, cst.Call) else decorator.decorator
        if self.named(source, named) in ("celery.shared_task", "celery.decorators.task", "celery.task.task"):
            return True
        return m.matches(named, m.Attribute(attr=m.Name("task"))) and self.is_app(
            source, cst.ensure_type(named, cst.Attribute).value
        )

    def concerns(self, source: Source) -> bool:
        """Tell, quickly, whether there may be something to rewrite in a file."""
        words = {"celery", "delay", "apply_async", "CELERY", *(task.name for task in self.tasks.values())}
        return any(word in source.text for word in words)

    def modules_beside(self, module: str) -> list[str]:
        """Give the modules that have jobs, but for one."""
        return sorted({task.source.module for task in self.tasks.values()} - {module})

    def _find_apps(self, source: Source) -> None:
        for assign in source.every(cst.Assign):
            target, call = assign.targets[0].target, assign.value
            if m.matches(target, m.Attribute(attr=m.Name("timezone")) | m.Name("CELERY_TIMEZONE")):
                self.timezone = zone_of(source, call) or self.timezone
            if not isinstance(call, cst.Call):
                continue
            if source.origin(call.func) in ("celery.Celery", "celery.app.Celery") and isinstance(target, cst.Name):
                self.apps[f"{source.module}.{target.value}"] = source
        for call in source.every(cst.Call):
            if not m.matches(call, m.Call(m.Attribute(m.Attribute(attr=m.Name("conf")), m.Name("update")))):
                continue
            given = keywords(call).get("timezone")
            self.timezone = (zone_of(source, given) if given is not None else None) or self.timezone

    def _tasks(self, source: Source) -> Iterable[Task]:
        for function in source.every(cst.FunctionDef):
            for decorator in function.decorators:
                if self.task_decorator(source, decorator):
                    yield Task(source, function, decorator)

    def _name_jobs(self) -> None:
        many = Counter(task.name for task in self.tasks.values())
        for task in self.tasks.values():
            if "name" in task.options or many[task.name] > 1:
                task.job = task.celery_name


def described(task: Task) -> str:
    """Name a task for a remark."""
    return f"task {task.name} ({code(task.decorator).splitlines()[0]})"


def zone_of(source: Source, node: cst.BaseExpression) -> str | None:
    """Give the time zone that a file says, also by a name of the same file (``TIME_ZONE``); None if it is not known."""
    if isinstance(node, cst.Name):
        said = [
            literal(one.value)
            for one in source.every(cst.Assign)
            if m.matches(one.targets[0].target, m.Name(node.value))
        ]
        zone = said[0] if len(said) == 1 else None
    else:
        zone = literal(node)
    return zone if isinstance(zone, str) else None
