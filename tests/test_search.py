"""Searches: what was found stays found."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from distributed import Client, LocalCluster

from mlms_helpers import rendering, search

SPACE = {
    "learning_rate": (1e-4, 1e-1, "log"),
    "width": [8, 16, 32],
    "depth": (0, 3),
    "decay": (0.0, 1.0),
    "kind": ["a", None],
}


def objective(learning_rate, width, depth, decay, kind):
    if depth == 3:
        raise ValueError("too deep")
    return (
        (math.log10(learning_rate) + 2) ** 2
        + abs(width - 16) / 10
        + 0.3 * depth
        + 0.1 * decay
        + 0.1 * (kind is None)
    )


def numbers(table):
    return table.drop(columns="seconds")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A search of 40 trials that nobody disturbed."""
    return search.run(objective, SPACE, tmp_path_factory.mktemp("search") / "whole.log", trials=40)


def test_table(whole):
    assert list(whole) == ["trial", *SPACE, "error", "seconds", "failure"] and list(whole.trial) == list(
        range(40)
    )
    failed = whole.depth == 3
    assert (
        failed.any() and (whole.failure[failed] == "too deep").all() and (whole.failure[~failed] == "").all()
    )
    assert whole.error.isna().equals(failed) and (whole.seconds >= 0).all()
    assert whole.learning_rate.between(1e-4, 1e-1).all() and whole.width.isin([8, 16, 32]).all()
    assert whole.decay.between(0, 1).all()
    row = whole[~failed].iloc[0]
    assert row.error == objective(**{name: None if pd.isna(row[name]) else row[name] for name in SPACE})


def test_tpe_learns_and_random_does_not(whole, tmp_path):
    other = search.run(objective, SPACE, tmp_path / "random.log", trials=40, sampler="random")
    assert whole.error[20:].median() < 0.6 * other.error[20:].median()
    assert np.ptp(np.log10(other.learning_rate)) > 2.5


def test_resumes_where_it_was(whole, tmp_path):
    file = tmp_path / "search.log"
    part = search.run(objective, SPACE, file, trials=13)
    assert numbers(part).equals(numbers(whole[:13]))
    assert numbers(search.run(objective, SPACE, file, trials=40)).equals(numbers(whole))
    assert search.run(lambda **_: 1 / 0, SPACE, file, trials=40).equals(search.table(file)), (
        "nothing was left to do"
    )


PROGRAM = """
import sys, time
sys.path.insert(0, {folder!r})
from test_search import SPACE, objective
from mlms_helpers import search
def slow(**hyperparameters):
    time.sleep(0.03)
    return objective(**hyperparameters)
search.run(slow, SPACE, {file!r}, trials=40, watch=lambda table: print(len(table), flush=True))
"""


def test_killed_in_the_middle(whole, tmp_path):
    file = tmp_path / "search.log"
    code = PROGRAM.format(folder=os.path.dirname(__file__), file=str(file))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if int(line) == 15:
            break
    with pytest.raises(ValueError, match="in use by another search"):
        search.run(objective, SPACE, file, trials=40)
    assert len(search.table(file)) >= 15, "a search that runs may be looked at"
    time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = search.table(file)
    assert 15 <= len(kept) < 40 and numbers(kept).equals(numbers(whole[: len(kept)]))
    calls = []
    final = search.run(lambda **h: calls.append(h) or objective(**h), SPACE, file, trials=40)
    assert numbers(final).equals(numbers(whole)) and len(calls) == 40 - len(kept)
    assert final[: len(kept)].equals(kept), "finished trials are as they were, times included"


def test_a_line_that_was_being_written_is_done_again(whole, tmp_path):
    file = tmp_path / "search.log"
    search.run(objective, SPACE, file, trials=20)
    file.write_bytes(file.read_bytes()[:-50])
    assert len(search.table(file)) == 19
    assert numbers(search.run(objective, SPACE, file, trials=40)).equals(numbers(whole))


def test_stop_button(tmp_path):
    seen = []
    found = search.run(
        objective,
        SPACE,
        tmp_path / "s.log",
        trials=40,
        watch=lambda table: seen.append(table) or len(table) == 5,
    )
    assert len(found) == len(seen) == 5 and seen[-1].equals(found)


