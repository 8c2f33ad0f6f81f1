"""What the charges of all other ions do to an ion: the long-range physics in one number, and the field in six."""

import numpy as np
from scipy.special import erfc

from .neighbourhoods import apart, check, cutoff_function, neighbours

NOMINAL_CHARGES = {"Li": 1.0, "P": 5.0, "O": -2.0, "N": -3.0}   # elementary charges, ionic limit
COULOMB = 14.399645                                              # e^2 / (4 pi eps0), eV A
ACCURACY = 1e-10                # of Ewald sums: what is left out is about this part of what is kept
ENTRIES = 2**23                 # numbers of a sum that are held at once


def madelung_potential(structures, charges=None):
    """Electrostatic potential of point charges at every atom, by Ewald summation, one number an atom.

    structures: list of `ase.Atoms`, periodic in three directions.
    charges: {symbol: charge in e}, or a list with an array of charges (e, one an atom) for each structure; default,
    `NOMINAL_CHARGES`.

    Returns float64 [n_atoms_total], V: the potential at an atom of all other charges and of all
    images, its own included.  The potential *energy* of an electron there is minus this, in eV.
    Raises ValueError for a cell that is not neutral or not periodic, two ions at one place, or an atom without a charge.
    P. P. Ewald, Ann. Phys. 369, 253 (1921); M. P. Allen and D. J. Tildesley, Computer Simulation of
    Liquids (2017), sect. 6.2 (conducting boundary).
    """
    return np.concatenate([_ewald(atoms, _charges(atoms, charges, number), number)
                           for number, atoms in enumerate(check(structures))])


def madelung_labels(structures, charges=None):
    """Name of the one column of `madelung_potential`."""
    return ["Madelung potential (V)"]


def madelung_slopes(atoms, charges=None):
    """Derivatives of `madelung_potential` of one structure: float64 [n_atoms, 1, n_atoms, 3], V/A."""
    check([atoms])
    return _ewald_slopes(atoms, _charges(atoms, charges, 0))[:, None]


def crystal_field_labels(structures, cutoff=7.0, charges=None):
    """Names of the columns of `crystal_field`."""
    eigenvalues = [f"field gradient, eigenvalue {k} (V/A^2)" for k in (1, 2, 3)]
    return [*eigenvalues, "field (V/A)", "field along the bond (V/A)", "bond (A)"]


def crystal_field(structures, cutoff=7.0, charges=None):
    """What the neighbours' point charges do to a p shell: electric field and its gradient, six numbers an atom.

    structures: list of `ase.Atoms`.   cutoff: A, of the smoothed sum over neighbours.
    charges: as in `madelung_potential`.

    Returns float64 [n_atoms_total, 6]: the three eigenvalues (ascending, V/A^2) of the tensor
    sum_j q_j (3 r r - r^2) / r^5 (second derivatives of the potential, which split the p levels), the size of the field (V/A),
    its component along the bond to the nearest cation (V/A), and the length of that bond (A; the cutoff
    where there is none).  Invariant, though made of vectors: only lengths, projections and eigenvalues are kept.  Where two
    cations are equally near the first counts, so the component along the bond jumps there (notebook 04 shows it).
    """
    rows = []
    for number, atoms in enumerate(check(structures)):
        q = _charges(atoms, charges, number)
        i, j, r = neighbours(atoms, cutoff)
        d = np.linalg.norm(r, axis=1)
        apart(i, j, d, number)
        w = COULOMB * q[j] * cutoff_function(d, cutoff)
        tensor, field = np.zeros((len(atoms), 3, 3)), np.zeros((len(atoms), 3))
        np.add.at(tensor, i, (w / d**5)[:, None, None] * (3 * r[:, :, None] * r[:, None, :]
                                                         - (d**2)[:, None, None] * np.eye(3)))
        np.add.at(field, i, -(w / d**3)[:, None] * r)
        bond, direction = np.full(len(atoms), float(cutoff)), np.zeros((len(atoms), 3))
        cations = np.flatnonzero(q[j] > 0)
        for p in cations[np.argsort(-d[cations], kind="stable")]:        # the nearest comes last
            bond[i[p]], direction[i[p]] = d[p], r[p] / d[p]
        rows.append(np.column_stack([np.linalg.eigvalsh(tensor), np.linalg.norm(field, axis=1),
                                     (field * direction).sum(1), bond]))
    return np.concatenate(rows)


