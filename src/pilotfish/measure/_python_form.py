"""Python code in one form, so that two pieces that differ in names, comments and layout alone are equal."""

from __future__ import annotations

import ast

__all__ = ["python_form"]


def python_form(code: str) -> str:
    """Return the syntax tree as text, without docstrings and annotations, the names of variables numbered.

    What is called by its name from outside keeps it: functions, classes, attributes, keyword arguments. "" for what
    does not parse.
    """
    try:
        tree = ast.parse(code)
        return ast.dump(_Form(tree).visit(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last three: NUL, and nesting too deep to read
        return ""


class _Form(ast.NodeTransformer):
    """Numbers variables in the order in which they appear, and drops what the code does not run by."""

    def __init__(self, tree: ast.AST) -> None:
        self._names: dict[str, str] = {}
        kept = {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        }
        bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
        self._bound = bound - kept

    def _number(self, name: str) -> str:
        return self._names.setdefault(name, f"v{len(self._names)}") if name in self._bound else name

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Number a variable."""
        return ast.Name(self._number(node.id), node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """Number a parameter; its annotation goes."""
        return ast.arg(self._number(node.arg))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        """Drop the annotation, and with it what only declares."""
        if node.value is None:
            return None
        return self.visit(ast.Assign([node.target], node.value))  # type: ignore[no-any-return]

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        """Drop the docstring and what is said of the result's type."""
        self.generic_visit(node)
        node.returns = None
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 the name that ast looks for
