"""Potentials: forces are slopes, symmetries hold, a line learns, and bad input is one sentence."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet

from mlms_helpers import potentials
from mlms_helpers.potentials import potential

SMALL = {"cutoff": 3.8, "n_max": 3, "l_max": 2, "mixed": 2}


def labelled(seed, strain=0.02, displacement=0.08):
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", cubic=True)
    atoms.symbols[rng.permutation(len(atoms))[: rng.integers(0, 3)]] = "Au"
    atoms.set_cell(atoms.cell @ (np.eye(3) + strain * rng.normal(size=(3, 3))), scale_atoms=True)
    atoms.positions += displacement * rng.normal(size=atoms.positions.shape)
    return with_labels(atoms)


def with_labels(atoms):
    atoms.calc = EMT()
    results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


@pytest.fixture(scope="module")
def structures():
    return [labelled(seed) for seed in range(36)]


@pytest.fixture(scope="module")
def line(structures):
    return potentials.line(structures[:24], **SMALL)


@pytest.fixture(scope="module")
def pair(structures):
    """A committee of two with networks."""
    return potentials.train(structures[:20], members=2, width=8, epochs=8, **SMALL)


def errors(potential, structures):
    energies, forces = potential.predict(structures)
    true = np.array([a.get_potential_energy() for a in structures])
    n = np.array([len(a) for a in structures])
    misfit = [f - a.get_forces() for f, a in zip(forces, structures, strict=True)]
    return np.sqrt((((energies - true) / n) ** 2).mean()), np.sqrt((np.concatenate(misfit) ** 2).mean())


def test_a_line_learns_energies_and_forces_of_structures_it_has_not_seen(line, structures):
    size = np.sqrt(np.concatenate([a.get_forces() ** 2 for a in structures[24:]]).mean())
    energy, force = errors(line, structures[24:])
    assert energy < 0.01 and force < 0.1 * size


@pytest.mark.parametrize("which", ["line", "pair"])
def test_forces_and_stress_are_slopes_of_the_energy(which, structures, request):
    potential, atoms, step = request.getfixturevalue(which), structures[31].copy(), 1e-4
    _, (forces,) = potential.predict([atoms])
    for a, x in [(0, 0), (2, 1), (len(atoms) - 1, 2)]:
        moved = [atoms.copy(), atoms.copy()]
        moved[0].positions[a, x] -= step
        moved[1].positions[a, x] += step
        low, high = potential.predict(moved)[0]
        assert forces[a, x] == pytest.approx((low - high) / (2 * step), abs=1e-6)
    stress = potential.stress(atoms)
    for place, (a, b) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):
        strained = []
        for sign in (-1, 1):
            strain = np.eye(3)
            strain[a, b] += sign * step / 2
            strain[b, a] += sign * step / 2
            strained.append(atoms.copy())
            strained[-1].set_cell(atoms.cell @ strain, scale_atoms=True)
        low, high = potential.predict(strained)[0]
        assert stress[place] == pytest.approx((high - low) / (2 * step) / atoms.get_volume(), abs=1e-6)


def test_energy_has_the_symmetries_of_physics(pair, structures):
    atoms = structures[32]
    turned = atoms.copy()
    turned.rotate(50, (1, 2, 3), rotate_cell=True)
    energies, forces = pair.predict([atoms, turned, atoms[::-1], atoms.repeat((1, 2, 1))])
    assert energies[1:] == pytest.approx(energies[0] * np.array([1, 1, 2]), abs=1e-6)
    assert forces[2][::-1] == pytest.approx(forces[0], abs=1e-6)
    assert np.abs(forces[0].sum(0)).max() < 1e-9


def test_energy_and_forces_are_smooth_where_an_atom_crosses_the_cutoff(line):
    distance = SMALL["cutoff"] + np.array([-1e-5, 1e-5])
    pairs = [Atoms("Cu2", [[0, 0, 0], [d, 0, 0]]) for d in distance]
    energies, forces = line.predict(pairs)
    assert abs(np.diff(energies)[0]) < 1e-8 and np.abs(forces[1] - forces[0]).max() < 1e-4


def test_a_network_is_never_worse_than_the_line_on_what_is_watched(structures):
    learned, watched = structures[:18], structures[18:20]
    settings = {"validation": watched, **SMALL}
    line = potentials.line(learned, **settings)
    both = potentials.train(learned, width=8, epochs=8, **settings)

    def measure(potential):
        energy, force = errors(potential, watched)
        return 300 * energy**2 + force**2

    assert measure(both) <= measure(line) * 1.05  # the bins weigh structures a little differently


def test_one_program_serves_structures_of_any_size(line, structures):
    """Compiling takes seconds, and dynamics or a larger cell must not pay it again."""
    (one,), _ = line.predict(structures[:1])
    programs = potential._evaluate._cache_size()
    (many,), _ = line.predict([structures[0].repeat((4, 5, 4))])
    assert potential._evaluate._cache_size() == programs
    assert many == pytest.approx(80 * one)


def test_members_differ_and_their_mean_is_told(pair, structures):
    _, forces = pair.predict(structures[33:35])
    spread, spread_of_forces = pair.spread(structures[33:35])
    assert (spread > 0).all() and spread_of_forces[0].shape == forces[0].shape
    with pytest.raises(ValueError, match="members=4"):
        potentials.line(structures[:5], **SMALL).spread(structures[:1])


def test_saved_and_loaded_it_says_the_same(pair, structures, tmp_path):
    pair.save(tmp_path / "pair")
    again = potentials.load(tmp_path / "pair")
    assert again.predict(structures[33:34])[0] == pytest.approx(pair.predict(structures[33:34])[0], abs=1e-12)
    (tmp_path / "other.npz").write_text("no")
    with pytest.raises(ValueError, match="holds no potential"):
        potentials.load(tmp_path / "other.npz")


def test_dynamics_conserve_energy_and_list_neighbours_seldom(line):
    atoms = bulk("Cu", cubic=True).repeat((2, 1, 1))
    atoms.calc = line.calculator(skin=1.0)
    MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=np.random.default_rng(0))
    run = VelocityVerlet(atoms, 1.0 * units.fs)
    total = []
    run.attach(lambda: total.append(atoms.get_total_energy() / len(atoms)))
    run.run(60)
    assert np.ptp(total) < 1e-3
    assert atoms.calc.lists < 6
    fresh = atoms.copy()
    assert atoms.get_potential_energy() == pytest.approx(line.predict([fresh])[0][0], abs=1e-9)


def test_bad_input_is_one_sentence(line, structures):
    good = structures[34]
    with pytest.raises(ValueError, match="never shown Ag"):
        line.predict([Atoms("Ag", cell=[4, 4, 4], pbc=True)])
    close = good.copy()
    close.positions[1] = close.positions[0] + 0.01
    with pytest.raises(ValueError, match="too close"):
        line.predict([close])
    close.positions[1] = close.positions[0]
    with pytest.raises(ValueError, match="lie at one place"):
        line.predict([close])
    close.positions[1] = np.nan
    with pytest.raises(ValueError, match="is not a number"):
        line.predict([close])
    with pytest.raises(ValueError, match="no volume"):
        line.predict([Atoms("Cu", pbc=True)])
    with pytest.raises(ValueError, match="structure 1 has no energy"):
        potentials.line([good, good.copy()], **SMALL)
    bad = good.copy()
    bad.calc = SinglePointCalculator(bad, energy=np.nan, forces=np.zeros((len(bad), 3)))
    with pytest.raises(ValueError, match="not a finite number"):
        potentials.line([good, bad], **SMALL)
    astray = good.copy()
    astray.calc = line.calculator()
    astray.get_forces()
    astray.positions[1] = astray.positions[0] + 0.01
    with pytest.raises(ValueError, match=r"astray|too close"):
        astray.get_forces()


def test_a_cell_smaller_than_the_cutoff_is_no_problem(line):
    atoms = bulk("Cu", cubic=True)
    small, large = line.predict([atoms, atoms.repeat(2)])[0]
    assert large == pytest.approx(8 * small, abs=1e-8)
