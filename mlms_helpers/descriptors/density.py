"""The density of neighbours in spherical harmonics, and its rotation invariants: ACE, and SOAP as a part.

    A_snlm = sum_j of species s  R_nl(r_ij) Y_lm(r_ij / |r_ij|)

turns with the crystal; products of two, three, ... of them, summed over m, do not.  A product of v factors
knows v neighbours at once, with the atom itself the body order v + 1.
"""

import functools
import warnings
from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from scipy.linalg import inv, sqrtm
from scipy.special import gamma

from mlms_helpers.statistics import whole

from ._checks import box, chemical_species, positive, validated
from ._sums import Term, derivatives, sums
from .chebyshev import polynomials
from .neighbours import distinct_neighbours

INNERMOST = 1.0  # A, where the first Gaussian orbital ends


def soap(
    structures: Sequence[Atoms],
    cutoff: float = 5.0,
    n_max: int = 4,
    l_max: int = 3,
    sigma: float = 0.4,
    species: Sequence[str] | None = None,
) -> np.ndarray:
    """Smooth overlap of atomic positions: the power spectrum of the neighbour density, through dscribe.

    structures: periodic or not.
    cutoff: A, more than 1.
    n_max, l_max: radial functions, highest angular momentum.
    sigma: width of each neighbour's Gaussian, A.
    species: as in `symmetry_functions`.

    Returns float64 [n_atoms_total, n_features], A^3, one row an atom.  `power_spectrum` is the same in our
    own formulas, with derivatives.
    Raises ValueError as `symmetry_functions` does, and for orbitals that are too much alike.
    A. P. Bartok, R. Kondor and G. Csanyi, PRB 87, 184115 (2013), eq. 36; L. Himanen et al., Comput.
    Phys. Commun. 247, 106949 (2020).
    """
    from dscribe.descriptors import SOAP  # a second to import: only when asked for

    structures = validated(structures)
    species = chemical_species(structures, species)
    _gaussian_orbitals(cutoff, n_max, l_max, sigma)  # says what is wrong with them
    sizes = {"r_cut": cutoff, "n_max": n_max, "l_max": l_max, "sigma": sigma, "sparse": False}
    # dscribe takes one setting of periodicity for all; a molecule in a periodic run would see images
    periodic = {bool(atoms.pbc.any()) for atoms in structures}
    spectra = {images: SOAP(species=list(species), periodic=images, **sizes) for images in periodic}
    out = []
    for number, atoms in enumerate(structures):
        distinct_neighbours(atoms, 0.01, number)
        inside = atoms.copy()  # dscribe sees images around the cell, not around atoms
        inside.set_cell(box(atoms))
        inside.wrap()
        out.append(spectra[bool(atoms.pbc.any())].create(inside))
    return np.concatenate(out).astype(float)[:, _columns_in_dscribe(tuple(species), n_max, l_max)]


def power_spectrum(
    structures: Sequence[Atoms],
    cutoff: float = 5.0,
    n_max: int = 4,
    l_max: int = 3,
    sigma: float = 0.4,
    species: Sequence[str] | None = None,
) -> np.ndarray:
    """SOAP from its definition: invariants of body order 3 of a density of Gaussians, in Gaussian orbitals.

    Arguments as in `soap`; neighbours count up to the cutoff plus 3.7 sigma, and with their full weight, as
    there: an atom that crosses that border leaves a jump, of less than a thousandth of the largest number.

        p = pi sqrt(8 / (2l + 1)) sum_m A_snlm A_s'n'lm,   every n and n' for s < s', n <= n' for s = s'

    Returns float64 [n_atoms_total, n_features], A^3, in the order of `soap`: pair of species, then l, n, n'.
    Raises ValueError as `soap` does.
    A. P. Bartok, R. Kondor and G. Csanyi, PRB 87, 184115 (2013), eq. 36; basis: L. Himanen et al., Comput.
    Phys. Commun. 247, 106949 (2020); as a case of ACE: M. J. Willatt, F. Musil and M. Ceriotti, JCP 150,
    154110 (2019).
    """
    structures = validated(structures)
    species = chemical_species(structures, species)
    density = _density_of_gaussians(structures, cutoff, n_max, l_max, sigma, species)
    return _power(np, density, n_max, l_max, len(species))


def power_spectrum_derivatives(atoms, cutoff, n_max, l_max, sigma, species):
    species = chemical_species([atoms], species)
    density = _density_of_gaussians([atoms], cutoff, n_max, l_max, sigma, species)
    change = derivatives(_gaussian_orbitals(cutoff, n_max, l_max, sigma), atoms, species)
    return _chain((_power, n_max, l_max, len(species)), density, change)


