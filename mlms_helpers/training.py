"""Training as one compiled program: every epoch and every batch run inside JAX, without Python in between.

Keras keeps the model and the optimiser (`stateless_call`, `stateless_apply`).  Learning rate, weight
decay, number of epochs, batch order and the number of samples are arguments of the compiled
program, so moving them compiles nothing; a new width or depth compiles once.
"""

import functools
import re
from typing import NamedTuple

import mlms_helpers  # noqa: F401  (chooses the backend before Keras is imported)
import jax
import jax.numpy as jnp
import keras
import numpy as np


class History(NamedTuple):
    """Root-mean-square errors after each epoch, in the units of y, and the epoch whose weights were kept."""
    loss: np.ndarray        # [n_epochs] (an ensemble: [n_models, n_epochs]), on the training data
    val_loss: np.ndarray    # the same on the validation data; NaN without validation
    best_epoch: int         # 0-based, the epoch of the weights kept: the last unless `keep_best` (an ensemble: an array)


def fit(model, x, y, *, validation=None, epochs=200, batch_size=32, learning_rate=3e-3,
        weight_decay=0.0, seed=0, keep_best=False):
    """Train a Keras model in place with Adam on the mean squared error.

    model: `keras.Model` from [n, n_features] to [n, n_outputs].
    x: [n_samples, n_features], y: [n_samples] or [n_samples, n_outputs].
    validation: (x, y) to watch, never to learn from; None for none.
    weight_decay: decoupled, each step shrinks the kernels by learning_rate * weight_decay (AdamW).
    seed: of the order of batches.   keep_best: keep the weights of the epoch with the lowest
    validation error instead of the last ones - then `validation` is part of the training.

    Returns `History`.  The same seed gives the same weights to the last bit.
    Raises ValueError for data that are empty, not finite, or of lengths that do not agree.
    D. P. Kingma and J. Ba, arXiv:1412.6980; I. Loshchilov and F. Hutter, arXiv:1711.05101 (AdamW).
    """
    return _train([model], x, y, [None], validation, epochs, batch_size, learning_rate, weight_decay, [seed],
                  keep_best, single=True)


def fit_ensemble(models, x, y, *, weights=None, validation=None, epochs=200, batch_size=32,
                 learning_rate=3e-3, weight_decay=0.0, seed=0, keep_best=False):
    """Train several models of one architecture side by side, as one program (`jax.vmap`).

    models: list of `keras.Model` with equal layers, usually of different seeds.
    weights: [n_models, n_samples], how often each model sees each sample (bootstrap, folds); None: 1.
    The other arguments are those of `fit`; model k draws its batches with seed + k.

    Returns `History` with arrays [n_models, n_epochs].
    """
    if not models:
        raise ValueError("the ensemble is empty: give at least one model")
    weights = [None] * len(models) if weights is None else list(np.asarray(weights, "float32"))
    return _train(models, x, y, weights, validation, epochs, batch_size, learning_rate, weight_decay,
                  [seed + k for k in range(len(models))], keep_best, single=False)


def bootstrap_weights(groups, n_models, seed=0):
    """How often each model of an ensemble sees each sample, when whole groups are drawn with replacement.

    groups: [n_samples], the family of each sample; families are drawn whole, since their members are
    alike.   n_models: number of draws.

    Returns float64 [n_models, n_samples].
    B. Efron, Ann. Stat. 7, 1 (1979).
    """
    kinds, which = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(seed)
    return np.array([np.bincount(rng.integers(len(kinds), size=len(kinds)), minlength=len(kinds))[which]
                     for _ in range(n_models)], float)


def _train(models, x, y, weights, validation, epochs, batch_size, learning_rate, weight_decay, seeds, keep_best, single):
    if keras.backend.backend() != "jax":
        raise RuntimeError(f"training runs on Keras's JAX backend, but {keras.backend.backend()} is chosen: set the "
                           f"environment variable KERAS_BACKEND=jax before Python starts")
    x, y = _data(x, y, "training")
    xv, yv = (x[:0], y[:0]) if validation is None else _data(*validation, "validation")
    if keep_best and len(xv) == 0:
        raise ValueError("keep_best needs validation data to find the best epoch")
    if epochs < 1 or batch_size < 1:
        raise ValueError(f"epochs ({epochs}) and batch_size ({batch_size}) must be at least 1")
    n, batch_size = len(x), min(int(batch_size), _bucket(len(x)))
    room = _bucket(n) + batch_size                # the last batch may stick out
    w = np.array([np.ones(n) if k is None else k for k in weights], "float32")
    states = [([v.value for v in m.trainable_variables], [v.value for v in m.non_trainable_variables]) for m in models]
    keys = [jax.random.PRNGKey(s) for s in seeds]
    run = _program(_Architecture(models[0]), batch_size, _bucket(epochs), bool(keep_best), not single)
    data = (_pad(x, room), _pad(y, room), _pad(xv, _bucket(len(xv))), _pad(yv, _bucket(len(xv))))
    w = np.pad(w, [(0, 0), (0, room - n)])
    numbers = (np.int32(n), np.int32(len(xv)), np.int32(epochs), np.float32(learning_rate), np.float32(weight_decay))
    if single:
        trained, others, loss, val_loss, best = run(states[0], w[0], keys[0], data, numbers)
        _assign(models[0], trained, others)
        return History(np.asarray(loss)[:epochs], np.asarray(val_loss)[:epochs], int(best))
    stack = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    trained, others, loss, val_loss, best = run(stack, w, jnp.stack(keys), data, numbers)
    for k, model in enumerate(models):
        _assign(model, [v[k] for v in trained], [v[k] for v in others])
    return History(np.asarray(loss)[:, :epochs], np.asarray(val_loss)[:, :epochs], np.asarray(best))


