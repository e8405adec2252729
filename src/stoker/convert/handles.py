"""Which names hold the handle of a job, or several, at the place where something is asked of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Final, TypeAlias

import libcst as cst

from stoker.convert.source import below, code


class Kind(Enum):
    """What a name holds. A name that is not bound, or bound to None only, holds nothing (None)."""

    JOB = "the handle of a job"
    GROUP = "the handles of a group"
    LIST = "a list of handles"
    FLOW = "a batch or workflow"
    OTHER = "something else"
    UNSURE = "a handle or something else"


Holder: TypeAlias = cst.FunctionDef | cst.ClassDef | cst.Module | cst.Lambda | cst.BaseComp
_ASKABLE: Final = frozenset({Kind.JOB, Kind.GROUP, Kind.LIST, Kind.FLOW, Kind.UNSURE})
_ENDS: Final = (cst.Return, cst.Raise)


class _Scope:
    def __init__(self, *, seen_through: bool) -> None:
        self.seen_through = seen_through
        """Whether names that it does not bind are those around it: a lambda, a comprehension."""
        self.now: dict[str, Kind | None] = {}
        self.bound: set[str] = set()
        self.held: set[str] = set()
        """Names that hold a handle somewhere in it."""
        self.asked: list[tuple[cst.Attribute, str]] = []
        """What was asked of names that held nothing, as far as was known by then."""

    def bind(self, name: str, kind: Kind | None) -> None:
        self.now[name] = kind
        self.bound.add(name)
        if kind in _ASKABLE:
            self.held.add(name)


class Handles:
    """Goes through a file in the order of its statements; ``made`` says what became of the calls converted so far."""

    def __init__(self, made: Mapping[cst.CSTNode, Kind]) -> None:
        self._made = made
        self._scopes: list[_Scope] = []
        self._before: list[dict[str, Kind | None]] = []
        self.of: dict[cst.Attribute, Kind] = {}
        """Of what it is that an attribute is asked."""

    def enter(self, node: Holder) -> None:
        """Begin with a function, a class, a comprehension, or the module."""
        through = isinstance(node, cst.Lambda | cst.BaseComp)
        scope = _Scope(seen_through=through)
        if isinstance(node, cst.BaseComp):
            loop: cst.CompFor | None = node.for_in
            while loop is not None:
                inside = Kind.UNSURE if any(map(_runs, below(loop.iter))) else self._each(loop.iter)
                self._scopes.append(scope)  # so that a later loop knows the earlier one's name
                self._bind(loop.target, inside)
                self._scopes.pop()
                loop = loop.inner_for_in
        self._scopes.append(scope)
        if isinstance(node, cst.FunctionDef | cst.Lambda):
            for param in below(node.params):
                if isinstance(param, cst.Param):
                    self._bind(param.name, Kind.OTHER)

    def leave(self) -> None:
        """End it. What was asked of a name that it does not bind was asked of that name around it."""
        scope = self._scopes.pop()
        for node, name in scope.asked:
            if name in scope.held:
                self.of[node] = Kind.UNSURE
            elif self._scopes and name not in scope.bound:
                self._scopes[-1].asked.append((node, name))

    def begin(self) -> None:
        """Begin with a block, which may run or not."""
        self._before.append(dict(self._scopes[-1].now))

    def end(self, block: cst.BaseSuite) -> None:
        """End it: behind it a name holds what it held before, or what it holds now."""
        before, now = self._before.pop(), self._scopes[-1].now
        last = block.body[-1] if block.body else None
        if isinstance(last.body[-1] if isinstance(last, cst.SimpleStatementLine) else last, _ENDS):
            self._scopes[-1].now = before
            return
        for name, kind in now.items():
            now[name] = _either(before.get(name), kind)

    def again(self, loop: cst.For | cst.While) -> None:
        """Begin with a loop: what its end assigns its beginning finds the next time."""
        for name in _targets(loop):
            if self._scopes[-1].now.get(name) in _ASKABLE:
                self._scopes[-1].now[name] = Kind.UNSURE

    def assign(self, target: cst.BaseExpression, value: cst.BaseExpression) -> None:
        """Note an assignment."""
        if isinstance(target, cst.Tuple | cst.List) and isinstance(value, cst.Tuple | cst.List):
            pairs = [(one.value, other.value) for one, other in zip(target.elements, value.elements, strict=False)]
            if len(target.elements) == len(value.elements):
                for one, other in pairs:
                    self.assign(one, other)
                return
        self._bind(target, self.kind(value))

    def hold(self, target: cst.BaseExpression, kind: Kind) -> None:
        """Note that a name holds something from now on."""
        self._bind(target, kind)

    def loop(self, node: cst.For) -> None:
        """Note what the variable of a loop holds."""
        self._bind(node.target, self._each(node.iter))

    def ask(self, node: cst.Attribute) -> None:
        """Note that something is asked of an expression."""
        kind = self._named(node.value.value) if isinstance(node.value, cst.Name) else self.kind(node.value)
        if kind is not None:
            self.of[node] = kind
        elif isinstance(node.value, cst.Name):
            self._scopes[-1].asked.append((node, node.value.value))

    def kind(self, node: cst.BaseExpression) -> Kind | None:
        """Say what an expression is."""
        match node:
            case cst.Name(value="None"):
                return None
            case cst.Name(value=name):
                return self._named(name) or Kind.OTHER
            case cst.Call():
                return self._made.get(node, Kind.OTHER)
            case cst.IfExp(body=body, orelse=orelse):
                return _either(self.kind(body), self.kind(orelse))
            case cst.NamedExpr(value=value):
                return self.kind(value)
            case cst.ListComp(elt=elt) if self.kind(elt) is Kind.JOB:
                return Kind.LIST
            case cst.List(elements=[*some]) if some and all(self.kind(one.value) is Kind.JOB for one in some):
                return Kind.LIST
            case cst.Subscript(value=value, slice=[cst.SubscriptElement(slice=cst.Index())]):
                return self._each(value)
            case _:
                return Kind.OTHER

    def _named(self, name: str) -> Kind | None:
        for scope in reversed(self._scopes):
            if name in scope.now or not scope.seen_through:
                return scope.now.get(name)
        return None

    def _each(self, node: cst.BaseExpression) -> Kind:
        return Kind.JOB if self.kind(node) in (Kind.GROUP, Kind.LIST) else Kind.OTHER

    def _bind(self, target: cst.CSTNode, kind: Kind | None) -> None:
        if isinstance(target, cst.Name):
            self._scopes[-1].bind(target.value, kind)
        elif isinstance(target, cst.Tuple | cst.List):
            for one in target.elements:
                self._bind(one.value, Kind.OTHER)


def _either(one: Kind | None, other: Kind | None) -> Kind | None:
    if one is other or other is None:
        return one
    return other if one is None else Kind.UNSURE


def _targets(node: cst.CSTNode) -> Iterator[str]:
    for inside in below(node):
        if isinstance(inside, cst.AssignTarget | cst.AnnAssign | cst.NamedExpr | cst.For | cst.CompFor):
            yield from (one.value for one in below(inside.target) if isinstance(one, cst.Name))
        elif isinstance(inside, cst.AsName):
            yield code(inside.name)


def _runs(node: cst.CSTNode) -> bool:
    """Tell whether a node may be a call that gives a handle: it stands in a place that is converted later."""
    return isinstance(node, cst.Attribute) and node.attr.value in ("delay", "apply_async")
