"""The imports of a converted file: Celery's out, as far as nothing uses them any more, and stoker's in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import libcst as cst
from libcst.codemod import CodemodContext
from libcst.codemod.visitors import AddImportsVisitor

from stoker.convert.report import Remark
from stoker.convert.source import Source, code

_ADVICE: Final[Mapping[str, str]] = {
    "SoftTimeLimitExceeded": "ctx.cancelled, and timeout=",
    "TimeLimitExceeded": "timeout=",
    "MaxRetriesExceededError": "ctx.attempt == ctx.max_attempts, or app.on(AttemptEnded)",
    "Ignore": "raise Cancel(reason)",
    "Reject": "raise Discard(reason)",
    "AsyncResult": "app.handle(id)",
    "Task": "middleware, or app.register(…)",
    "current_task": "a first parameter ctx: Context",
    "signals": "app.on(…), lifespan=, middleware=",
    "states": "stoker.State",
    "chain": "chain(…) or a Workflow",
    "group": "app.enqueue_many(…)",
    "chord": "a Workflow, or app.batch(on_success=…)",
    "signature": "job.draft(…)",
    "test": "the testing kit",
}


def renewed(
    tree: cst.Module, source: Source, used: set[str], wanted: Iterable[tuple[str, str, str | None]]
) -> tuple[cst.Module, list[Remark]]:
    """Give a tree with its imports renewed, and what of Celery it still uses: names of the old source in ``used``.

    ``wanted`` are module, name and local name; a name that is empty imports the module.
    """
    wanted = list(wanted)
    dropper = _Dropper(used)
    tree = tree.visit(dropper)
    context = CodemodContext()
    for module, name, local in wanted:
        AddImportsVisitor.add_needed_import(context, module, name or None, local)
    remarks = [_still(source, name) for name in sorted(dropper.kept)]
    return (AddImportsVisitor(context).transform_module(tree) if wanted else tree), remarks


def _still(source: Source, name: str) -> Remark:
    full = source.imported.get(name, name)
    advice = _ADVICE.get(full.rpartition(".")[2]) or _ADVICE.get(full.split(".")[1] if "." in full else "", "")
    for node in source.nodes:
        if isinstance(node, cst.Import | cst.ImportFrom) and name in code(node):
            return source.remark(node, f"{full} is still used", advice or "it has no counterpart")
    return source.remark(source.tree, f"{full} is still used", advice)


class _Dropper(cst.CSTTransformer):
    """Takes imports from celery out whose names nothing uses."""

    def __init__(self, used: set[str]) -> None:
        super().__init__()
        self.used = used
        self.kept: set[str] = set()

    def leave_ImportFrom(
        self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom
    ) -> cst.ImportFrom | cst.RemovalSentinel:
        module = code(original_node.module) if original_node.module is not None else ""
        names = original_node.names
        if original_node.relative or module.partition(".")[0] != "celery" or isinstance(names, cst.ImportStar):
            return updated_node
        kept = [one for one in names if (one.evaluated_alias or one.evaluated_name) in self.used]
        self.kept |= {one.evaluated_alias or one.evaluated_name for one in kept}
        if not kept:
            return cst.RemoveFromParent()
        return updated_node.with_changes(names=[*kept[:-1], kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)])

    def leave_Import(self, original_node: cst.Import, updated_node: cst.Import) -> cst.Import | cst.RemovalSentinel:
        if len(original_node.names) != 1 or code(original_node.names[0].name).partition(".")[0] != "celery":
            return updated_node
        local = original_node.names[0].evaluated_alias or "celery"
        if local not in self.used:
            return cst.RemoveFromParent()
        self.kept.add(local)
        return updated_node
