"""Behler-Parrinello symmetry functions: sums over neighbours and their angles."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from mlms_helpers.statistics import whole

from ._checks import chemical_species, positive, species_pairs, validated
from ._sums import Term, as_neighbour, derivatives, sums

CENTRES = (1.4, 1.6, 1.8, 2.1, 2.5, 3.0, 3.6, 4.4, 5.2)  # A, of the symmetry functions
BOHR = 0.529177211  # A
MOST_BITS = 6  # of a whole zeta


def symmetry_functions(
    structures: Sequence[Atoms],
    cutoff: float = 6.5,
    centres: Sequence[float] = CENTRES,
    widths: Sequence[float] | float | None = None,
    species: Sequence[str] | None = None,
    *,
    g2: Sequence | None = None,
    g3: Sequence = (),
    g4: Sequence = (),
    g5: Sequence = (),
) -> np.ndarray:
    """Behler-Parrinello symmetry functions: how many neighbours of each kind, how far and at which angles.

    structures: periodic or not.
    cutoff: A.
    centres: R_s, A, one function G2 each.
    widths: A, eta = 1 / (2 width^2); default, a width that grows with the distance between centres.
    species: chemical symbols of the channels; default, all that occur in `structures`, sorted.
    g2: pairs (eta in 1/A^2, R_s in A), in place of centres and widths.
    g3: kappa, 1/A.
    g4, g5: triples (eta in 1/A^2, zeta, lambda).  `standard_set` knows such lists.

        G2 = sum_j exp(-eta (r_ij - R_s)^2) f(r_ij)                     G3 = sum_j cos(kappa r_ij) f(r_ij)
        G4 = sum_{j<k} 2^(1 - zeta) (1 + lambda cos theta_jik)^zeta
                       exp(-eta (r_ij^2 + r_ik^2 + r_jk^2)) f(r_ij) f(r_ik) f(r_jk)
        G5 = the same without r_jk

    Each pair of neighbours counts once (in the paper twice).

    Returns float64 [n_atoms_total, n_species * (n_G2 + n_G3) + n_pairs * (n_G4 + n_G5)], dimensionless, one
    row an
    atom: all G2 of the first species first; then G3, G4, G5 likewise, the latter two by unordered pair of
    species.
    Raises ValueError for an empty list, a species that is not in `species`, two atoms at one place, or
    parameters that are not numbers of the right count.
    J. Behler and M. Parrinello, PRL 98, 146401 (2007); J. Behler, JCP 134, 074106 (2011), eqs. 4 to 9.
    """
    structures = validated(structures)
    species = chemical_species(structures, species)
    parts = [sums(term, structures, species) for term in _terms(cutoff, centres, widths, g2, g3, g4, g5)]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def symmetry_function_labels(structures, species, cutoff, **lists):
    species = chemical_species(structures, species)
    g2, g3, g4, g5 = _parameters(**lists)
    angles = "{} {}-{} eta={:.9g} zeta={:.9g} lambda={:+.9g}".format
    return [
        *(f"G2 {s} eta={eta:.9g} R={centre:.9g}" for s in species for eta, centre in g2),
        *(f"G3 {s} kappa={kappa:.9g}" for s in species for (kappa,) in g3),
        *(angles("G4", *pair, *row) for pair in species_pairs(species) for row in g4),
        *(angles("G5", *pair, *row) for pair in species_pairs(species) for row in g5),
    ]


def symmetry_function_derivatives(atoms, species, **parameters):
    species = chemical_species([atoms], species)
    parts = [derivatives(term, atoms, species) for term in _terms(**parameters)]
    return np.concatenate([part.reshape(len(atoms), -1, len(atoms), 3) for part in parts], axis=1)


def standard_set(name: str = "artrith-urban", cutoff: float = 6.5, n: int = 5) -> dict:
    """Parameters that others have used, for `symmetry_functions(structures, **standard_set(...))`.

    name: "artrith-urban", 8 G2 and 18 G4 made for a cutoff of 6.5 A (TiO2, and many oxides after it; first
    for Cu); "imbalzano", made by rule for any cutoff: G2 that sit on the atom and n that sit around it, G4 on
    a grid.
    cutoff: A.
    n: of the rule.

    Returns a dict: cutoff, g2, g4.
    N. Artrith and A. Urban, Comput. Mater. Sci. 114, 135 (2016), supporting information; N. Artrith and J.
    Behler, PRB 85, 045439 (2012); G. Imbalzano et al., JCP 148, 241730 (2018).
    """
    positive("cutoff", cutoff)
    if name == "artrith-urban":
        around, shells = [0.0009, 0.01, 0.02, 0.035, 0.06, 0.1, 0.2, 0.4], []
        angular, zetas = [0.0001, 0.008, 0.025], (1, 2, 4)
        around, angular = ([eta / BOHR**2 for eta in etas] for etas in (around, angular))
    elif name == "imbalzano":
        n = whole("n", n, 2)
        steps = n ** (np.arange(n + 1) / n)
        r = cutoff / steps
        around = angular = [float(eta) for eta in (steps / cutoff) ** 2]
        shells = [(float(1 / (r[n - m] - r[n - m - 1]) ** 2), float(r[m])) for m in range(n)]
        zetas = (1, 4, 16)
    else:
        raise ValueError(f"no standard set {name!r}: there are 'artrith-urban' and 'imbalzano'")
    return {
        "cutoff": cutoff,
        "g2": [*((eta, 0.0) for eta in around), *shells],
        "g4": [(eta, zeta, sign) for eta in angular for sign in (-1.0, 1.0) for zeta in zetas],
    }


def _g2(xp, parameters, one):
    _, eta, centre = parameters
    _, d, fade = one
    return xp.exp(-eta * (d[:, None] - centre) ** 2) * fade[:, None]


def _g3(xp, parameters, one):
    _, kappa = parameters
    _, d, fade = one
    return xp.cos(kappa * d[:, None]) * fade[:, None]


def _g4(xp, parameters, one, two):
    (r, d, fade), (s, e, fade_too) = one, two
    _, f, fade_between = as_neighbour(xp, parameters[0], s - r)
    cosine, fade = (r * s).sum(-1) / (d * e), fade * fade_too * fade_between
    return _angular(xp, cosine, d**2 + e**2 + f**2, fade, *parameters[1:])


def _g5(xp, parameters, one, two):
    (r, d, fade), (s, e, fade_too) = one, two
    return _angular(xp, (r * s).sum(-1) / (d * e), d**2 + e**2, fade * fade_too, *parameters[1:])


def _angular(xp, cosine, square, fade, etas, zeta, sign, which):
    """Each Gaussian and each power of the angle once, then their products as the set asks for them."""
    gauss = xp.exp(-square[:, None] * etas) * fade[:, None]
    base = xp.maximum((1 + sign * cosine[:, None]) / 2, 1e-300)  # rounding may leave it below zero
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


def _terms(cutoff, centres, widths, g2, g3, g4, g5):
    g2, g3, g4, g5 = _parameters(centres, widths, g2, g3, g4, g5)
    out = []
    if len(g2):
        out.append(Term(_g2, (cutoff, *g2.T)))
    if len(g3):
        out.append(Term(_g3, (cutoff, g3[:, 0])))
    for function, rows, within in ((_g4, g4, cutoff), (_g5, g5, None)):
        if len(rows):
            etas, eta = np.unique(rows[:, 0], return_inverse=True)
            angles, angle = np.unique(rows[:, 1:], axis=0, return_inverse=True)
            zeta, sign = angles.T
            if np.isin(zeta, np.arange(2**MOST_BITS)).all():
                zeta = zeta.astype(int)
            which = np.array([eta, angle.ravel()])
            out.append(Term(function, (cutoff, etas, zeta, sign, which), angular=True, within=within))
    if not out:
        raise ValueError("no symmetry function is asked for: give centres, g2, g3, g4 or g5")
    return out


def _parameters(centres, widths, g2, g3, g4, g5):
    """The four lists as arrays [n, 2], [n, 1], [n, 3], [n, 3]."""
    if g2 is None:
        g2 = _gaussians(centres, widths)
    out = [_rows("g2", g2, "eta", "R_s"), _rows("g3", g3, "kappa")]
    return [*out, *(_rows(name, rows, "eta", "zeta", "lambda") for name, rows in (("g4", g4), ("g5", g5)))]


def _gaussians(centres, widths):
    """Pairs (eta, R_s) of G2."""
    centres = np.asarray(centres, float)
    if widths is None:
        widths = np.maximum(np.gradient(centres), 0.15) if len(centres) > 1 else 0.5
    widths = np.asarray(widths, float)
    if centres.ndim != 1 or widths.shape not in ((), centres.shape) or not (widths > 0).all():
        raise ValueError(
            "centres must be a list of lengths, and widths one positive length "
            "or as many as there are centres"
        )
    return np.column_stack([1 / (2 * np.broadcast_to(widths, centres.shape) ** 2), centres])


def _rows(name, rows, *words):
    """A list of parameters as an array [n, len(words)], or a ValueError that says what the list must hold."""
    try:
        rows = np.asarray(rows, float).reshape(len(rows), len(words))
    except (TypeError, ValueError):
        rows = np.array([np.nan])
    if not np.isfinite(rows).all():
        raise ValueError(f"{name} must be a list of {' and '.join(words)}, numbers all")
    if "zeta" in words and (rows[:, 1] < 0).any():
        raise ValueError(f"{name}: zeta, the power of an angle, must not be negative")
    return rows
