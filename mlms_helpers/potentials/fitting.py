"""How a potential is fitted: first the line, exactly, then networks on what it leaves."""

import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms

from mlms_helpers import training
from mlms_helpers.statistics import spawn

from . import inputs, network
from .potential import Potential
from .program import Shape, invariants
from .solve import STRENGTHS, Equations, Rows, each, rows

RATES = (1e-3, 5e-4, 2e-4, 5e-5)  # learning rates of the network, one after the other
CONSTANT = 0.03  # eV/atom beside eV/A: constants are hardly held back by the ridge


class Task(NamedTuple):
    """What is asked for, checked."""

    structures: list[Atoms]
    watched: list[Atoms] | None
    species: list[str]
    shape: Shape
    members: int
    seed: int
    progress: bool


def fit_line(task: Task) -> tuple[Potential, Potential, list, list]:
    """The potential; the same without the structures held out; those learned from, and those held out."""
    rng = np.random.default_rng(spawn(task.seed, 0))
    n, shape, species = len(task.structures), task.shape, task.species
    every = [*task.structures, *(task.watched or [])]
    held = np.arange(len(every)) >= n
    if task.watched is None and n >= 10:
        held[rng.permutation(n)[: n // 10]] = True
    energies, forces = inputs.labels(every)
    counts = np.array([[list(atoms.symbols).count(s) for s in species] for atoms in every], float)
    n_atoms = counts.sum(1)
    share = counts / n_atoms[:, None]
    constants = np.linalg.lstsq(share[:n], (energies / n_atoms)[:n], rcond=1e-6)[0]
    energies = energies / n_atoms - share @ constants
    draws = np.zeros((task.members, len(every)))
    for row in draws:
        row[:n] = 1 if task.members == 1 else np.bincount(rng.integers(0, n, n), minlength=n)
    size = len(species) * (1 + shape.n_features)
    learn, watch = Equations(size), Equations(size)
    drawn = [Equations(size) for _ in draws] if task.members > 1 else []
    centre = None
    for k, row in enumerate(
        each(lambda k: rows(shape, every[k], species, k), range(len(every)), task.progress)
    ):
        if centre is None:  # any typical row will do: what is taken off comes back in the constants
            centre = row.energy.reshape(len(species), -1) / np.maximum(counts[k], 1)[:, None]
            centre[counts[k] == 0] = centre[counts[k] > 0].mean(0)
        told = np.concatenate([counts[k], row.energy - (counts[k][:, None] * centre).ravel()]) / n_atoms[k]
        nothing = np.zeros((len(row.force), len(species)))
        row = Rows(told, np.concatenate([nothing, row.force], axis=1))
        (watch if held[k] else learn).add(row, energies[k], forces[k])
        for member, weight in zip(drawn, draws[:, k], strict=False):
            member.add(row, energies[k], forces[k], weight)
    spread = learn.spread
    spread[: len(species)] = CONSTANT
    found = [(learn.solve(spread, strength), strength) for strength in STRENGTHS]
    found = [(slopes, strength) for slopes, strength in found if slopes is not None]
    if held.any():
        first, strength = min(found, key=lambda pair: watch.error(pair[0]))
    else:
        first, strength = next((pair for pair in found if pair[1] >= 1e-9), found[-1])
    whole_set = learn + watch if held[:n].any() else learn
    final = [equations.solve(spread, strength) for equations in drawn] or [whole_set.solve(spread, strength)]

    def potential(slopes):
        slopes = np.array(slopes) * spread
        line = {
            "mean": centre,
            "spread": spread[len(species) :].reshape(len(species), -1),
            "constant": slopes[:, : len(species)] / CONSTANT,
            "slopes": slopes[:, len(species) :].reshape(len(slopes), len(species), -1),
        }
        history = {"ridge": float(strength), "structures": n}
        return Potential(species, shape, constants, {"line": line}, history)

    parts = [[a for a, h in zip(every, held, strict=True) if h == flag] for flag in (False, True)]
    return potential(final), potential([first]), *parts


def fit_networks(task, potential, first, learned, watched, width, epochs, minutes) -> Potential:
    """`potential` with networks for what the line `first` leaves of the structures `learned`."""
    shape, seed = potential.shape, task.seed
    parts = [part for part in (learned, watched) if part]
    least = np.max([_sizes(part, shape.cutoff) for part in parts], axis=0)
    packed = [inputs.packed(part, shape.cutoff, potential.species, least) for part in parts]
    few = max(len(members) for _, together in packed for members in together)
    data = [
        (x, _residuals(first, part, x, together, few))
        for part, (x, together) in zip(parts, packed, strict=True)
    ]
    x, y = data[0]
    seen = _seen(shape, x)
    models = [network.build(x, shape, few, width, seen, spawn(seed, 1 + k)) for k in range(task.members)]
    rng, weights = np.random.default_rng(spawn(seed, 0)), None
    if task.members > 1:
        picked = rng.integers(0, len(x["r"]), (task.members, len(x["r"])))
        weights = np.array([np.bincount(row, minlength=len(x["r"])) for row in picked])
    validation = data[1] if watched else None
    aims = data[-1][1]
    alone = network.loss(aims, {name: np.zeros_like(aims[name]) for name in ("energies", "forces")})
    lowest, best = np.full(task.members, float(alone.mean())), [None] * task.members
    end, told = time.monotonic() + 60 * minutes, []
    for number, rate in enumerate(RATES):
        history = training.fit_ensemble(
            models,
            x,
            y,
            loss=network.loss,
            weights=weights,
            validation=validation,
            keep_best=validation is not None,
            epochs=max(1, epochs // len(RATES)),
            batch_size=2,
            learning_rate=rate,
            seed=spawn(seed, 100 + number),
            progress=task.progress,
            watch=lambda _: time.monotonic() > end,
        )
        told.append(history)
        ended = history.val_loss.min(1) if watched else history.loss[:, -1]
        for k in np.flatnonzero(ended < lowest):
            best[k], lowest[k] = models[k].get_weights(), ended[k]
        if time.monotonic() > end:
            break
    for model, kept in zip(models, best, strict=True):
        if kept is not None:
            model.set_weights(kept)
        else:  # no epoch was better than the line alone
            output = model.get_layer("atoms").net["output"]
            output.assign(0 * output.value)
    layers = [model.get_layer("atoms").net for model in models]
    net = {name: np.array([np.asarray(one[name].value, float) for one in layers]) for name in layers[0]}
    history = potential.history | {
        "learned": np.sqrt(np.concatenate([h.loss for h in told], 1)).tolist(),
        "watched": np.sqrt(np.concatenate([h.val_loss for h in told], 1)).tolist() if watched else None,
    }
    return Potential(potential.species, shape, potential.constants, potential.weights | {"net": net}, history)


def _seen(shape, x):
    """Invariants up to body order 3 of the atoms of some bins, [n, F], and their species, [n]."""
    some = slice(None, None, -(-len(x["r"]) // 40))
    radial = jnp.asarray(shape.radial(), "float32")
    see = jax.jit(lambda r, kind: invariants(shape, radial, r, kind, 3))
    bins = zip(x["r"][some].astype("float32"), x["kind"][some], strict=True)
    seen = np.concatenate([np.asarray(see(r, kind), float) for r, kind in bins])
    own = x["own"][some].ravel()
    return seen[own >= 0], own[own >= 0]


def _sizes(structures, cutoff):
    """Most atoms, and most neighbours."""
    most = [np.bincount(inputs.pairs(a, cutoff, k)[0], minlength=1).max() for k, a in enumerate(structures)]
    return max(map(len, structures)), max(1, int(max(most)))


def _residuals(first, part, x, together, few):
    """What the line leaves, in the form of `network.loss`."""
    energies, forces = inputs.labels(part)
    told, pulled = first.predict(part)
    y = {
        "energies": np.zeros((len(together), few)),
        "atoms": np.zeros((len(together), few)),
        "forces": np.zeros((*x["own"].shape, 3)),
    }
    for b, members in enumerate(together):
        start = 0
        for place, k in enumerate(members):
            rows_of = slice(start, start + len(part[k]))
            y["energies"][b, place], y["atoms"][b, place] = energies[k] - told[k], len(part[k])
            y["forces"][b, rows_of] = forces[k] - pulled[k]
            start += len(part[k])
    return y