def test_two_workers(tmp_path):
    def where(learning_rate, width):  # a function as one in a notebook
        time.sleep(0.05)
        return learning_rate + width * 0

    space = {"learning_rate": (1e-4, 1e-1, "log"), "width": (1, 3)}
    one, two = (
        search.run(where, space, tmp_path / f"{n}.log", trials=12, sampler="random", workers=n)
        for n in (1, 2)
    )
    assert numbers(one).equals(numbers(two))
    tpe = search.run(
        where, space, tmp_path / "tpe.log", trials=16, workers=2, watch=lambda table: len(table) == 9
    )
    assert len(tpe) == 9
    tpe = search.run(where, space, tmp_path / "tpe.log", trials=16, workers=2)
    assert list(tpe.trial) == list(range(16)) and len(tpe.learning_rate.unique()) == 16


def test_dask(tmp_path):
    how = {"trials": 12, "sampler": "random"}
    one_process = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": ":0"}
    with LocalCluster(**one_process) as cluster, Client(cluster) as client:
        found = search.run(objective, SPACE, tmp_path / "dask.log", client=client, **how)
    assert numbers(found).equals(numbers(search.run(objective, SPACE, tmp_path / "one.log", **how)))


def test_seeds(whole, tmp_path):
    other = search.run(objective, SPACE, tmp_path / "s.log", trials=5, seed=1)
    assert not set(other.learning_rate) & set(whole.learning_rate)


def test_an_error_that_is_no_number_is_a_failure(tmp_path):
    found = search.run(
        lambda x: math.nan if x > 0.5 else math.inf, {"x": (0.0, 1.0)}, tmp_path / "s.log", trials=8
    )
    assert set(found.failure) == {"the error is nan", "the error is inf"} and found.error.isna().all()


def test_a_mistake_in_the_objective_ends_the_search_and_loses_nothing(tmp_path):
    file = tmp_path / "s.log"
    calls = []

    def wrong(x):
        calls.append(x)
        return x if len(calls) < 4 else x / 0

    with pytest.raises(ZeroDivisionError):
        search.run(wrong, {"x": (0.0, 1.0)}, file, trials=8)
    assert len(search.table(file)) == 3


def test_another_search(tmp_path):
    file = tmp_path / "s.log"
    search.run(objective, SPACE, file, trials=2)
    for change in ({"seed": 1}, {"sampler": "random"}, {"space": {"x": (0.0, 1.0)}}):
        with pytest.raises(ValueError, match=f"s.log holds a search with {next(iter(change))}"):
            search.run(objective, **{"space": SPACE, "file": file, "trials": 3, **change})
    assert len(search.table(file)) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"learning_rate,error\n0.1,0.2\n",
        b"nothing",
        b'{"op_code":0}\n',
        b'{"op_code":99,"x":1}\n\xff\xfe\n',
        b'{"op_code":0,"worker_id":"a","study_name":"other","directions":[1]}\n',
    ],
)
def test_a_foreign_file_is_refused_and_kept(content, tmp_path):
    file = tmp_path / "s.log"
    file.write_bytes(content)
    for call in (lambda: search.run(objective, SPACE, file, trials=2), lambda: search.table(file)):
        with pytest.raises(ValueError, match=r"s.log holds no search"):
            call()
    assert file.read_bytes() == content


def test_a_damaged_file_is_said(tmp_path):
    file = tmp_path / "s.log"
    search.run(objective, SPACE, file, trials=4)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:3], lines[3][:40] + b"\n", *lines[4:]]))
    with pytest.raises(ValueError, match=r"s.log holds no search, or is damaged"):
        search.run(objective, SPACE, file, trials=8)


def test_no_file_and_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"search\.run"):
        search.table(tmp_path / "none.log")
    with pytest.raises(ValueError, match="there is no folder"):
        search.run(objective, SPACE, tmp_path / "none" / "s.log")


