"""How far a descriptor can be trusted: its symmetries, jumps and kinks, and which moves it notices.

Here a descriptor is any function `atoms -> array`: [n_atoms, n_features] where there is a row for every atom,
and a single number an atom as a column, [n_atoms, 1]; an array of another shape describes the structure as a
whole.
"""

import timeit
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from ase import Atoms
from scipy.spatial.transform import Rotation

from .neighbours import neighbours


class Jump(NamedTuple):
    """A sudden change of a function of one number."""

    where: float  # the number
    size: float  # largest difference of any number of the function


class Smoothness(NamedTuple):
    """How badly a descriptor breaks while atoms move."""

    jump: float  # the largest of any number, as a share of the largest number
    kink: float  # the largest jump of a derivative, as a share of the largest derivative


def rewritten(atoms: Atoms, seed: int = 0) -> dict[str, tuple[Atoms, np.ndarray]]:
    """The same crystal, written down in four other ways.

    atoms: a crystal or a molecule.
    seed: of the rotation, the shift, the new order.

    Returns {name: (atoms, order)}: turned, shifted, renumbered, cell cut anew (where periodic in three
    directions); row k of the new one was row order[k].
    """
    rng = np.random.default_rng(seed)
    order = np.arange(len(atoms))
    turned, shifted, recut = atoms.copy(), atoms.copy(), atoms.copy()
    matrix = Rotation.random(random_state=rng).as_matrix()
    turned.set_cell(atoms.cell.array @ matrix.T)
    turned.positions = atoms.positions @ matrix.T
    shifted.translate(rng.uniform(-2, 2, 3))
    mixed = rng.permutation(len(atoms))
    out = {"turned": (turned, order), "shifted": (shifted, order), "renumbered": (atoms[mixed], mixed)}
    if atoms.pbc.all():
        a, b, c = atoms.cell.array
        recut.set_cell([a, b + a, c])
        recut.wrap()
        out["cell cut anew"] = recut, order
    return out


def symmetry_errors(descriptor: Callable, atoms: Atoms, seed: int = 0) -> dict[str, float]:
    """By how much a descriptor changes where nothing has.

    descriptor: atoms -> array, see above.
    atoms: a crystal or a molecule.
    seed: as in `rewritten`.

    Returns {name of the change: largest difference of any number, as a share of the largest number}.
    """
    before = np.asarray(descriptor(atoms))
    scale = np.abs(before).max() or 1.0
    out = {}
    for name, (other, order) in rewritten(atoms, seed).items():
        expected = before[order] if before.ndim > 1 and len(before) == len(atoms) else before
        out[name] = float(np.abs(np.asarray(descriptor(other)) - expected).max() / scale)
    return out


def largest_jump(
    function: Callable, start: float, stop: float, steps: int = 200, resolution: float = 1e-9
) -> Jump:
    """The largest sudden change of a function of one number, found by halving suspicious intervals.

    function: number -> array.
    start, stop: where to look.
    steps: intervals to begin with; suspicious are the five whose change differs most from that of the
    intervals beside them, and one for each of the five numbers that do this at one place only.
    resolution: width of the last interval; what still changes over it is a jump.

    Returns where it is, and its size (largest difference of any number).  A jump that is small against what
    curvature
    does in a step can be missed: take more steps.
    Raises ValueError for a way that is empty or has fewer than 4 steps.
    """
    if not start < stop or steps < 4:
        raise ValueError(
            f"the way must lead from a smaller to a larger number in 4 steps or more, "
            f"not from {start} to {stop} in {steps}"
        )
    grid = np.linspace(start, stop, steps + 1)
    values = np.array([np.asarray(function(t)) for t in grid]).reshape(steps + 1, -1)
    changes = np.diff(values, axis=0)
    around = np.concatenate([changes[1:2], (changes[2:] + changes[:-2]) / 2, changes[-2:-1]])
    bends = np.abs(changes - around)
    alone = bends.max(axis=0) / (bends.mean(axis=0) + 1e-9 * np.abs(values).max() + 1e-300)
    suspicious = {*np.argsort(bends.max(axis=1))[-5:], *bends.argmax(axis=0)[np.argsort(alone)[-5:]]}
    ends = [(grid[k : k + 2], values[k : k + 2]) for k in suspicious]
    found = [_halved(function, *interval, resolution) for interval in ends]
    size, where = max((jump.size, jump.where) for jump in found)
    return Jump(where, size)


