"""Behler-Parrinello symmetry functions and Artrith-Urban-Ceder fingerprints: sums over neighbours and their angles."""

import numpy as np

from . import neighbourhoods as nb

CENTRES = (1.4, 1.6, 1.8, 2.1, 2.5, 3.0, 3.6, 4.4, 5.2)          # A, of the symmetry functions
BOHR = 0.529177211                                               # A
MOST_BITS = 6                                                    # of a whole zeta


def symmetry_functions(structures, cutoff=6.5, centres=CENTRES, widths=None, species=None, *, g2=None, g3=(), g4=(), g5=()):
    """Behler-Parrinello symmetry functions: how many neighbours of each kind at which distance, and at which angles.

    structures: list of `ase.Atoms`, periodic or not.   cutoff: A.
    centres: R_s, A, one function G2 each.   widths: A, eta = 1 / (2 width^2); default, a width that grows
    with the distance between centres.   species: chemical symbols of the channels; default, all that
    occur in `structures`, sorted.
    g2: pairs (eta in 1/A^2, R_s in A), in place of centres and widths.   g3: kappa, 1/A.
    g4, g5: triples (eta in 1/A^2, zeta, lambda).   `standard_set` knows such lists.

        G2 = sum_j exp(-eta (r_ij - R_s)^2) f(r_ij)                     G3 = sum_j cos(kappa r_ij) f(r_ij)
        G4 = sum_{j<k} 2^(1 - zeta) (1 + lambda cos theta_jik)^zeta exp(-eta (r_ij^2 + r_ik^2 + r_jk^2)) f(r_ij) f(r_ik) f(r_jk)
        G5 = the same without r_jk

    Each pair of neighbours counts once (in the paper twice).

    Returns float64 [n_atoms_total, n_species * (n_G2 + n_G3) + n_pairs * (n_G4 + n_G5)], dimensionless, one row an atom:
    all G2 of the first species first; then G3, G4, G5 likewise, the latter two by unordered pair of species.
    Raises ValueError for an empty list, a species that is not in `species`, two atoms at one place, or parameters that
    are not numbers of the right count.
    J. Behler and M. Parrinello, PRL 98, 146401 (2007); J. Behler, JCP 134, 074106 (2011), eqs. 4 to 9.
    """
    structures = nb.check(structures)
    species = nb.chemical_species(structures, species)
    parts = [(nb.radial_sums if radial else nb.angular_sums)(term, parameters, structures, cutoff, species, *within)
             for term, parameters, radial, *within in _terms(cutoff, centres, widths, g2, g3, g4, g5)]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def symmetry_function_labels(structures, cutoff=6.5, centres=CENTRES, widths=None, species=None, *, g2=None, g3=(), g4=(), g5=()):
    """Names of the columns of `symmetry_functions`, called with the same arguments: list of str."""
    species = nb.chemical_species(structures, species)
    g2, g3, g4, g5 = _parameters(centres, widths, g2, g3, g4, g5)
    pairs = nb.species_pairs(species)
    angles = "{} {}-{} eta={:.9g} zeta={:.9g} lambda={:+.9g}".format
    return [*(f"G2 {s} eta={eta:.9g} R={centre:.9g}" for s in species for eta, centre in g2),
            *(f"G3 {s} kappa={kappa:.9g}" for s in species for kappa, in g3),
            *(angles("G4", *pair, *row) for pair in pairs for row in g4),
            *(angles("G5", *pair, *row) for pair in pairs for row in g5)]


def symmetry_function_slopes(atoms, cutoff=6.5, centres=CENTRES, widths=None, species=None, *, g2=None, g3=(), g4=(), g5=()):
    """Derivatives of `symmetry_functions` of one structure: float64 [n_atoms, n_features, n_atoms, 3], 1/A."""
    nb.check([atoms])
    species = nb.chemical_species([atoms], species)
    parts = [(nb.radial_slopes if radial else nb.angular_slopes)(term, parameters, atoms, cutoff, species, *within)
             for term, parameters, radial, *within in _terms(cutoff, centres, widths, g2, g3, g4, g5)]
    return np.concatenate([part.reshape(len(atoms), -1, len(atoms), 3) for part in parts], axis=1)


