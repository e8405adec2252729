"""Chains, groups and chords: read as what they are, written as workflows, batches and bulk enqueues."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import libcst as cst

from stoker.convert.calls import NotMoved, arguments, spread_args, spread_kwargs, using
from stoker.convert.source import code, keywords, literal

SIGNATURES: Final = frozenset({"s", "si", "signature", "subtask"})
Named: TypeAlias = Callable[[cst.CSTNode], str]
"""Gives the full name of what an expression names."""
Held: TypeAlias = Callable[[str], cst.BaseExpression | None]
"""Gives what a variable holds that is used in one place only."""


@dataclass(frozen=True)
class Sig:
    """One call that is made later. One that is not ``alone`` gets the result before it as its first argument."""

    job: str
    args: str
    using: str
    alone: bool

    @property
    def chosen(self) -> str:
        """The job with its options."""
        return f"{self.job}.using({self.using})" if self.using else self.job

    @property
    def draft(self) -> str:
        """The call as a draft."""
        return f"{self.chosen}.draft({self.args})"

    def step(self, flow: str, result: str = "") -> str:
        """The call as a step of a workflow, with a result as its first argument."""
        return f"{flow}.add({', '.join(filter(None, [self.chosen, result if not self.alone else '', self.args]))})"


@dataclass(frozen=True)
class Group:
    """Calls that do not wait for each other: a list of them, or one for each of something (``loop``)."""

    sigs: tuple[Sig, ...]
    loop: str = ""

    def each(self, write: Callable[[Sig], str]) -> str:
        """Write all of them as a list."""
        return f"[{', '.join(map(write, self.sigs))}{f' {self.loop}' if self.loop else ''}]"


@dataclass(frozen=True)
class Chain:
    """Calls one after the other."""

    parts: tuple[Sig | Group, ...]


@dataclass(frozen=True)
class Chord:
    """A group, and what follows when all of it is done."""

    header: Group
    body: Sig


Canvas: TypeAlias = Sig | Group | Chain | Chord


class Reader:
    """Reads signatures; ``named`` resolves names, ``job`` writes the task that an expression names, if it names one."""

    def __init__(self, named: Named, job: Callable[[cst.CSTNode], str | None], held: Held) -> None:
        self._named = named
        self._job = job
        self._held = held

    def read(self, node: cst.BaseExpression) -> Canvas | None:
        """Give what an expression is; None where it is no canvas. Raises NotMoved for what has no counterpart."""
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.BitOr):
            left, right = self.read(node.left), self.read(node.right)
            return None if left is None or right is None else _joined([left, right])
        if isinstance(node, cst.Name) and (held := self._held(node.value)) is not None:
            return self.read(held)
        if not isinstance(node, cst.Call):
            return None
        if (sig := self._signature(node)) is not None:
            return sig
        match self._named(node.func):
            case "celery.chain":
                return _joined(list(self._parts(node)))
            case "celery.group":
                return self._group(node)
            case "celery.chord":
                return self._chord(node)
            case "celery.chunks" | "celery.xmap" | "celery.xstarmap":
                raise NotMoved(code(node.func), "app.enqueue_many(job.draft(…) for …)")
            case _:
                return None

    def _signature(self, node: cst.Call) -> Sig | None:
        if not isinstance(node.func, cst.Attribute):
            return None
        verb, target = node.func.attr.value, node.func.value
        if verb == "set" and isinstance(target, cst.Call) and (inner := self._signature(target)) is not None:
            return Sig(inner.job, inner.args, using(keywords(node)), inner.alone)
        job = self._job(target)
        if job is None or verb not in SIGNATURES:
            return None
        if verb in ("s", "si"):
            return Sig(job, arguments(node), "", verb == "si")
        options = keywords(node)
        given = [*(arg.value for arg in node.args if arg.keyword is None), None, None]
        args, kwargs = options.pop("args", given[0]), options.pop("kwargs", given[1])
        alone = options.pop("immutable", None)
        spread = ", ".join(filter(None, [spread_args(args), spread_kwargs(kwargs)]))
        return Sig(job, spread, using(options), alone is not None and literal(alone) is True)

    def _parts(self, node: cst.Call) -> Iterator[Canvas]:
        for arg in node.args:
            part = None if arg.star else self.read(arg.value)
            if part is None:
                raise NotMoved(f"{code(node.func)}({code(arg)}…)", "its steps are not known before it runs: a Workflow")
            yield part

    def _group(self, node: cst.Call) -> Group:
        inside: cst.BaseExpression | None = node.args[0].value if len(node.args) == 1 else None
        if isinstance(inside, cst.Name):
            inside = self._held(inside.value) or inside
        if isinstance(inside, cst.Call) and self._named(inside.func) == "celery.group":
            return self._group(inside)
        if isinstance(inside, cst.GeneratorExp | cst.ListComp | cst.List | cst.Tuple):
            if isinstance(inside, cst.List | cst.Tuple):
                return _group_of([self.read(one.value) for one in inside.elements])
            return Group(_group_of([self.read(inside.elt)]).sigs, code(inside.for_in))
        return _group_of(list(self._parts(node)))

    def _chord(self, node: cst.Call) -> Canvas | None:
        header = self._group(node.with_changes(args=node.args[:1]))
        if len(node.args) == 1:
            return header  # called with its body: `chord_of` puts both together
        body = self.read(node.args[1].value)
        if not isinstance(body, Sig):
            raise NotMoved("the body of a chord that is no single signature", "a Workflow")
        return Chord(header, body)

    def called_chord(self, node: cst.Call) -> Chord | None:
        """Give the chord of ``chord(header)(body)``."""
        inner = node.func
        if not (isinstance(inner, cst.Call) and self._named(inner.func) == "celery.chord" and len(node.args) == 1):
            return None
        header, body = self._chord(inner), self.read(node.args[0].value)
        return Chord(header, body) if isinstance(header, Group) and isinstance(body, Sig) else None


def _group_of(parts: list[Canvas | None]) -> Group:
    sigs = [part for part in parts if isinstance(part, Sig)]
    if len(sigs) != len(parts):
        raise NotMoved("a group of more than single signatures", "a Workflow, or batches inside a batch")
    return Group(tuple(sigs))


def _joined(parts: list[Canvas]) -> Canvas:
    flat: list[Sig | Group] = []
    for part in parts:
        if isinstance(part, Chord):
            flat += [part.header, part.body]
        else:
            flat += part.parts if isinstance(part, Chain) else [part]
    match flat:
        case [Group() as header, Sig() as body]:
            return Chord(header, body)
        case [Sig() | Group() as one]:
            return one
        case _ if all(isinstance(part, Sig) for part in flat):
            return Chain(tuple(flat))
        case _:
            raise NotMoved("a chain with groups inside", "a Workflow: flow.add(job, [step.result for step in steps])")


def expression(canvas: Canvas, app: str) -> tuple[str, set[str]] | None:
    """Write a canvas that is run as one expression, with what to import for it; None where it takes statements."""
    match canvas:
        case Sig():
            return f"{canvas.chosen}.enqueue({canvas.args})", set()
        case Group():
            return f"{app}.enqueue_many({canvas.each(lambda sig: sig.draft)})", set()
        case Chain(parts=[_, *following] as parts) if all(isinstance(part, Sig) and part.alone for part in following):
            drafts = ", ".join(part.draft for part in parts if isinstance(part, Sig))
            return f"{app}.start(chain({drafts}))", {"chain"}
        case _:
            return None


def statements(canvas: Chain | Chord, app: str) -> tuple[list[str], str, set[str]]:
    """Write a canvas as the statements of a workflow or batch, the expression that is its handle, and the imports."""
    match canvas:
        case Chord(header=header, body=Sig(alone=True) as body):
            adding = f"    batch.add(*{header.each(lambda sig: sig.draft)})"
            return [f"with {app}.batch(on_success={body.draft}) as batch:\n{adding}"], "batch", set()
        case Chord(header=header, body=body):
            steps = f"steps = {header.each(lambda sig: sig.step('flow'))}"
            last = body.step("flow", "[step.result for step in steps]")
            return ["flow = Workflow()", steps, last], f"{app}.start(flow)", {"Workflow"}
        case Chain(parts=parts):
            lines, result = ["flow = Workflow()"], ""
            for number, part in enumerate(parts, 1):
                if isinstance(part, Sig):
                    lines.append(f"step{number} = {part.step('flow', result)}")
                    if part.alone and result:
                        lines.append(f"step{number}.after(step{number - 1})")
                    result = f"step{number}.result"
            return lines, f"{app}.start(flow)", {"Workflow"}
