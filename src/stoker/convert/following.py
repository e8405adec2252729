"""Goes through a file and follows, statement by statement, which names hold handles."""

from __future__ import annotations

import libcst as cst

from stoker.convert.handles import Handles, Kind
from stoker.convert.source import code


class Following(cst.CSTTransformer):
    """Changes nothing. Who inherits says in ``made`` what became of the calls that it converts."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[cst.CSTNode, Kind] = {}
        self.handles = Handles(self.made)

    def visit_Module(self, node: cst.Module) -> None:
        """Begin with the names of the module."""
        self.handles.enter(node)

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        """End with them."""
        self.handles.leave()
        return updated_node

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        """Begin with the names of a function."""
        self.handles.hold(node.name, Kind.OTHER)
        self.handles.enter(node)

    def leave_FunctionDef(self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef) -> cst.FunctionDef:
        """End with them."""
        self.handles.leave()
        return updated_node

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        """Do the same for a class."""
        self.handles.hold(node.name, Kind.OTHER)
        self.handles.enter(node)

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.ClassDef:
        """End with it."""
        self.handles.leave()
        return updated_node

    def visit_Lambda(self, node: cst.Lambda) -> None:
        """Do the same for a lambda."""
        self.handles.enter(node)

    def leave_Lambda(self, original_node: cst.Lambda, updated_node: cst.Lambda) -> cst.Lambda:
        """End with it."""
        self.handles.leave()
        return updated_node

    def visit_ListComp(self, node: cst.ListComp) -> None:
        """Do the same for the names of a comprehension."""
        self.handles.enter(node)

    def leave_ListComp(self, original_node: cst.ListComp, updated_node: cst.ListComp) -> cst.ListComp:
        """End with it."""
        self.handles.leave()
        return updated_node

    def visit_SetComp(self, node: cst.SetComp) -> None:
        """Begin with a comprehension."""
        self.handles.enter(node)

    def leave_SetComp(self, original_node: cst.SetComp, updated_node: cst.SetComp) -> cst.SetComp:
        """End with it."""
        self.handles.leave()
        return updated_node

    def visit_GeneratorExp(self, node: cst.GeneratorExp) -> None:
        """Begin with a comprehension."""
        self.handles.enter(node)

    def leave_GeneratorExp(self, original_node: cst.GeneratorExp, updated_node: cst.GeneratorExp) -> cst.GeneratorExp:
        """End with it."""
        self.handles.leave()
        return updated_node

    def visit_DictComp(self, node: cst.DictComp) -> None:
        """Begin with a comprehension."""
        self.handles.enter(node)

    def leave_DictComp(self, original_node: cst.DictComp, updated_node: cst.DictComp) -> cst.DictComp:
        """End with it."""
        self.handles.leave()
        return updated_node

    # -- what binds names --------------------------------------------------------------------------------------------

    def visit_IndentedBlock(self, node: cst.IndentedBlock) -> None:
        """Begin with what may run or not."""
        self.handles.begin()

    def leave_IndentedBlock(
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.IndentedBlock:
        """End with it."""
        self.handles.end(original_node)
        return updated_node

    def visit_SimpleStatementSuite(self, node: cst.SimpleStatementSuite) -> None:
        """Begin with such statements on the line of what decides."""
        self.handles.begin()

    def leave_SimpleStatementSuite(
        self, original_node: cst.SimpleStatementSuite, updated_node: cst.SimpleStatementSuite
    ) -> cst.SimpleStatementSuite:
        """End with them."""
        self.handles.end(original_node)
        return updated_node

    def visit_For_body(self, node: cst.For) -> None:
        """Bind the variable of a loop."""
        self.handles.again(node)
        self.handles.loop(node)

    def visit_While(self, node: cst.While) -> None:
        """Know what the body binds already while its condition is looked at."""
        self.handles.again(node)

    def leave_Assign(self, original_node: cst.Assign, updated_node: cst.Assign) -> cst.Assign:
        """Bind what is assigned."""
        for one in original_node.targets:
            self.handles.assign(one.target, original_node.value)
        return updated_node

    def leave_AnnAssign(self, original_node: cst.AnnAssign, updated_node: cst.AnnAssign) -> cst.AnnAssign:
        """Bind what is assigned."""
        if original_node.value is not None:
            self.handles.assign(original_node.target, original_node.value)
        return updated_node

    def leave_AugAssign(self, original_node: cst.AugAssign, updated_node: cst.AugAssign) -> cst.AugAssign:
        """Forget what is added to."""
        self.handles.hold(original_node.target, Kind.OTHER)
        return updated_node

    def leave_NamedExpr(self, original_node: cst.NamedExpr, updated_node: cst.NamedExpr) -> cst.NamedExpr:
        """Bind what is assigned in passing."""
        self.handles.assign(original_node.target, original_node.value)
        return updated_node

    def leave_AsName(self, original_node: cst.AsName, updated_node: cst.AsName) -> cst.AsName:
        """Forget what ``with``, ``except`` and ``import`` bind."""
        self.handles.hold(original_node.name, Kind.OTHER)
        return updated_node

    def leave_ImportAlias(self, original_node: cst.ImportAlias, updated_node: cst.ImportAlias) -> cst.ImportAlias:
        """Forget what is imported."""
        self.handles.hold(cst.Name(code(original_node.name).partition(".")[0]), Kind.OTHER)
        return updated_node

    def visit_NameItem(self, node: cst.NameItem) -> None:
        """Know nothing of what is global or of a function around: anybody may assign it."""
        self.handles.hold(node.name, Kind.UNSURE)

    def visit_MatchAs(self, node: cst.MatchAs) -> None:
        """Forget what a pattern binds."""
        if node.name is not None:
            self.handles.hold(node.name, Kind.OTHER)
