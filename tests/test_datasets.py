"""The loader: whole data load, damaged data get one sentence that names the file and the mend."""

import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from mlms_helpers import datasets


def test_load():
    data = datasets.load("lipon")
    assert len(data.structures) == len(data.table) >= 209 and (data.table.n_atoms >= 128).sum() >= 8 and "SHA-256" in data.card
    for atoms, row in zip(data.structures, data.table.itertuples()):
        assert atoms.info["config"] == row.config and atoms.get_potential_energy() == row.energy
        assert atoms.get_forces().shape == (len(atoms), 3)
        assert atoms.arrays["share"].shape == (len(atoms), len(atoms.info["eps"]))
        assert atoms.symbols.count("N") == row.n_nitrogen
        assert atoms.symbols.count("Li") == 3 * atoms.symbols.count("P") + row.n_nitrogen


@pytest.mark.parametrize("name", datasets.names())
def test_nothing_wrong_in(name):
    assert datasets.check(name) == []


@pytest.fixture
def copy(tmp_path, monkeypatch):
    shutil.copytree(datasets.folder() / "lipon", tmp_path / "lipon")
    monkeypatch.setenv("MLMS_DATA", str(tmp_path))
    return tmp_path / "lipon"


@pytest.mark.parametrize("file", ["configurations.extxyz", "levels.npz"])
@pytest.mark.parametrize("damage, error, word", [
    (lambda p: p.unlink(), FileNotFoundError, "missing"),
    (lambda p: p.write_bytes(p.read_bytes()[:1000]), ValueError, "damaged"),
    (lambda p: p.write_bytes(p.read_bytes()[:-1] + b"x"), ValueError, "damaged"),
    (lambda p: p.write_bytes(b""), ValueError, "damaged"),
])
def test_damaged_files(copy, file, damage, error, word):
    damage(copy / file)
    with pytest.raises(error) as problem:
        datasets.load("lipon")
    sentence = str(problem.value)
    assert file in sentence and word in sentence and "git checkout" in sentence and "\n" not in sentence


def test_unknown_name():
    with pytest.raises(ValueError, match="no dataset is called 'lipn'; there are: .*lipon"):
        datasets.load("lipn")


def test_check_finds_faults(monkeypatch):
    """Every kind of fault that the check looks for is put in, one at a time."""
    data = datasets.load("lipon")
    good = data.structures[0]

    def found(change, copies=1, push=0.0, energy=1.0):
        atoms = good.copy()
        atoms.info = {key: np.copy(value) if np.ndim(value) else value for key, value in good.info.items()}
        change(atoms)
        atoms.calc = SinglePointCalculator(atoms, energy=energy * good.get_potential_energy(), forces=good.get_forces() + push)
        monkeypatch.setattr(datasets, "load", lambda name: data._replace(structures=[atoms] * copies))
        return " ".join(datasets.check("lipon"))

    def put(holder, key, value):
        return lambda atoms: getattr(atoms, holder)[key].__setitem__(*value)

    assert found(lambda atoms: None) == ""
    assert "forces do not sum to zero" in found(lambda atoms: None, push=1.0)
    assert "is the same as k0000-0" in found(lambda atoms: None, copies=2)
    assert "apart" in found(lambda atoms: atoms.positions.__setitem__(1, atoms.positions[0] + 0.1))
    assert "Hirshfeld" in found(put("arrays", "hirshfeld", (slice(None), 0.1)))
    assert "partly" in found(put("info", "occ", (5, 1.4)))
    assert "shares" in found(put("arrays", "share", (0, 0.5)))
    assert "not a number" in found(put("arrays", "potential", (0, np.nan)))
    assert "from all others" in found(lambda atoms: (atoms.set_pbc(False), atoms.positions.__setitem__(0, -9.0)))
    assert "eV an atom" in found(lambda atoms: None, energy=14.4)
    points = pd.DataFrame({"lattice_constant": [5.4, 5.5, 5.6], "energy": [-6.5, -6.4, -6.3]})
    assert "end of the equation of state" in found(lambda atoms: atoms.info.update(eos=points))


def test_check_from_the_command_line():
    done = subprocess.run([sys.executable, "-m", "mlms_helpers.datasets", "check"], capture_output=True, text=True)
    assert done.returncode == 0 and "no fault" in done.stdout
