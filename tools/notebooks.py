"""Which cells of a notebook its widgets need, so that a test of the widgets need not run the others."""

import ast
import symtable
from collections.abc import Iterable

import nbformat


def is_widget(cell: nbformat.NotebookNode) -> bool:
    """Whether a cell shows a widget: its saved output says so to who reads the notebook without a kernel."""
    return any("mlms-saved" in str(output.get("data", "")) for output in cell.get("outputs", []))


def cells_for_widgets(notebook: nbformat.NotebookNode) -> list[int]:
    """Numbers of the code cells that show a widget, and of those before that make or change what they use.

    notebook: with its saved outputs.
    """
    wanted, found, modules = set(), [], set()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            modules |= {
                alias.asname or alias.name.split(".")[0]
                for node in ast.walk(ast.parse(cell.source))
                if isinstance(node, ast.Import | ast.ImportFrom)
                for alias in node.names
            }
    for number in reversed(range(len(notebook.cells))):
        cell = notebook.cells[number]
        if cell.cell_type != "code":
            continue
        steps = [_names(step) for step in _steps(ast.parse(cell.source).body)]
        if is_widget(cell) or any((made | changed - modules) & wanted for _, made, changed in steps):
            found.append(number)
            for read, made, changed in reversed(steps):
                wanted = (wanted - made) | read | changed
    return found[::-1]


def _steps(statements: list[ast.stmt]) -> Iterable[ast.stmt]:
    """The statements one after the other; a loop is its first turn."""
    for statement in statements:
        if isinstance(statement, ast.For):
            yield ast.Assign([statement.target], statement.iter, lineno=0)
            yield from _steps(statement.body)
        elif isinstance(statement, ast.With):
            for item in statement.items:
                yield ast.Assign([item.optional_vars or ast.Name("_")], item.context_expr, lineno=0)
            yield from _steps(statement.body)
        else:
            yield statement


def _names(statement: ast.stmt) -> tuple[set[str], set[str], set[str]]:
    """Of a statement the global names that it reads, that it makes, and whose objects it may change."""
    read, made = set(), set()
    top = symtable.symtable(ast.unparse(statement), "cell", "exec")
    for table in _scopes(top):
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (table is top or symbol.is_global()):
                read.add(symbol.get_name())
            if table is top and (symbol.is_assigned() or symbol.is_imported()):
                made.add(symbol.get_name())
    changed = {name for node in ast.walk(statement) for name in _changes(node)} & (read | made)
    if isinstance(statement, ast.If | ast.While | ast.Try | ast.AugAssign):  # may leave the old one
        changed, made = changed | made, set()
    return read, made, changed


def _scopes(table):
    yield table
    for child in table.get_children():
        yield from _scopes(child)


def _changes(node: ast.AST) -> Iterable[str]:
    """Names of objects that `a.b = ...`, `a[b] = ...`, `a.append(...)` or `training.fit(a, ...)` change."""
    changed = []
    if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
        changed = [node]
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        changed = [node.value.func] if isinstance(node.value.func, ast.Attribute) else []
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "").startswith("fit"):
        changed = [node.func, *node.args[:1]]
    for place in changed:
        while isinstance(place, ast.Attribute | ast.Subscript):
            place = place.value
        if isinstance(place, ast.Name):
            yield place.id
