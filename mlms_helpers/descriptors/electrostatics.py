"""What the charges of all other ions do to an ion: the long-range physics in one number, the field in six."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms
from scipy.special import erfc

from ._checks import validated
from .neighbours import cutoff_function, distinct_neighbours

NOMINAL_CHARGES = {"Li": 1.0, "P": 5.0, "O": -2.0, "N": -3.0}  # elementary charges, ionic limit
COULOMB = 14.399645  # e^2 / (4 pi eps0), eV A
ACCURACY = 1e-10  # of Ewald sums: what is left out is about this part of what is kept
ENTRIES = 2**23  # numbers of a sum that are held at once


def madelung_potential(
    structures: Sequence[Atoms], charges: Mapping[str, float] | Sequence[np.ndarray] | None = None
) -> np.ndarray:
    """Electrostatic potential of point charges at every atom, by Ewald summation, one number an atom.

    structures: periodic in three directions.
    charges: {symbol: charge in e}, or a list with an array of charges (e, one an atom) for each structure, of
    any sizes; default, `NOMINAL_CHARGES`.

    Returns float64 [n_atoms_total], V: the potential at an atom of all other charges and of all images, its
    own included.  The potential *energy* of an electron there is minus this, in eV.
    Raises ValueError for a cell that is not neutral or not periodic, two ions at one place, an atom without a
    charge, or charges of another number of structures.
    P. P. Ewald, Ann. Phys. 369, 253 (1921); M. P. Allen and D. J. Tildesley, Computer Simulation of
    Liquids (2017), sect. 6.2 (conducting boundary).
    """
    structures = validated(structures)
    charges = _charges(structures, charges)
    found = [_potential(*pair, number) for number, pair in enumerate(zip(structures, charges, strict=True))]
    return np.concatenate(found)


def madelung_labels(structures, charges):
    return ["Madelung potential (V)"]


def madelung_derivatives(atoms, charges):
    (q,) = _charges([atoms], charges)
    _check_neutral(atoms, q, 0)
    n = len(atoms)
    out = -q[:, None] * ewald_pair_derivatives(atoms).transpose(1, 2, 0)
    out[np.arange(n), np.arange(n)] = -out.sum(axis=1)
    return COULOMB * out[:, None]


def crystal_field(
    structures: Sequence[Atoms],
    cutoff: float = 7.0,
    charges: Mapping[str, float] | Sequence[np.ndarray] | None = None,
) -> np.ndarray:
    """What the neighbours' point charges do to a p shell: field and field gradient, six numbers an atom.

    structures: periodic or not.
    cutoff: A, of the smoothed sum over neighbours.
    charges: as in `madelung_potential`.

    Returns float64 [n_atoms_total, 6]: the three eigenvalues (ascending, V/A^2) of the tensor
    sum_j q_j (3 r r - r^2) / r^5 (second derivatives of the potential, which split the p levels), the size of
    the field (V/A), its component along the bond to the nearest cation (V/A), and the length of that bond (A;
    the cutoff where there is none).  Invariant, though made of vectors: only lengths, projections and
    eigenvalues are kept.  Where two cations are equally near the first counts, so the component along the
    bond jumps there (notebook 04 shows it).
    Raises ValueError as `madelung_potential` does, but for the cell.
    """
    structures = validated(structures)
    rows = []
    for number, (atoms, q) in enumerate(zip(structures, _charges(structures, charges), strict=True)):
        i, j, r, d = distinct_neighbours(atoms, cutoff, number)
        w = COULOMB * q[j] * cutoff_function(d, cutoff)
        traceless = 3 * r[:, :, None] * r[:, None, :] - (d**2)[:, None, None] * np.eye(3)
        pairs = np.column_stack(
            [((w / d**5)[:, None, None] * traceless).reshape(-1, 9), -(w / d**3)[:, None] * r]
        )
        sums = np.stack([np.bincount(i, column, len(atoms)) for column in pairs.T], axis=1)
        tensor, field = sums[:, :9].reshape(-1, 3, 3), sums[:, 9:]
        bond, direction = np.full(len(atoms), float(cutoff)), np.zeros((len(atoms), 3))
        cations = np.flatnonzero(q[j] > 0)
        p = cations[np.argsort(-d[cations], kind="stable")]
        bond[i[p]], direction[i[p]] = d[p], r[p] / d[p][:, None]  # the nearest comes last, and stays
        along = (field * direction).sum(axis=1)
        size = np.linalg.norm(field, axis=1)
        rows.append(np.column_stack([np.linalg.eigvalsh(tensor), size, along, bond]))
    return np.concatenate(rows)


def crystal_field_labels(structures, cutoff, charges):
    eigenvalues = [f"field gradient, eigenvalue {k} (V/A^2)" for k in (1, 2, 3)]
    return [*eigenvalues, "field (V/A)", "field along the bond (V/A)", "bond (A)"]


class Ewald(NamedTuple):
    """What Ewald sums are made of."""

    alpha: float  # inverse width of the Gaussians, 1/A
    reach: float  # of the sum over neighbours, A
    k: np.ndarray  # reciprocal vectors [n, 3], 1/A
    weight: np.ndarray  # of each of them, 1/A


def ewald_parts(atoms: Atoms, stretch: float = 1.0) -> Ewald:
    """An inverse width that shares the work evenly between both sums, and what follows from it.

    stretch: another inverse width, as a multiple; no sum depends on it.
    """
    cell = np.asarray(atoms.cell)
    volume = abs(np.linalg.det(cell))
    alpha = stretch * np.sqrt(np.pi) * (len(atoms) / volume**2) ** (1 / 6)
    reach = np.sqrt(-np.log(ACCURACY))
    k = _half_space(cell, 2 * alpha * reach)
    k2 = (k**2).sum(1)
    return Ewald(alpha, reach / alpha, k, 8 * np.pi / volume * np.exp(-k2 / (4 * alpha**2)) / k2)


def ewald_pair_derivatives(atoms: Atoms) -> np.ndarray:
    """Derivatives of Ewald sums of pairs of unit charges by the first's position, [3, n, n], 1/A^2."""
    alpha, reach, k, weight = ewald_parts(atoms)
    n = len(atoms)
    i, j, r, d = distinct_neighbours(atoms, reach)
    pull = (erfc(alpha * d) / d + 2 * alpha / np.sqrt(np.pi) * np.exp(-((alpha * d) ** 2))) / d**2
    wave = np.exp(1j * atoms.positions @ k.T)
    out = np.empty((3, n, n))
    for axis in range(3):  # d cos(k (r_i - r_j)) / d r_i = -k sin(k (r_i - r_j))
        near = np.bincount(i * n + j, pull * r[:, axis], n * n).reshape(n, n)
        out[axis] = near - ((wave * (weight * k[:, axis])) @ wave.conj().T).imag
    out[:, np.arange(n), np.arange(n)] = 0.0  # an atom moves with its images
    return out


