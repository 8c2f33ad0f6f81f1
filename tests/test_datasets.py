"""The loader: whole data load, damaged data get one sentence that names the file and the mend."""

import hashlib
import io
import shutil
import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from mlms_helpers import datasets


def test_load():
    data = datasets.load("lipon")
    assert (
        len(data.structures) == len(data.table) >= 209
        and (data.table.n_atoms >= 128).sum() >= 8
        and "SHA-256" in data.card
    )
    for atoms, row in zip(data.structures, data.table.itertuples(), strict=True):
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
@pytest.mark.parametrize(
    "damage, error, word",
    [
        (lambda p: p.unlink(), FileNotFoundError, "missing"),
        (lambda p: p.write_bytes(p.read_bytes()[:1000]), ValueError, "damaged"),
        (lambda p: p.write_bytes(p.read_bytes()[:-1] + b"x"), ValueError, "damaged"),
        (lambda p: p.write_bytes(b""), ValueError, "damaged"),
    ],
)
def test_damaged_files(copy, file, damage, error, word):
    damage(copy / file)
    with pytest.raises(error) as problem:
        datasets.load("lipon")
    sentence = str(problem.value)
    assert file in sentence and word in sentence and "git checkout" in sentence and "\n" not in sentence


@pytest.mark.parametrize("name", ["lipn", "", ".", "../lipon", "generate"])
def test_unknown_name(name):
    with pytest.raises(ValueError, match=f"no dataset is called '{name}'; there are: .*lipon"):
        datasets.load(name)


