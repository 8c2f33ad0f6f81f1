"""Keras models.  Each builder returns a plain `keras.Model`."""

import mlms_helpers  # noqa: F401  (chooses the backend before Keras is imported)
import keras
import numpy as np


def mlp(x, y, width=64, depth=2, activation="silu", dropout=0.0, least_spread=1e-6, seed=0):
    """Multilayer perceptron that knows the scale of its training data.

    x: [n_samples, n_features], y: [n_samples] or [n_samples, n_outputs]: the *training* data.  Only
    their shapes, means and standard deviations are used: the first layer standardises the features,
    the last one restores the units of y, so the network in between deals with numbers near one.
    width: neurons a layer.   depth: hidden layers (0: a straight line).   dropout: share of neurons
    silenced at each training step.   least_spread: features that vary less (standard deviation, in their own units)
    are divided by this instead, so that what hardly varies in training is not blown up elsewhere.   seed: of the
    initial weights.

    Returns a `keras.Model` from [n, n_features] to [n, n_outputs].
    """
    x, y = np.asarray(x, "float32"), np.asarray(y, "float32").reshape(len(x), -1)
    seeds = np.random.SeedSequence(seed).generate_state(2 * depth + 1).tolist()
    dense = lambda size, activation, name, seed: keras.layers.Dense(
        size, activation, name=name, kernel_initializer=keras.initializers.GlorotUniform(seed))
    inputs = keras.Input((x.shape[1],), name="features")
    # a frozen batch normalisation is (x - mean) / sd times a number plus another: units in, units out
    frozen = dict(epsilon=1e-12, trainable=False)
    into, back = (keras.layers.BatchNormalization(name=name, **frozen) for name in ("standardise", "restore_units"))
    layer = into(inputs)
    for n in range(depth):
        layer = dense(width, activation, f"hidden_{n + 1}", seeds[2 * n])(layer)
        if dropout:
            layer = keras.layers.Dropout(dropout, seed=seeds[2 * n + 1], name=f"dropout_{n + 1}")(layer)
    model = keras.Model(inputs, back(dense(y.shape[1], None, "output", seeds[-1])(layer)), name="mlp")
    one, zero = np.ones_like, np.zeros_like
    mean, spread = x.mean(0), _spread(x, least_spread)
    into.set_weights([one(mean), zero(mean), mean, spread**2])
    mean, spread = y.mean(0), _spread(y, 0.0)
    back.set_weights([spread, mean, zero(mean), one(mean)])
    return model


def _spread(values, least):
    """Standard deviation of each column, but at least `least`; 1 for a column that does not vary."""
    spread = np.maximum(values.std(0), least)
    return np.where(spread > 1e-6, spread, 1.0).astype("float32")


def predict(model, x):
    """Predictions of a model with one output, [n_samples], float64, without the overhead of `model.predict`.

    x: array [n_samples, n_features].
    """
    return np.asarray(keras.ops.convert_to_numpy(model(np.asarray(x, "float32"), training=False)), float).reshape(-1)
