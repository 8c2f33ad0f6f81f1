"""The generators' shared parts: a run may be killed at any moment, and goes on where it stopped."""

import argparse
import collections
import json
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

GENERATE = Path(__file__).resolve().parent.parent / "data" / "generate"

# A generator without physics: 12 tasks of 2 files of 300 kB.  `fault` is what goes wrong in its first run.
GENERATOR = """
import os, signal, sys, time
sys.path.insert(0, {generate!r})
from common import run

fault, folder, workers = sys.argv[1:]

def content(name):
    return name.encode() * 30_000

def compute(name):
    time.sleep(0.05)
    if fault == "raises" and name == "t03-0.bin":
        raise ArithmeticError("no convergence")
    if fault == "dies" and name == "t03-0.bin":
        os.fsync = lambda number: os.kill(os.getpid(), signal.SIGKILL)      # written, not yet in its place
    return content(name)

def work(task):
    if fault == "task raises" and task == "t03":
        raise ArithmeticError("no trajectory")
    for i in range(2):
        yield f"{{task}}-{{i}}.bin", lambda name=f"{{task}}-{{i}}.bin": compute(name)

if __name__ == "__main__":
    sys.exit(run({{f"t{{k:02d}}": [f"t{{k:02d}}-{{i}}.bin" for i in range(2)] for k in range(12)}},
                 work, folder, int(workers), packages=["numpy"]))
"""
FILES = {f"t{k:02d}-{i}.bin" for k in range(12) for i in range(2)}


