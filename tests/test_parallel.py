"""Side by side: the same results, whoever computes them and whoever is killed."""

import logging
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import ase.build
import distributed
import numpy as np
import pytest

from mlms_helpers import descriptors, parallel

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cluster.md"


def cells(n):
    """Cells of 2 to 4 atoms, Mg and O, that tremble; with a large array that no descriptor sees."""
    rng = np.random.default_rng(0)
    out = []
    for k in range(n):
        atoms = (
            ase.build.bulk("MgO", "rocksalt", a=4.2)
            if k % 3
            else ase.build.bulk("Mg", "hcp", a=3.2) * (2, 1, 1)
        )
        atoms.positions += rng.normal(0, 0.05, atoms.positions.shape)
        atoms.new_array("large", rng.normal(size=(len(atoms), 50)))
        out.append(atoms)
    return out


@pytest.fixture(scope="module")
def client():
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
    )
    with cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture(params=["here", "processes", "dask"])
def where(request):
    if request.param == "dask":
        return {"client": request.getfixturevalue("client")}
    return {"workers": 1 if request.param == "here" else 2}


def draw(seed):
    time.sleep(0.001 * (seed % 3))  # so that they do not finish in order
    return np.random.default_rng(seed).normal(size=3)


def test_same_results_in_order(where):
    seen = []
    found = parallel.map(draw, range(30), watch=lambda done, total: seen.append((done, total)), **where)
    np.testing.assert_array_equal(found, [draw(k) for k in range(30)])
    assert seen == [(k, 30) for k in range(1, 31)]
    assert parallel.map(draw, [], **where) == []


def test_functions_of_a_notebook_and_any_item(where):
    shift = np.arange(3)
    items = [(sum, [1]), {"a": (len, [2])}, [np.ones(2), "b"], None, 7]
    found = parallel.map(lambda item: (repr(item), shift.sum()), items, **where)
    assert found == [(repr(item), 3) for item in items]


def test_items_are_read_as_work_goes_on(where):
    read = []
    items = (read.append(k) or k for k in range(200))
    stream = parallel.stream(draw, items, **where)
    next(stream)
    assert len(read) <= 9  # four for each of two workers, and what the first result lets in
    stream.close()
    assert len(read) <= 9


def test_with_ahead_1_an_item_may_follow_from_results(where):
    total, slots = 0, 2

    def items():
        nonlocal slots
        for _ in range(10):
            assert slots > 0, "an item was read while all workers were busy"
            slots -= 1
            yield total

    for _, result in parallel.stream(lambda x: x + 1, items(), ahead=1, **where):
        total, slots = max(total, result), slots + 1
    assert 5 <= total <= 10


def test_errors_come_through(where):
    with pytest.raises(ZeroDivisionError):
        parallel.map(lambda k: 1 / (k - 3), range(50), **where)
    assert parallel.map(abs, [-1, 2], **where) == [1, 2]  # and nothing is broken afterwards


@pytest.mark.parametrize("where", ["processes", "dask"], indirect=True)
def test_a_killed_worker_loses_nothing(where, tmp_path):
    def once(k):
        mark = tmp_path / "killed"
        if k == 7 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return draw(k)

    found = parallel.map(once, range(25), **where)
    assert (tmp_path / "killed").exists()
    np.testing.assert_array_equal(found, [draw(k) for k in range(25)])


@pytest.mark.parametrize("where", ["processes", "dask"], indirect=True)
def test_a_task_that_kills_every_worker_is_given_up(where):
    with pytest.raises(RuntimeError, match=r"item \d .* lost its worker 4 times: it may need more memory"):
        parallel.map(
            lambda k: os.kill(os.getpid(), signal.SIGKILL), range(1 if "client" in where else 2), **where
        )
    assert parallel.map(abs, [-1, 2], **where) == [1, 2]


@pytest.mark.parametrize("where", ["processes", "dask"], indirect=True)
def test_workers_compute_with_one_thread(where):
    names = ("OMP_NUM_THREADS", "NPROC")
    assert parallel.map(lambda name: os.environ[name], names, **where) == ["1", "1"]
    assert parallel.map(lambda _: parallel.cores(), range(2), **where) == [1, 1]
    assert "NPROC" not in os.environ or os.environ["NPROC"] != "1"


