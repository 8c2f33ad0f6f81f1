"""Energy of atoms from the vectors to their neighbours, and its derivatives: all inside one program.

    A_clm = sum_j C(c; species of j, n) T_n(2 r / r_c - 1) f(r) Y_lm(r_j / r)      c: channels

and products of two and three A, summed over m, as in `descriptors.ace`.  One species: C is the identity.
Of several species, the products of three take channels in which all species are mixed with fixed weights, so
that their number does not grow.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mlms_helpers.descriptors.chebyshev import polynomials
from mlms_helpers.descriptors.density import _invariants, _products_of_three, spherical_harmonics
from mlms_helpers.descriptors.neighbours import cutoff_function


class Shape(NamedTuple):
    """What a program is compiled for."""

    cutoff: float  # A
    n_max: int  # radial functions a species, of body orders 2 and 3
    l_max: int  # highest angular momentum
    mixed: int  # channels of body order 4; 0 without it
    n_species: int

    @property
    def n_functions(self):
        """Radial functions of all body orders."""
        return max(self.n_max, self.mixed)

    @property
    def n_low(self):
        """Invariants up to body order 3: they come first."""
        channels = self.n_species * self.n_max
        return channels + (self.l_max + 1) * channels * (channels + 1) // 2

    @property
    def n_features(self):
        """All invariants."""
        three = _products_of_three(self.mixed, self.l_max) if self.mixed else []
        return self.n_low + sum(rows.shape[1] for _, rows, _ in three)

    def radial(self):
        """C, float64 [n_species, n_functions, n_channels]: mixed channels, then one a species and n."""
        own = np.zeros((self.n_species, self.n_functions, self.n_species, self.n_max))
        for s in range(self.n_species):
            own[s, : self.n_max, s] = np.eye(self.n_max)
        weight = np.ones((self.n_species, self.mixed))
        if self.n_species > 1:
            weight = np.random.default_rng(0).uniform(-1, 1, weight.shape)
        mixed = weight[:, None, :] * np.eye(self.n_functions)[:, : self.mixed]
        return np.concatenate([mixed, own.reshape(*own.shape[:2], -1)], axis=2)


def invariants(shape: Shape, radial, r, kind, order=4):
    """Invariants of each atom.

    shape: sizes and cutoff.
    radial: `shape.radial()`.
    r: to the neighbours, [n, width, 3], A; those beyond the cutoff add nothing.
    kind: species of the neighbours, int [n, width].
    order: highest body order, 3 or 4.

    Returns [n, n_features]: body order 2, 3, 4 one after the other.
    R. Drautz, PRB 99, 014104 (2019).
    """
    d = jnp.sqrt((r * r).sum(-1))
    functions = polynomials(jnp, (2 * d / shape.cutoff - 1).ravel(), shape.n_functions)
    functions = functions.reshape(*d.shape, -1) * cutoff_function(d, shape.cutoff, jnp)[..., None]
    if shape.n_species > 1:
        chosen = jax.nn.one_hot(kind, shape.n_species, dtype=r.dtype)
        functions = (chosen[..., :, None] * functions[..., None, :]).reshape(*d.shape, -1)
    start = 0 if order == 4 else shape.mixed
    mixed = functions @ radial.reshape(-1, radial.shape[2])[:, start:]
    harmonics = spherical_harmonics(jnp, r.reshape(-1, 3), shape.l_max).reshape(*d.shape, -1)
    density = jnp.einsum("njc,njm->ncm", mixed, harmonics * np.sqrt(4 * np.pi))
    own, together = slice(shape.mixed - start, None), slice(0, shape.mixed)
    return _invariants(jnp, density, shape.l_max, order if shape.mixed else 3, own, together)


def line_energies(weights, x, own):
    """Energy of each atom by each line, eV, [n_members, n]; x: all invariants."""
    out = jnp.zeros((weights["slopes"].shape[0], len(x)), x.dtype)
    for s in range(weights["mean"].shape[0]):
        z = (x - weights["mean"][s]) / weights["spread"][s]
        out = jnp.where(own == s, weights["constant"][:, s, None] + weights["slopes"][:, s] @ z.T, out)
    return out


def network_energies(net, x, own):
    """Energy of each atom by one network, eV, [n]; x: invariants up to body order 3."""
    out = jnp.zeros(len(x), x.dtype)
    for s in range(net["centre"].shape[0]):
        z = (x - net["centre"][s]) @ net["frame"][s]
        first = jax.nn.silu(z @ net["kernel"][s] + net["bias"][s])
        second = jax.nn.silu(first @ net["kernel2"][s] + net["bias2"][s])
        out = jnp.where(own == s, second @ net["output"][s], out)
    return out


def forces(slope, partner):
    """Forces [n, room, 3] of bins from the energy's derivatives by the vectors, [n, room, width, 3]."""
    n, room = slope.shape[:2]
    other = (jnp.arange(n)[:, None, None] * room + partner).ravel()
    back = jax.ops.segment_sum(slope.reshape(-1, 3), other, n * room)
    return slope.sum(2) - back.reshape(n, room, 3)
