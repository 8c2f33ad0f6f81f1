"""The browser tests leave out what no widget needs, and nothing else."""

from nbformat import v4
import pytest

from tools.notebooks import cells_for_widgets

SAVED = v4.new_output("display_data", {"text/html": "<div class='mlms-saved'>Run this cell to use it.</div>"})


def needed(*sources):
    """Numbers of the cells that the last one, a widget, needs; itself not."""
    cells = [v4.new_markdown_cell("words"), *map(v4.new_code_cell, sources)]
    cells[-1].outputs = [SAVED]
    found = cells_for_widgets(v4.new_notebook(cells=cells))
    assert found.pop() == len(sources)
    return found


@pytest.mark.parametrize(
    "sources, numbers",
    [
        (["x = 1", "y = 2", "show(x)"], [1]),
        (["x = 1", "y = x", "z = y", "show(y)"], [1, 2]),
        (["x = 1", "x = 2", "show(x)"], [2]),
        (["x = []", "x.append(1)", "print(x)", "show(x)"], [1, 2]),
        (["x = {}", "x['a'] = 1", "show(x)"], [1, 2]),
        (["net = 1", "losses = training.fit(net, x)", "show(net)"], [1, 2]),
        (["x = 1", "if x:\n    y = 1", "show(y)"], [1, 2]),
        (["y = 0", "if True:\n    y = 1", "show(y)"], [1, 2]),
        (["a = 1", "def f(b):\n    c = b\n    return a + c", "b = c = 2", "show(f)"], [1, 2]),
        (["k = 7", "for k in [1, 2]:\n    x = k", "show(x)"], [2]),
        (["import plots", "plots.style()", "show(plots)"], [1]),
        (["x = 1", "x += 1", "show(x)"], [1, 2]),
    ],
)
def test_what_is_needed(sources, numbers):
    assert needed(*sources) == numbers