@pytest.mark.parametrize("workers", [0, -1, 2.0])
def test_at_least_one_worker(workers):
    with pytest.raises(ValueError, match=f"workers must be at least 1, and a whole number, not {workers}"):
        parallel.map(draw, range(3), workers=workers)


@pytest.mark.parametrize("ending", [SystemExit(3), StopIteration("no more")])
def test_a_task_cannot_end_the_caller(where, ending):
    def end(item):
        raise ending

    with pytest.raises(RuntimeError, match=rf"the task has ended with {type(ending).__name__}"):
        parallel.map(end, range(3), **where)
    assert parallel.map(abs, [-1, 2], **where) == [1, 2]


@pytest.mark.parametrize("where", ["processes", "dask"], indirect=True)
def test_an_item_that_cannot_be_sent_is_named(where):
    with pytest.raises(RuntimeError, match=r"item 5 \(counted from 0\) cannot be sent .*: TypeError: "):
        parallel.map(repr, [*range(5), threading.Lock(), 6], **where)
    assert parallel.map(abs, [-1, 2], **where) == [1, 2]


def test_workers_see_the_environment_of_now(monkeypatch):
    pids = set(parallel.map(lambda _: os.getpid(), range(20), workers=2))
    monkeypatch.setenv("MLMS_TEST", "set after the first map")
    found = parallel.map(lambda _: (os.getpid(), os.environ["MLMS_TEST"]), range(20), workers=2)
    assert {value for _, value in found} == {"set after the first map"}
    assert {pid for pid, _ in found} <= pids, "no worker was started anew for it"


@pytest.mark.parametrize(
    "descriptor, hyperparameters",
    [
        (descriptors.symmetry_functions, {}),
        (descriptors.symmetry_functions, {"species": ["Mg", "O", "P"], "cutoff": 4.0}),
        (descriptors.neighbour_count, {"symbol": "O", "cutoff": 2.5}),
        (descriptors.coulomb_matrix, {}),
        (descriptors.soap, {"n_max": 2}),
    ],
)
def test_featurise_is_the_descriptor(monkeypatch, descriptor, hyperparameters):
    monkeypatch.setattr(parallel, "CHUNK", 10)
    structures = cells(20)
    seen = []
    found = parallel.featurise(
        descriptor, structures, workers=1, watch=lambda *now: seen.append(now), **hyperparameters
    )
    right = descriptor(structures, **hyperparameters)
    np.testing.assert_array_equal(found, right)
    assert found.dtype == right.dtype and len(seen) == seen[-1][0] == seen[-1][1] > 4


def test_featurise_side_by_side(monkeypatch, where):
    monkeypatch.setattr(parallel, "CHUNK", 10)
    structures = cells(40)
    np.testing.assert_array_equal(
        parallel.featurise(descriptors.symmetry_functions, structures, **where),
        descriptors.symmetry_functions(structures),
    )


def test_featurise_after_a_killed_worker(monkeypatch, client):
    monkeypatch.setattr(parallel, "CHUNK", 10)
    structures = cells(60)

    def kill(done, total):
        if done == total // 2:
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)

    np.testing.assert_array_equal(
        parallel.featurise(descriptors.symmetry_functions, structures, client=client, watch=kill),
        descriptors.symmetry_functions(structures),
    )


def test_featurise_sends_little():
    import pickle

    atoms = cells(1)[0]
    atoms.info["large"] = np.zeros(10_000)
    cell, pbc, arrays = pickle.loads(pickle.dumps(parallel._packed(atoms)))
    assert set(arrays) == {"numbers", "positions"}
    again = parallel._unpacked(cell, pbc, arrays)
    assert again == atoms and not again.info
    assert again.positions.dtype is np.dtype(float), "NumPy 2.2 adds five times slower with any other object"


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda s: parallel.featurise(descriptors.symmetry_functions, [], workers=1), "is empty"),
        (
            lambda s: parallel.featurise(lambda s: np.zeros((7, 2)), s, workers=1),
            "7 rows for a structure of 2 atoms",
        ),
        (
            lambda s: parallel.featurise(descriptors.symmetry_functions, s, workers=1, species=["Mg"]),
            "O occurs in the structures",
        ),
        (
            lambda s: parallel.featurise(descriptors.madelung_potential, s, workers=1, charges={"Mg": 2}),
            "no charge is known for O",
        ),
    ],
)
def test_featurise_refuses_in_a_sentence(call, words):
    with pytest.raises(ValueError, match=words):
        call(cells(6))


