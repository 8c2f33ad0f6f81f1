"""What a model may see: functions of structures that carry the physics and its symmetries.

Every descriptor is one function, `(structures, **hyperparameters) -> array`, float64.  Rows follow
the order of `structures`; a descriptor *per atom* stacks the atoms of all structures in their order
(`per_structure` cuts the stack again).  All are invariant under rotation, translation and
permutation of like atoms, and under the choice of cell, unless the docstring says otherwise.
"""

import numpy as np
from scipy.special import erfc
from vesin import NeighborList

NOMINAL_CHARGES = {"Li": 1.0, "P": 5.0, "O": -2.0, "N": -3.0}   # elementary charges, ionic limit
CENTRES = (1.4, 1.6, 1.8, 2.1, 2.5, 3.0, 3.6, 4.4, 5.2)          # A, of the symmetry functions
COULOMB = 14.399645                                              # e^2 / (4 pi eps0), eV A


def neighbours(atoms, cutoff):
    """All pairs closer than the cutoff, periodic images included, each pair both ways round.

    atoms: `ase.Atoms`.   cutoff: A; may be longer than the cell.

    Returns i, j (int [n_pairs], 0-based) and r (float64 [n_pairs, 3], A), the vector from i to j.
    Raises ValueError for positions that are not finite, a cell without volume, or a cutoff <= 0.
    """
    _check([atoms])
    if not cutoff > 0:
        raise ValueError(f"the cutoff must be a positive length in A, not {cutoff}")
    i, j, r = NeighborList(cutoff=float(cutoff), full_list=True).compute(
        points=atoms.positions, box=np.asarray(atoms.cell), periodic=np.asarray(atoms.pbc), quantities="ijD")
    return i.astype(int), j.astype(int), r


def symmetry_functions(structures, cutoff=6.5, centres=CENTRES, widths=None, species=None):
    """Radial Behler-Parrinello symmetry functions G2: how many neighbours of each kind at which distance.

    structures: list of `ase.Atoms`, periodic or not.   cutoff: A.
    centres: R_s, A, one function each.   widths: A, eta = 1 / (2 width^2); default, a width that grows
    with the distance between centres.   species: chemical symbols of the channels; default, all that
    occur in `structures`, sorted.

    Returns float64 [n_atoms_total, len(species) * len(centres)], dimensionless, one row an atom, the
    centres of the first species first.
    Raises ValueError for an empty list or a species that is not in `species`.
    J. Behler and M. Parrinello, PRL 98, 146401 (2007); J. Behler, JCP 134, 074106 (2011), eqs. 4 and 6.
    """
    _check(structures)
    species = _species(structures, species)
    centres = np.asarray(centres, float)
    widths = np.maximum(np.gradient(centres), 0.15) if widths is None else np.broadcast_to(widths, centres.shape)
    blocks = []
    for atoms in structures:
        i, j, r = neighbours(atoms, cutoff)
        d = np.linalg.norm(r, axis=1)
        channel = np.searchsorted(species, atoms.symbols)[j]
        g = np.exp(-(d[:, None] - centres) ** 2 / (2 * widths**2)) * cutoff_function(d, cutoff)[:, None]
        block = np.zeros((len(atoms), len(species), len(centres)))
        np.add.at(block, (i, channel), g)
        blocks.append(block.reshape(len(atoms), -1))
    return np.concatenate(blocks)


def cutoff_function(distance, cutoff):
    """Behler's cosine cutoff: 1 at zero distance, 0 with zero slope at the cutoff.

    distance: A, any shape.   cutoff: A.   Returns float64 of the same shape, dimensionless.
    J. Behler and M. Parrinello, PRL 98, 146401 (2007), eq. 3.
    """
    return np.where(distance < cutoff, 0.5 * (np.cos(np.pi * np.asarray(distance) / cutoff) + 1), 0.0)


def neighbour_count(structures, symbol="Li", cutoff=2.6):
    """Number of neighbours of one species within the cutoff: a descriptor to count on one's fingers.

    structures: list of `ase.Atoms`.   symbol: chemical symbol.   cutoff: A.

    Returns float64 [n_atoms_total].
    """
    _check(structures)
    out = []
    for atoms in structures:
        i, j, _ = neighbours(atoms, cutoff)
        out.append(np.bincount(i[atoms.symbols[j] == symbol], minlength=len(atoms)))
    return np.concatenate(out).astype(float)