def standard_set(name="artrith-urban", cutoff=6.5, n=5):
    """Parameters of symmetry functions that others have used, for `symmetry_functions(structures, **standard_set(...))`.

    name: "artrith-urban", 8 G2 and 18 G4 made for a cutoff of 6.5 A (TiO2, and many oxides after it; first for Cu);
    "imbalzano", made by rule for any cutoff: G2 that sit on the atom and n that sit around it, G4 on a grid.
    cutoff: A.   n: of the rule.   Returns a dict: cutoff, g2, g4.
    N. Artrith and A. Urban, Comput. Mater. Sci. 114, 135 (2016), supporting information; N. Artrith and J. Behler, PRB 85,
    045439 (2012); G. Imbalzano et al., JCP 148, 241730 (2018).
    """
    if name == "artrith-urban":
        radial = [(eta / BOHR**2, 0.0) for eta in (0.0009, 0.01, 0.02, 0.035, 0.06, 0.1, 0.2, 0.4)]
        angular = [(eta / BOHR**2, zeta, sign) for eta in (0.0001, 0.008, 0.025) for sign in (-1.0, 1.0) for zeta in (1, 2, 4)]
        return {"cutoff": cutoff, "g2": radial, "g4": angular}
    nb.positive("cutoff", cutoff)
    if name == "imbalzano":
        n = nb.whole("n", n, 2)
        steps = n ** (np.arange(n + 1) / n)
        around = cutoff / steps
        return {"cutoff": cutoff,
                "g2": [*((float(eta), 0.0) for eta in (steps / cutoff) ** 2),
                       *((float(1 / (around[n - m] - around[n - m - 1]) ** 2), float(around[m])) for m in range(n))],
                "g4": [(float(eta), zeta, sign) for eta in (steps / cutoff) ** 2 for sign in (-1.0, 1.0) for zeta in (1, 4, 16)]}
    raise ValueError(f"no standard set {name!r}: there are 'artrith-urban' and 'imbalzano'")


def chebyshev(structures, radial_cutoff=8.0, radial_order=16, angular_cutoff=6.5, angular_order=4, species=None):
    """Chebyshev fingerprints: distances and angles expanded in polynomials, once for structure and once for composition.

    structures: list of `ase.Atoms`.   radial_cutoff, angular_cutoff: A.   radial_order, angular_order: highest polynomial.
    species: as in `symmetry_functions`.

        radial,  a <= radial_order:   sum_j w_j T_a(2 r_ij / r_c - 1) f(r_ij)
        angular, a <= angular_order:  sum_{j<k} w_j w_k T_a(cos theta_jik) f(r_ij) f(r_ik)

    w is 1 for the structure; for the composition a whole number of each species, in their order around zero (`species_weights`).
    So the length does not grow with the number of species.

    Returns float64 [n_atoms_total, 2 * (radial_order + angular_order + 2)], dimensionless, one row an atom: radial and angular of
    the structure, then of the composition (left out where there is one species).
    Raises ValueError as `symmetry_functions` does.
    N. Artrith, A. Urban and G. Ceder, PRB 96, 014112 (2017); polynomials of the cosine of the angle, smooth at a straight bond.
    """
    structures = nb.check(structures)
    species = nb.chemical_species(structures, species)
    radial, angular = _chebyshev_terms(radial_cutoff, radial_order, angular_cutoff, angular_order)
    return _weighted(nb.radial_sums(*radial, structures, radial_cutoff, species),
                     nb.angular_sums(*angular, structures, angular_cutoff, species), species)


def chebyshev_labels(structures, radial_cutoff=8.0, radial_order=16, angular_cutoff=6.5, angular_order=4, species=None):
    """Names of the columns of `chebyshev`, called with the same arguments: list of str."""
    radial_order, angular_order = nb.whole("radial_order", radial_order, 0), nb.whole("angular_order", angular_order, 0)
    channels = ["structure", "composition"][:1 + (len(nb.chemical_species(structures, species)) > 1)]
    return [f"{channel} {what} T{order}" for channel in channels
            for what, last in (("radial", radial_order), ("angular", angular_order)) for order in range(last + 1)]


def chebyshev_slopes(atoms, radial_cutoff=8.0, radial_order=16, angular_cutoff=6.5, angular_order=4, species=None):
    """Derivatives of `chebyshev` of one structure: float64 [n_atoms, n_features, n_atoms, 3], 1/A."""
    nb.check([atoms])
    species = nb.chemical_species([atoms], species)
    radial, angular = _chebyshev_terms(radial_cutoff, radial_order, angular_cutoff, angular_order)
    return _weighted(nb.radial_slopes(*radial, atoms, radial_cutoff, species),
                     nb.angular_slopes(*angular, atoms, angular_cutoff, species), species)


