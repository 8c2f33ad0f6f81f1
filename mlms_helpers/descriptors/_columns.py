"""What each column of a descriptor is called, and how it changes with the positions."""

import inspect
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from ase import Atoms

from . import density, distributions, electrostatics, matrices, symmetry
from ._checks import validated
from .chebyshev import chebyshev, chebyshev_derivatives, chebyshev_labels
from .neighbours import neighbour_count, neighbour_count_labels
from .ngrams import ngram_labels, ngrams

_LABELS = {
    symmetry.symmetry_functions: symmetry.symmetry_function_labels,
    chebyshev: chebyshev_labels,
    density.soap: density.power_spectrum_labels,
    density.power_spectrum: density.power_spectrum_labels,
    density.ace: density.ace_labels,
    distributions.radial_distribution: distributions.radial_distribution_labels,
    distributions.angular_distribution: distributions.angular_distribution_labels,
    matrices.coulomb_matrix: matrices.matrix_labels,
    matrices.sine_matrix: matrices.matrix_labels,
    matrices.ewald_matrix: matrices.matrix_labels,
    electrostatics.madelung_potential: electrostatics.madelung_labels,
    electrostatics.crystal_field: electrostatics.crystal_field_labels,
    neighbour_count: neighbour_count_labels,
    ngrams: ngram_labels,
}
_OF_MATRICES = {
    matrices.coulomb_matrix: partial(matrices.matrix_derivatives, "coulomb"),
    matrices.sine_matrix: partial(matrices.matrix_derivatives, "sine"),
    matrices.ewald_matrix: partial(matrices.matrix_derivatives, "ewald"),
}
_DERIVATIVES = {
    symmetry.symmetry_functions: symmetry.symmetry_function_derivatives,
    chebyshev: chebyshev_derivatives,
    density.power_spectrum: density.power_spectrum_derivatives,
    density.ace: density.ace_derivatives,
    electrostatics.madelung_potential: electrostatics.madelung_derivatives,
    **_OF_MATRICES,
}


def labels(descriptor: Callable | str, structures: Sequence[Atoms], **hyperparameters) -> list[str]:
    """Names of a descriptor's columns.

    descriptor: one of the functions of this package, or its name.
    structures, hyperparameters: as that function takes them.

    Returns a list of str, one a column (of `madelung_potential` and `neighbour_count`, which have one number
    an atom, one); a unit in parentheses at the end is that of the column.
    Raises ValueError as the descriptor does.
    """
    descriptor, names = _found(_LABELS, descriptor, "labels")
    return names(validated(structures), **_all(descriptor, hyperparameters))


def derivatives(descriptor: Callable | str, atoms: Atoms, **hyperparameters) -> np.ndarray:
    """Exact derivatives of a descriptor of one structure by the positions of all its atoms.

    descriptor: `symmetry_functions`, `chebyshev`, `power_spectrum`, `ace`, `coulomb_matrix`, `sine_matrix`,
    `ewald_matrix` or `madelung_potential`, or its name.
    atoms: one structure.
    hyperparameters: as the descriptor takes them.

    Returns float64 [n_atoms, n_features, n_atoms, 3] of a descriptor per atom (last but one axis: which atom
    moves), of a matrix [n_features, n_atoms, 3]; in units of the descriptor per A.
    Raises ValueError where the descriptor has none here, and where the array would not fit (8 GB).
    """
    descriptor, slopes = _found(_DERIVATIVES, descriptor, "derivatives")
    validated([atoms])
    rows = 1 if descriptor in _OF_MATRICES else len(atoms)
    size = 24 * rows * len(labels(descriptor, [atoms], **hyperparameters)) * len(atoms)
    if size > 8e9:
        raise ValueError(
            f"derivatives of {len(atoms)} atoms would take {size / 1e9:.0f} GB: "
            f"take fewer features, or a smaller structure"
        )
    return slopes(atoms, **_all(descriptor, hyperparameters))


def _found(table, descriptor, what):
    for function, entry in table.items():
        if descriptor in (function, function.__name__):
            return function, entry
    raise ValueError(
        f"{getattr(descriptor, '__name__', descriptor)!r} has no {what} here; these have: "
        f"{', '.join(function.__name__ for function in table)}"
    )


def _all(descriptor, hyperparameters):
    """The hyperparameters, and the descriptor's defaults for the others."""
    bound = inspect.signature(descriptor).bind(None, **hyperparameters)
    bound.apply_defaults()
    return {name: value for name, value in bound.arguments.items() if name != "structures"}