def madelung_potential(structures, charges=None):
    """Electrostatic potential of point charges at every atom, by Ewald summation, one number an atom.

    structures: list of `ase.Atoms`, periodic in three directions.
    charges: {symbol: charge in e}; default, `NOMINAL_CHARGES`.

    Returns float64 [n_atoms_total], V: the potential at an atom of all other charges and of all
    images, its own included.  The potential *energy* of an electron there is minus this, in eV.
    Raises ValueError for a cell that is not neutral or not periodic, or a species without a charge.
    P. P. Ewald, Ann. Phys. 369, 253 (1921); M. P. Allen and D. J. Tildesley, Computer Simulation of
    Liquids (2017), sect. 6.2 (conducting boundary).
    """
    _check(structures)
    return np.concatenate([_ewald(atoms, _charges(atoms, charges, number))
                           for number, atoms in enumerate(structures)])


def crystal_field(structures, cutoff=7.0, charges=None):
    """What the neighbours' point charges do to a p shell: electric field and its gradient, six numbers an atom.

    structures: list of `ase.Atoms`.   cutoff: A, of the smoothed sum over neighbours.
    charges: as in `madelung_potential`.

    Returns float64 [n_atoms_total, 6]: the three eigenvalues (ascending, V/A^2) of the tensor
    sum_j q_j (3 r r - r^2) / r^5 (second derivatives of the potential, which split the p levels), the size of the field (V/A), its
    component along the bond to the nearest cation (V/A), and the length of that bond (A; the cutoff
    where there is none).  Invariant, though made of vectors: only lengths, projections and
    eigenvalues are kept.
    """
    _check(structures)
    rows = []
    for number, atoms in enumerate(structures):
        q = _charges(atoms, charges, number)
        i, j, r = neighbours(atoms, cutoff)
        d = np.linalg.norm(r, axis=1)
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


def coulomb_matrix(structures, n_atoms=None, sort=True):
    """Coulomb matrix: 0.5 Z^2.4 on the diagonal, Z_i Z_j / r_ij beside it, one row a structure.

    structures: list of molecules or clusters; periodic images are not seen (cut a cluster out first).
    n_atoms: rows are padded with zeros to this many atoms; default, the largest structure.
    sort: sort rows and columns by their norm, which removes the dependence on the atoms' order - and
    makes entries jump where two norms cross.

    Returns float64 [n_structures, n_atoms**2], in atomic units (e^2 / A for the off-diagonal part).
    Invariant under rotation and translation; under permutation only if sorted.
    M. Rupp, A. Tkatchenko, K.-R. Mueller and O. A. von Lilienfeld, PRL 108, 058301 (2012), eq. 1.
    """
    _check(structures)
    size = max(map(len, structures)) if n_atoms is None else n_atoms
    if max(map(len, structures)) > size:
        raise ValueError(f"n_atoms={size} is too small: one structure has {max(map(len, structures))} atoms")
    out = np.zeros((len(structures), size, size))
    for matrix, atoms in zip(out, structures):
        z, n = atoms.numbers.astype(float), len(atoms)
        d = np.linalg.norm(atoms.positions[:, None] - atoms.positions, axis=2) + np.eye(n)
        if d.min() < 1e-6:
            raise ValueError("two atoms lie at one place: the Coulomb matrix diverges")
        m = np.outer(z, z) / d
        np.fill_diagonal(m, 0.5 * z**2.4)
        if sort:
            order = np.argsort(-np.linalg.norm(m, axis=1), kind="stable")
            m = m[order][:, order]
        matrix[:n, :n] = m
    return out.reshape(len(structures), -1)


