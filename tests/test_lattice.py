"""Lattice models: correlations against icet, Monte Carlo against enumeration, networks against symmetry."""

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from ase.units import kB

from mlms_helpers import lattice, models, training
from tools import icet
from tools.icet import primitive

BOX = (3, 3, 1)


@pytest.fixture(scope="module")
def plane():
    """Orbits in one plane."""
    return lattice.orbits(primitive((True, True, False)), {2: 7.0, 3: 6.0, 4: 6.0})


@pytest.fixture(scope="module")
def weights(plane):
    """Interactions that are all at work at 600 K."""
    w = np.zeros(len(plane))
    for column, orbit in enumerate(plane):
        w[column] = {0: -0.01, 1: 0.02, 2: 0.08 / max(orbit.length, 1), 3: 0.01, 4: -0.01}[orbit.order]
    return w


@pytest.fixture(scope="module")
def states(plane, weights):
    """All orderings of a small box, their energies (eV) and shares of filled sites."""
    filled = (np.arange(512)[:, None] >> np.arange(9)) % 2 == 1
    shape = np.diag(BOX)
    energy = 9 * lattice.correlations(plane, [lattice.Ordering(shape, row) for row in filled]) @ weights
    return filled, energy, filled.mean(axis=1)


def test_correlations_are_those_of_icet():
    found, n_orderings, apart = icet.difference()
    theirs = sorted(zip(icet.REFERENCE["order"], icet.REFERENCE["multiplicity"], strict=True))
    assert sorted((o.order, o.multiplicity) for o in found) == theirs
    assert n_orderings == 20 and apart < 1e-10


def test_hermite_keeps_the_lattice():
    rng = np.random.default_rng(0)
    for _ in range(20):
        matrix = rng.integers(-4, 5, (3, 3))
        if round(np.linalg.det(matrix)) == 0:
            continue
        shape = lattice.hermite(matrix)
        change = matrix @ np.linalg.inv(shape)
        assert np.allclose(change, np.rint(change)) and np.isclose(abs(np.linalg.det(change)), 1)
        assert (np.tril(shape, -1) == 0).all() and (np.diag(shape) > 0).all()
        at = lattice.sites(shape)
        assert len(at) == abs(round(np.linalg.det(matrix)))
        moved = at + rng.integers(-3, 4, (len(at), 3)) @ matrix
        assert (lattice.fold(moved, shape) == np.arange(len(at))).all()
    with pytest.raises(ValueError, match="no volume"):
        lattice.hermite([[1, 0, 0], [2, 0, 0], [0, 0, 1]])


def ordered(matrix, filled, seed=0, rattle=0.15):
    """A supercell with Li on some of its sites, turned, strained and rattled."""
    atoms = make_supercell(primitive(), matrix)
    del atoms[np.delete(np.flatnonzero(atoms.symbols == "Li"), filled)]
    atoms.set_cell(atoms.cell.array @ np.diag([1.01, 1.01, 0.96]), scale_atoms=True)
    atoms.rotate(37, (1, 2, 3), rotate_cell=True)
    atoms.rattle(rattle, seed=seed)
    return atoms


@pytest.mark.parametrize(
    "matrix", [np.diag([3, 2, 1]), [[2, 1, 0], [-1, 1, 0], [0, 0, 2]], [[1, 2, 0], [-2, 1, 1], [1, 0, 1]]]
)
def test_relaxed_structures_find_their_sites(matrix):
    found = lattice.orbits(primitive(), {2: 8.0, 3: 6.0})
    relaxed, ideal = ordered(matrix, [0, 1, 3]), ordered(matrix, [0, 1, 3], rattle=0)
    (one, two), table = lattice.place([relaxed, ideal], primitive())
    assert (table.why == "").all() and 0.05 < table.farthest[0] < 0.8 and table.farthest[1] < 1e-6
    assert np.allclose(lattice.correlations(found, [one]), lattice.correlations(found, [two]))
    assert np.isclose(one.x, table.x[0]) and one.occupied.sum() == 3
    distances = ideal[ideal.symbols == "Li"].get_all_distances(mic=True)
    assert distances[np.triu_indices(3, 1)].min() > 3.4  # they are apart, and so are their sites


