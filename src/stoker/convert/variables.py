"""Variables that hold a canvas until it is run: what they hold is put in the place where they are used.

Only where that does not change when its arguments are evaluated: see `stoker.convert.moving`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TypeVar

import libcst as cst

from stoker.convert.moving import constant, movable
from stoker.convert.source import below

F = TypeVar("F", cst.FunctionDef, cst.Module)


class _Scope:
    """The variables of one function that are assigned once and used once, and may be put where they are used."""

    def __init__(self, node: cst.FunctionDef | cst.Module) -> None:
        names = Counter(one.value for one in below(node) if isinstance(one, cst.Name))
        self.lines = {name: line for name, line in _assigned(node) if names[name] == 2 and _stays(node, name, line)}
        self.now: dict[cst.SimpleStatementLine, cst.SimpleStatementLine] = {}
        """What became of the lines so far."""
        self.gone: list[cst.SimpleStatementLine] = []


class Variables:
    """Knows the variables around, function by function. A line is taken away once what it assigns stands elsewhere."""

    def __init__(self) -> None:
        self._scopes: list[_Scope] = []
        self._asked: list[tuple[_Scope, cst.SimpleStatementLine]] = []

    def enter(self, node: cst.FunctionDef | cst.Module) -> None:
        """Begin with a function, or the module."""
        self._scopes.append(_Scope(node))

    def leave(self, node: F) -> F:
        """End it: give it without the lines that were taken."""
        scope = self._scopes.pop()
        if not scope.gone:
            return node
        without = node.visit(_Without([scope.now.get(line, line) for line in scope.gone]))
        return without if isinstance(without, type(node)) else node

    def held(self, name: str) -> cst.BaseExpression | None:
        """Give what a variable holds; None where that is not known, or it is used in several places."""
        scope = self._scopes[-1]
        line = scope.lines.get(name)
        if line is None or line in scope.gone:
            return None
        self._asked.append((scope, line))
        return cst.ensure_type(scope.now.get(line, line).body[0], cst.Assign).value

    def became(self, old: cst.SimpleStatementLine, new: cst.SimpleStatementLine) -> None:
        """Note what became of a line."""
        if self._scopes and old in self._scopes[-1].lines.values():
            self._scopes[-1].now[old] = new

    def forget(self) -> None:
        """Forget what was asked: it was not used."""
        self._asked.clear()

    def take(self) -> list[cst.SimpleStatementLine]:
        """Take away the lines whose variables were asked for since the last time; give them as they were."""
        taken = [line for _, line in self._asked]
        for scope, line in self._asked:
            scope.gone.append(line)
        self._asked.clear()
        return taken


class _Without(cst.CSTTransformer):
    def __init__(self, lines: list[cst.SimpleStatementLine]) -> None:
        super().__init__()
        self._lines = lines

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.RemovalSentinel:
        gone = any(original_node is line for line in self._lines)
        return cst.RemoveFromParent() if gone else updated_node


def _assigned(node: cst.CSTNode) -> Iterator[tuple[str, cst.SimpleStatementLine]]:
    for line in below(node):
        if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 and isinstance(line.body[0], cst.Assign):
            targets = line.body[0].targets
            if len(targets) == 1 and isinstance(targets[0].target, cst.Name):
                yield targets[0].target.value, line


def _stays(node: cst.FunctionDef | cst.Module, name: str, line: cst.SimpleStatementLine) -> bool:
    """Tell whether what a line assigns means the same where it is used."""
    value = cst.ensure_type(line.body[0], cst.Assign).value
    if constant(value):
        return True
    for block in below(node):
        if isinstance(block, cst.IndentedBlock | cst.Module) and line in block.body:
            behind = block.body[block.body.index(line) + 1 :]
            for number, use in enumerate(behind):
                if any(isinstance(one, cst.Name) and one.value == name for one in below(use)):
                    return movable(name, value, behind[:number], use)
    return False