def soap(structures, cutoff=5.0, n_max=4, l_max=3, sigma=0.4, species=None):
    """Smooth overlap of atomic positions: the power spectrum of the neighbour density, through dscribe.

    structures: list of `ase.Atoms`.   cutoff: A.   n_max, l_max: radial functions, angular momentum.
    sigma: width of each neighbour's Gaussian, A.   species: as in `symmetry_functions`.

    Returns float64 [n_atoms_total, n_features], one row an atom.
    A. P. Bartok, R. Kondor and G. Csanyi, PRB 87, 184115 (2013), eq. 36; L. Himanen et al., Comput.
    Phys. Commun. 247, 106949 (2020).
    """
    from dscribe.descriptors import SOAP                  # a second to import: only when asked for
    _check(structures)
    species = _species(structures, species)
    # dscribe takes one setting of periodicity for all; a molecule in a periodic run would see images
    out = []
    for atoms in structures:
        power = SOAP(species=list(species), r_cut=cutoff, n_max=n_max, l_max=l_max, sigma=sigma,
                     periodic=bool(atoms.pbc.any()), sparse=False)
        out.append(power.create(atoms))
    return np.concatenate(out).astype(float)


def per_structure(values, structures):
    """Cut a per-atom array into one array a structure.

    values: array [n_atoms_total, ...].   structures: the list it was made from.
    Returns a list of arrays [n_atoms, ...].
    """
    return np.split(np.asarray(values), np.cumsum([len(atoms) for atoms in structures])[:-1])


def _check(structures):
    if len(structures) == 0:
        raise ValueError("the list of structures is empty: give at least one")
    for number, atoms in enumerate(structures):
        if len(atoms) == 0:
            raise ValueError(f"structure {number} has no atoms")
        if not np.isfinite(atoms.positions).all():
            bad = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))[0]
            raise ValueError(f"structure {number}: the position of atom {bad} is not a number")
        if atoms.pbc.any() and not abs(atoms.cell.volume) > 1e-6:
            raise ValueError(f"structure {number} is periodic, but its cell has no volume; "
                             f"give three lattice vectors, or pbc=False for a molecule")


def _species(structures, species):
    found = sorted({s for atoms in structures for s in atoms.symbols})
    if species is None:
        return np.array(found)
    unknown = sorted(set(found) - set(species))
    if unknown:
        raise ValueError(f"{', '.join(unknown)} occurs in the structures, but not among the species {sorted(species)}")
    return np.array(sorted(species))


def _charges(atoms, charges, number):
    charges = NOMINAL_CHARGES if charges is None else charges
    missing = sorted(set(atoms.symbols) - set(charges))
    if missing:
        raise ValueError(f"structure {number}: no charge is known for {', '.join(missing)}; "
                         f"known are {', '.join(sorted(charges))}")
    return np.array([charges[s] for s in atoms.symbols], float)


def _ewald(atoms, q, tolerance=1e-10):
    """Potential (V) at each atom of point charges q (e) [n_atoms]; work shared evenly between both sums."""
    name = atoms.get_chemical_formula()
    if not atoms.pbc.all():
        raise ValueError(f"{name}: the Ewald sum needs a cell that is periodic in three directions")
    if abs(q.sum()) > 1e-6:
        raise ValueError(f"{name}: the charges add up to {q.sum():+.3g} e, but a periodic cell must be neutral")
    cell, n = np.asarray(atoms.cell), len(atoms)
    volume = abs(np.linalg.det(cell))
    alpha = np.sqrt(np.pi) * (n / volume**2) ** (1 / 6)
    reach = np.sqrt(-np.log(tolerance))
    i, j, r = neighbours(atoms, reach / alpha)
    d = np.linalg.norm(r, axis=1)
    near = np.bincount(i, q[j] * erfc(alpha * d) / d, minlength=n)
    k = _half_space(cell, 2 * alpha * reach)
    k2 = (k**2).sum(1)
    wave = np.exp(1j * atoms.positions @ k.T)
    far = 8 * np.pi / volume * ((wave * (q @ wave).conj()).real * (np.exp(-k2 / (4 * alpha**2)) / k2)).sum(1)
    return COULOMB * (near + far - 2 * alpha / np.sqrt(np.pi) * q)


def _half_space(cell, k_max):
    """Reciprocal vectors (1/A) shorter than k_max, one of each pair k, -k, without zero."""
    span = np.ceil(k_max * np.linalg.norm(cell, axis=1) / (2 * np.pi)).astype(int)
    grid = np.stack(np.meshgrid(*[np.arange(-m, m + 1) for m in span], indexing="ij"), -1).reshape(-1, 3)
    k = grid[len(grid) // 2 + 1:] @ (2 * np.pi * np.linalg.inv(cell).T)
    return k[(k**2).sum(1) < k_max**2]
