"""Artrith-Urban-Ceder fingerprints: distances and angles in Chebyshev polynomials, weighted by species."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from mlms_helpers.statistics import whole

from ._checks import chemical_species, positive, validated
from ._sums import Term, derivatives, sums


def chebyshev(
    structures: Sequence[Atoms],
    radial_cutoff: float = 8.0,
    radial_order: int = 16,
    angular_cutoff: float = 6.5,
    angular_order: int = 4,
    species: Sequence[str] | None = None,
) -> np.ndarray:
    """Chebyshev fingerprints: distances and angles in polynomials, for the structure and for the composition.

    structures: periodic or not.
    radial_cutoff, angular_cutoff: A.
    radial_order, angular_order: highest polynomial.
    species: as in `symmetry_functions`.

        radial,  a <= radial_order:   sum_j w_j T_a(2 r_ij / r_c - 1) f(r_ij)
        angular, a <= angular_order:  sum_{j<k} w_j w_k T_a(cos theta_jik) f(r_ij) f(r_ik)

    w is 1 for the structure; for the composition a whole number of each species, in their order around zero
    (`species_weights`).  So the length does not grow with the number of species.

    Returns float64 [n_atoms_total, 2 * (radial_order + angular_order + 2)], dimensionless, one row an atom:
    radial and angular of the structure, then of the composition (left out where there is one species).
    Raises ValueError as `symmetry_functions` does.
    N. Artrith, A. Urban and G. Ceder, PRB 96, 014112 (2017); polynomials of the cosine of the angle, smooth
    at a straight bond.
    """
    structures = validated(structures)
    species = chemical_species(structures, species)
    terms = _terms(radial_cutoff, radial_order, angular_cutoff, angular_order)
    return _weighted(*(sums(term, structures, species) for term in terms), species)


def chebyshev_labels(structures, radial_cutoff, radial_order, angular_cutoff, angular_order, species):
    _terms(radial_cutoff, radial_order, angular_cutoff, angular_order)  # says what is wrong with them
    channels = ["structure", "composition"][: 1 + (len(chemical_species(structures, species)) > 1)]
    return [
        f"{channel} {what} T{order}"
        for channel in channels
        for what, last in (("radial", radial_order), ("angular", angular_order))
        for order in range(int(last) + 1)
    ]


def chebyshev_derivatives(atoms, radial_cutoff, radial_order, angular_cutoff, angular_order, species):
    species = chemical_species([atoms], species)
    terms = _terms(radial_cutoff, radial_order, angular_cutoff, angular_order)
    return _weighted(*(derivatives(term, atoms, species) for term in terms), species)


def species_weights(species: Sequence[str]) -> np.ndarray:
    """Weight of each species in the composition part: -1, 1; -1, 0, 1; -2, -1, 1, 2; and so on."""
    n = len(species)
    return np.array([weight for weight in range(-(n // 2), n // 2 + 1) if weight or n % 2], float)


def polynomials(xp, x, n):
    """T_0 ... T_(n-1) of x [rows]: [rows, n]."""
    columns = [xp.ones_like(x), x]
    while len(columns) < n:
        columns.append(2 * x * columns[-1] - columns[-2])
    return xp.stack(columns[:n], axis=1)


def _term(xp, parameters, one, two=None):
    cutoff, orders = parameters
    r, d, fade = one
    if two is None:
        x = 2 * d / cutoff - 1
    else:
        s, e, fade_too = two
        x, fade = (r * s).sum(-1) / (d * e), fade * fade_too
    return polynomials(xp, x, len(orders)) * fade[:, None]


def _terms(radial_cutoff, radial_order, angular_cutoff, angular_order):
    positive("radial cutoff", radial_cutoff)
    positive("angular cutoff", angular_cutoff)
    radial = np.arange(whole("radial_order", radial_order, 0) + 1)
    angular = np.arange(whole("angular_order", angular_order, 0) + 1)
    return Term(_term, (radial_cutoff, radial)), Term(_term, (angular_cutoff, angular), angular=True)


def _weighted(radial, angular, species):
    """Sums over species, plain and weighted, side by side; axes 1 and 2 are species and term."""
    out, w = [], species_weights(species)
    for weights in [np.ones_like(w), w][: 1 + (len(species) > 1)]:
        pair_weights = np.outer(weights, weights)[
            np.triu_indices(len(weights))
        ]  # the order of `species_pairs`
        out.append(np.einsum("as...,s->a...", radial, weights))
        out.append(np.einsum("as...,s->a...", angular, pair_weights))
    return np.concatenate(out, axis=1)
