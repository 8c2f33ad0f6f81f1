"""What a model may see: functions of structures that carry the physics and its symmetries.

Every descriptor is one function, `(structures, **hyperparameters) -> array`, float64.  Rows follow
the order of `structures`; a descriptor *per atom* stacks the atoms of all structures in their order
(`per_structure` cuts the stack again).  All are invariant under rotation, translation and
permutation of like atoms, and under the choice of cell, unless the docstring says otherwise.

`labels(descriptor, structures, **hyperparameters)` names the columns, and `derivatives(descriptor, atoms, **hyperparameters)`
says how each of them changes with each position.
"""

import functools

from . import distributions, electrostatics, expansion, matrices, neighbourhoods, symmetry
from .distributions import angular_distribution, radial_distribution
from .electrostatics import COULOMB, NOMINAL_CHARGES, crystal_field, madelung_potential
from .expansion import cluster_expansion, power_spectrum, soap, spherical_harmonics
from .matrices import coulomb_matrix, ewald_matrix, sine_matrix
from .neighbourhoods import cutoff_function, neighbour_count, neighbours, per_structure
from .survey import largest_jump, sensitivity, smoothness, survey, symmetry_errors
from .symmetry import CENTRES, chebyshev, standard_set, symmetry_functions

_LABELS = {
    symmetry_functions: symmetry.symmetry_function_labels, chebyshev: symmetry.chebyshev_labels,
    soap: expansion.power_spectrum_labels, power_spectrum: expansion.power_spectrum_labels,
    cluster_expansion: expansion.cluster_expansion_labels,
    radial_distribution: distributions.radial_distribution_labels,
    angular_distribution: distributions.angular_distribution_labels,
    coulomb_matrix: matrices.matrix_labels, sine_matrix: matrices.matrix_labels, ewald_matrix: matrices.matrix_labels,
    madelung_potential: electrostatics.madelung_labels, crystal_field: electrostatics.crystal_field_labels,
    neighbour_count: neighbourhoods.neighbour_count_labels}
_OF_MATRICES = {function: functools.partial(matrices.matrix_derivatives, kind)
                for kind, function in (("coulomb", coulomb_matrix), ("sine", sine_matrix), ("ewald", ewald_matrix))}
_DERIVATIVES = {
    symmetry_functions: symmetry.symmetry_function_slopes, chebyshev: symmetry.chebyshev_slopes,
    power_spectrum: expansion.power_spectrum_slopes, cluster_expansion: expansion.cluster_expansion_slopes,
    madelung_potential: electrostatics.madelung_slopes,
    **_OF_MATRICES}


def labels(descriptor, structures, **hyperparameters):
    """Names of a descriptor's columns.

    descriptor: one of the functions of this module, or its name.   structures, hyperparameters: as that function takes them.

    Returns a list of str, one a column (of `madelung_potential` and `neighbour_count`, which have one number an atom, one).
    """
    return _of(_LABELS, descriptor, "labels")(neighbourhoods.check(structures), **hyperparameters)


def derivatives(descriptor, atoms, **hyperparameters):
    """Exact derivatives of a descriptor of one structure by the positions of all its atoms.

    descriptor: `symmetry_functions`, `chebyshev`, `power_spectrum`, `cluster_expansion`, `coulomb_matrix`, `sine_matrix`,
    `ewald_matrix` or `madelung_potential`, or its name.   atoms: `ase.Atoms`.   hyperparameters: as the descriptor takes them.

    Returns float64 [n_atoms, n_features, n_atoms, 3] of a descriptor per atom (last but one axis: which atom moves), of a matrix
    [n_features, n_atoms, 3]; in units of the descriptor per A.
    Raises ValueError where the descriptor has none here, and where the array would not fit (8 GB).
    """
    slopes = _of(_DERIVATIVES, descriptor, "derivatives")
    rows = 1 if slopes in _OF_MATRICES.values() else len(atoms)
    size = 24 * rows * len(labels(descriptor, [atoms], **hyperparameters)) * len(atoms)
    if size > 8e9:
        raise ValueError(f"derivatives of {len(atoms)} atoms would take {size / 1e9:.0f} GB: "
                         f"take fewer features, or a smaller structure")
    return slopes(atoms, **hyperparameters)


def _of(table, descriptor, what):
    found = table.get(descriptor) or next((f for d, f in table.items() if d.__name__ == descriptor), None)
    if found is None:
        raise ValueError(f"{getattr(descriptor, '__name__', descriptor)!r} has no {what} here; these have: "
                         f"{', '.join(d.__name__ for d in table)}")
    return found