def test_structures_that_fell_off_are_listed():
    good, hole, shared, other = (ordered(np.diag([3, 2, 1]), [0, 1, 3], rattle=0) for _ in range(4))
    lithium = np.flatnonzero(hole.symbols == "Li")
    hole.positions[lithium[0]] += 1.9 * hole.cell.array[0] / np.linalg.norm(hole.cell.array[0])
    shared.positions[lithium[0]] = shared.positions[lithium[1]] + 0.5
    other.set_cell(other.cell.array * 1.4, scale_atoms=True)
    orderings, table = lattice.place([good, hole, shared, other, Atoms("Li", cell=[3, 3, 3])], primitive())
    assert [o is None for o in orderings] == [False, True, True, True, True]
    for said, words in zip(
        table.why, ["", "from the nearest", "share a site", "form the lattice", "no Ti"], strict=True
    ):
        assert words in said
    with pytest.raises(ValueError, match="one Fe"):
        lattice.place([good], primitive(), host="Fe")


def test_sites_add_up_to_correlations(plane):
    orderings = lattice.enumerate_orderings(4)
    means = [lattice.site_correlations(plane, ordering).mean(axis=0) for ordering in orderings]
    assert np.allclose(means, lattice.correlations(plane, orderings))


def test_distinct_orderings_are_those_known(plane):
    """2, 1, 4, 8, 12: the orderings of 1 to 5 sites, as data/generate/lixtis2_cells.py counts them."""
    many = lattice.orbits(primitive((True, True, False)), {2: 16.0, 3: 8.0})
    orderings = lattice.enumerate_orderings(5)
    first, _ = lattice.distinct(many, orderings)
    sizes = [len(orderings[k].occupied) for k in first]
    assert np.bincount(sizes).tolist() == [0, 2, 1, 4, 8, 12]


def test_formation_is_zero_at_the_ends_and_linear(plane):
    orderings = lattice.enumerate_orderings(3)
    values, x = lattice.correlations(plane, orderings), np.array([o.x for o in orderings])
    slopes = np.random.default_rng(0).normal(size=len(plane) - 2)
    mixed = lattice.formation(plane, values, x)
    assert np.allclose(mixed[(x == 0) | (x == 1)], 0) and np.allclose(mixed[:, :2], 0)
    columns = range(2, len(plane))
    assert np.allclose(values @ lattice.weights_of(plane, columns, slopes), mixed[:, 2:] @ slopes)


def test_hull():
    x = np.array([0, 1, 0.5, 0.5, 0.25, 0.75, 0.25])
    energy = np.array([0, 0, -1.0, -0.9, -0.5, -0.4, -0.7])
    corners = lattice.hull(x, energy)
    assert corners.tolist() == [0, 6, 2, 1]  # three in a line: no corner; two at one x: the lower
    above = lattice.above_hull(x, energy, corners)
    assert above.min() >= -1e-12 and np.isclose(above[5], 0.1) and np.isclose(above[3], 0.1)
    with pytest.raises(ValueError, match="finite"):
        lattice.hull(x, energy * np.nan)


@pytest.mark.parametrize("move", [lattice._flips, lattice._swaps], ids=["semi-grand", "canonical"])
def test_a_move_keeps_detailed_balance(plane, weights, states, move):
    """Chains begin as Boltzmann has them: whatever goes from a to b in a move comes back from b to a."""
    filled, energy, x = states
    n, beta, mu = 20000, 1 / (kB * 600), 0.05 if move is lattice._flips else 0.0
    chance = np.exp(-beta * (energy - 9 * mu * x - (energy - 9 * mu * x).min()))
    before = np.random.default_rng(1).choice(512, size=n, p=chance / chance.sum())
    classes, tables = lattice._tables(plane, weights[None], BOX)
    spins = np.ones((10, n), "float32")
    spins[:9] = np.where(filled[before][:, classes].T, 1, -1)
    betas, mus = np.full(n, beta, "float32"), np.full(n, mu, "float32")
    scores = []
    for seed in range(6):
        moved, _, found = move(spins, jax.random.PRNGKey(seed), 1, betas, mus, *tables)
        back = np.empty((n, 9), bool)
        back[:, classes] = np.asarray(moved)[:9].T > 0
        after = back @ (1 << np.arange(9))
        assert np.allclose(9 * weights[0] + found, energy[after], atol=1e-4)
        assert move is lattice._flips or (x[after] == x[before]).all()
        assert 0.05 < (after != before).mean() < 0.95
        flow = np.zeros((512, 512))
        np.add.at(flow, (before, after), 1)
        there, come = (f[np.triu_indices(512, 1)] for f in (flow, flow.T))
        many = there + come > 20
        scores += ((there - come)[many] ** 2 / (there + come)[many]).tolist()
    assert len(scores) > 50 and abs(np.mean(scores) - 1) < 5 * np.sqrt(2 / len(scores))