def power_spectrum_labels(structures, cutoff, n_max, l_max, sigma, species):
    species = chemical_species(structures, species)
    columns = _power_columns(len(species), n_max, l_max)
    return [f"{species[s]}-{species[t]} n={n} n'={m} l={degree}" for s, t, n, m, degree in columns]


def ace(
    structures: Sequence[Atoms],
    cutoff: float = 5.0,
    n_max: int = 4,
    l_max: int = 3,
    order: int = 3,
    species: Sequence[str] | None = None,
) -> np.ndarray:
    """Atomic cluster expansion (ACE): rotation invariants of the neighbour density up to a body order.

    structures: periodic or not.
    cutoff: A.
    n_max: radial functions, T_n(2 r / r_c - 1) f(r), n < n_max.
    l_max: highest angular momentum.
    order: highest body order, 2, 3 or 4.
    species: as in `symmetry_functions`.

        order 2: A_sn00     order 3: sum_m A_snlm A_s'n'lm / sqrt(2l + 1)
        order 4: sum_m,m',m'' G(lm, l'm', l''m'') A_snlm A_s'n'l'm' A_s''n''l''m''      G: integral of three
        harmonics

    (times sqrt(4 pi) a factor, so that order 2, n = 0 counts neighbours; l + l' + l'' even, the others change
    sign in a mirror.)  The number of features grows as (n_species n_max)^(order - 1): 4 species, n_max 4,
    l_max 3 have 16, 544 and 16,608 of body order 2, 3 and 4.  The products contain a neighbour with itself,
    as in the reference.

    Returns float64 [n_atoms_total, n_features], dimensionless, one row an atom, orders one after the other.
    Raises ValueError as `symmetry_functions` does, and for another order.
    R. Drautz, PRB 99, 014104 (2019).
    """
    term = _harmonic_functions(cutoff, n_max, l_max, order)
    structures = validated(structures)
    species = chemical_species(structures, species)
    return _invariants(np, sums(term, structures, species), int(l_max), order)


def ace_derivatives(atoms, cutoff, n_max, l_max, order, species):
    term = _harmonic_functions(cutoff, n_max, l_max, order)
    species = chemical_species([atoms], species)
    density, change = sums(term, [atoms], species), derivatives(term, atoms, species)
    return _chain((_invariants, int(l_max), order), density, change)


def ace_labels(structures, cutoff, n_max, l_max, order, species):
    _harmonic_functions(cutoff, n_max, l_max, order)  # says what is wrong with them
    species = chemical_species(structures, species)
    names = [f"{s}{n}" for s in species for n in range(int(n_max))]
    out = list(names)
    for degree, rows in _products_of_two(len(names), int(l_max)) if order >= 3 else []:
        out += [f"{names[k]} {names[m]} l={degree}" for k, m in zip(*rows, strict=True)]
    for degrees, rows, _ in _products_of_three(len(names), int(l_max)) if order >= 4 else []:
        text = ",".join(map(str, degrees))
        out += [f"{names[k]} {names[m]} {names[q]} l={text}" for k, m, q in zip(*rows, strict=True)]
    return out


def spherical_harmonics(xp, r: np.ndarray, l_max: int) -> np.ndarray:
    """Real spherical harmonics of directions.

    xp: numpy or jax.numpy.
    r: vectors [n, 3], of any length above zero.
    l_max: highest degree.

    Returns float64 [n, (l_max + 1)**2], orthonormal on the sphere, without the factor (-1)^m; column l^2 + l
    + m.
    Recursion in the Cartesian components: W. H. Press et al., Numerical Recipes (2007), sect. 6.7,
    normalised.
    """
    x, y, z = (r / xp.sqrt((r * r).sum(-1))[:, None]).T
    cosine, sine = [xp.ones_like(x)], [xp.zeros_like(x)]  # (x + iy)^m
    for _ in range(l_max):
        cosine, sine = [*cosine, x * cosine[-1] - y * sine[-1]], [*sine, x * sine[-1] + y * cosine[-1]]
    columns = [None] * (l_max + 1) ** 2
    top = np.sqrt(1 / (4 * np.pi))
    for m in range(l_max + 1):
        if m:
            top = top * np.sqrt((2 * m + 1) / (2 * m))
        last, polynomial = xp.zeros_like(z), top * xp.ones_like(z)
        for degree in range(m, l_max + 1):
            if degree > m:
                a = np.sqrt((4 * degree**2 - 1) / (degree**2 - m**2))
                b = (
                    np.sqrt(((degree - 1) ** 2 - m**2) / (4 * (degree - 1) ** 2 - 1))
                    if degree > m + 1
                    else 0.0
                )
                last, polynomial = polynomial, a * (z * polynomial - b * last)
            middle = degree**2 + degree
            columns[middle + m] = polynomial * cosine[m] * (np.sqrt(2) if m else 1)
            if m:
                columns[middle - m] = polynomial * sine[m] * np.sqrt(2)
    return xp.stack(columns, axis=1)