@functools.lru_cache(maxsize=64)
def _program(architecture, batch_size, max_epochs, keep_best, many):
    """Compile the run for one architecture and sizes rounded up: everything else is an argument."""
    model = architecture.model
    decays = np.array([v.path.endswith("kernel") for v in model.trainable_variables])
    adam = keras.optimizers.Adam()
    adam.build(model.trainable_variables)

    def mean_square(trained, others, x, y, w, training):
        predicted, others = model.stateless_call(trained, others, x, training=training)
        error = ((predicted - y) ** 2).mean(axis=-1)
        return (error * w).sum() / jnp.maximum(w.sum(), 1e-12), others

    def run(state, w, key, data, numbers):
        x, y, xv, yv = data
        n, n_val, epochs, learning_rate, weight_decay = numbers
        everyone = jnp.arange(len(x))
        watched = (jnp.arange(len(xv)) < n_val).astype("float32")
        optimiser = [v.value for v in adam.variables]
        optimiser[[v.path for v in adam.variables].index(adam.learning_rate.path)] = learning_rate

        def batch(step, carry):
            trained, others, optimiser, order = carry
            chosen = jax.lax.dynamic_slice(order, (step * batch_size,), (batch_size,))
            here = (step * batch_size + jnp.arange(batch_size) < n) * w[chosen]
            (_, others), slope = jax.value_and_grad(mean_square, has_aux=True)(
                trained, others, x[chosen], y[chosen], here, True)
            shrunk = [v * (1 - learning_rate * weight_decay) if d else v for v, d in zip(trained, decays)]
            trained, optimiser = adam.stateless_apply(optimiser, slope, shrunk)
            return trained, others, optimiser, order

        def epoch(number, carry):
            trained, others, optimiser, losses, val_losses, best, kept = carry
            order = jnp.argsort(jnp.where(everyone < n, jax.random.uniform(jax.random.fold_in(key, number), (len(x),)), 2.0))
            trained, others, optimiser, _ = jax.lax.fori_loop(
                0, (n + batch_size - 1) // batch_size, batch, (trained, others, optimiser, order))
            loss = jnp.sqrt(mean_square(trained, others, x, y, w * (everyone < n), False)[0])
            val_loss = jnp.sqrt(mean_square(trained, others, xv, yv, watched, False)[0]) if len(xv) else jnp.nan
            better = val_loss < val_losses[best] if keep_best else True
            best = jnp.where(better, number, best)
            kept = jax.tree.map(lambda new, old: jnp.where(better, new, old), trained, kept) if keep_best else trained
            return (trained, others, optimiser, losses.at[number].set(loss), val_losses.at[number].set(val_loss),
                    best, kept)

        trained, others = state
        blank = jnp.full(max_epochs, jnp.nan)
        start = jnp.full(max_epochs, jnp.inf) if keep_best else blank
        *_, others, _, losses, val_losses, best, kept = (
            None, *jax.lax.fori_loop(0, epochs, epoch, (trained, others, optimiser, blank, start, 0, trained)))
        return kept, others, losses, val_losses, best

    return jax.jit(jax.vmap(run, in_axes=(0, 0, 0, None, None)) if many else run)


class _Architecture:
    """A model as the key of a compiled program: models alike but for seeds and weights are one key."""

    def __init__(self, model):
        self.model, self.key = model, re.sub(r'"seed": \d+', "", model.to_json())

    def __eq__(self, other):
        return self.key == other.key

    def __hash__(self):
        return hash(self.key)


def _data(x, y, which):
    x, y = np.asarray(x, "float32"), np.asarray(y, "float32")
    if x.ndim < 2 or len(x) == 0 or len(x) != len(y):
        raise ValueError(f"{which} data: x must be [n_samples, n_features] and y as long, "
                         f"not {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError(f"{which} data: a value is not a finite number")
    return x, y.reshape(len(y), -1)


def _bucket(n):
    """Sizes are rounded up to a power of two, at least 256, so that few programs serve all."""
    return max(256, 1 << (n - 1).bit_length()) if n else 0


def _pad(array, size):
    return np.pad(array, [(0, size - len(array))] + [(0, 0)] * (array.ndim - 1))


def _assign(model, trained, others):
    for variable, value in zip(model.trainable_variables, trained):
        variable.assign(value)
    for variable, value in zip(model.non_trainable_variables, others):
        variable.assign(value)
