"""Matrices of nuclear charges, one row a structure: Coulomb, sine and Ewald sum matrix; and derivatives.

One number for each pair of atoms.  The Coulomb matrix is for molecules; the other two are for crystals and
repeat with the cell.  All grow with the square of the number of atoms: they compare molecules, or cells of
one size.
"""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from scipy.spatial.distance import cdist
from scipy.special import erfc

from mlms_helpers.statistics import whole

from ._checks import validated
from .electrostatics import ewald_pair_derivatives, ewald_parts
from .neighbours import neighbours

ENTRIES = 2**14  # of all matrices that are made at once: what stays near the processor


def coulomb_matrix(
    structures: Sequence[Atoms],
    n_atoms: int | None = None,
    sort: bool | str = True,
    seed: int = 0,
    noise: float = 1.0,
) -> np.ndarray:
    """Coulomb matrix: 0.5 Z^2.4 on the diagonal, Z_i Z_j / r_ij beside it, one row a structure.

    structures: molecules or clusters; periodic images are not seen (cut a cluster out first).
    n_atoms: rows are padded with zeros to this many atoms; default, the largest structure.
    sort: True sorts rows and columns by their norm, largest first, which removes the dependence on
    the atoms' order - and makes entries jump where two norms cross; False keeps the atoms' order;
    "eigenvalues" keeps only these, largest size first: n numbers in place of n^2, and a jump only
    where one above and one below zero become equal in size;
    "random" sorts by norm + Gaussian noise, so that one structure can be shown in many likely orders.
    seed: of that noise.
    noise: its standard deviation, in the unit of the matrix.

    Returns float64 [n_structures, n_atoms**2] ([n_structures, n_atoms] for eigenvalues), Z in e and
    r in A: the off-diagonal part is in e^2 / A.
    Invariant under rotation and translation; under permutation only if sorted or made of eigenvalues
    (atoms of equal norm, as symmetry makes them, keep their order).
    Raises ValueError for two atoms at one place, too small an n_atoms, or an unknown sort.
    M. Rupp, A. Tkatchenko, K.-R. Mueller and O. A. von Lilienfeld, PRL 108, 058301 (2012), eq. 1;
    random order: G. Montavon et al., New J. Phys. 15, 095003 (2013); K. Hansen et al., JCTC 9, 3404 (2013).
    """
    return _rows("coulomb", structures, n_atoms, sort, seed, noise)


def sine_matrix(
    structures: Sequence[Atoms],
    n_atoms: int | None = None,
    sort: bool | str = True,
    seed: int = 0,
    noise: float = 1.0,
) -> np.ndarray:
    """Sine matrix: a Coulomb matrix with a distance that repeats with the cell, one row a structure.

    Beside the diagonal stands Z_i Z_j / |sum_k a_k sin^2(pi f_k)|, with the lattice vectors a_k and
    f the fractional coordinates of r_i - r_j.  Cheap and periodic; the distance has no physical meaning.

    structures: periodic in three directions.
    n_atoms, sort, seed, noise: as in `coulomb_matrix`.

    Returns float64 [n_structures, n_atoms**2] ([n_structures, n_atoms] for eigenvalues), Z in e and
    lengths in A.  Invariant as `coulomb_matrix` is; *not* under the choice of cell.
    Raises ValueError as `coulomb_matrix` does, and for a structure that is not periodic in three directions.
    F. Faber, A. Lindmaa, O. A. von Lilienfeld and R. Armiento, Int. J. Quantum Chem. 115, 1094 (2015), eq.
    24.
    """
    return _rows("sine", structures, n_atoms, sort, seed, noise)


def ewald_matrix(
    structures: Sequence[Atoms],
    n_atoms: int | None = None,
    sort: bool | str = True,
    seed: int = 0,
    noise: float = 1.0,
) -> np.ndarray:
    """Ewald sum matrix: the Coulomb energy of each pair of nuclei with all images, one row a structure.

    Each nucleus stands in a uniform background that makes it neutral.  The sum over the diagonal and
    the triangle above it is the energy of one cell, in e^2 / A.

    structures: periodic in three directions.
    n_atoms, sort, seed, noise: as in `coulomb_matrix`.

    Returns float64 [n_structures, n_atoms**2] ([n_structures, n_atoms] for eigenvalues), in e^2 / A.
    Invariant as `coulomb_matrix` is, and under the choice of cell, if it keeps its size.
    The width of the Ewald sum, alpha = sqrt(pi) (n / volume^2)^(1/6), shares the work between both sums and
    changes no element; the sums are cut where terms are below 1e-10 of the largest.
    Raises ValueError as `coulomb_matrix` does, and for a structure that is not periodic in three directions.
    F. Faber, A. Lindmaa, O. A. von Lilienfeld and R. Armiento, Int. J. Quantum Chem. 115, 1094 (2015), eqs.
    19 and 20, but for the constant beside the diagonal.  With theirs the elements depend on alpha; with
    -pi Z_i Z_j / (volume alpha^2), which dscribe takes too, none does (L. Himanen et al., Comput. Phys.
    Commun. 247, 106949 (2020)).
    """
    return _rows("ewald", structures, n_atoms, sort, seed, noise)


