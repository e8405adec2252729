"""One file of a project: its tree, its names, and where in it something stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Final, TypeVar

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider

from stoker.convert.report import Remark
from stoker.errors import ConfigurationError

N = TypeVar("N", bound=cst.CSTNode)
_EMPTY: Final = cst.Module([])


def code(node: cst.CSTNode) -> str:
    """Write a node as source."""
    return _EMPTY.code_for_node(node).strip()


def below(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Give a node and all that is inside it."""
    yield node
    for child in node.children:
        yield from below(child)


def literal(node: cst.BaseExpression) -> object:
    """Give the value of a literal; None (as for ``None``) where it is not known before the program runs."""
    match node:
        case cst.SimpleString():
            return node.evaluated_value
        case cst.Integer() | cst.Float():
            return node.evaluated_value
        case cst.Name(value="True" | "False" as word):
            return word == "True"
        case cst.UnaryOperation(operator=cst.Minus(), expression=cst.Integer() | cst.Float() as number):
            return -number.evaluated_value
        case _:
            return None


def keywords(call: cst.Call) -> dict[str, cst.BaseExpression]:
    """Give the keyword arguments of a call."""
    return {arg.keyword.value: arg.value for arg in call.args if arg.keyword is not None}


def module_of(path: Path) -> str:
    """Give the name under which a file is imported, by the packages that it lies in."""
    parts = [] if path.stem == "__init__" else [path.stem]
    folder = path.resolve().parent
    while (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts)


class Source:
    """One file, parsed. ConfigurationError where it is no Python that can be parsed."""

    def __init__(self, path: Path, shown: str) -> None:
        self.path = path
        self.shown = shown
        self.module = module_of(path)
        try:
            self.text = path.read_bytes().decode()
            self._wrapper = MetadataWrapper(cst.parse_module(self.text), unsafe_skip_copy=True)
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{shown}: it is no UTF-8: {error}") from error
        except cst.ParserSyntaxError as error:
            raise ConfigurationError(f"{shown}:{error.raw_line}: it is no Python: {error.message}") from error
        self.tree = self._wrapper.module
        self.nodes = list(below(self.tree))
        """All nodes of the tree."""
        self.imported: dict[str, str] = dict(self._imports())
        """What the names that are imported stand for, by their full names."""

    @cached_property
    def _positions(self) -> Mapping[cst.CSTNode, CodeRange]:
        return self._wrapper.resolve(PositionProvider)

    def every(self, kind: type[N]) -> Iterator[N]:
        """Give all nodes of a kind."""
        return (node for node in self.nodes if isinstance(node, kind))

    def line(self, node: cst.CSTNode) -> int:
        """Give the line on which a node of this file's tree begins."""
        return self._positions[node].start.line

    def remark(self, node: cst.CSTNode, what: str, advice: str = "", *, note: bool = False) -> Remark:
        """Make a remark about a node."""
        return Remark(self.shown, self.line(node), "note" if note else "left", what, advice)

    def origin(self, node: cst.CSTNode) -> str:
        """Give the full name of what an expression names; of a name that is not imported that in this module."""
        match node:
            case cst.Name(value=name):
                return self.imported.get(name) or f"{self.module}.{name}"
            case cst.Attribute(value=value, attr=attr):
                return f"{around}.{attr.value}" if (around := self.origin(value)) else ""
            case _:
                return ""

    def _imports(self) -> Iterator[tuple[str, str]]:
        for node in self.nodes:
            if isinstance(node, cst.Import):
                for alias in node.names:
                    full = code(alias.name)
                    yield (alias.evaluated_alias, full) if alias.evaluated_alias else (full.partition(".")[0],) * 2
            elif isinstance(node, cst.ImportFrom) and not isinstance(node.names, cst.ImportStar):
                around = self._from(node)
                for alias in node.names:
                    yield alias.evaluated_alias or alias.evaluated_name, f"{around}.{alias.evaluated_name}"

    def _from(self, node: cst.ImportFrom) -> str:
        named = code(node.module) if node.module is not None else ""
        if not node.relative:
            return named
        package = self.module.split(".")
        up = len(node.relative) - (self.path.stem == "__init__")
        around = package[: len(package) - up] if up else package
        return ".".join([*around, *filter(None, [named])])