@pytest.mark.parametrize(
    "space, words",
    [
        ({}, "is empty"),
        ({"x": (1, 0)}, "x: give"),
        ({"x": (0.0, 1.0, "log")}, "low > 0"),
        ({"x": []}, "x: give"),
        ({"x": 3}, "not 3"),
        ({"x": (0, 1, "lin")}, "x: give"),
        ({"x": (0.0, math.inf)}, "x: give"),
        ({"x": [(1, 2)]}, "x: give"),
        ({"error": (0, 1)}, "may be called 'error'"),
    ],
)
def test_a_space_that_cannot_be(space, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        search.run(objective, space, tmp_path / "s.log")
    assert not (tmp_path / "s.log").exists()


def test_unknown_sampler(tmp_path):
    with pytest.raises(ValueError, match="tpe, random, not 'grid'"):
        search.run(objective, SPACE, tmp_path / "s.log", sampler="grid")


def test_optuna_keeps_its_voice_and_reads_the_file(tmp_path, capfd):
    before = optuna.logging.get_verbosity()
    search.run(objective, SPACE, tmp_path / "s.log", trials=3)
    assert optuna.logging.get_verbosity() == before and capfd.readouterr() == ("", "")
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(tmp_path / "s.log"))
    )
    assert len(optuna.load_study(storage=storage, study_name=None).trials) == 3
    json.loads((tmp_path / "s.log").read_text().splitlines()[-1])


def test_picture(whole):
    picture = rendering.png(search.draw(whole, title="TPE"))
    assert picture == rendering.png(search.draw(whole, title="TPE"))
    fig = search.draw(whole)
    title = fig.axes[0].get_title(loc="left")
    assert len(fig.axes) == 1 + len(SPACE) and f"in trial {whole.error.idxmin()}" in title
    rendering.png(search.draw(whole[:1]))
    nothing = search.draw(whole[whole.failure != ""])
    assert nothing.axes[0].get_title(loc="left") == "No trial has succeeded yet"
    with pytest.raises(ValueError, match="no trial to draw"):
        search.draw(whole[:0])


@pytest.mark.parametrize(
    "first, second",
    [
        ({"w": [1, 3]}, {"w": (1, 3)}),
        ({"w": (0, 1)}, {"w": (0.0, 1.0)}),
        ({"w": (1, 8)}, {"w": (1, 8, "log")}),
        ({"w": [1, 2]}, {"w": ["1", "2"]}),
    ],
)
def test_another_space_is_another_search(tmp_path, first, second):
    search.run(lambda w: float(w), first, tmp_path / "s", trials=2)
    with pytest.raises(ValueError, match="holds a search with space"):
        search.run(lambda w: 0.0, second, tmp_path / "s", trials=3)


def test_numbers_of_numpy_and_folders(tmp_path):
    found = search.run(lambda w: float(w), {"w": (0, 9)}, tmp_path / "s", trials=2, seed=np.int64(3))
    assert len(found) == 2
    with pytest.raises(ValueError, match="is a folder"):
        search.run(lambda w: 0.0, {"w": (0, 9)}, tmp_path)
    with pytest.raises(ValueError, match="is a folder"):
        search.table(tmp_path)
    with pytest.raises(ValueError, match="trials must be"):
        search.run(lambda w: 0.0, {"w": (0, 9)}, tmp_path / "s", trials=0)


# ---- spaces, names and files that a reader may well give

ONCE = {"trials": 8, "sampler": "random"}


@pytest.mark.parametrize(
    "ours, numpys",
    [
        ([0.1, 0.2], list(np.array([0.1, 0.2]))),
        ([0.1, 0.2], np.array([0.1, 0.2])),
        ([1, 2], list(np.array([1, 2], "int32"))),
        ([True, False], list(np.array([True, False]))),
        (["a", "b"], list(np.array(["a", "b"]))),
        ((1, 4), (np.int64(1), np.int32(4))),
        ((0.5, 1.0), (np.float64(0.5), np.float32(1.0))),
        ((1, 64, "log"), (np.int64(1), np.int64(64), "log")),
    ],
)
def test_numbers_of_numpy_make_the_same_space(ours, numpys, tmp_path):
    def objective(a):
        assert type(a) in (int, float, bool, str)
        return 0.0

    one = search.run(objective, {"a": ours}, tmp_path / "one.log", **ONCE)
    other = search.run(objective, {"a": numpys}, tmp_path / "other.log", **ONCE)
    assert numbers(one).equals(numbers(other))
    for first, second in ((ours, numpys), (numpys, ours)):
        file = tmp_path / f"{first is ours}.log"
        search.run(objective, {"a": first}, file, trials=3, sampler="random")
        assert numbers(search.run(objective, {"a": second}, file, **ONCE)).equals(numbers(one))