def _harmonics(xp, parameters, one):
    """R_n Y_lm sqrt(4 pi), [n_pairs, n_max * (l_max + 1)^2]; n_max, l_max + 1 are lengths of parameters."""
    cutoff, radial, angular = parameters
    r, d, fade = one
    functions = polynomials(xp, 2 * d / cutoff - 1, len(radial)) * fade[:, None]
    harmonics = spherical_harmonics(xp, r, len(angular) - 1) * np.sqrt(4 * np.pi)
    return (functions[:, :, None] * harmonics[:, None, :]).reshape(len(r), len(radial) * len(angular) ** 2)


def _gaussians(xp, parameters, one):
    """Overlap of a Gaussian at r with orthonormal r^l exp(-alpha r^2): [n_pairs, n_max * (l_max + 1)^2]."""
    _, alpha, beta, eta = parameters
    r, d, _ = one
    harmonics = spherical_harmonics(xp, r, len(alpha) - 1)
    out = []
    for degree in range(len(alpha)):
        both = alpha[degree] + eta
        fall = xp.exp(-alpha[degree] * eta / both * d[:, None] ** 2)
        overlap = (np.pi / both) ** 1.5 * (eta / both * d[:, None]) ** degree * fall
        out.append((overlap @ beta[degree].T)[:, :, None] * harmonics[:, None, degree**2 : (degree + 1) ** 2])
    out = xp.concatenate(out, axis=2)
    return out.reshape(len(r), out.shape[1] * out.shape[2])


def _gaussian_orbitals(cutoff, n_max, l_max, sigma):
    """The term whose sums are A_snlm: exponents that fade to 1e-3 at 1 A ... cutoff, orthonormal."""
    positive("cutoff", cutoff)
    positive("sigma", sigma)
    whole("n_max", n_max, 1)
    whole("l_max", l_max, 0)
    if not cutoff > INNERMOST:
        raise ValueError(f"the cutoff must be more than 1 A, where the first orbital ends, not {cutoff}")
    reach = np.linspace(INNERMOST, cutoff, n_max)
    alpha = np.array([-np.log(1e-3 / reach**degree) / reach**2 for degree in range(l_max + 1)])
    power = 1.5 + np.arange(l_max + 1)[:, None, None]
    overlap = 0.5 * gamma(power) * (alpha[:, :, None] + alpha[:, None]) ** -power
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        beta = np.array([sqrtm(inv(matrix)) for matrix in overlap])
    if np.iscomplexobj(beta) or not np.isfinite(beta).all():
        fault = f"n_max={n_max} orbitals within {cutoff} A are too much alike"
        raise ValueError(f"{fault}: take fewer, or a longer cutoff")
    furthest = cutoff + sigma * np.sqrt(-2 * np.log(1e-3))
    return Term(_gaussians, (furthest, alpha, beta, 1 / (2 * sigma**2)))


def _density_of_gaussians(structures, cutoff, n_max, l_max, sigma, species):
    """A_snlm of all atoms, each with its own Gaussian: [n_atoms_total, n_species, n_max * (l_max + 1)^2]."""
    term = _gaussian_orbitals(cutoff, n_max, l_max, sigma)
    density = sums(term, structures, species)
    _, alpha, beta, eta = term.parameters
    at_the_atom = beta[0] @ (np.pi / (alpha[0] + eta)) ** 1.5 / np.sqrt(4 * np.pi)  # only l = 0
    own = np.concatenate([np.searchsorted(species, atoms.symbols) for atoms in structures])
    density[np.arange(len(density)), own, :: (l_max + 1) ** 2] += at_the_atom
    return density


@functools.cache
def _columns_in_dscribe(species, n_max, l_max):
    """Which column of dscribe's, who sorts species by atomic number, stands where in ours."""
    rank = np.argsort(np.argsort([atomic_numbers[symbol] for symbol in species]))
    columns = _power_columns(len(species), n_max, l_max).tolist()
    place = {tuple(column): number for number, column in enumerate(columns)}
    out = []
    for s, t, n, m, degree in columns:
        a, b = rank[s], rank[t]
        out.append(place[(a, b, n, m, degree) if a <= b else (b, a, m, n, degree)])
    return out


