"""What every descriptor must do, one call each: symmetries, derivatives, units."""

import inspect
import re
import types

import numpy as np

from mlms_helpers import descriptors

# By which power of a length a hyperparameter grows, or each number of its rows.
LENGTHS = {
    "cutoff": 1,
    "radial_cutoff": 1,
    "angular_cutoff": 1,
    "centres": 1,
    "widths": 1,
    "width": 1,
    "sigma": 1,
}
LENGTHS |= {"g2": (-2, 1), "g3": -1, "g4": (-2, 0, 0), "g5": (-2, 0, 0)}
# And a number of this unit, where charges stay.
UNITS = {"dimensionless": 0, "A": 1, "A^3": 3, "1/A": -1, "V": -1, "V/A": -2, "V/A^2": -3}
UNITS |= {"e^2 / A": -1, "e": 0, "1/degree": 0}


def rewritings(atoms, seed=0):
    """`descriptors.rewritten`, and more: {name: (atoms, order)}."""
    out = descriptors.rewritten(atoms, seed)
    mirrored, order = atoms.copy(), np.arange(len(atoms))
    mirrored.set_cell(atoms.cell.array * [1, 1, -1])
    mirrored.positions[:, 2] *= -1
    out["mirrored"] = mirrored, order
    if atoms.pbc.all():
        moved = atoms.copy()
        moved.positions[0] += 2 * atoms.cell[0] - atoms.cell[2]
        out["one atom as its image"] = moved, order
        out["doubled"] = atoms * (1, 2, 1), np.tile(order, 2)
    return out


def assert_symmetries(descriptor, structures, *, seed=0, but=(), tolerance=1e-6, **hyperparameters):
    """The same crystal, written in another way, has the same numbers, to `tolerance` of the largest.

    but: ways to which this descriptor does react; it must do so for one of the structures.
    """
    assert np.abs(descriptor(structures, **hyperparameters)).max() > 0, "what is zero has any symmetry"
    reacts = set()
    for atoms in structures:
        before = descriptor([atoms], **hyperparameters)
        largest = np.abs(before).max()
        for name, (other, order) in rewritings(atoms, seed).items():
            after = descriptor([other], **hyperparameters)
            expected = before[order] if len(before) == len(atoms) and len(after) == len(other) else before
            if after.shape != expected.shape or np.abs(after - expected).max() > tolerance * largest:
                assert name in but, f"{descriptor.__name__} changes where the crystal is {name}"
                reacts.add(name)
    assert reacts == set(but), f"does not react to {set(but) - reacts}"


def assert_derivatives(descriptor, structures, *, step=1e-4, tolerance=1e-4, **hyperparameters):
    """Derivatives are central differences, to `tolerance` of the largest; a shift of all changes nothing."""
    for atoms in structures:
        exact = descriptors.derivatives(descriptor, atoms, **hyperparameters)
        numeric = np.zeros_like(exact)
        for atom, axis in np.ndindex(len(atoms), 3):
            there, back = atoms.copy(), atoms.copy()
            there.positions[atom, axis] += step
            back.positions[atom, axis] -= step
            ends = [descriptor([moved], **hyperparameters) for moved in (there, back)]
            numeric[..., atom, axis] = ((ends[0] - ends[1]) / (2 * step)).reshape(exact.shape[:-2])
        largest = np.abs(numeric).max()
        assert largest > 1e-3, "nothing changes: these structures show nothing"
        np.testing.assert_allclose(exact, numeric, rtol=0, atol=tolerance * largest)
        np.testing.assert_allclose(exact.sum(axis=-2), 0, atol=1e-9 * largest)


def assert_units(
    descriptor, structures, unit=None, *, lengths=types.MappingProxyType({}), scale=1.25, **hyperparameters
):
    """With all lengths times `scale` each number grows as its unit says, which stands in the docstring, too.

    unit: one for all columns, or one each; default, what the labels have in parentheses at their end.
    lengths: {hyperparameter: power of a length}, in place of `LENGTHS`.
    """
    names = descriptors.labels(descriptor, structures, **hyperparameters)
    if unit is None:
        found = [re.search(r"\(([^()]*)\)$", name) for name in names]
        unit = [match[1] if match else "dimensionless" for match in found]
    unit = np.broadcast_to(unit, len(names))
    for name in set(unit):
        assert re.search(rf"(?<![\w/^]){re.escape(name)}(?![\w/^])", descriptor.__doc__), f"no {name} there"
    bound = inspect.signature(descriptor).bind(structures, **hyperparameters)
    bound.apply_defaults()
    longer = {**bound.arguments, "structures": [larger(atoms, scale) for atoms in structures]}
    for name, power in {**LENGTHS, **lengths}.items():
        if longer.get(name) is not None and np.size(longer[name]):
            longer[name] = (np.array(longer[name], float) * scale ** np.array(power, float)).tolist()
    before, after = (
        descriptor(**arguments).reshape(-1, len(names)) for arguments in (bound.arguments, longer)
    )
    expected = before * scale ** np.array([UNITS[name] for name in unit], float)
    np.testing.assert_allclose(after, expected, rtol=1e-7, atol=1e-8 * np.abs(before).max())


def larger(atoms, scale):
    out = atoms.copy()
    out.set_cell(atoms.cell * scale)
    out.positions = atoms.positions * scale
    return out
