"""Figures: the same bytes twice, nothing left behind, no text on top of text, and refusals in words."""

import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mlms_helpers import evaluation, levels, plots, rendering

TRUE = np.random.default_rng(0).normal(1, 0.5, 60)
EPOCHS = np.arange(1, 101)


def errors(sizes, values):
    """A table as `evaluation.learning_curve` gives it; values: [n_sizes, n_seeds]."""
    values = np.reshape(values, (len(sizes), -1))
    seeds = np.tile(np.arange(values.shape[1]), len(sizes))
    return pd.DataFrame({"size": np.repeat(sizes, values.shape[1]), "seed": seeds, "RMSE": values.ravel()})


SEEDS = errors([20, 40, 80, 160], np.random.default_rng(1).uniform(0.4, 0.6, (4, 5)))
PROMISED = pd.DataFrame({"promised": [0.25, 0.5, 0.9], "found": [0.3, 0.45, 0.85]})

FIGURES = [
    lambda: plots.parity(TRUE, TRUE + 0.1),
    lambda: plots.parity(
        TRUE, TRUE + 0.1, uncertainty=np.full(60, 0.1), groups=["thermal, 600 K", "y = 1", "y = 2"] * 20
    ),
    lambda: plots.parity([1.0], [1.0]),
    lambda: plots.history(np.exp(-EPOCHS / 20), np.exp(-EPOCHS / 20) + 0.1, unit="eV²"),
    lambda: plots.history([1.0, 0.5]),
    lambda: plots.history([1e4, 1e-3], [1e4, np.nan]),
    lambda: plots.learning_curve(
        SEEDS, baselines={"mean": 0.66, "number of Li": 0.65, "Madelung potential": 0.45}
    ),
    lambda: plots.learning_curve(
        {
            "line": errors([10, 100, 1000], [0.5, 0.5, 0.5]),
            "network": errors([10, 100, 1000], [0.9, 0.51, 0.2]),
        }
    ),
    lambda: plots.calibration({"aligned": PROMISED, "depth": PROMISED}),
    lambda: plots.calibration(PROMISED),
    lambda: plots.bars(
        {"mean of the training set": (0.66, 0.08), "network": (0.2, 0.0)}, title="Half the error"
    ),
    lambda: plots.bars({"a": (1e-6, 1e-7), "b": (2e-6, 1e-7)}),
    lambda: plots.histogram({"y = 1": TRUE, "y = 2": TRUE + 1}, title="Levels"),
    lambda: plots.histogram(TRUE),
    lambda: levels.draw(
        [0.4, 1.2, 2.5],
        [0.3, 0.3, 0.3],
        names=["atom 40", "atom 52", "atom 58"],
        true=[0.5, 1.0, 2.9],
        title="Three traps",
    ),
    lambda: levels.draw([1.2]),
    lambda: levels.draw(np.linspace(-0.4, 3, 64), np.full(64, 0.3)),
]


@pytest.mark.parametrize("make", FIGURES)
def test_figure_is_deterministic_small_labelled_and_no_text_overlaps(make):
    fig = make()
    data = plots.png(fig)
    assert data == plots.png(make())
    assert b"Software" not in data and len(data) < 150_000
    axes = fig.axes[0]
    assert axes.get_xlabel()
    assert rendering.size(data) == tuple((fig.get_size_inches() * 100).round())
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    texts = [t for t in fig.findobj(matplotlib.text.Text) if t.get_visible() and t.get_text().strip()]
    boxes = [t.get_window_extent(canvas.get_renderer()).shrunk(0.95, 0.8) for t in texts]
    page = fig.bbox
    for k, box in enumerate(boxes):
        if box.width == 0:
            continue
        if not any(texts[k] in axis.get_ticklabels() for axis in (axes.xaxis, axes.yaxis)):
            assert box.x0 >= page.x0 and box.x1 <= page.x1 and box.y0 >= page.y0 and box.y1 <= page.y1, texts[
                k
            ].get_text()
        for other in range(k):
            overlap = matplotlib.transforms.Bbox.intersection(box, boxes[other])
            assert (
                overlap is None
                or overlap.width * overlap.height == 0
                or texts[k].get_text() == texts[other].get_text()
            ), (texts[k].get_text(), texts[other].get_text())