def _halved(function, places, values, resolution):
    """What is left of the change between two places after halving the interval down to `resolution`."""
    (low, high), (left, right) = places, values
    while high - low > resolution:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        value = np.asarray(function(middle)).ravel()
        if np.abs(value - left).max() > np.abs(right - value).max():
            high, right = middle, value
        else:
            low, left = middle, value
    return Jump(float((low + high) / 2), float(np.abs(right - left).max()))


def smoothness(
    descriptor: Callable, path: Callable, start: float, stop: float, steps: int = 200, delta: float = 1e-5
) -> Smoothness:
    """Jumps of a descriptor and of its derivative while atoms move.

    descriptor: atoms -> array, see above.
    path: number -> `ase.Atoms`, smooth, as one atom that crosses the cutoff.
    start, stop, steps: as in `largest_jump`.
    delta: step of the finite difference that is the derivative.

    Returns jump and kink; where there is a jump, the kink means nothing and is nan.  The derivative is a
    finite difference, so a smooth function has a kink of some thousandths.
    """

    def values(t):
        return np.asarray(descriptor(path(t)))

    def derivative(t):
        return (values(t + delta) - values(t)) / delta

    on_grid = np.array([values(t) for t in np.linspace(start, stop, steps + 1)])
    jump = largest_jump(values, start, stop, steps).size / (np.abs(on_grid).max() or 1.0)
    if jump > 1e-6:
        return Smoothness(jump, float("nan"))
    steepest = np.abs(np.diff(on_grid, axis=0)).max() * steps / (stop - start) or 1.0
    kink = largest_jump(derivative, start, stop, steps, resolution=20 * delta).size / steepest
    return Smoothness(jump, kink)


def sensitivity(descriptor: Callable, atoms: Atoms, moved: Sequence[int], step: float = 1e-4) -> np.ndarray:
    """Which small moves of some atoms a descriptor notices.

    descriptor: atoms -> array, see above; of a descriptor per atom, the rows that count.
    atoms: the structure.
    moved: numbers of the atoms that move.
    step: A.

    Returns the singular values (float64 [3 * len(moved)], descending, per A) of the derivatives by the moves,
    as shares of the descriptor's largest number.  Those that are zero count the independent moves which it
    does not notice. S. N. Pozdnyakov et al., Open Res. Europe 1, 126 (2021), measure descriptors so.
    """
    rows = []
    for atom in moved:
        for axis in range(3):
            there, back = atoms.copy(), atoms.copy()
            there.positions[atom, axis] += step
            back.positions[atom, axis] -= step
            rows.append((np.asarray(descriptor(there)) - np.asarray(descriptor(back))).ravel() / (2 * step))
    values = np.linalg.svd(np.array(rows), compute_uv=False)
    values /= np.abs(np.asarray(descriptor(atoms))).max() or 1.0
    return np.concatenate([values, np.zeros(3 * len(moved) - len(values))])


def survey(
    candidates: dict[str, Callable],
    atoms: Atoms,
    site: int,
    path: Callable,
    start: float,
    stop: float,
    within: float = 2.6,
    steps: int = 200,
) -> pd.DataFrame:
    """All measurements of several descriptors in one table.

    candidates: {name: descriptor}; each is asked about 3 * steps + 600 times.
    atoms: a crystal.
    site: number of the atom whose row is asked about.
    path, start, stop, steps: as in `smoothness`; the atoms of the path are numbered as those of the crystal.
    within: A; the neighbours whose moves count.

    Returns a row a descriptor: numbers (features); the four symmetry errors; jump; kink; moves seen, and of
    how many; weakest (smallest singular value that is not zero, over the largest); ms (a structure, fastest
    of three).
    """
    i, j, _ = neighbours(atoms, within)
    moved = [site, *np.unique(j[(i == site) & (j != site)])]
    rows = {}
    for name, descriptor in candidates.items():

        def of_site(structure, descriptor=descriptor):
            value = np.asarray(descriptor(structure))
            return value[site] if value.ndim > 1 and len(value) == len(structure) else value

        singular = sensitivity(of_site, atoms, moved)
        noticed = singular > 1e-6 * singular.max()
        jump, kink = smoothness(of_site, path, start, stop, steps)
        rows[name] = {
            "numbers": np.asarray(of_site(atoms)).size,
            **symmetry_errors(descriptor, atoms),
            "jump": jump,
            "kink": kink,
            "moves seen": int(noticed.sum()),
            "of": len(singular),
            "weakest": float(singular[noticed].min() / singular.max()) if noticed.any() else 0.0,
            "ms": 1e3 * min(timeit.repeat(lambda f=descriptor: f(atoms), repeat=3, number=1)),
        }
    return pd.DataFrame(rows).T.astype({"numbers": int, "moves seen": int, "of": int})