def _charges(atoms, charges, number):
    """Charges (e) of the atoms of one structure, of that number in its list."""
    charges = NOMINAL_CHARGES if charges is None else charges
    if isinstance(charges, dict):
        missing = sorted(set(atoms.symbols) - set(charges))
        if missing:
            raise ValueError(f"structure {number}: no charge is known for {', '.join(missing)}; "
                             f"known are {', '.join(sorted(map(str, charges))) or 'none'}")
        q = np.array([charges[s] for s in atoms.symbols], float)
    else:
        q = np.asarray(charges[number] if np.ndim(charges) != 0 and number < len(charges) else [], float)
        if q.shape != (len(atoms),):
            raise ValueError(f"structure {number} has {len(atoms)} atoms: give a list with one array a structure, "
                             f"in it one charge for each atom")
    if not np.isfinite(q).all():
        raise ValueError(f"structure {number}: a charge is not a number")
    return q


def _ewald(atoms, q, number=0):
    """Potential (V) at each atom of point charges q (e) [n_atoms]; work shared evenly between both sums."""
    _check_neutral(atoms, q, number)
    alpha, reach, k, weight = ewald_parts(atoms)
    n = len(atoms)
    i, j, r = neighbours(atoms, reach)
    d = np.linalg.norm(r, axis=1)
    apart(i, j, d, number)
    potential = np.bincount(i, q[j] * erfc(alpha * d) / d, minlength=n) - 2 * alpha / np.sqrt(np.pi) * q
    for part in np.array_split(np.arange(len(k)), 1 + len(k) * n // ENTRIES):
        wave = np.exp(1j * atoms.positions @ k[part].T)
        potential += (wave * (q @ wave).conj()).real @ weight[part]
    return COULOMB * potential


def ewald_parts(atoms, stretch=1.0):
    """What Ewald sums are made of: inverse width of the Gaussians (1/A), which shares the work evenly between both sums; reach of
    the sum over neighbours (A); reciprocal vectors [n, 3] (1/A), and their weights (1/A).   stretch: another inverse width, as
    a multiple; no sum depends on it.
    """
    cell = np.asarray(atoms.cell)
    volume = abs(np.linalg.det(cell))
    alpha = stretch * np.sqrt(np.pi) * (len(atoms) / volume**2) ** (1 / 6)
    reach = np.sqrt(-np.log(ACCURACY))
    k = _half_space(cell, 2 * alpha * reach)
    k2 = (k**2).sum(1)
    return alpha, reach / alpha, k, 8 * np.pi / volume * np.exp(-k2 / (4 * alpha**2)) / k2


def _check_neutral(atoms, q, number):
    if not atoms.pbc.all():
        raise ValueError(f"structure {number}: the Ewald sum needs a cell that is periodic in three directions")
    if abs(q.sum()) > 1e-6:
        raise ValueError(f"structure {number}: the charges add up to {q.sum():+.3g} e, but a periodic cell must be neutral")


def _half_space(cell, k_max):
    """Reciprocal vectors (1/A) shorter than k_max, one of each pair k, -k, without zero."""
    span = np.ceil(k_max * np.linalg.norm(cell, axis=1) / (2 * np.pi)).astype(int)
    grid = np.stack(np.meshgrid(*[np.arange(-m, m + 1) for m in span], indexing="ij"), -1).reshape(-1, 3)
    k = grid[len(grid) // 2 + 1:] @ (2 * np.pi * np.linalg.inv(cell).T)
    return k[(k**2).sum(1) < k_max**2]


def ewald_pair_slopes(atoms):
    """Derivatives of the Ewald sum of each pair of unit charges by the position of the first: float64 [3, n_atoms, n_atoms], 1/A^2."""
    alpha, reach, k, weight = ewald_parts(atoms)
    n = len(atoms)
    i, j, r = neighbours(atoms, reach)
    d = np.linalg.norm(r, axis=1)
    apart(i, j, d)
    pull = (erfc(alpha * d) / d + 2 * alpha / np.sqrt(np.pi) * np.exp(-(alpha * d) ** 2)) / d**2
    wave = np.exp(1j * atoms.positions @ k.T)
    out = np.empty((3, n, n))
    for axis in range(3):                                    # d cos(k (r_i - r_j)) / d r_i = -k sin(k (r_i - r_j))
        near = np.bincount(i * n + j, pull * r[:, axis], n * n).reshape(n, n)
        out[axis] = near - ((wave * (weight * k[:, axis])) @ wave.conj().T).imag
    out[:, np.arange(n), np.arange(n)] = 0.0                 # an atom moves with its images
    return out


def _ewald_slopes(atoms, q):
    """Derivatives of `_ewald`: float64 [n_atoms, n_atoms, 3], of the potential at the first by the position of the second."""
    _check_neutral(atoms, q, 0)
    n = len(atoms)
    out = -q[:, None] * ewald_pair_slopes(atoms).transpose(1, 2, 0)
    out[np.arange(n), np.arange(n)] = -out.sum(axis=1)
    return COULOMB * out
