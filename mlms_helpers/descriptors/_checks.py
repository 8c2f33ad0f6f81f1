"""What is asked of the input: the thing itself comes back, or one sentence that says what is wrong."""

from collections.abc import Iterable
from numbers import Real

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols


def validated(structures: Iterable[Atoms], least: int = 1) -> list[Atoms]:
    """The structures as a list, `least` at least, or a ValueError that says what is wrong, and where."""
    if hasattr(structures, "positions") or not hasattr(structures, "__iter__"):
        raise ValueError(
            "a list of structures (ase.Atoms) is asked for: put a single one in brackets, [atoms]"
        )
    structures = list(structures)
    if len(structures) < least:
        raise ValueError("the list of structures is empty: give at least one")
    for number, atoms in enumerate(structures):
        if not hasattr(atoms, "positions"):
            raise ValueError(f"structure {number} is not an ase.Atoms, but a {type(atoms).__name__}")
        if len(atoms) == 0:
            raise ValueError(f"structure {number} has no atoms")
        finite = np.isfinite(atoms.positions).all(axis=1)
        if not finite.all():
            raise ValueError(f"structure {number}: the position of atom {finite.argmin()} is not a number")
        if atoms.pbc.any() and not abs(np.linalg.det(box(atoms))) > 1e-6:
            raise ValueError(
                f"structure {number} is periodic, but its cell has no volume; "
                f"give three lattice vectors, or pbc=False for a molecule"
            )
    return structures


def positive(name: str, value: float) -> None:
    """Raise a ValueError where a length or a width is none."""
    if not (isinstance(value, Real) and 0 < value < np.inf):
        raise ValueError(f"the {name} must be a positive number, not {value}")


def apart(i: np.ndarray, j: np.ndarray, distance: np.ndarray, number: int = 0) -> None:
    """Raise a ValueError where a pair of the neighbour list lies at one place; number: of the structure."""
    if len(distance) and distance.min() < 1e-6:
        pair = distance.argmin()
        raise ValueError(f"structure {number}: atoms {i[pair]} and {j[pair]} lie at one place")


def box(atoms: Atoms) -> np.ndarray:
    """Lattice vectors [3, 3], A; in a direction that is not periodic, one at right angles to the others."""
    cell = atoms.cell.copy()
    cell[~atoms.pbc] = 0.0
    return np.asarray(cell if atoms.pbc.all() else cell.complete())


def chemical_species(structures: list[Atoms], species: Iterable[str] | None) -> np.ndarray:
    """Channels of a descriptor: sorted symbols, those that occur or those given.

    Raises ValueError for what is no chemical symbol, and where one that occurs is missing.
    """
    found = sorted({symbol for atoms in structures for symbol in atoms.symbols})
    if species is None:
        return np.array(found)
    given = list(species) if np.iterable(species) and not isinstance(species, str) else [species]
    if isinstance(species, str) or not all(map(is_symbol, given)):
        raise ValueError(f"species must be a list of chemical symbols, as ['Li', 'O'], not {species!r}")
    unknown = sorted(set(found) - set(given))
    if unknown:
        raise ValueError(
            f"{', '.join(unknown)} occurs in the structures, but not among the species {sorted(given)}"
        )
    return np.array(sorted(set(given)))


def is_symbol(text: str) -> bool:
    """Whether this is the symbol of an element, written as chemists do."""
    return isinstance(text, str) and text in chemical_symbols[1:]


def species_pairs(species: list[str]) -> list[tuple[str, str]]:
    """Unordered pairs of species in the order of the channels: (first, first), (first, second), ..."""
    return [(a, b) for number, a in enumerate(species) for b in species[number:]]


def pair_number(a: np.ndarray, b: np.ndarray, n: int) -> np.ndarray:
    """Place of the pair of species a <= b, of n, among `species_pairs`."""
    return a * n - a * (a - 1) // 2 + b - a