def test_import_changes_no_setting_and_draws_without_pyplot():
    code = (
        "import matplotlib, sys; before = matplotlib.rcParams.copy(); from mlms_helpers import plots; "
        "assert matplotlib.rcParams.copy() == before; plots.png(plots.histogram([1, 2, 3])); "
        "assert matplotlib.rcParams.copy() == before; assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_parity_states_the_error_and_follows_groups():
    fig = plots.parity([0, 1, 2], [0, 1, 5], groups=["a", "b", "a"])
    assert fig.axes[0].get_title(loc="left") == "RMSE 1.73 eV over 3 samples"
    assert [t.get_text() for t in fig.axes[0].get_legend().get_texts()] == ["a", "b"]


def test_history_says_the_last_values_the_lowest_validation_loss_and_baselines():
    fig = plots.history([3, 2, 1], [3, 1.5, 2], unit="eV²", baselines={"line": 0.5}, epochs=9)
    said = [t.get_text() for t in fig.axes[0].get_legend().get_texts()]
    assert said == ["training: 1 eV²", "validation: 2 eV²", "lowest: 1.5 eV², epoch 2", "line: 0.5 eV²"]
    assert fig.axes[0].get_xlim() == (0, 10)


def test_bars_take_a_table():
    table = pd.DataFrame({"mean": [1.0, 2.0], "half_width": [0.1, 0.2]}, index=["a", "b"])
    fig = plots.bars(table)
    assert [t.get_text() for t in fig.axes[0].texts] == ["1.00 ± 0.10", "2.00 ± 0.20"]
    fig = plots.bars({"a": (0.434, 0.002), "b": (0.5, 0.0)})
    assert [t.get_text() for t in fig.axes[0].texts] == ["0.434 ± 0.002", "0.500"]
    assert plots.bars({"a": (0.0031, 0.0004)}).axes[0].texts[0].get_text() == "0.0031 ± 0.0004"


@pytest.mark.parametrize(
    "call, part",
    [
        (lambda: plots.parity([], []), "empty"),
        (lambda: plots.parity([1, 2], [1]), "predicted has 1"),
        (lambda: plots.parity([1, np.nan], [1, 2]), "not a number"),
        (lambda: plots.parity(np.ma.masked_array([1, 2], [True, False]), [1, 2]), "not a number"),
        (lambda: plots.parity(pd.Series([1, None], dtype="Int64"), [1, 2]), "not a number"),
        (lambda: plots.parity([1, 2], [1, 2], groups=["a"]), "groups has 1"),
        (lambda: plots.bars({}), "nothing to draw"),
        (lambda: plots.histogram({}), "nothing to draw"),
        (lambda: plots.bars({"a": (np.nan, 1)}), "nothing to draw"),
        (lambda: plots.learning_curve([1, 2]), "'model' must be a table with the columns 'size' and 'RMSE'"),
        (lambda: plots.learning_curve([1, 2], [[1], [2], [3]]), "errors has 3"),
        (lambda: plots.learning_curve({"a": SEEDS}, label="MAE"), "'a' must be a table .* 'MAE'"),
        (lambda: plots.learning_curve(SEEDS.assign(RMSE=np.inf)), "no size at which every RMSE is a number"),
        (lambda: plots.show(Figure(), " "), "alternative text"),
    ],
)
def test_refusals_are_sentences(call, part):
    with pytest.raises(ValueError, match=part):
        call()


def test_learning_curve_takes_the_table_of_evaluation():
    rows = pd.DataFrame(
        {"family": np.repeat(np.arange(12), 3), "y": np.random.default_rng(0).normal(size=36)}
    )

    def guess(train, test, seed):
        return np.full(len(test), rows.y.iloc[train].mean())

    table = evaluation.learning_curve(guess, rows, "y", [2, 8], by="family", seeds=range(3))
    ax = plots.learning_curve(table, sizes="training families", label="MAE", unit="meV").axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("training families", "MAE (meV)")
    x, y = ax.lines[0].get_data()
    assert list(x) == [2, 8] and np.allclose(y, table.groupby("size").MAE.mean())
    band = ax.collections[0].get_paths()[0].vertices
    assert np.isclose(band[:, 1].max(), table.MAE.max()) and np.isclose(band[:, 1].min(), table.MAE.min())


def test_learning_curve_takes_arrays_of_sizes_and_errors():
    values = SEEDS.RMSE.to_numpy().reshape(4, 5)
    fig = plots.learning_curve([20, 40, 80, 160], {"model": values})
    assert plots.png(fig) == plots.png(plots.learning_curve(SEEDS))
    assert plots.png(plots.learning_curve([1, 2], [[1], [0.5]], baselines={"mean": np.nan}))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_learning_curve_leaves_out_what_is_not_finite(bad):
    table = SEEDS.assign(RMSE=SEEDS.RMSE.where(SEEDS.index != 19, bad))  # one seed at 160 samples
    fig = plots.learning_curve(table, baselines={"mean": bad, "line": 0.5})
    assert list(fig.axes[0].lines[0].get_xdata()) == [20, 40, 80]
    assert {text.get_text() for text in fig.axes[0].texts} == {"model", "line: 0.50"}
    assert plots.png(fig)


def test_calibration_draws_what_coverage_found():
    true = np.random.default_rng(0).normal(size=400)
    table = evaluation.coverage(true, np.zeros(400), np.ones(400))
    _, line = plots.calibration({"mine": table}).axes[0].lines
    assert np.allclose(line.get_xdata(), table.promised) and np.allclose(line.get_ydata(), table.found)
    assert np.abs(table.found - table.promised).max() < 0.08


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bars_name_what_has_no_value(bad):
    fig = plots.bars({"a": (0.5, 0.1), "b": (bad, 0.1), "c": (0.4, bad)})
    texts = [text.get_text() for text in fig.axes[0].texts]
    assert texts[:2] == ["0.50 ± 0.10", "no value"] and texts[2].startswith("0.40")
    assert [label.get_text() for label in fig.axes[0].get_yticklabels()] == ["a", "b", "c"]
    assert plots.png(fig)


def test_bars_keep_small_numbers_and_rows_of_one_name():
    assert [t.get_text() for t in plots.bars({"a": (1e-6, 1e-7)}).axes[0].texts] == ["1.0e-06 ± 1.0e-07"]
    texts = [t.get_text() for t in plots.bars({"a": (0.5, 0.1), "b": (1e-6, 0)}).axes[0].texts]
    assert texts == ["0.50 ± 0.10", "1.0e-06"]
    twice = pd.DataFrame({"mean": [1.0, 2.0], "half_width": [0.1, 0.2]}, index=["a", "a"])
    assert [t.get_text() for t in plots.bars(twice).axes[0].texts] == ["1.00 ± 0.10", "2.00 ± 0.20"]


GROUPS = ["_train", "b$_$", "$5 and $6", "test"]
DRAWN = {
    "parity": lambda: plots.parity(TRUE[:4], TRUE[:4], groups=GROUPS, label="$_$", title="$_$"),
    "histogram": lambda: plots.histogram({name: TRUE for name in GROUPS}, label="$_$", title="$_$"),
    "calibration": lambda: plots.calibration({name: PROMISED for name in GROUPS}, title="$_$"),
}


@pytest.mark.parametrize("kind", DRAWN)
def test_every_group_is_in_the_legend_as_it_is_written(kind):
    fig = DRAWN[kind]()
    plots.png(fig)  # what is taken for mathematics fails here
    entries = [t._preprocess_math(t.get_text()) for t in fig.axes[0].get_legend().get_texts()]
    assert [(text.split(" (")[0], math) for text, math in entries] == [(name, False) for name in GROUPS]


def test_names_beside_lines_and_bars_are_as_they_are_written():
    fig = plots.learning_curve({"b$_$": SEEDS}, baselines={"$_$": 0.5}, sizes="$_$", title="$_$")
    assert plots.png(fig) and fig.axes[0].texts[0].get_text() == r"b\$_\$"
    assert plots.png(plots.bars({"$_$": (1, 0)}, label="$_$", unit="$_$", title="$_$"))
    assert plots.png(plots.history([1, 2], [2, 1], unit="$_$", label="$_$", title="$_$"))


def test_groups_keep_the_order_of_their_categories():
    groups = pd.Series(pd.Categorical(["10", "2", "2", "10"], categories=["2", "10"], ordered=True))
    fig = plots.parity(TRUE[:4], TRUE[:4], groups=groups)
    assert [t.get_text() for t in fig.axes[0].get_legend().get_texts()] == ["2", "10"]


def test_a_legend_outside_takes_all_labels_and_stands_right_of_the_axes():
    ax = Figure().subplots()
    ax.plot([1, 2], label="a")
    legend = plots.legend_outside(ax, title="kind")
    assert [t.get_text() for t in legend.get_texts()] == ["a"] and legend.get_title().get_text() == "kind"
    FigureCanvasAgg(ax.figure).draw()
    assert legend.get_window_extent().x0 > ax.get_window_extent().x1
