"""How the notebooks are written, read from their files: nothing is run."""

import ast
import json
import re
import symtable
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
# Those that keep the rules.
KEPT = [
    "00-start-here",
    "01-the-loop",
    "02-structures-and-data",
    "03-descriptors",
    "04-maps",
    "05-training",
    "06-honest-errors",
    "07-small-data",
    "08-extensive-or-intensive",
    "09-topology",
    "10-lattice-models",
    "11-potentials",
    "12-locality",
    "13-uncertainty",
    "14-beyond-dft",
    "15-defect-levels",
    "16-inverse-design",
]
CELLS, LINES = 60, 26  # ruff looks at the length of lines
WORDS = {  # an abbreviation, and what stands in the text before it, or with it, at the first use
    "RMSE": "root mean square error",
    "MAE": "mean absolute error",
    "SOAP": "smooth overlap of atomic positions",
    "ACE": "atomic cluster expansion",
    "UMAP": "uniform manifold approximation and projection",
    "PCA": "principal component analysis",
    "DFT": "density-functional theory",
    "LiPON": "lithium phosphorus oxynitride",
}


@pytest.fixture(params=KEPT)
def cells(request):
    """The cells of a notebook, each with its source as `text` and what a reader sees as `shown`."""
    found = json.loads((NOTEBOOKS / f"{request.param}.ipynb").read_text())["cells"]
    for cell in found:
        cell["text"] = cell["shown"] = "".join(cell["source"])
        if cell["cell_type"] == "code":
            outputs = [{"text/plain": out.get("text", ""), **out.get("data", {})} for out in cell["outputs"]]
            cell["shown"] = "\n".join("".join(out["text/plain"]) for out in outputs)
    return found


def code(cells, tag=None):
    """Code cells with a tag, or all of them."""
    return [
        cell
        for cell in cells
        if cell["cell_type"] == "code" and (not tag or tag in cell["metadata"].get("tags", []))
    ]


def folded(cell):
    return cell["metadata"].get("jupyter", {}).get("source_hidden", False)


def test_a_folded_cell_says_what_it_is_and_a_solution_not_more(cells):
    """JupyterLab shows the first line of a folded cell."""
    for cell in code(cells):
        first = cell["text"].partition("\n")[0]
        if "solution" in cell["metadata"].get("tags", []):
            assert folded(cell) and first == "# Solution", first
            assert "exercises.solution(" in cell["text"] and "exercises.check(" not in cell["text"]
        elif folded(cell):
            assert re.match(r"# (Check|Figure|What we learned)\b", first), first


def test_every_exercise_has_a_check_without_an_answer_and_a_solution(cells):
    asked = re.findall(r'exercises\.check\(\s*"([^"]+)"', "".join(cell["text"] for cell in code(cells)))
    solved = re.findall(r'exercises\.solution\(\s*"([^"]+)"', "".join(cell["text"] for cell in code(cells)))
    assert asked and asked == solved
    for cell in code(cells):
        if "exercises.check(" in cell["text"]:
            assert "answer = ..." in cell["text"], cell["text"]


def bound_and_read(source):
    """Names that a cell binds at its top level, and the names of that level that it reads."""
    top = symtable.symtable(source, "cell", "exec")
    bound = {name.get_name() for name in top.get_symbols() if name.is_assigned() or name.is_imported()}
    scopes, read = [top], set()
    for scope in scopes:
        scopes += scope.get_children()
        read |= {
            name.get_name()
            for name in scope.get_symbols()
            if name.is_referenced() and (scope is top or name.is_global())
        }
    return bound, read


def test_no_cell_needs_a_solution(cells):
    """Solutions may be taken out: no other cell reads a name of theirs, or one that they change."""
    solutions = [bound_and_read(cell["text"])[0] for cell in code(cells, "solution")]
    of_solutions = set().union(*solutions)
    for cell in code(cells):
        if "solution" not in cell["metadata"].get("tags", []):
            bound, read = bound_and_read(cell["text"])
            assert not (read - bound) & of_solutions, cell["text"]


def test_claims_not_asserts(cells):
    for cell in code(cells):
        asserts = [node for node in ast.walk(ast.parse(cell["text"])) if isinstance(node, ast.Assert)]
        assert not asserts, f"claim(holds, sentence) instead: {cell['text']}"


def test_what_answers_a_prediction_is_hidden(cells):
    """After each "Predict, then run" the next cell with an output has it collapsed."""
    for number, cell in enumerate(cells):
        assert "Predict before you run" not in cell["text"]
        if cell["cell_type"] == "markdown" and "Predict, then run" in cell["text"]:
            answer = next(later for later in code(cells[number:]) if later["outputs"])
            assert answer["metadata"].get("jupyter", {}).get("outputs_hidden"), answer["text"]


def test_what_we_learned_is_folded(cells):
    last = next(n for n, cell in enumerate(cells) if "## What we learned" in cell["text"])
    assert all(folded(cell) for cell in code(cells[last:]))


def test_abbreviations_are_spelled_out_at_first_use(cells):
    """In the text before, or in the cell itself; code is not looked at, what it shows is."""
    before = ""
    for cell in cells:
        before += cell["text"] if cell["cell_type"] == "markdown" else ""
        for short, words in WORDS.items():
            if re.search(rf"\b{short}\b", cell["shown"]):
                assert words in before.lower(), f"{short} comes before {words}: {cell['shown'][:200]}"


def test_size(cells):
    """A visible cell fits on a laptop's screen."""
    assert len(cells) <= CELLS
    for cell in code(cells):
        if not folded(cell):
            assert len(cell["text"].splitlines()) <= LINES, cell["text"]


def test_links_to_the_glossary_lead_somewhere(cells):
    headings = re.findall(r"^#+ (.+)$", (NOTEBOOKS.parent / "docs" / "glossary.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
    for cell in cells:
        for anchor in re.findall(r"glossary\.md#([^)\s]+)", cell["text"]):
            assert anchor.lower() in anchors, anchor
