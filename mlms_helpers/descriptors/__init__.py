"""What a model may see: functions of structures that carry the physics and its symmetries.

Every descriptor is one function, `(structures, **hyperparameters) -> array`, float64.  Rows follow
the order of `structures`; a descriptor *per atom* stacks the atoms of all structures in their order
(`per_structure` cuts the stack again).  All are invariant under rotation, translation and
permutation of like atoms, and under the choice of cell, unless the docstring says otherwise.

`labels(descriptor, structures, **hyperparameters)` names the columns, and
`derivatives(descriptor, atoms, **hyperparameters)` says how each of them changes with each position.
"""

from ._columns import derivatives as derivatives, labels as labels
from .chebyshev import chebyshev as chebyshev, species_weights as species_weights
from .density import ace as ace, power_spectrum as power_spectrum, soap as soap
from .distributions import (
    angular_distribution as angular_distribution,
    radial_distribution as radial_distribution,
)
from .electrostatics import COULOMB as COULOMB, NOMINAL_CHARGES as NOMINAL_CHARGES
from .electrostatics import crystal_field as crystal_field, madelung_potential as madelung_potential
from .graphs import CLASSES as CLASSES, graph as graph, padded as padded
from .matrices import (
    coulomb_matrix as coulomb_matrix,
    ewald_matrix as ewald_matrix,
    sine_matrix as sine_matrix,
)
from .molecules import internal_coordinates as internal_coordinates
from .molecules import symmetric_polynomials as symmetric_polynomials
from .neighbours import cutoff_function as cutoff_function, neighbour_count as neighbour_count
from .neighbours import neighbours as neighbours, per_structure as per_structure
from .ngrams import bonds as bonds, dressed as dressed, ngrams as ngrams, paths as paths
from .symmetry import (
    CENTRES as CENTRES,
    standard_set as standard_set,
    symmetry_functions as symmetry_functions,
)
from .trust import largest_jump as largest_jump, rewritten as rewritten, sensitivity as sensitivity
from .trust import smoothness as smoothness, survey as survey, symmetry_errors as symmetry_errors
