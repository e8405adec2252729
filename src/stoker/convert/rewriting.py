"""Rewrites one file of a Celery project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import libcst as cst
from libcst import matchers as m

from stoker.convert import asking, canvas, configuration
from stoker.convert.bound import ASKED, of_request, of_task, retry
from stoker.convert.calls import NAIVE, WITH_OPTIONS, NotMoved, apply_async, arguments, priority
from stoker.convert.following import Following
from stoker.convert.handles import Kind
from stoker.convert.options import options_of
from stoker.convert.project import Project, Task, described
from stoker.convert.report import Remark
from stoker.convert.source import Source, below, code, keywords
from stoker.convert.variables import Variables

_RUNS: Final = frozenset({"delay", "apply_async"})
_ADVICE: Final[Mapping[str, str]] = {
    "apply": "calling the job runs the function here",
    "map": "app.enqueue_many(job.draft(…) for …)",
    "starmap": "app.enqueue_many(job.draft(…) for …)",
    "chunks": "app.enqueue_many(job.draft(…) for …)",
    "AsyncResult": "app.handle(id)",
    **dict.fromkeys(canvas.SIGNATURES, "job.draft(…)"),
    **dict.fromkeys(_RUNS, "job.enqueue(…)"),
}


class Rewriter(Following):
    """Goes through a file from the inside out. What it could not convert it leaves as it is, and says so."""

    def __init__(self, project: Project, source: Source, periodic: Sequence[str]) -> None:
        super().__init__()
        self.project = project
        self.source = source
        self.periodic = periodic
        """Entries of the beat schedule for the jobs of this file."""
        self.remarks: list[Remark] = []
        self.needs: set[str] = set()
        """Names of stoker's that the file needs now."""
        self.needs_app = False
        self.jobs = 0
        self.calls = 0
        self._around: list[Task | None] = []
        self._variables = Variables()
        self._reader = canvas.Reader(lambda node: project.named(source, node), self._job, self._variables.held)
        self._settled: set[cst.CSTNode] = set()
        """Nodes of the old tree that are converted, or of which something was said."""
        self._asked: list[cst.Attribute] = []
        """What bound tasks ask of themselves that their context does not know, as it seems."""
        self.unconverted: set[cst.CSTNode] = set()
        """Those of the latter that stay as they are."""

    def still_used(self) -> set[str]:
        """Give the names in the old tree, outside of imports, that no conversion took away."""
        gone = self._settled - {inside for node in self.unconverted for inside in below(node)}
        imports = [node for node in self.source.nodes if isinstance(node, cst.Import | cst.ImportFrom)]
        gone |= {inside for node in imports for inside in below(node)}
        return {name.value for name in self.source.every(cst.Name) if name not in gone}

    # -- small things ------------------------------------------------------------------------------------------------

    @property
    def app(self) -> str:
        """How this file calls the application."""
        module, _, name = self.project.app.rpartition(".")
        if module == self.source.module:
            return name
        for local, full in self.source.imported.items():
            if self.project.resolve(full) == self.project.app:
                return local
        self.needs_app = True
        return name if name not in self.source.imported else "stoker_app"

    def _job(self, node: cst.CSTNode) -> str | None:
        return code(node) if self.project.task(self.source, node) is not None else None

    def _left(self, node: cst.CSTNode, what: str, advice: str) -> None:
        self.remarks.append(self.source.remark(node, what, advice))
        self._settle(node)
        self.unconverted.add(node)

    def _note(self, node: cst.CSTNode, what: str) -> None:
        self.remarks.append(self.source.remark(node, what, note=True))

    def _settle(self, node: cst.CSTNode) -> None:
        self._settled |= set(below(node))

    def _done(self, node: cst.CSTNode, text: str, kind: Kind = Kind.OTHER) -> cst.BaseExpression:
        self._settle(node)
        self.made[node] = kind
        self._take_variables()
        self.calls += 1
        return cst.parse_expression(text)

    def _take_variables(self) -> None:
        for line in self._variables.take():
            self._settle(line)

    # -- tasks -------------------------------------------------------------------------------------------------------

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        """Know in which task everything inside stands."""
        task = self.project.tasks.get(f"{self.source.module}.{node.name.value}")
        mine = task if task is not None and task.function is node else None
        self._around.append(mine or (self._around[-1] if self._around else None))
        super().visit_FunctionDef(node)
        self._variables.enter(node)

    def leave_FunctionDef(self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef) -> cst.FunctionDef:
        """Make a job of a task."""
        self._around.pop()
        updated_node = self._variables.leave(super().leave_FunctionDef(original_node, updated_node))
        task = self.project.tasks.get(f"{self.source.module}.{original_node.name.value}")
        if task is None or task.function is not original_node:
            return updated_node
        self.jobs += 1
        made = options_of(task)
        self.needs |= made.needs
        for what, advice in made.left:
            self._left(task.decorator, f"{described(task)}: {what}", advice)
        for note in made.notes:
            self._note(task.decorator, f"{described(task)}: {note}")
        self._settle(task.decorator)
        function = (
            task.decorator.decorator.func
            if isinstance(task.decorator.decorator, cst.Call)
            else task.decorator.decorator
        )
        app = (
            code(function.value)
            if isinstance(function, cst.Attribute) and self.project.is_app(self.source, function.value)
            else self.app
        )
        words = f"({', '.join(made.words)})" if made.words else ""
        decorators = [
            one.with_changes(decorator=cst.parse_expression(f"{app}.job{words}")) if old is task.decorator else one
            for old, one in zip(original_node.decorators, updated_node.decorators, strict=True)
        ]
        params = updated_node.params
        if task.bound and params.params:
            self.needs.add("Context")
            me = params.params[0].with_changes(name=cst.Name("ctx"), annotation=cst.Annotation(cst.Name("Context")))
            params = params.with_changes(params=[me, *params.params[1:]])
        return updated_node.with_changes(decorators=decorators, params=params)

    # -- expressions -------------------------------------------------------------------------------------------------

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:
        """Turn what a bound task asks of itself into what its context knows."""
        self.handles.ask(original_node)
        task = self._around[-1] if self._around else None
        if task is None or not task.bound:
            return updated_node
        for pattern, table in (
            (m.Attribute(m.Attribute(m.Name(task.me), m.Name("request"))), of_request),
            (m.Attribute(m.Name(task.me)), of_task),
        ):
            if m.matches(original_node, pattern):
                known = table(original_node.attr.value)
                if known is None:
                    self._asked.append(original_node)
                    return updated_node
                self._settle(original_node)
                return cst.parse_expression(known)
        return updated_node

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """Convert calls that enqueue, ask for results, or run a canvas."""
        if original_node in self._settled:
            return updated_node
        try:
            return self._call(original_node, updated_node)
        except NotMoved as problem:
            self._left(original_node, problem.what, problem.advice)
            return updated_node

    def _call(self, old: cst.Call, new: cst.Call) -> cst.BaseExpression:
        self._variables.forget()
        if (run := self._run(old, new)) is not None:
            written = canvas.expression(run, self.app_if(run))
            if written is not None:
                self.needs |= written[1]
                kind = Kind.GROUP if isinstance(run, canvas.Group) else Kind.FLOW
                return self._done(old, written[0], Kind.JOB if isinstance(run, canvas.Sig) else kind)
            return new  # as a statement, if it is one
        if not isinstance(new.func, cst.Attribute) or not isinstance(old.func, cst.Attribute):
            return new
        target, verb = new.func.value, new.func.attr.value
        if self._job(old.func.value) is not None:
            if verb == "delay":
                return self._done(old, f"{code(target)}.enqueue({arguments(new)})", Kind.JOB)
            if verb == "apply_async":
                chosen, args = apply_async(new)
                using = f".using({chosen})" if chosen else ""
                return self._done(old, f"{code(target)}{using}.enqueue({args})", Kind.JOB)
        if self.project.is_app(self.source, old.func.value) and verb == "send_task":
            return self._done(old, configuration.send_task(self.project, code(target), new), Kind.JOB)
        if self.handles.of.get(old.func) is Kind.JOB:
            if verb == "get":
                return self._done(old, f"{code(target)}.result({asking.result(new)})")
            if verb == "revoke":
                return self._done(old, f"{code(target)}.cancel({asking.cancel(new)})")
        return new

    def app_if(self, run: canvas.Canvas) -> str:
        """How the application is called, if that is needed."""
        return "" if isinstance(run, canvas.Sig) else self.app

    def _run(self, old: cst.Call, new: cst.Call) -> canvas.Canvas | None:
        """Give the canvas that a call runs."""
        if (chord := self._reader.called_chord(new)) is not None:
            return chord
        func = new.func
        if isinstance(func, cst.Attribute) and func.attr.value in _RUNS and self._job(func.value) is None:
            run = self._reader.read(func.value)
            if run is not None and new.args:
                raise NotMoved(f"options of a canvas: {arguments(new)}", "options of its jobs: job.using(…)")
            return run
        if isinstance(func, cst.Call | cst.BinaryOperation) and not new.args:
            return self._reader.read(func)
        return None

    # -- statements --------------------------------------------------------------------------------------------------

    def leave_Raise(self, original_node: cst.Raise, updated_node: cst.Raise) -> cst.BaseSmallStatement:
        """Turn ``raise self.retry(…)`` into ``raise Retry(…)``."""
        task = self._around[-1] if self._around else None
        if original_node.exc is None or task is None or updated_node.exc is None:
            return updated_node
        return self._retried(task, original_node.exc, updated_node.exc) or updated_node

    def leave_Expr(self, original_node: cst.Expr, updated_node: cst.Expr) -> cst.BaseSmallStatement:
        """Turn ``self.retry(…)`` into ``raise Retry(…)``."""
        task = self._around[-1] if self._around else None
        return (self._retried(task, original_node.value, updated_node.value) if task else None) or updated_node

    def leave_Return(self, original_node: cst.Return, updated_node: cst.Return) -> cst.BaseSmallStatement:
        """Do the same where somebody returns it."""
        task = self._around[-1] if self._around else None
        if original_node.value is None or task is None or updated_node.value is None:
            return updated_node
        return self._retried(task, original_node.value, updated_node.value) or updated_node

    def _retried(self, task: Task, old: cst.BaseExpression, new: cst.BaseExpression) -> cst.Raise | None:
        if not m.matches(old, m.Call(m.Attribute(m.Name(task.me), m.Name("retry")))) or not task.bound:
            return None
        try:
            made = retry(cst.ensure_type(new, cst.Call))
        except NotMoved as problem:
            self._left(old, f"{task.me}.retry: {problem.what}", problem.advice)
            return None
        self.needs.add("Retry")
        self._settle(old)
        self.calls += 1
        return made

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement] | cst.RemovalSentinel:
        """Convert configuration, and what takes several statements."""
        if len(original_node.body) != 1:
            return updated_node
        self._variables.became(original_node, updated_node)
        old, new = original_node.body[0], updated_node.body[0]
        changed = self._configured(old, new, updated_node)
        if changed is not None:
            return changed
        value_old, value_new = getattr(old, "value", None), getattr(new, "value", None)
        if isinstance(value_old, cst.Call) and isinstance(value_new, cst.Call) and value_old not in self._settled:
            return self._in_statements(old, value_old, value_new, updated_node)
        return updated_node

    def _in_statements(
        self, statement: cst.BaseSmallStatement, old: cst.Call, new: cst.Call, line: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        self._variables.forget()
        try:
            run = self._run(old, new)
        except NotMoved:
            return line  # said already
        if not isinstance(run, canvas.Chain | canvas.Chord):
            return line
        lines, handle, needs = canvas.statements(run, self.app)
        self.needs |= needs
        self._settle(old)
        self._take_variables()
        self.calls += 1
        self.made[old] = Kind.FLOW
        if isinstance(statement, cst.Assign):
            self.leave_Assign(statement, statement)  # now that it is known what it holds
        made = [cst.parse_statement(text + "\n") for text in lines]
        made[0] = made[0].with_changes(leading_lines=line.leading_lines)
        if isinstance(line.body[0], cst.Expr) and handle.isidentifier():
            return cst.FlattenSentinel(made)
        last = line.with_changes(body=[line.body[0].with_changes(value=cst.parse_expression(handle))], leading_lines=[])
        return cst.FlattenSentinel([*made, last])

    def _configured(
        self, old: cst.BaseSmallStatement, new: cst.BaseSmallStatement, line: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.RemovalSentinel | None:
        """Convert a statement that makes or configures the application; None where it is none."""
        answer = configuration.configured(self.project, self.source, old)
        if answer is None:
            return None
        self.remarks += answer.remarks
        self._settle(old)
        if answer.needs:
            self.needs.add(answer.needs)
        if answer.text is None:
            return cst.RemoveFromParent()
        if answer.text == "":
            return line
        return line.with_changes(body=cst.ensure_type(cst.parse_statement(answer.text), cst.SimpleStatementLine).body)

    # -- the end -----------------------------------------------------------------------------------------------------

    def visit_Module(self, node: cst.Module) -> None:
        """Look at the variables of the module."""
        super().visit_Module(node)
        self._variables.enter(node)

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        """Add the periodic entries, and say what was found and not converted."""
        updated_node = self._variables.leave(super().leave_Module(original_node, updated_node))
        for function in self.source.every(cst.FunctionDef):
            for decorator in function.decorators:
                self._look_at_decorator(decorator)
        for call in self.source.every(cst.Call):
            self._look_at_options(call)
        for attribute in self.source.every(cst.Attribute):
            if attribute not in self._settled:
                self._look_at(attribute)
        for attribute in self._asked:
            if attribute not in self._settled:
                self._left(attribute, code(attribute), ASKED.get(attribute.attr.value, "see what Context has"))
        if not self.periodic:
            return updated_node
        entries = [cst.parse_statement(f"{self.app}.{entry}\n") for entry in self.periodic]
        apart = [cst.EmptyLine(indent=False)] * 2
        first = cst.ensure_type(entries[0], cst.SimpleStatementLine).with_changes(leading_lines=apart)
        return updated_node.with_changes(body=[*updated_node.body, first, *entries[1:]])

    def _look_at_decorator(self, decorator: cst.Decorator) -> None:
        call = decorator.decorator
        named = call.func if isinstance(call, cst.Call) else call
        if decorator in self._settled or not m.matches(named, m.Attribute(attr=m.Name("task"))):
            return
        if "celery" in self.source.text.lower():
            advice = "give the file that makes the Celery application too, or make it by Celery(…) where it is assigned"
            self._left(decorator, f"@{code(named)}: of which application this is a task was not found", advice)

    def _look_at_options(self, call: cst.Call) -> None:
        moved = call in self._settled and call not in self.unconverted
        if moved and isinstance(call.func, cst.Attribute) and call.func.attr.value in WITH_OPTIONS:
            options = keywords(call)
            if (value := options.get("priority")) is not None:
                self._note(call, priority(code(value)))
            if (eta := options.get("eta")) is not None and NAIVE.search(code(eta)):
                self._note(call, f"eta={code(eta)}: stoker refuses a time without a zone; write datetime.now(UTC)")

    def _look_at(self, node: cst.Attribute) -> None:
        verb = node.attr.value
        kind = self.handles.of.get(node)
        if kind is not None and (advice := asking.advice(kind, verb)) is not None:
            self._left(node, code(node), advice)
        elif self._job(node.value) is not None and verb in _ADVICE:
            self._left(node, code(node), _ADVICE[verb])
        elif self.project.is_app(self.source, node.value) and verb not in configuration.SAME:
            self._left(node, code(node), configuration.ADVICE.get(verb, "no such thing in stoker"))
        elif isinstance(node.value, cst.Name) and verb == "delay":
            self._note(node, f"{code(node)}: {code(node.value)} is no task that was found here, so it was left alone")
