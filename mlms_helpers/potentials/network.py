"""One network for the atoms of each species on what the line leaves: a Keras model of energies and forces."""

import jax
import jax.numpy as jnp
import keras
import numpy as np

from .program import Shape, forces, invariants, network_energies
from .solve import ENERGY

KEPT = 60  # directions of the invariants that a network sees: those in which atoms differ most
SAMPLES = ("r", "kind", "partner", "own", "which")


@keras.saving.register_keras_serializable("mlms")
class AtomicNetworks(keras.layers.Layer):
    """From the arrays of `inputs.packed` to energies [n, few], eV, and forces [n, room, 3], eV/A.

    shape: a `program.Shape`, as a list.
    few: structures a bin.
    width: neurons a layer; two layers, silu.
    kept: directions.
    seed: of the initial weights; the output starts at 0, and so the potential at the line.
    J. Behler and M. Parrinello, PRL 98, 146401 (2007).
    """

    def __init__(self, shape, few, width, kept, seed=0, **rest):
        super().__init__(**rest)
        self.shape, self.few, self.width, self.kept, self.seed = Shape(*shape), few, width, kept, seed

    def get_config(self):
        own = {"shape": list(self.shape), "few": self.few, "width": self.width, "kept": self.kept}
        return super().get_config() | own | {"seed": self.seed}

    def build(self, _):
        s, width = self.shape.n_species, self.width
        f = self.shape.n_low
        seeds = np.random.SeedSequence(self.seed).generate_state(2).tolist()
        start = [keras.initializers.GlorotUniform(k) for k in seeds]
        fixed = {"initializer": "zeros", "trainable": False}
        self.net = {
            "centre": self.add_weight(shape=(s, f), name="centre", **fixed),
            "frame": self.add_weight(shape=(s, f, self.kept), name="frame", **fixed),
            "kernel": self.add_weight(shape=(s, self.kept, width), name="kernel", initializer=start[0]),
            "bias": self.add_weight(shape=(s, width), name="bias", initializer="zeros"),
            "kernel2": self.add_weight(shape=(s, width, width), name="kernel2", initializer=start[1]),
            "bias2": self.add_weight(shape=(s, width), name="bias2", initializer="zeros"),
            "output": self.add_weight(shape=(s, width), name="output", initializer="zeros"),
        }
        self.built = True

    def call(self, x):
        net = {name: v.value for name, v in self.net.items()}
        n, _, width, _ = x["r"].shape
        radial = jnp.asarray(self.shape.radial(), "float32")

        def energy(r):
            seen = invariants(self.shape, radial, r.reshape(-1, width, 3), x["kind"].reshape(-1, width), 3)
            out = network_energies(net, seen, x["own"].ravel())
            return out.sum(), out

        (_, atoms), slope = jax.value_and_grad(energy, has_aux=True)(x["r"])
        place = (jnp.arange(n)[:, None] * self.few + x["which"]).ravel()
        energies = jax.ops.segment_sum(atoms, place, n * self.few).reshape(n, self.few)
        return {"energies": energies, "forces": forces(slope, x["partner"])}

    def compute_output_spec(self, x):
        n, room = x["own"].shape
        return {
            "energies": keras.KerasTensor((n, self.few), "float32"),
            "forces": keras.KerasTensor((n, room, 3), "float32"),
        }


def build(sample: dict, shape: Shape, few: int, width: int, seen: tuple, seed: int) -> keras.Model:
    """A Keras model for bins of the shapes of `sample`.

    seen: invariants up to body order 3 of some atoms, [n, F], and their species, [n].  The network sees their
        principal directions, those most in which atoms differ most.
    """
    seen, own = seen
    x = {
        name: keras.Input(sample[name].shape[1:], dtype="float32" if name == "r" else "int32", name=name)
        for name in SAMPLES
    }
    kept = min(KEPT, seen.shape[1])
    layer = AtomicNetworks(shape, few, width, kept, seed, name="atoms")
    model = keras.Model(x, layer(x), name="potential")
    centre = np.zeros((shape.n_species, seen.shape[1]))
    frame = np.zeros((*centre.shape, kept))
    for s in range(shape.n_species):
        z = seen[own == s] if (own == s).any() else seen
        spread = np.where(z.std(0) > 0, z.std(0), 1.0)
        centre[s] = z.mean(0)
        value, direction = np.linalg.eigh(np.cov(((z - centre[s]) / spread).T).reshape(len(spread), -1))
        size = np.sqrt(np.maximum(value, 1e-8 * value[-1]))[-kept:]
        frame[s] = direction[:, -kept:] / spread[:, None] / size
        frame[s] *= 3 * (size / size[-1]) ** 0.3
    layer.net["centre"].assign(centre)
    layer.net["frame"].assign(frame)
    return model


def loss(y, predicted):
    """Mean squared force + ENERGY * squared energy an atom, of each bin."""
    n = y["atoms"]
    energy = jnp.where(n > 0, (predicted["energies"] - y["energies"]) / jnp.maximum(n, 1), 0.0)
    force = ((predicted["forces"] - y["forces"]) ** 2).sum((1, 2)) / (3 * n.sum(1))
    return force + ENERGY * (energy**2).sum(1) / (n > 0).sum(1)