def matrix_labels(structures, n_atoms, sort, seed, noise):
    size = _size(structures, n_atoms, sort)
    if sort == "eigenvalues":
        return [f"eigenvalue {k}" for k in range(1, size + 1)]
    row, column = ("row", "column") if sort else ("atom", "atom")
    return [f"{row} {k}, {column} {m}" for k in range(1, size + 1) for m in range(1, size + 1)]


def matrix_derivatives(kind, atoms, n_atoms, sort, seed, noise):
    """Derivatives of one row of a matrix, the cell held; sort=True: in the order the atoms have now."""
    size = _size([atoms], n_atoms, sort)
    if sort == "random":
        raise ValueError('a random order has no derivative: take sort=True, False or "eigenvalues"')
    matrix, change = _matrices(kind, [atoms], derivatives=True)
    m, n = matrix[0], len(atoms)
    if sort == "eigenvalues":
        value, vector = np.linalg.eigh(m)
        gap = np.diff(value)
        if (gap < 1e-8 * abs(value).max()).any():
            equal = f"two eigenvalues are equal ({value[gap.argmin()]:.6g})"
            raise ValueError(f"{equal}: they have no derivatives of their own")
        vector = vector[:, np.argsort(-abs(value), kind="stable")]
        out = np.zeros((size, n, 3))
        out[:n] = 2 * np.einsum("ak,cak->kac", vector, change @ vector)
        return out
    order, k = _by_norm(matrix)[0] if sort else np.arange(n), np.arange(n)
    full = np.zeros((n, n, n, 3))
    full[k, :, k] += change.transpose(1, 2, 0)  # M_kj moves with atom k,
    full[:, k, k] += change.transpose(2, 1, 0)  # and so does M_jk
    out = np.zeros((size, size, n, 3))
    out[:n, :n] = full[order][:, order]
    return out.reshape(size**2, n, 3)


def _rows(kind, structures, n_atoms, sort, seed, noise):
    structures = validated(structures)
    size = _size(structures, n_atoms, sort)
    if not noise >= 0:
        raise ValueError(f"the noise is a standard deviation: it cannot be {noise}")
    n = len(structures)
    shifts = np.random.default_rng(seed).normal(scale=noise if sort == "random" else 0.0, size=(n, size))
    out = np.zeros((n, size) if sort == "eigenvalues" else (n, size, size))
    for numbers in _batches(structures):
        m = _matrices(kind, [structures[k] for k in numbers], numbers)[0]
        n = m.shape[1]
        if sort == "eigenvalues":
            out[numbers, :n] = _by_size(np.linalg.eigvalsh(m))
        elif sort:
            order = _by_norm(m, shifts[numbers, :n])
            first = np.arange(len(m))[:, None] * n + order
            out[numbers, :n, :n] = m.ravel().take(first[:, :, None] * n + order[:, None])
        else:
            out[numbers, :n, :n] = m
    return out.reshape(len(structures), -1)


def _size(structures, n_atoms, sort):
    if sort not in (True, False, "eigenvalues", "random"):
        raise ValueError(f'sort={sort!r} is unknown: take True, False, "eigenvalues" or "random"')
    largest = max(map(len, structures))
    if n_atoms is not None and largest > n_atoms:
        raise ValueError(f"n_atoms={n_atoms} is too small: one structure has {largest} atoms")
    return largest if n_atoms is None else whole("n_atoms", n_atoms, 1)


