"""A trained potential: energies and forces of any structure of its species, in blocks of atoms."""

import functools
import json
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress

from mlms_helpers.descriptors._checks import validated

from .inputs import pairs, slots
from .program import Shape, invariants, line_energies, network_energies

BLOCK = 64  # atoms of one block: what stays near the processor
STEP = 16  # in which room for neighbours grows: each size is compiled once


class Potential:
    """Lines, and networks on top of them; more than one of each are a committee.

    species: sorted symbols.
    shape: sizes and cutoff.
    constants: energy of an atom of each species, eV.
    weights: {"line": ..., "net": ... or absent}, arrays with the members first.
    history: errors of the training, a dict, for the curious.
    """

    def __init__(self, species, shape, constants, weights, history=None):
        self.species, self.shape = [str(s) for s in species], Shape(*shape)
        self.constants, self.weights = np.asarray(constants, float), weights
        self.history = history or {}

    @property
    def cutoff(self) -> float:
        """A."""
        return self.shape.cutoff

    @property
    def members(self) -> int:
        """How many potentials vote."""
        return len(self.weights["line"]["slopes"])

    def predict(self, structures: Sequence[Atoms]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Energies float64 [n], eV, and forces, a list of float64 [n_atoms, 3], eV/A: the members' mean.

        Raises ValueError for an unknown species, positions that are not finite, atoms closer than 0.3 A, and
        a periodic cell without volume.
        """
        told = self._all(structures, mean=True)
        return np.array([e[0] for e, _, _ in told]), [f[0] for _, f, _ in told]

    def spread(self, structures: Sequence[Atoms]) -> tuple[np.ndarray, list[np.ndarray]]:
        """How far the members differ: standard deviations of energies, eV, and of force components, eV/A.

        Returns and raises as `predict`, and ValueError where there is one member only.
        """
        if self.members < 2:
            raise ValueError("one potential alone has no spread: train with members=4")
        told = self._all(structures, mean=False)
        return np.array([e.std(ddof=1) for e, _, _ in told]), [f.std(axis=0, ddof=1) for _, f, _ in told]

    def stress(self, atoms: Atoms) -> np.ndarray:
        """Stress, eV/A^3, in ASE's order xx, yy, zz, yz, xz, xy.  Raises as `predict`."""
        (_, _, virial), *_ = self._all([atoms], mean=True)
        return full_3x3_to_voigt_6_stress(virial[0] / atoms.get_volume())

    def calculator(self, skin: float = 0.5):
        """An ASE calculator of energy, forces and stress.

        skin: A; the neighbour list lasts until an atom has moved by half of it.
        """
        from .calculator import Calculator

        return Calculator(self, skin)

    def save(self, path) -> None:
        """Write one `.npz` file of arrays (nothing pickled)."""
        arrays = {f"{part}/{k}": np.asarray(v) for part, w in self.weights.items() for k, v in w.items()}
        about = {"species": self.species, "shape": list(self.shape), "history": self.history}
        np.savez_compressed(_npz(path), constants=self.constants, about=json.dumps(about), **arrays)

    def _all(self, structures, mean):
        structures = validated(structures)
        self.check_species(structures)
        return [
            self.evaluate(atoms, pairs(atoms, self.cutoff, k), mean) for k, atoms in enumerate(structures)
        ]

    def check_species(self, structures):
        """Raise a ValueError for a species that was not learned."""
        unknown = sorted({s for atoms in structures for s in atoms.symbols} - set(self.species))
        if unknown:
            raise ValueError(
                f"this potential knows {', '.join(self.species)}; it was never shown {', '.join(unknown)}"
            )

    def evaluate(self, atoms, neighbours, mean=True):
        """Energies [members], forces [members, n_atoms, 3] and virials [members, 3, 3] of one structure."""
        i, j, r = neighbours
        own = np.searchsorted(self.species, atoms.symbols)
        n = len(atoms)
        room = -(-n // BLOCK) * BLOCK
        width = -(-max(1, int(np.bincount(i, minlength=1).max(initial=0))) // STEP) * STEP
        partner, vectors = slots(i, j, r, room, width, 2 * self.cutoff)
        padded = np.full(room, -1, np.int32)
        padded[:n] = own
        kind = own[partner].astype(np.int32)
        with jax.enable_x64(True):
            told = [
                _evaluate(
                    self.shape, "net" in self.weights, bool(mean), self._on_device,
                    vectors[part], kind[part], padded[part],
                )
                for part in (slice(start, start + BLOCK) for start in range(0, room, BLOCK))
            ]  # fmt: skip
            energy = sum(np.asarray(one) for one, _ in told)
            slope = np.concatenate([np.asarray(one) for _, one in told], axis=1)
        place = np.arange(len(i)) - np.searchsorted(i, i)
        by_pair = slope[:, i, place]
        forces = slope[:, :n].sum(2)
        for member, values in enumerate(by_pair):
            for x in range(3):
                forces[member, :, x] -= np.bincount(j, values[:, x], n)
        virial = np.einsum("pa,mpb->mab", r, by_pair)
        return energy + self.constants[own].sum(), forces, virial

    @functools.cached_property
    def _on_device(self):
        with jax.enable_x64(True):
            return jax.tree.map(lambda a: jnp.asarray(a, float), self.weights)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _evaluate(shape, with_network, mean, weights, r, kind, own):
    """Energies [members] of one block of atoms, and derivatives by the vectors [members, BLOCK, width, 3].

    A block at a time, so that one program serves structures of any size: it takes seconds to compile.
    """
    line = weights["line"]
    if mean:
        line = line | {name: line[name].mean(0, keepdims=True) for name in ("slopes", "constant")}
    radial = jnp.asarray(shape.radial())

    def energies(r):
        x = invariants(shape, radial, r, kind)
        out = line_energies(line, x, own)
        if with_network:
            nets = jax.vmap(network_energies, (0, None, None))(weights["net"], x[:, : shape.n_low], own)
            out = out + (nets.mean(0, keepdims=True) if mean else nets)
        return out.sum(1)

    told, back = jax.vjp(energies, r)
    return told, jax.vmap(lambda one: back(one)[0])(jnp.eye(len(told)))


def load(path) -> Potential:
    """A potential that `Potential.save` has written.  Raises ValueError for a file that is none."""
    try:
        with np.load(_npz(path), allow_pickle=False) as file:
            about, weights = json.loads(str(file["about"])), {}
            for name in file.files:
                if "/" in name:
                    part, key = name.split("/")
                    weights.setdefault(part, {})[key] = file[name]
            return Potential(about["species"], about["shape"], file["constants"], weights, about["history"])
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{path} holds no potential that was saved by Potential.save ({error})") from None


def _npz(path):
    path = Path(path)
    return path if path.suffix == ".npz" else path.with_name(path.name + ".npz")
