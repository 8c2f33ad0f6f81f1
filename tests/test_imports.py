"""Imports point one way, and an import does nothing."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "mlms_helpers"

# A module imports only what stands before it.  Modules that are still to come have their place, too.
LAYERS = {
    "numbers and pixels": ["claims", "statistics", "linear", "formulas", "rendering"],
    "what there is": ["published", "datasets", "descriptors", "uploads", "parallel", "models"],
    "learning": ["training", "evaluation", "search", "uncertainty"],
    "physics": ["levels", "hole_traps", "vacancies", "potentials", "lattice", "selection"],
    "what a reader sees": ["plots", "widgets", "views", "maps", "linked_map"],
    "the course": ["study", "exercises"],
}
ORDER = [module for layer in LAYERS.values() for module in layer]


def files():
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room(path):
    """The top module that a file belongs to: "descriptors" for descriptors/matrices.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path):
    """[(line, "rendering.PALETTE")]: what a file imports from the package."""
    parts = ("mlms_helpers", *path.relative_to(PACKAGE).parent.parts)
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".") if node.module else []
            start = list(parts[: len(parts) + 1 - node.level]) if node.level else []
            found += [(node.lineno, [*start, *module, alias.name]) for alias in node.names]
    return [(line, ".".join(words[1:])) for line, words in found if words[0] == "mlms_helpers" and words[1:]]


def test_every_module_has_its_place():
    assert not {room(path) for path in files()} - set(ORDER), "give the new module a place in ORDER"


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    before = [*ORDER[: ORDER.index(room(path))], room(path), "__version__"]
    wrong = [f"line {line}: {name}" for line, name in imported(path) if name.split(".")[0] not in before]
    assert not wrong, f"{path.name} imports what stands above it or beside it: {wrong}"


@pytest.mark.parametrize("module", LAYERS["what there is"] + LAYERS["learning"] + LAYERS["physics"])
def test_learning_and_physics_draw_nothing_but_their_own_table(module):
    for path in [path for path in files() if room(path) == module]:
        tree = ast.parse(path.read_text())
        for_pictures = {
            alias.asname or alias.name.split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
            if re.search(
                "matplotlib|nglview|ipywidgets|rendering", f"{getattr(node, 'module', '')}.{alias.name}"
            )
        }
        functions = [node for node in tree.body if getattr(node, "name", "") != "draw"]
        used = {node.id for top in functions for node in ast.walk(top) if isinstance(node, ast.Name)}
        assert not for_pictures & used, f"{path.name}: for `draw` alone"


def test_notebooks_use_public_names_only():
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text())["cells"]
        source = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        for line in source.splitlines():
            if line.strip().startswith(("from mlms_helpers", "import mlms_helpers")):
                assert " _" not in line and "._" not in line, f"{path.name}: {line}"


# What runs in a process of its own: other packages first, so that what follows is ours.
IMPORT_ALL = """
import importlib, socket, sys, time, warnings
import mlms_helpers
print(sorted({"jax", "keras", "matplotlib", "numpy"} & set(sys.modules)))

def refuse(*arguments):
    raise RuntimeError(f"an import wants the network: {arguments}")

socket.socket.connect = socket.getaddrinfo = refuse
for name in sys.argv[1].split():
    importlib.import_module(name)
import matplotlib
style, filters, start = dict(matplotlib.rcParams), list(warnings.filters), time.process_time()
for name in sys.argv[2].split():
    importlib.import_module("mlms_helpers." + name)
print(round(time.process_time() - start, 2))
print([key for key in style if matplotlib.rcParams[key] != style[key]])
print([one for one in warnings.filters if one not in filters])
"""


def test_import_does_nothing(tmp_path):
    """No network, plot style, silenced warning or file, under a second; the package alone imports nothing."""
    others = set()
    for path in files():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                others |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                others.add(node.module)
    modules = [".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in files()]
    modules = [name.removesuffix(".__init__") for name in modules]
    home, elsewhere = tmp_path / "home", str(tmp_path / "elsewhere")
    home.mkdir()
    places = {"HOME": str(home), "KERAS_HOME": elsewhere, "MPLCONFIGDIR": elsewhere, "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, " ".join(o for o in others if "mlms" not in o), " ".join(modules)],
        env={**places, "PATH": os.environ["PATH"]},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    loaded, seconds, style, filters = process.stdout.splitlines()[-4:]
    assert loaded == style == filters == "[]"
    assert float(seconds) < 1.0
    assert not list(home.rglob("*"))