def small(folder, block="", more=(), name="salt"):
    """A dataset of two structures; more: {file name: text or bytes}; the card has checksums and block."""
    here = folder / name
    here.mkdir()
    for config, a in (("one", 5.6), ("two", 4.0)):
        atoms = bulk("NaCl", "rocksalt", a=a)
        atoms.info["config"] = config
        atoms.calc = SinglePointCalculator(atoms, energy=-7.0)
        ase.io.write(here / "configurations.extxyz", atoms, append=True)
    for file, content in dict(more).items():
        (here / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    sums = [f"    {hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in sorted(here.iterdir())]
    card = "# Salt\n\n" + "".join(sums) + (f"\n```toml\n{block}\n```\n" if block else "")
    (here / "README.md").write_text(card, "utf-8")
    return here


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MLMS_DATA", str(tmp_path))
    return tmp_path


def test_a_card_without_a_block_is_enough(home):
    small(home)
    data = datasets.load("salt")
    assert list(data.table.config) == ["one", "two"] and list(data.table.energy) == [-7.0, -7.0]
    assert datasets.check("salt") == []


def test_the_card_says_what_the_files_are(home):
    arrays = io.BytesIO()
    np.savez(arrays, **{"one/charge": [1.0, -1.0], "one/gap": [5.0], "two/charge": [0.9, -0.9]})
    block = """energy_per_atom = [-4, -3]
per_atom = ["charge"]
[files]
"more.npz" = "arrays"
"atoms.csv" = "elements"
"steps.csv" = "rows"
"fast.csv" = "columns"
"""
    files = {
        "more.npz": arrays.getvalue(),
        "atoms.csv": "element,r\nCl,1.8\nNa,1.0\nK,1.4\n",
        "steps.csv": "config,step,energy\none,0,-6\ntwo,0,-5\none,1,-7\n",
        "fast.csv": "config,energy_fast\ntwo,-6.5\none,-7.5\n",
    }
    small(home, block, files)
    (one, two), table, _ = datasets.load("salt")
    np.testing.assert_array_equal(two.arrays["charge"], [0.9, -0.9])
    np.testing.assert_array_equal(one.info["gap"], [5.0])
    assert "charge" not in one.info and "gap" not in two.info
    assert list(table.r_A) == [1.0, 1.0] and list(table.r_B) == [1.8, 1.8] and list(table.A) == ["Na", "Na"]
    assert list(one.info["steps"].columns) == ["step", "energy"]
    assert list(one.info["steps"].energy) == [-6, -7] and list(two.info["steps"].energy) == [-5]
    assert list(table.energy_fast) == [-7.5, -6.5]  # joined by name, not by order
    assert datasets.check("salt") == []


def test_the_range_of_energies_is_that_of_the_card(home):
    small(home, "energy_per_atom = [-3, 0]")
    assert datasets.check("salt") == [
        f"salt, {config}: the energy is -3.500 eV an atom, not between -3 and 0" for config in ("one", "two")
    ]


@pytest.mark.parametrize("allowed, faults", [(0.03, 0), (0.01, 1)])
def test_how_far_a_band_may_be_filled_in_part_is_said_by_the_card(home, allowed, faults):
    arrays = io.BytesIO()
    np.savez(arrays, **{"one/occ": [2.0, 1.98, 0.02], "two/occ": [2.0, 2.0, 0.0]})
    block = f'partly_filled = {allowed}\n[files]\n"more.npz" = "arrays"\n'
    small(home, block, {"more.npz": arrays.getvalue()})
    assert datasets.check("salt") == ["salt, one: a band is partly filled"] * faults


@pytest.mark.parametrize(
    "damage, error, word",
    [
        (lambda card: card.unlink(), FileNotFoundError, "is missing"),
        (lambda card: card.write_bytes(b""), ValueError, "no checksums"),
        (lambda card: card.write_bytes(card.read_bytes() + b"\n\xe4\n"), ValueError, "not UTF-8"),
        (lambda card: card.write_text(card.read_text().replace("[-8", "[-8 oops")), ValueError, "toml block"),
        (
            lambda card: card.write_text(card.read_text().replace("  levels", " levels")),
            ValueError,
            "no SHA-256",
        ),
    ],
)
def test_damaged_card(copy, damage, error, word):
    """It gets a sentence of its own, and keeps no other dataset from loading."""
    small(copy.parent)
    damage(copy / "README.md")
    with pytest.raises(error) as problem:
        datasets.load("lipon")
    sentence = str(problem.value)
    assert (
        "lipon/README.md" in sentence
        and word in sentence
        and "git checkout" in sentence
        and "\n" not in sentence
    )
    assert len(datasets.load("salt").structures) == 2 and "salt" in datasets.names()


def test_a_kind_of_file_that_nobody_knows(home):
    small(home, '[files]\n"x.csv" = "colums"', {"x.csv": "config\none\n"})
    with pytest.raises(ValueError, match="arrays, elements, rows or columns, not colums"):
        datasets.load("salt")


def test_the_loader_knows_no_dataset_by_name():
    code = Path(datasets.__file__).read_text()
    code = code[code.index("import hashlib") :]  # the example of a card above it has file names
    assert not [word for word in [*datasets.names(), "levels.npz", "elements.csv", "eos.csv"] if word in code]


def test_check_finds_faults(monkeypatch):
    """Every kind of fault that the check looks for is put in, one at a time."""
    data = datasets.load("lipon")
    good = data.structures[0]

    def found(change, copies=1, push=0.0, energy=1.0):
        atoms = good.copy()
        atoms.info = {key: np.copy(value) if np.ndim(value) else value for key, value in good.info.items()}
        change(atoms)
        atoms.calc = SinglePointCalculator(
            atoms, energy=energy * good.get_potential_energy(), forces=good.get_forces() + push
        )
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
    assert "from all others" in found(
        lambda atoms: (atoms.set_pbc(False), atoms.positions.__setitem__(0, -9.0))
    )
    assert "eV an atom" in found(lambda atoms: None, energy=14.4)
    points = pd.DataFrame({"lattice_constant": [5.4, 5.5, 5.6], "energy": [-6.5, -6.4, -6.3]})
    assert "end of the equation of state" in found(lambda atoms: atoms.info.update(eos=points))


def test_check_from_the_command_line():
    done = subprocess.run(
        [sys.executable, "-m", "mlms_helpers.datasets", "check"], capture_output=True, text=True
    )
    assert done.returncode == 0 and "no fault" in done.stdout