@functools.cache
def _power_columns(n_species, n_max, l_max):
    """Rows s, s', n, n', l of the power spectrum, int [n_features, 5]."""
    return np.array(
        [
            (s, t, n, m, degree)
            for s, t in combinations_with_replacement(range(n_species), 2)
            for degree in range(l_max + 1)
            for n in range(n_max)
            for m in range(n if s == t else 0, n_max)
        ]
    )


def _power(xp, a, n_max, l_max, n_species):
    a = a.reshape(len(a), n_species * n_max, -1)
    s, t, n, m, degree = _power_columns(n_species, n_max, l_max).T
    every = []
    for k in range(l_max + 1):
        block = a[:, :, k**2 : (k + 1) ** 2]
        every.append(np.pi * np.sqrt(8 / (2 * k + 1)) * xp.einsum("akm,aqm->akq", block, block))
    return xp.stack(every, axis=-1)[:, s * n_max + n, t * n_max + m, degree]


def _products_of_two(channels, l_max):
    """For each l the channels k <= k' of the invariants of body order 3."""
    return [(degree, np.triu_indices(channels)) for degree in range(l_max + 1)]


@functools.cache
def _products_of_three(channels, l_max):
    """For each l <= l' <= l'' that couple: channels of the invariants, and integrals of three harmonics."""
    nodes, weights = np.polynomial.legendre.leggauss(2 * l_max + 2)
    angle = 2 * np.pi * np.arange(4 * l_max + 2) / (4 * l_max + 2)
    z, phi = (grid.ravel() for grid in np.meshgrid(nodes, angle, indexing="ij"))
    ring = np.sqrt(1 - z**2)
    harmonics = spherical_harmonics(np, np.column_stack([ring * np.cos(phi), ring * np.sin(phi), z]), l_max)
    weight = np.repeat(weights, len(angle)) * 2 * np.pi / len(angle)
    out = []
    for degrees in combinations_with_replacement(range(l_max + 1), 3):
        k, m, q = degrees
        if (k + m + q) % 2 or q > k + m:
            continue
        parts = [harmonics[:, degree**2 : (degree + 1) ** 2] for degree in degrees]
        integrals = np.einsum("pa,pb,pc,p->abc", *parts, weight)
        rows = [
            row
            for row in np.ndindex(channels, channels, channels)
            if (k != m or row[0] <= row[1]) and (m != q or row[1] <= row[2])
        ]
        out.append((degrees, np.array(rows).T, integrals))
    return out


def _invariants(xp, a, l_max, order, low=slice(None), high=slice(None)):
    """Invariants of a density; low, high: channels of body orders 2 and 3, and of 4."""
    a = a.reshape(len(a), -1, (l_max + 1) ** 2)
    part = [a[:, low, degree**2 : (degree + 1) ** 2] for degree in range(l_max + 1)]
    out = [part[0][:, :, 0]]
    for degree, (k, m) in _products_of_two(part[0].shape[1], l_max) if order >= 3 else []:
        out.append(xp.einsum("akm,aqm->akq", part[degree], part[degree])[:, k, m] / np.sqrt(2 * degree + 1))
    part = [a[:, high, degree**2 : (degree + 1) ** 2] for degree in range(l_max + 1)]
    for (k, m, q), rows, integrals in _products_of_three(part[0].shape[1], l_max) if order >= 4 else []:
        pairs = xp.einsum("aim,ajn,mno->aijo", part[k], part[m], integrals)
        out.append(xp.einsum("aijo,ako->aijk", pairs, part[q])[:, rows[0], rows[1], rows[2]])
    return xp.concatenate(out, axis=1)


def _chain(invariants, density, change):
    """Derivatives of invariants of the density; change: derivatives of the density by the positions."""
    import jax

    density, change = density.reshape(len(density), -1), change.reshape(len(change), -1, *change.shape[3:])
    with jax.enable_x64(True):
        by_density = [np.asarray(_jacobian(invariants)(row)) for row in density]
    return np.stack(
        [np.einsum("fc,cjx->fjx", *pair, optimize=True) for pair in zip(by_density, change, strict=True)]
    )


@functools.cache
def _jacobian(invariants):
    """Compiled once: derivatives of the invariants of one atom by its density."""
    import jax
    import jax.numpy as jnp

    function, *settings = invariants
    return jax.jit(jax.jacfwd(lambda row: function(jnp, row[None], *settings)[0]))


def _harmonic_functions(cutoff, n_max, l_max, order):
    """The term whose sums are A_snlm; n_max and l_max stand in the lengths of its parameters."""
    if order not in (2, 3, 4):
        raise ValueError(f"the body order must be 2, 3 or 4, not {order!r}")
    return Term(
        _harmonics, (cutoff, np.zeros(whole("n_max", n_max, 1)), np.zeros(whole("l_max", l_max, 0) + 1))
    )