def test_monte_carlo_ends_at_boltzmann(plane, weights, states):
    """From anywhere, each chain at its own temperature and potential, to the sums over all states."""
    _, energy, x = states
    temperature, mu = np.repeat([400.0, 900.0], 1500), np.tile([0.0, 0.1], 1500)
    run = lattice.monte_carlo(plane, weights, BOX, temperature, mu, samples=30, every=2, start=0.3, seed=0)
    for t in (400.0, 900.0):
        for m in (0.0, 0.1):
            mine = (temperature == t) & (mu == m)
            chance = np.exp(-(energy - 9 * m * x) / (kB * t))
            chance /= chance.sum()
            for seen, true in ((run.x, x), (run.energy, energy / 9)):
                means = seen[10:, mine].mean(axis=0)
                error = means.std(ddof=1) / np.sqrt(mine.sum())
                assert abs(means.mean() - chance @ true) < 4 * error


def test_weights_may_differ_from_chain_to_chain(plane, weights):
    both = np.array([weights, 2 * weights])
    run = lattice.monte_carlo(plane, both, (6, 6, 1), 500, 0.0, samples=3)
    values = lattice.correlations(
        plane, [lattice.Ordering(np.diag((6, 6, 1)), o.ravel()) for o in run.occupied]
    )
    assert np.allclose((values * both).sum(axis=1), run.energy[-1], atol=1e-5)
    assert run.moves == 3 * 2 * 36


def test_a_run_can_be_watched_stopped_and_repeated(plane, weights):
    seen = []
    run = lattice.monte_carlo(
        plane, weights, BOX, 600, 0.0, samples=9, watch=lambda so_far: seen.append(so_far) or len(seen) == 3
    )
    again = lattice.monte_carlo(plane, weights, BOX, 600, 0.0, samples=3)
    assert len(run.x) == len(seen) == 3 and (run.occupied == again.occupied).all()
    assert (run.x == again.x).all() and (run.energy == again.energy).all()


def test_what_cannot_be_simulated_gets_a_sentence(plane, weights):
    with pytest.raises(ValueError, match="meets itself"):
        lattice.monte_carlo(plane, weights, (2, 2, 1), 600, 0.0)
    with pytest.raises(ValueError, match="one column"):
        lattice.monte_carlo(plane, weights[:3], BOX, 600, 0.0)
    with pytest.raises(ValueError, match="nothing to simulate"):
        lattice.monte_carlo(plane, 0 * weights, BOX, 600, 0.0)


def test_network_is_a_formation_energy_of_the_lattice(plane):
    """Zero at both ends, the same in a cell twice as large and for a turned ordering; other for another."""
    turn = np.array([[1, 1], [-1, 0]])  # by 60 degrees, for axes at 120
    one = lattice.Ordering(np.diag([4, 3, 1]), np.arange(12) % 5 < 2)
    at = lattice.sites(one.shape)[one.occupied][:, :2] @ turn
    shape = lattice.hermite(np.block([[np.diag([4, 3]) @ turn, np.zeros((2, 1))], [0, 0, 1]]))
    turned = np.zeros(12, bool)
    turned[lattice.fold(np.pad(at, [(0, 0), (0, 1)]), shape)] = True
    double = lattice.Ordering(np.diag([8, 3, 1]), np.tile(one.occupied, 2))
    ends = [lattice.Ordering(np.eye(3, dtype=int), np.array([filled])) for filled in (False, True)]
    row = lattice.Ordering(np.diag([2, 1, 1]), np.array([True, False]))
    orderings = [*ends, one, double, lattice.Ordering(shape, turned), row]
    x = lattice.network_input(orderings, plane[1:2], plane[2:4])
    net = lattice.network(x, np.array([0, 0.1]), width=8, layers=2, seed=3)
    empty, full, first, *others, last = models.predict(net, x)
    assert np.allclose([empty, full], 0, atol=1e-6) and np.allclose(others, first, atol=1e-6)
    assert abs(first) > 1e-3 and abs(last - first) > 2e-5


def test_network_trains_in_an_ensemble(plane):
    orderings = lattice.enumerate_orderings(3, 2)
    x = lattice.network_input(orderings, plane[1:3])
    values = lattice.correlations(plane, orderings)
    y = 50 * lattice.formation(plane, values, [o.x for o in orderings])[:, 2]
    nets = [lattice.network(x, y, width=8, seed=seed) for seed in range(2)]
    history = training.fit_ensemble(nets, x, y, epochs=200, batch_size=16, learning_rate=0.01)
    assert (history.loss[:, -1] < 0.1 * y.std()).all()