def species_weights(species):
    """Weight of each species in the composition channel of `chebyshev`: -1, 1; -1, 0, 1; -2, -1, 1, 2; and so on."""
    n = len(species)
    return np.array([weight for weight in range(-(n // 2), n // 2 + 1) if weight or n % 2], float)


def _g2_term(xp, parameters, one):
    _, eta, centre = parameters
    _, d, fade = one
    return xp.exp(-eta * (d[:, None] - centre) ** 2) * fade[:, None]


def _g3_term(xp, parameters, one):
    _, kappa = parameters
    _, d, fade = one
    return xp.cos(kappa * d[:, None]) * fade[:, None]


def _g4_term(xp, parameters, one, two):
    (r, d, fade), (s, e, fade_too) = one, two
    _, f, fade_between = nb.seen(xp, parameters[0], s - r)
    return _angular_term(xp, (r * s).sum(-1) / (d * e), d**2 + e**2 + f**2, fade * fade_too * fade_between, *parameters[1:])


def _g5_term(xp, parameters, one, two):
    (r, d, fade), (s, e, fade_too) = one, two
    return _angular_term(xp, (r * s).sum(-1) / (d * e), d**2 + e**2, fade * fade_too, *parameters[1:])


def _angular_term(xp, cosine, square, fade, etas, zeta, sign, which):
    """Each Gaussian and each power of the angle once, then their products as the set of functions asks for them."""
    gauss = xp.exp(-square[:, None] * etas) * fade[:, None]
    base = xp.maximum((1 + sign * cosine[:, None]) / 2, 1e-300)             # rounding may leave it below zero
    power = 2 * _power(xp, base, zeta)
    return gauss[:, which[0]] * power[:, which[1]]


def _power(xp, x, exponent):
    """x**exponent; whole exponents by products, which takes a tenth of the time."""
    if not np.issubdtype(exponent.dtype, np.integer):
        return x**exponent
    out = xp.ones_like(x)
    for bit in range(MOST_BITS):
        out = xp.where((exponent >> bit) & 1, out * x, out)
        x = x * x
    return out


def _chebyshev_term(xp, parameters, one, two=None):
    cutoff, orders = parameters
    r, d, fade = one
    if two is None:
        x = 2 * d / cutoff - 1
    else:
        s, e, fade_too = two
        x, fade = (r * s).sum(-1) / (d * e), fade * fade_too
    return nb.chebyshev_polynomials(xp, x, len(orders)) * fade[:, None]


def _terms(cutoff, *parameters):
    g2, g3, g4, g5 = _parameters(*parameters)
    out = []
    if len(g2):
        out.append((_g2_term, (cutoff, *g2.T), True))
    if len(g3):
        out.append((_g3_term, (cutoff, g3[:, 0]), True))
    for term, rows, within in ((_g4_term, g4, cutoff), (_g5_term, g5, None)):
        if len(rows):
            etas, eta = np.unique(rows[:, 0], return_inverse=True)
            angles, angle = np.unique(rows[:, 1:], axis=0, return_inverse=True)
            zeta, sign = angles.T
            if np.isin(zeta, np.arange(2**MOST_BITS)).all():
                zeta = zeta.astype(int)
            out.append((term, (cutoff, etas, zeta, sign, np.array([eta, angle.ravel()])), False, within))
    if not out:
        raise ValueError("no symmetry function is asked for: give centres, g2, g3, g4 or g5")
    return out


def _parameters(centres, widths, g2, g3, g4, g5):
    """The four lists as arrays [n, 2], [n, 1], [n, 3], [n, 3]."""
    if g2 is None:
        centres = np.asarray(centres, float)
        if widths is None:
            widths = np.maximum(np.gradient(centres), 0.15) if len(centres) > 1 else 0.5
        if centres.ndim != 1 or np.shape(widths) not in ((), centres.shape) or not np.all(np.asarray(widths) > 0):
            raise ValueError("centres must be a list of lengths, and widths one positive length or as many as there are centres")
        widths = np.broadcast_to(widths, centres.shape)
        g2 = np.column_stack([1 / (2 * widths**2), centres])
    out = []
    for name, rows, words in (("g2", g2, ["eta", "R_s"]), ("g3", g3, ["kappa"]), ("g4", g4, ["eta", "zeta", "lambda"]),
                              ("g5", g5, ["eta", "zeta", "lambda"])):
        if np.ndim(rows) == 0:
            raise ValueError(f"{name} must be a list of {' and '.join(words)}, numbers all")
        if len(rows):
            try:
                rows = np.asarray(rows, float).reshape(len(rows), len(words))
            except (TypeError, ValueError):
                rows = np.array([np.nan])
            if not np.isfinite(rows).all():
                raise ValueError(f"{name} must be a list of {' and '.join(words)}, numbers all")
            if "zeta" in words and rows[:, 1].min() < 0:
                raise ValueError(f"{name}: zeta, the power of an angle, must not be negative")
        out.append(np.asarray(rows, float).reshape(-1, len(words)))
    return out


def _chebyshev_terms(radial_cutoff, radial_order, angular_cutoff, angular_order):
    nb.positive("radial cutoff", radial_cutoff)
    nb.positive("angular cutoff", angular_cutoff)
    radial_order, angular_order = nb.whole("radial_order", radial_order, 0), nb.whole("angular_order", angular_order, 0)
    return ((_chebyshev_term, (radial_cutoff, np.arange(radial_order + 1))),
            (_chebyshev_term, (angular_cutoff, np.arange(angular_order + 1))))


def _weighted(radial, angular, species):
    """Sums over species, plain and weighted, side by side; axes 1 and 2 are species and term."""
    out, w = [], species_weights(species)
    for weights in [np.ones_like(w), w][:1 + (len(species) > 1)]:
        pair_weights = np.outer(weights, weights)[np.triu_indices(len(weights))]        # the order of `species_pairs`
        out += [np.einsum("as...,s->a...", radial, weights), np.einsum("as...,s->a...", angular, pair_weights)]
    return np.concatenate(out, axis=1)
