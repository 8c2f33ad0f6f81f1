"""How good a descriptor is, measured: its symmetries, its jumps and kinks, and which moves of the atoms it notices.

Here a descriptor is any function `see(atoms) -> array`: [n_atoms, n_features] where there is a row for every atom, and a single
number an atom as a column, [n_atoms, 1]; an array of another shape describes the structure as a whole.
"""

import time

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

from .neighbourhoods import neighbours


def changed_descriptions(atoms, seed=0):
    """The same crystal, written down in four other ways.

    Returns {name: (atoms, order)}: turned, shifted, renumbered, cell cut anew; row k of the new one was row order[k].
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


def symmetry_errors(see, atoms, seed=0):
    """By how much a descriptor changes where nothing has.

    see: see above.   atoms: `ase.Atoms`.   seed: of the rotation, the shift, the new order.

    Returns {name of the change: largest difference of any number, as a share of the largest number}.
    """
    before = np.asarray(see(atoms))
    scale = np.abs(before).max() or 1.0
    out = {}
    for name, (other, order) in changed_descriptions(atoms, seed).items():
        expected = before[order] if before.ndim > 1 and len(before) == len(atoms) else before
        out[name] = float(np.abs(np.asarray(see(other)) - expected).max() / scale)
    return out


def largest_jump(function, start, stop, steps=200, resolution=1e-9):
    """The largest sudden change of a function of one number, found by halving suspicious intervals again and again.

    function: number -> array.   start, stop: where to look.   steps: intervals to begin with; suspicious are the five whose
    change differs most from that of the intervals beside them, and one for each of the five numbers that do this at one place
    only.   resolution: width of the last interval; what still changes over it is a jump.

    Returns where it is, and its size (largest difference of any number).  A jump that is small against what curvature does in a
    step can be missed: take more steps.
    """
    if not start < stop or steps < 4:
        raise ValueError(f"the way must lead from a smaller to a larger number in 4 steps or more, "
                         f"not from {start} to {stop} in {steps}")
    grid = np.linspace(start, stop, steps + 1)
    values = np.array([np.asarray(function(t)) for t in grid]).reshape(steps + 1, -1)
    changes = np.diff(values, axis=0)
    around = np.concatenate([changes[1:2], (changes[2:] + changes[:-2]) / 2, changes[-2:-1]])
    bends = np.abs(changes - around)
    alone = bends.max(axis=0) / (bends.mean(axis=0) + 1e-9 * np.abs(values).max() + 1e-300)
    found = []
    for number in {*np.argsort(bends.max(axis=1))[-5:], *bends.argmax(axis=0)[np.argsort(alone)[-5:]]}:
        (low, high), (left, right) = grid[number:number + 2], values[number:number + 2]
        while high - low > resolution:
            middle = (low + high) / 2
            if middle in (low, high):
                break
            value = np.asarray(function(middle)).ravel()
            if np.abs(value - left).max() > np.abs(right - value).max():
                high, right = middle, value
            else:
                low, left = middle, value
        found.append((float(np.abs(right - left).max()), float((low + high) / 2)))
    size, where = max(found)
    return where, size


def smoothness(see, path, start, stop, steps=200, delta=1e-5):
    """Jumps of a descriptor and of its slope while atoms move.

    path: number -> `ase.Atoms`, smooth, as one atom that crosses the cutoff.   start, stop, steps: as in `largest_jump`.
    delta: step of the finite difference that is the slope.

    Returns jump, the largest of any number as a share of the largest number; kink, the largest jump of a slope as a share of the
    largest slope (where there is a jump, the kink means nothing and is nan).  The slope is a finite difference, so a smooth
    function has a kink of some thousandths.
    """
    values = np.array([np.asarray(see(path(t))) for t in np.linspace(start, stop, steps + 1)])
    jump = largest_jump(lambda t: see(path(t)), start, stop, steps)[1] / (np.abs(values).max() or 1.0)
    if jump > 1e-6:
        return jump, float("nan")
    slope = lambda t: (np.asarray(see(path(t + delta))) - np.asarray(see(path(t)))) / delta
    steepest = np.abs(np.diff(values, axis=0)).max() * steps / (stop - start) or 1.0
    return jump, largest_jump(slope, start, stop, steps, resolution=20 * delta)[1] / steepest


def sensitivity(see, atoms, moved, step=1e-4):
    """Which small moves of some atoms a descriptor notices.

    see: see above; of a descriptor per atom, the rows that count.   moved: numbers of the atoms that move.   step: A.

    Returns the singular values (float64 [3 * len(moved)], descending, per A) of the derivatives by the moves, as shares of the
    descriptor's largest number.  Those that are zero count the independent moves which the descriptor does not see.
    S. N. Pozdnyakov et al., Open Res. Europe 1, 126 (2021), measure descriptors so.
    """
    rows = []
    for atom in moved:
        for axis in range(3):
            there, back = atoms.copy(), atoms.copy()
            there.positions[atom, axis] += step
            back.positions[atom, axis] -= step
            rows.append((np.asarray(see(there)) - np.asarray(see(back))).ravel() / (2 * step))
    values = np.linalg.svd(np.array(rows), compute_uv=False) / (np.abs(np.asarray(see(atoms))).max() or 1.0)
    return np.concatenate([values, np.zeros(3 * len(moved) - len(values))])


def survey(candidates, atoms, site, path, start, stop, within=2.6, steps=200):
    """All measurements of several descriptors in one table.

    candidates: {name: see}; each is asked about 3 * steps + 600 times.   atoms: a crystal.   site: number of the atom whose row
    is asked about.   path, start, stop, steps: as in `smoothness`; the atoms of the path are numbered as those of the crystal.
    within: A; the neighbours whose moves count.

    Returns a pandas.DataFrame, a row a descriptor: numbers (features); the four symmetry errors; jump; kink; moves seen, and of
    how many; weakest (smallest singular value that is not zero, over the largest); ms (a structure, fastest of three).
    """
    i, j, r = neighbours(atoms, within)
    moved = [site, *np.unique(j[(i == site) & (j != site)])]
    rows = {}
    for name, see in candidates.items():
        def of_site(structure, see=see):
            value = np.asarray(see(structure))
            return value[site] if value.ndim > 1 and len(value) == len(structure) else value
        singular = sensitivity(of_site, atoms, moved)
        seen = singular > 1e-6 * singular.max()
        jump, kink = smoothness(of_site, path, start, stop, steps)
        seconds = []
        for _ in range(3):
            begin = time.perf_counter()
            see(atoms)
            seconds.append(time.perf_counter() - begin)
        rows[name] = {"numbers": np.asarray(of_site(atoms)).size, **symmetry_errors(see, atoms), "jump": jump, "kink": kink,
                      "moves seen": int(seen.sum()), "of": len(singular),
                      "weakest": float(singular[seen].min() / singular.max()) if seen.any() else 0.0, "ms": 1e3 * min(seconds)}
    return pd.DataFrame(rows).T.astype({"numbers": int, "moves seen": int, "of": int})
