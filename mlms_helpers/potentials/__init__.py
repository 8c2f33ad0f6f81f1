"""Interatomic potentials: energy and forces of atoms from their neighbours, learned from calculations.

`line` solves a linear atomic cluster expansion exactly; `train` sets a Keras network for each species on top
of it.  Both read energies and forces from the structures, as ASE attaches them.
"""

from collections.abc import Sequence

import keras
from ase import Atoms

from mlms_helpers.descriptors._checks import chemical_species, positive, validated
from mlms_helpers.statistics import whole

from . import inputs
from .fitting import Task, fit_line, fit_networks
from .potential import Potential as Potential, load as load
from .program import Shape

# By the number of species: n_max, l_max, mixed.  More species, more invariants of each kind.
SIZES = {1: (5, 6, 5), 2: (4, 4, 4), 3: (3, 4, 4)}
MANY = (3, 3, 4)


def line(
    structures: Sequence[Atoms],
    *,
    validation: Sequence[Atoms] | None = None,
    cutoff: float = 6.0,
    n_max: int | None = None,
    l_max: int | None = None,
    mixed: int | None = None,
    members: int = 1,
    seed: int = 0,
    progress: bool = False,
) -> Potential:
    """A linear potential: atomic cluster expansion up to body order 4, energies and forces solved exactly.

    structures: with energies and forces; periodic or not, of any sizes.
    validation: structures that say how strong the ridge should be; None: every tenth of `structures`, which
        are learned from in the end.
    cutoff: A.
    n_max, l_max: radial functions of each species and highest angular momentum; None: by the number of
        species.
    mixed: radial functions of body order 4, in which species are mixed; 0 leaves body order 4 out.
    members: lines; more than one are a committee, each from structures drawn with replacement.
    seed: of what is held out and drawn.
    progress: show a bar.

    Time grows linearly with the number of atoms, memory does not.
    Returns a `Potential`.
    Raises ValueError for structures without energies or forces, fewer than two, positions that are not
    finite, and atoms at one place.
    R. Drautz, PRB 99, 014104 (2019); ridge: as in `linear.ridge`.
    """
    return fit_line(_task(structures, validation, cutoff, (n_max, l_max, mixed), members, seed, progress))[0]


def train(
    structures: Sequence[Atoms],
    *,
    validation: Sequence[Atoms] | None = None,
    cutoff: float = 6.0,
    n_max: int | None = None,
    l_max: int | None = None,
    mixed: int | None = None,
    width: int = 32,
    epochs: int = 80,
    minutes: float = 15.0,
    members: int = 1,
    seed: int = 0,
    progress: bool = False,
) -> Potential:
    """A neural network potential: the exact line, and a Keras network for each species on what it leaves.

    width: neurons in each of two layers.
    epochs: passes over the structures, at falling learning rates.
    minutes: after which the network stops learning.
    structures, validation, cutoff, n_max, l_max, mixed, members, seed, progress: as in `line`; the network
        that is best on the validation structures is kept.

    Returns a `Potential`; its `history` has the root mean square errors.
    Raises what `line` raises; RuntimeError where Keras does not run on JAX.
    J. Behler and M. Parrinello, PRL 98, 146401 (2007).
    """
    if keras.backend.backend() != "jax":
        raise RuntimeError(
            f"potentials need Keras on JAX, and Keras runs on {keras.backend.backend()} here: set the "
            "environment variable KERAS_BACKEND=jax before Python starts"
        )
    width, epochs = whole("width", width), whole("epochs", epochs)
    task = _task(structures, validation, cutoff, (n_max, l_max, mixed), members, seed, progress)
    return fit_networks(task, *fit_line(task), width, epochs, minutes)


def _task(structures, validation, cutoff, asked, members, seed, progress):
    structures = validated(structures, least=2)
    watched = None if validation is None else validated(validation)
    species = chemical_species(structures, None)
    if watched:
        chemical_species(watched, species)
    inputs.labels([*structures, *(watched or [])])
    sizes = SIZES.get(len(species), MANY)
    sizes = (
        default if n is None else whole(name, n, least)
        for name, n, default, least in zip(("n_max", "l_max", "mixed"), asked, sizes, (1, 0, 0), strict=True)
    )
    positive("cutoff", cutoff)
    shape = Shape(float(cutoff), *sizes, len(species))
    members, seed = whole("members", members), whole("seed", seed, 0)
    return Task(structures, watched, [str(s) for s in species], shape, members, seed, progress)