@pytest.mark.parametrize("form", [list, tuple, lambda charges: np.array(charges, dtype=object)])
def test_featurise_gives_each_structure_its_own_charges(monkeypatch, where, form):
    monkeypatch.setattr(parallel, "CHUNK", 10)
    structures = [atoms for atoms in cells(40) if "O" in atoms.symbols]
    charges = form([[size, -size] for size in range(1, len(structures) + 1)])
    right = descriptors.madelung_potential(structures, charges=charges)
    found = parallel.featurise(descriptors.madelung_potential, structures, charges=charges, **where)
    np.testing.assert_array_equal(found, right)


def test_featurise_cuts_what_has_a_value_an_atom_and_nothing_else(monkeypatch):
    monkeypatch.setattr(parallel, "CHUNK", 10)
    structures = cells(12)
    weights = [np.arange(len(atoms)) + 10.0 * k for k, atoms in enumerate(structures)]
    grid = np.arange(12.0)  # as long as the list, by chance

    def describe(structures, weights, grid):
        rows = zip(structures, weights, strict=True)
        return np.concatenate([w[:, None] + a.numbers[:, None] + grid for a, w in rows])

    found = parallel.featurise(describe, structures, workers=1, weights=weights, grid=grid)
    np.testing.assert_array_equal(found, describe(structures, weights, grid))


def test_featurise_says_where_charges_are_missing(monkeypatch):
    monkeypatch.setattr(parallel, "CHUNK", 4)
    structures = [atoms for atoms in cells(12) if "O" in atoms.symbols]
    for charges, words in (
        ([[2, -2]] * 7, "there are 8 structures, but charges of 7"),
        ([[2, -2]] * 7 + [[2, -2, 0]], r"structure 1 has 2 atoms.*counting from structure 6"),
    ):
        with pytest.raises(ValueError, match=words):
            parallel.featurise(descriptors.madelung_potential, structures, workers=1, charges=charges)


@pytest.mark.parametrize("change", [lambda x: x[:, :1], lambda x: x.astype("float32"), lambda x: x[:-1]])
def test_featurise_wants_the_same_columns_in_each_chunk(monkeypatch, change):
    monkeypatch.setattr(parallel, "CHUNK", 10)

    def describe(structures):
        rows = np.ones((sum(map(len, structures)), 2))
        return rows if len(structures) == 1 else change(rows)

    with pytest.raises(ValueError, match=r"the structures from 0 on: float64 \[\d+, 2\] fits the first"):
        parallel.featurise(describe, cells(12), workers=1)


def test_featurise_names_the_structure():
    structures = cells(6)
    structures[4].positions[1] = np.nan
    with pytest.raises(ValueError, match="structure 4: the position of atom 1"):
        parallel.featurise(descriptors.symmetry_functions, structures, workers=1)


def test_import_is_light():
    code = (
        "import sys; from mlms_helpers import parallel, search; "
        "print([m for m in ('dask', 'distributed', 'optuna', 'joblib', 'jax', 'keras') if m in sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


def test_the_page_about_clusters_runs(tmp_path):
    """Every Python block of the page in its order, in one process; those with SLURM are only compiled."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    runs = [block for block in blocks if "dask_jobqueue" not in block]
    assert 3 <= len(runs) < len(blocks)
    for block in blocks:
        compile(block, PAGE.name, "exec")
    script = tmp_path / "page.py"
    script.write_text(
        "def main():\n"
        + textwrap.indent("\n".join(runs), "    ")
        + "\nif __name__ == '__main__':\n    main()\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


def test_many_single_losses_end_nothing(tmp_path):
    def fragile(item):
        mark = tmp_path / str(item)
        if item == 0:
            time.sleep(1)
        elif not mark.exists():
            mark.write_text("once")
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    assert parallel.map(fragile, range(7), workers=2) == list(range(7))


def test_the_guilty_task_is_named(tmp_path):
    def deadly(item):
        if item == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.05)
        return item

    with pytest.raises(RuntimeError, match=r"the task of item 3 .* lost its worker 4 times"):
        parallel.map(deadly, range(6), workers=2)


def test_an_exception_that_cannot_travel_is_told():
    class Odd(Exception):
        def __init__(self, a, b):
            super().__init__(f"{a} and {b}")

    def odd(item):
        raise Odd("this", "that")

    with pytest.raises(RuntimeError, match="Odd: this and that"):
        parallel.map(odd, range(4), workers=2)