@pytest.mark.parametrize(
    "values, words",
    [
        ((False, True), "a: give"),
        ((np.False_, np.True_), "a: give"),
        ((0, True), "a: give"),
        ([0, False], "are equal"),
        ([1, 1.0], "are equal"),
        (["x", "x"], "are equal"),
        ((np.nan, 1.0), "a: give"),
        (np.zeros((2, 2)), "a: give"),
    ],
)
def test_true_is_no_number_and_no_choice_stands_twice(values, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        search.run(lambda a: 0.0, {"a": values}, tmp_path / "s.log", trials=2)


@pytest.mark.parametrize("which", [-1, 3, -2])
def test_a_line_that_stands_twice_counts_once(which, tmp_path):
    file, other = tmp_path / "s.log", tmp_path / "other.log"
    space = {"a": (0.0, 1.0), "b": [None, "x"]}
    for f in (file, other):
        search.run(lambda a, b: a, space, f, trials=3)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines) + lines[which])
    assert list(search.table(file).trial) == [0, 1, 2]
    found = search.run(lambda a, b: a, space, file, trials=14)
    assert numbers(found).equals(numbers(search.run(lambda a, b: a, space, other, trials=14)))


def test_two_trials_of_one_number_are_damage(tmp_path):
    file = tmp_path / "s.log"
    search.run(lambda a: a, {"a": (0.0, 1.0)}, file, trials=3)
    last = file.read_bytes().splitlines(keepends=True)[-1]
    value = json.loads(last)["value"]
    file.write_bytes(file.read_bytes() + last.replace(str(value).encode(), b"0.5"))
    with pytest.raises(ValueError, match="is damaged"):
        search.table(file)


def test_a_file_at_home_or_with_a_mark_at_its_start(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    search.run(lambda a: a, {"a": (0.0, 1.0)}, "~/s.log", trials=2)
    file = tmp_path / "s.log"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())  # as an editor on Windows saves it
    assert len(search.table("~/s.log")) == 2
    assert len(search.run(lambda a: a, {"a": (0.0, 1.0)}, file, trials=3)) == 3


@pytest.mark.parametrize(
    "change, words",
    [
        ({"trials": 3.0}, "must be whole numbers"),
        ({"seed": "a"}, "must be whole numbers"),
        ({"seed": 0.5}, "must be whole numbers"),
        ({"seed": -1}, "seed at least 0"),
        ({"space": {1: (0, 1)}}, "must be a word, not 1"),
    ],
)
def test_one_clear_sentence(change, words, tmp_path):
    arguments = {"space": {"a": (0, 1)}, "file": tmp_path / "s.log", "trials": 2, **change}
    with pytest.raises(ValueError, match=words):
        search.run(lambda a: 0.0, **arguments)
    assert not (tmp_path / "s.log").exists()


def test_a_picture_of_odd_names(tmp_path):
    space = {"b$_$": ["$x$", "_y"], "a_b": [True, False], "c": [math.nan, 1.0]}
    found = search.run(lambda **h: float(h["a_b"]), space, tmp_path / "s.log", trials=6)
    fig = search.draw(found)
    assert rendering.png(fig) and fig.axes[1].get_xlabel() == r"b\$ \$"


def test_the_page_about_searching_runs(tmp_path):
    """Every Python block of docs/search.md in its order, in one process."""
    page = Path(__file__).resolve().parent.parent / "docs" / "search.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.S)
    assert len(blocks) >= 3
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)], capture_output=True, text=True, cwd=tmp_path, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "search.png").exists()


@pytest.mark.parametrize("answer, kind", [(None, "NoneType"), ("low", "str"), (1j, "complex")])
def test_an_answer_that_is_no_number_is_a_failed_trial_with_its_reason(tmp_path, answer, kind):
    table = search.run(lambda a: answer, {"a": (0.0, 1.0)}, tmp_path / "a.log", trials=2)
    assert table.error.isna().all()
    assert list(table.failure) == [f"the objective returns a {kind}, not a number"] * 2