@pytest.fixture
def start(tmp_path):
    """A function that starts the generator; what still runs at the end of the test is killed."""
    script = tmp_path / "generator.py"
    script.write_text(GENERATOR.format(generate=str(GENERATE)))
    started = []

    def start(fault="none", workers=1):
        started.append(
            subprocess.Popen(
                [sys.executable, script, fault, tmp_path / "out", str(workers)],
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def finish(process):
    """Wait for the end; returns the exit status and what was printed."""
    text = process.communicate(timeout=60)[0]
    return process.returncode, text


def finished(folder):
    """Names of the finished files, each of which must be whole."""
    names = {path.name for path in folder.glob("*.bin*")}
    for name in names:
        assert (folder / name).read_bytes() == name.encode() * 30_000, f"{name} is half written"
    return names


def computed(folder):
    """How often each file was computed, from the log."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return collections.Counter(line["file"] for line in lines if "file" in line)


def wait_for(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise TimeoutError("waited 30 s in vain")


@pytest.mark.parametrize(
    "number, status", [(signal.SIGKILL, -9), (signal.SIGTERM, 130), (signal.SIGINT, 130)]
)
def test_killed_run_goes_on(start, tmp_path, number, status):
    out = tmp_path / "out"
    process = start()
    wait_for(lambda: len(list(out.glob("*.bin"))) >= 3)
    process.send_signal(number)
    code, text = finish(process)
    before = finished(out)
    assert code == status
    assert 3 <= len(before) < len(FILES)
    assert (number == signal.SIGKILL) or "run the same command again" in text

    time.sleep(0.5)
    assert finished(out) == before, "a worker outlived its parent"
    code, text = finish(start())
    assert code == 0 and "All 24 files are done." in text
    assert finished(out) == FILES
    # Killed between a file and its line in the log, a file may lack its line; none has two.
    assert all(computed(out)[name] <= 1 for name in before)
    assert all(computed(out)[name] == 1 for name in FILES - before)


def test_death_while_writing_leaves_no_half_file(start, tmp_path):
    out = tmp_path / "out"
    code, text = finish(start("dies"))
    assert code == 1 and "A worker died" in text
    assert "t03-0.bin" not in finished(out)
    assert (out / "claims" / "t03-0.bin.part").exists()  # it did die in the middle
    assert finish(start())[0] == 0
    assert finished(out) == FILES
    assert not list(out.rglob("*.part"))


def test_workers_and_runs_share_the_tasks(start, tmp_path):
    runs = [start(workers=2), start(workers=1)]
    assert all(finish(process)[0] in (0, 1) for process in runs)  # 1: the other run still had one in hand
    assert finished(tmp_path / "out") == FILES
    assert set(computed(tmp_path / "out").values()) == {1}


@pytest.mark.parametrize(
    "fault, reason, lost",
    [
        ("raises", "no convergence", {"t03-0.bin"}),
        ("task raises", "no trajectory", {"t03-0.bin", "t03-1.bin"}),
    ],
)
def test_failures_are_told_and_tried_again(start, tmp_path, fault, reason, lost):
    out = tmp_path / "out"
    code, text = finish(start(fault))
    assert code == 1
    assert finished(out) == FILES - lost
    for name in lost:
        assert f"{name} failed: ArithmeticError: {reason}" in text
        assert "Traceback" in (out / "failed" / f"{name}.txt").read_text()
    assert finish(start())[0] == 0
    assert finished(out) == FILES
    assert not list((out / "failed").iterdir())


def test_gather_is_reproducible_and_loads(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(GENERATE))
    import common
    import gather
    from mlms_helpers import datasets

    rng = np.random.default_rng(0)
    run, shipped = tmp_path / "run", tmp_path / "lipon"
    run.mkdir(), shipped.mkdir()
    for family in (10, 2):
        share = rng.random((4, 5))
        result = {
            "numbers": [3, 15, 8, 7],
            "positions": rng.normal(size=(4, 3)) * 9,
            "cell": np.eye(3) * 9,
            "family": family,
            "snapshot": 1,
            "phase": "beta",
            "n_nitrogen": 1,
            "temperature": 300.0,
            "energy": -1.23456789,
            "forces": rng.normal(size=(4, 3)),
            "hirshfeld": rng.normal(size=4),
            "potential": rng.normal(size=4) * 100,
            "eps": rng.normal(size=5),
            "occ": [2, 2, 2, 0, 0],
            "share": (share / share.sum(0)).astype("float32"),
        }
        (run / f"k{family:04d}-1.npz").write_bytes(common.npz_bytes(result))
    (shipped / "README.md").write_text(
        "# LiPON\n\n"
        + "".join(f"    {'0' * 64}  {name}\n" for name in ("configurations.extxyz", "levels.npz"))
        + '\n```toml\nper_atom = ["share"]\n[files]\n"levels.npz" = "arrays"\n```\n'
    )

    assert gather.gather([run], shipped) == 2
    assert common.update_checksums(shipped) == ["configurations.extxyz", "levels.npz"]
    assert {entry.date_time[0] for entry in zipfile.ZipFile(shipped / "levels.npz").infolist()} == {
        1980
    }  # no clock
    before = {path.name: path.read_bytes() for path in shipped.iterdir()}
    assert gather.gather([shipped, run], shipped) == 2
    common.update_checksums(shipped)
    assert {path.name: path.read_bytes() for path in shipped.iterdir()} == before

    monkeypatch.setenv("MLMS_DATA", str(tmp_path))
    first, second = datasets.load("lipon").structures
    assert [first.info["config"], second.info["config"]] == ["k0002-1", "k0010-1"]
    np.testing.assert_allclose(second.positions, np.load(run / "k0010-1.npz")["positions"], atol=1e-6)
    np.testing.assert_allclose(first.get_forces(), np.load(run / "k0002-1.npz")["forces"], atol=1e-5)
    np.testing.assert_allclose(first.arrays["share"], np.load(run / "k0002-1.npz")["share"], atol=1e-4)


def test_gather_puts_numbers_where_their_names_say(tmp_path, monkeypatch):
    """Tables of points, properties of elements, molecules without a cell; and what is gathered may be
    gathered again.
    """
    monkeypatch.syspath_prepend(str(GENERATE))
    import common
    import gather
    from mlms_helpers import datasets

    run, shipped = tmp_path / "run", tmp_path / "salt"
    run.mkdir(), shipped.mkdir()
    crystal = {
        "numbers": [11, 9],
        "positions": np.eye(3)[:2] * 2.8,
        "cell": 4 * (1 - np.eye(3)),
        "energy": -6.5,
        "stress": np.arange(6.0),
        "eos/lattice_constant": [5.4, 5.5, 5.6],
        "eos/energy": [-6.4, -6.5, -6.45],
    }
    molecule = {
        "numbers": [11, 9],
        "positions": np.eye(3)[:2] * 2.3,
        "energy": -5.5,
        "forces": np.zeros((2, 3)),
    }
    for name, result in {
        "crystal": crystal,
        "molecule": molecule,
        "element-Na": {"IP": 5.14},
        "element-F": {"IP": 17.42},
    }.items():
        (run / f"{name}.npz").write_bytes(common.npz_bytes(result))
    assert gather.gather([run], shipped) == 2
    assert (shipped / "eos.csv").read_text().splitlines()[:2] == [
        "config,lattice_constant,energy",
        "crystal,5.4,-6.4",
    ]
    (shipped / "README.md").write_text(
        "".join(f"{'0' * 64}  {path.name}\n" for path in shipped.iterdir())
        + '\n```toml\n[files]\n"elements.csv" = "elements"\n"eos.csv" = "rows"\n```\n'
    )
    common.update_checksums(shipped)
    before = {path.name: path.read_bytes() for path in shipped.iterdir()}
    assert gather.gather([shipped], shipped) == 2
    assert {path.name: path.read_bytes() for path in shipped.iterdir()} == before

    monkeypatch.setenv("MLMS_DATA", str(tmp_path))
    (first, second), table, _ = datasets.load("salt")
    assert first.pbc.all() and not second.pbc.any() and not second.cell.any()
    assert first.calc.results.keys() == {"energy", "stress"} and second.calc.results.keys() == {
        "energy",
        "forces",
    }
    assert list(first.info["eos"].energy) == [-6.4, -6.5, -6.45] and "eos" not in second.info
    assert (
        list(table.config) == ["crystal", "molecule"]
        and list(table.A) == ["Na", "Na"]
        and list(table.B) == ["F", "F"]
    )
    assert list(table.IP_A) == [5.14, 5.14] and list(table.IP_B) == [17.42, 17.42]


@pytest.mark.parametrize(
    "name", [path.parent.name for path in GENERATE.parent.glob("*/configurations.extxyz")]
)
def test_shipped_data_gathered_again_are_the_same(name, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(GENERATE))
    import gather

    gather.gather([GENERATE.parent / name], tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {"configurations.extxyz"}
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (GENERATE.parent / name / path.name).read_bytes(), path.name


@pytest.mark.parametrize("guess", [4.0, 5.4, 7.0])
def test_equation_of_state(guess, monkeypatch):
    """From any guess to the minimum of a Birch-Murnaghan curve of known volume, energy, modulus and
    derivative.
    """
    monkeypatch.syspath_prepend(str(GENERATE))
    import eos

    def energy(lattice_constant):
        x = (40 * 4 / lattice_constant**3) ** (2 / 3)
        return -5 + 9 / 16 * 40 * 0.5 * ((x - 1) ** 3 * 4.5 + (x - 1) ** 2 * (6 - 4 * x))

    constants, energies = eos.walk(energy, guess)
    assert eos.REACH <= energies.argmin() < len(energies) - eos.REACH
    np.testing.assert_allclose(np.diff(np.log(constants)), np.log(eos.STEP))
    volume, lowest, modulus, derivative, rms = eos.birch_murnaghan(constants**3 / 4, energies)
    np.testing.assert_allclose([volume, lowest, modulus, derivative, rms], [40, -5, 0.5, 4.5, 0], atol=1e-8)
    with pytest.raises(RuntimeError, match="no minimum among 40"):
        eos.walk(lambda lattice_constant: lattice_constant, guess)


def test_silicon_is_silicon(monkeypatch):
    """Lattice constant, bulk modulus and the cost of vacancies, from the shipped configurations alone."""
    monkeypatch.syspath_prepend(str(GENERATE))
    from ase import units
    from eos import birch_murnaghan

    from mlms_helpers import datasets

    data = datasets.load("silicon")
    relaxed = data.table[data.table.temperature == 0]
    perfect = relaxed[relaxed.n_vacancies == 0]
    volumes = np.array([data.structures[i].get_volume() / 8 for i in perfect.index])  # of the cubic cell
    volume, lowest, modulus, _, _ = birch_murnaghan(volumes, perfect.energy.to_numpy() / 8)
    assert abs(volume ** (1 / 3) - 5.479) < 0.003 and abs(modulus / units.GPa - 89) < 5
    cost = (relaxed.energy - relaxed.n_atoms / 8 * lowest)[relaxed.n_vacancies > 0]
    assert (cost / relaxed.n_vacancies[cost.index]).between(2, 5.5).all()
    rms = [np.sqrt(np.mean(atoms.get_forces() ** 2)) for atoms in data.structures]
    assert data.table.assign(rms=rms).groupby("temperature").rms.mean().is_monotonic_increasing


@pytest.mark.parametrize("text, expected", [("0:70", range(70)), ("28:30", range(28, 30)), ("0:0", range(0))])
def test_a_range_of_families(text, expected, monkeypatch):
    monkeypatch.syspath_prepend(str(GENERATE))
    import common

    assert common.numbers(text) == expected


@pytest.mark.parametrize("text", ["5", "0:b", "1:2:3", ""])
def test_what_is_no_range_of_families(text, monkeypatch):
    monkeypatch.syspath_prepend(str(GENERATE))
    import common

    with pytest.raises(argparse.ArgumentTypeError, match="is not first:last, as 0:70"):
        common.numbers(text)