def _batches(structures):
    """Numbers of structures of one size, some at a time: many small matrices are faster made together."""
    sizes = np.array([len(atoms) for atoms in structures])
    for n in np.unique(sizes):
        numbers = np.flatnonzero(sizes == n)
        step = max(1, ENTRIES // n**2)
        yield from (numbers[k : k + step] for k in range(0, len(numbers), step))


def _by_norm(m, shift=0.0):
    norm = np.sqrt(np.einsum("gij,gij->gi", m, m)).round(
        9
    )  # what symmetry makes equal, rounding must not order
    return np.argsort(-(norm + shift), axis=1, kind="stable")


def _by_size(values):
    return np.take_along_axis(values, np.argsort(-abs(values), axis=-1, kind="stable"), axis=-1)


def _matrices(kind, batch, numbers=(0,), derivatives=False):
    """Matrices [n_structures, n, n] of structures of one size, in their atoms' own order.

    And of a single structure, if asked for, the derivatives dM_ij / dr_i [3, n, n].
    """
    name, build = BUILD[kind]
    for number, atoms in zip(numbers, batch, strict=True):
        if kind != "coulomb" and not atoms.pbc.all():
            raise ValueError(
                f"structure {number}: {name} needs a cell that is periodic in three directions; "
                f"for molecules there is the Coulomb matrix"
            )
    cells = None if kind == "coulomb" else np.array([atoms.cell.array for atoms in batch])
    if cells is None and not derivatives:
        r, d = None, _off_diagonal(np.array([cdist(atoms.positions, atoms.positions) for atoms in batch]))
    else:
        x = np.array([atoms.positions.T for atoms in batch])
        r = x[..., :, None] - x[..., None, :]  # [n_structures, 3, n, n], from j to i
        if cells is not None:
            f = _turned(np.linalg.inv(cells), r)
            r = _turned(cells, f - np.rint(f))
        d = _length(r)
    if d.min() < 1e-6:
        g, i, j = np.unravel_index(d.argmin(), d.shape)
        pair = f"atom {i} and atom {j}{'' if cells is None else ' or its image'}"
        raise ValueError(f"two atoms lie at one place: {name} diverges (structure {numbers[g]}, {pair})")
    return build(batch, cells, r, d, derivatives)


def _turned(matrices, r):
    """The vectors r [n_structures, 3, n, n], as rows, times one 3 x 3 matrix a structure."""
    return (matrices.transpose(0, 2, 1) @ r.reshape(len(r), 3, -1)).reshape(r.shape)


def _length(r):
    """Lengths of the vectors [n_structures, 3, n, n]."""
    return _off_diagonal(np.sqrt(np.einsum("gcij,gcij->gij", r, r)))


def _off_diagonal(d):
    """The lengths, with 1 on the diagonal, so that nothing is divided by zero."""
    k = np.arange(d.shape[1])
    d[:, k, k] = 1.0
    return d


def _inverse(batch, d, direction):
    """0.5 Z^2.4 and Z_i Z_j / d_ij; direction, the derivative of d [3, n, n], becomes that of the matrix."""
    z, k = np.array([atoms.numbers for atoms in batch], float), np.arange(d.shape[1])
    m = z[:, :, None] * z[:, None]
    m /= d
    change = None if direction is None else -m[0] / d[0] * direction
    m[:, k, k] = 0.5 * z**2.4
    return m, change


def _coulomb(batch, cells, r, d, derivatives):
    return _inverse(batch, d, r[0] / d[0] if derivatives else None)


def _sine(batch, cells, r, d, derivatives):
    inverse = np.linalg.inv(cells)
    f = _turned(inverse, r)
    u = _turned(cells, np.sin(np.pi * f) ** 2)
    length, direction = _length(u), None
    if derivatives:
        back, forth = inverse.transpose(0, 2, 1), cells.transpose(0, 2, 1)
        direction = _turned(back, np.pi * np.sin(2 * np.pi * f) * _turned(forth, u))[0] / length[0]
    return _inverse(batch, length, direction)


def _ewald(batch, cells, r, d, derivatives):
    out = [_ewald_pairs(atoms, derivatives) for atoms in batch]
    return np.array([m for m, _ in out]), out[0][1]


def _ewald_pairs(atoms, derivatives):
    n, z, volume = len(atoms), atoms.numbers.astype(float), abs(atoms.cell.volume)
    alpha, reach, k, weight = ewald_parts(atoms)
    i, j, r = neighbours(atoms, reach)
    d = np.sqrt((r**2).sum(1))
    near = np.bincount(i * n + j, erfc(alpha * d) / d, n * n).reshape(n, n)
    phase = atoms.positions @ k.T
    cos, sin = np.cos(phase), np.sin(phase)
    m = near + (weight * cos) @ cos.T + (weight * sin) @ sin.T
    m -= np.pi / (volume * alpha**2)  # the background
    # half of each image; less the atom's own cloud
    m[np.diag_indices(n)] = 0.5 * m.diagonal() - alpha / np.sqrt(np.pi)
    charges = np.outer(z, z)
    return m * charges, ewald_pair_derivatives(atoms) * charges if derivatives else None


BUILD = {
    "coulomb": ("the Coulomb matrix", _coulomb),
    "sine": ("the sine matrix", _sine),
    "ewald": ("the Ewald sum matrix", _ewald),
}
