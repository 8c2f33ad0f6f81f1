"""Candidate features as formulas with units: a grammar for `linear.sisso` and its relatives to choose from.

    radii = formulas.quantities(table, {"r_s_A": "A", "r_s_B": "A"})
    bonds = formulas.sums(radii)
    features = formulas.join(radii, formulas.ratios(radii, formulas.powers(bonds, 2)))

Quantities are added only where their units are alike, and each formula carries its name and unit along.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

BASE = ("eV", "A")


class Formulas(NamedTuple):
    """Formulas and their values.

    names: [n_formulas], such as "r_s_A / (r_p_A + r_p_B)^3".
    values: float64 [n_samples, n_formulas].
    units: int [n_formulas, 2], the exponents of eV and A.
    """

    names: list[str]
    values: np.ndarray
    units: np.ndarray

    def unit(self, column: int) -> str:
        """Unit of a formula in words: "eV/A^2"; empty for a plain number."""
        parts = {sign: [] for sign in (1, -1)}
        for base, exponent in zip(BASE, self.units[column], strict=True):
            if exponent:
                parts[np.sign(exponent)].append(base + (f"^{abs(exponent)}" if abs(exponent) > 1 else ""))
        return " ".join(parts[1] or ["1" if parts[-1] else ""]) + "".join(f"/{part}" for part in parts[-1])


def quantities(table: pd.DataFrame, units: Mapping[str, str]) -> Formulas:
    """The columns of a table that formulas are made of.

    table: one row a sample.
    units: {column: "eV", "A" or "" for a plain number}.

    Raises ValueError for a column that is missing or holds no finite numbers, and for another unit.
    """
    for column, unit in units.items():
        if unit not in (*BASE, ""):
            raise ValueError(f"{column} has the unit {unit!r}: give eV, A, or nothing for a plain number")
        if column not in table or not np.isfinite(table[column].to_numpy(float)).all():
            raise ValueError(f"the table has no column {column!r} of finite numbers")
    exponents = [[int(unit == base) for base in BASE] for unit in units.values()]
    return Formulas(list(units), table[list(units)].to_numpy(float), np.array(exponents, int).reshape(-1, 2))


def sums(f: Formulas, g: Formulas | None = None) -> Formulas:
    """a + b of like units, for each pair in f; with g, a from f and b from g."""
    return _combined(f, g, "({} + {})", np.add, alike=True)


def differences(f: Formulas, g: Formulas | None = None) -> Formulas:
    """|a - b| of like units, for each pair in f; with g, a from f and b from g."""
    return _combined(f, g, "|{} - {}|", lambda a, b: np.abs(a - b), alike=True)


def products(f: Formulas, g: Formulas | None = None) -> Formulas:
    """a b, for each pair in f and each a with itself; with g, a from f and b from g."""
    return _combined(f, g, "{} {}", np.multiply, units=np.add, itself=True)


def ratios(f: Formulas, g: Formulas) -> Formulas:
    """a / b, a from f and b from g; a b that is zero or changes its sign among the samples is left out."""
    safe = (g.values > 0).all(axis=0) | (g.values < 0).all(axis=0)
    names = [_as_one(name) for name in g.names]
    below = Formulas(
        [name for name, ok in zip(names, safe, strict=True) if ok], g.values[:, safe], g.units[safe]
    )
    return _combined(f, below, "{} / {}", np.divide, units=np.subtract)


def powers(f: Formulas, k: int) -> Formulas:
    """a^k of each a in f."""
    names = f.names if k == 1 else [f"{_as_one(name)}^{k}" for name in f.names]
    return Formulas(names, f.values**k, k * f.units)


def exponentials(f: Formulas) -> Formulas:
    """exp(a / 1 A), exp(a / 1 eV): a plain number, and another one in another unit of length or energy."""
    return Formulas([f"exp({name})" for name in f.names], np.exp(f.values), 0 * f.units)


def join(*parts: Formulas) -> Formulas:
    """All formulas of some lists, without what does not vary, is not finite, or says what one before it says.

    Two say the same where one is the other times a number plus a number.
    """
    values = np.concatenate([part.values for part in parts], axis=1)
    names = [name for part in parts for name in part.names]
    spread = np.ptp(values, axis=0)
    varies = np.flatnonzero(np.isfinite(spread) & (spread > 1e-9 * np.abs(values).max(axis=0)))
    z = values[:, varies] - values[:, varies].mean(axis=0)
    along = np.random.default_rng(0).normal(size=len(z)) @ (z / np.linalg.norm(z, axis=0))
    _, first = np.unique(np.abs(along).round(9), return_index=True)
    kept = varies[np.sort(first)]
    units = np.concatenate([part.units for part in parts])
    return Formulas([names[column] for column in kept], values[:, kept], units[kept])


def over_bond_lengths(
    table: pd.DataFrame,
    *,
    energies: Sequence[str] = ("IP", "EA", "HOMO", "LUMO"),
    radii: Sequence[str] = ("r_s", "r_p", "r_d"),
    highest: int = 3,
    products_too: bool = True,
) -> Formulas:
    """Candidate features of compounds AB from quantities of their atoms, by these rules:

    1. an energy is one of the atomic energies, or the sum or difference of two;
    2. a length is an atomic radius, or the sum or difference of two; an area is the product of two lengths;
    3. a bond length is a radius of A plus a radius of B;
    4. candidates are the energies, and energies, lengths and areas divided by a power of a bond length,
       lengths from the first power on, areas from the second: none grows with the size of the atoms.

    table: one row a compound; columns such as IP_A and IP_B (eV), r_s_A and r_s_B (A).
    energies, radii: names of the quantities, without _A and _B.
    highest: power of a bond length.
    products_too: whether there are areas.

    Returns `Formulas`, without those that say the same.
    Raises ValueError for columns that are missing.
    The idea of a space of formulas: L. M. Ghiringhelli et al., PRL 114, 105503 (2015); these rules are ours.
    """
    a, b = (quantities(table, {f"{name}_{side}": "A" for name in radii}) for side in "AB")
    energy = quantities(table, {f"{name}_{side}": "eV" for name in energies for side in "AB"})
    radius, bond = join(a, b), sums(a, b)
    length = join(radius, sums(radius), differences(radius))
    energy = join(energy, sums(energy), differences(energy)) if energies else energy
    parts = [energy]
    for k in range(1, highest + 1):
        parts += [ratios(energy, powers(bond, k)), ratios(length, powers(bond, k))]
        if products_too and k > 1:
            parts.append(ratios(products(length), powers(bond, k)))
    return join(*parts)


def _as_one(name: str) -> str:
    """A name in brackets, unless brackets hold it together already."""
    loose = re.sub(r"\([^()]*\)|\|[^|]*\|", "", name)
    return f"({name})" if " " in loose else name


def _pairs(f: Formulas, g: Formulas | None, alike: bool, itself: bool) -> Iterator[tuple[int, int]]:
    """Column numbers to combine."""
    if g is None:
        choose = itertools.combinations_with_replacement if itself else itertools.combinations
        pairs = choose(range(len(f.names)), 2)
    else:
        pairs = itertools.product(range(len(f.names)), range(len(g.names)))
    g = f if g is None else g
    return ((a, b) for a, b in pairs if not alike or (f.units[a] == g.units[b]).all())


def _combined(f, g, name, function, *, alike=False, itself=False, units=lambda a, b: a):
    """Formulas of pairs of columns."""
    pairs = np.array(list(_pairs(f, g, alike, itself)), int).reshape(-1, 2)
    g = f if g is None else g
    a, b = pairs.T
    names = [name.format(f.names[i], g.names[j]) for i, j in pairs]
    return Formulas(names, function(f.values[:, a], g.values[:, b]), units(f.units[a], g.units[b]))