def _charges(structures, charges):
    """Charges (e) of the atoms of each structure: a list of arrays [n_atoms]."""
    charges = NOMINAL_CHARGES if charges is None else charges
    if isinstance(charges, Mapping):
        return [_of_symbols(atoms, charges, number) for number, atoms in enumerate(structures)]
    charges = list(charges) if np.iterable(charges) else []
    if len(charges) != len(structures):
        raise ValueError(
            f"there are {len(structures)} structures, but charges of {len(charges)}: "
            f"give a dictionary of symbols, or a list with one array a structure"
        )
    return [
        _numbers(q, len(atoms), number)
        for number, (atoms, q) in enumerate(zip(structures, charges, strict=True))
    ]


def _of_symbols(atoms, charges, number):
    missing = sorted(set(atoms.symbols) - set(charges))
    if missing:
        raise ValueError(
            f"structure {number}: no charge is known for {', '.join(missing)}; "
            f"known are {', '.join(sorted(map(str, charges))) or 'none'}"
        )
    return _numbers([charges[symbol] for symbol in atoms.symbols], len(atoms), number)


def _numbers(q, n, number):
    try:
        q = np.asarray(q, float)
    except (TypeError, ValueError):
        raise ValueError(f"structure {number}: a charge is not a number") from None
    if q.shape != (n,):
        raise ValueError(
            f"structure {number} has {n} atoms: give a list with one array a structure, "
            f"in it one charge for each atom"
        )
    if not np.isfinite(q).all():
        raise ValueError(f"structure {number}: a charge is not a number")
    return q


def _potential(atoms, q, number):
    """Potential (V) at each atom of point charges q (e) [n_atoms]; work shared evenly between both sums."""
    _check_neutral(atoms, q, number)
    alpha, reach, k, weight = ewald_parts(atoms)
    n = len(atoms)
    i, j, _, d = distinct_neighbours(atoms, reach, number)
    out = np.bincount(i, q[j] * erfc(alpha * d) / d, minlength=n) - 2 * alpha / np.sqrt(np.pi) * q
    for part in np.array_split(np.arange(len(k)), 1 + len(k) * n // ENTRIES):
        wave = np.exp(1j * atoms.positions @ k[part].T)
        out += (wave * (q @ wave).conj()).real @ weight[part]
    return COULOMB * out


def _check_neutral(atoms, q, number):
    if not atoms.pbc.all():
        raise ValueError(
            f"structure {number}: the Ewald sum needs a cell that is periodic in three directions"
        )
    if abs(q.sum()) > 1e-6:
        raise ValueError(
            f"structure {number}: the charges add up to {q.sum():+.3g} e, but a periodic cell must be neutral"
        )


def _half_space(cell, k_max):
    """Reciprocal vectors (1/A) shorter than k_max, one of each pair k, -k, without zero."""
    span = np.ceil(k_max * np.linalg.norm(cell, axis=1) / (2 * np.pi)).astype(int)
    grid = np.stack(np.meshgrid(*[np.arange(-m, m + 1) for m in span], indexing="ij"), -1).reshape(-1, 3)
    k = grid[len(grid) // 2 + 1 :] @ (2 * np.pi * np.linalg.inv(cell).T)
    return k[(k**2).sum(1) < k_max**2]
