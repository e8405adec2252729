"""Whether an expression may stand at a later place and still mean the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import libcst as cst

from stoker.convert.source import below, code

_MAKES: Final = frozenset({"s", "si", "signature", "subtask", "set", "range", "len", "chain", "group", "chord"})
"""Calls that change nothing, by the last part of their names."""
_LATER: Final = (cst.Lambda, cst.BaseComp, cst.IfExp, cst.BooleanOperation)
"""What is evaluated later, several times or not at all."""
_ACTS: Final = (cst.Await, cst.Yield, cst.NamedExpr)
_CONSTANT: Final = (cst.SimpleString, cst.ConcatenatedString, cst.Integer, cst.Float)


def constant(node: cst.BaseExpression) -> bool:
    """Tell whether an expression holds signatures of nothing but literals."""
    match node:
        case cst.Name(value=name):
            return name in ("None", "True", "False")
        case cst.List() | cst.Tuple() | cst.Set():
            return all(isinstance(one, cst.Element) and constant(one.value) for one in node.elements)
        case cst.Dict():
            return all(
                isinstance(one, cst.DictElement) and constant(one.key) and constant(one.value) for one in node.elements
            )
        case cst.UnaryOperation(expression=inside):
            return constant(inside)
        case cst.BinaryOperation(left=left, right=right):
            return constant(left) and constant(right)
        case cst.Call() if _makes(node):
            chosen = node.func.value if isinstance(node.func, cst.Attribute) else None
            signed = not isinstance(chosen, cst.Call) or constant(chosen)
            return signed and all(not one.star and constant(one.value) for one in node.args)
        case _:
            return isinstance(node, _CONSTANT)


def movable(name: str, value: cst.BaseExpression, between: Sequence[cst.BaseStatement], use: cst.BaseStatement) -> bool:
    """Tell whether what a name holds may be put in the place of the name in ``use``, over what stands between."""
    if not isinstance(use, cst.SimpleStatementLine) or len(use.body) != 1 or _found(use, _LATER, name):
        return False
    names = {node.value for node in below(value) if isinstance(node, cst.Name)}
    for line in between:
        assign = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
        if not isinstance(assign, cst.Assign) or not quiet(assign.value):
            return False
        targets = [one.target for one in assign.targets]
        if not all(isinstance(target, cst.Name) and target.value not in names for target in targets):
            return False
    return not any(_acts(node) and not _inside(node, name) for node in _before(use, name))


def quiet(node: cst.CSTNode) -> bool:
    """Tell whether evaluating an expression changes nothing."""
    return not any(map(_acts, below(node)))


def _acts(node: cst.CSTNode) -> bool:
    return isinstance(node, _ACTS) or (isinstance(node, cst.Call) and not _makes(node))


def _makes(call: cst.Call) -> bool:
    return code(call.func).rpartition(".")[2] in _MAKES


def _inside(node: cst.CSTNode, name: str) -> bool:
    return any(isinstance(one, cst.Name) and one.value == name for one in below(node))


def _found(node: cst.CSTNode, kinds: tuple[type[cst.CSTNode], ...], name: str) -> bool:
    return any(isinstance(one, kinds) and _inside(one, name) for one in below(node))


def _before(node: cst.CSTNode, name: str) -> Sequence[cst.CSTNode]:
    """Give the nodes of a statement up to a name."""
    seen: list[cst.CSTNode] = []
    for one in below(node):
        if isinstance(one, cst.Name) and one.value == name:
            return seen
        seen.append(one)
    return seen
