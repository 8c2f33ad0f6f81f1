"""Training speed: ours against a hand-written JAX loop and Keras's own fit, and eight networks against one.

    python -m benchmarks.training --table docs/training-speed.md        (about a minute on 2 cores)

2,000 samples of 100 features, a 64-64-1 network, 50 epochs of batches of 32; once more with the features in a
dict of two arrays.  Everybody is warm (compiled), sees the same data, and takes turns; a ratio is the median
over the rounds of the ratios within a round, with its quartiles.
"""

import argparse
import datetime
import os
import platform
import sys
import time
import warnings
from pathlib import Path

from mlms_helpers import models, training  # first: it chooses Keras's backend
import jax
import jax.numpy as jnp
import keras
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from benchmarks.common import stamp

SAMPLES, FEATURES, WIDTH, EPOCHS, BATCH, RATE = 2000, 100, 64, 50, 32, 1e-3


ASKED = (
    ("ours / hand-written JAX loop", "ours", "by hand", "at most", 1.3),
    ("warm `keras.Model.fit` / ours", "keras", "ours", "at least", 3),
    ("ours of a dict of two arrays / ours", "ours, of a dict", "ours", "at most", 1.2),
    ("eight networks of ours / one of ours", "eight of ours", "ours", "below", 8),
    ("scikit-learn's MLPRegressor / ours", "scikit-learn", "ours", "", 0),
)


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(SAMPLES, FEATURES)).astype("float32")
    return x, np.tanh(x[:, 0] * x[:, 1]) + x[:, 2:7].sum(1) / 3


def by_hand(x, y):
    """What one writes without Keras: Adam, a scan over batches in a scan over epochs, one `jit`."""
    x, y = jnp.asarray(x), jnp.asarray(y, "float32")[:, None]

    def net(p, x):
        for w, b in p[:-1]:
            x = jax.nn.silu(x @ w + b)
        return x @ p[-1][0] + p[-1][1]

    def loss(p, x, y):
        return ((net(p, x) - y) ** 2).mean()

    @jax.jit
    def run(p, key):
        def batch(carry, index):
            p, m, v, t = carry
            g = jax.grad(loss)(p, x[index], y[index])
            t = t + 1
            m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
            v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
            rate = RATE / (1 - 0.9**t)
            p = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-7), p, m, v)
            return (p, m, v, t), None

        def epoch(carry, key):
            order = jax.random.permutation(key, len(x))[: len(x) // BATCH * BATCH].reshape(-1, BATCH)
            carry, _ = jax.lax.scan(batch, carry, order)
            return carry, jnp.sqrt(loss(carry[0], x, y))

        zero = jax.tree.map(jnp.zeros_like, p)
        (p, *_), losses = jax.lax.scan(epoch, (p, zero, zero, 0.0), jax.random.split(key, EPOCHS))
        return p, losses

    keys = jax.random.split(jax.random.PRNGKey(0), 3)
    sizes = [FEATURES, WIDTH, WIDTH, 1]
    start = [
        (jax.random.normal(k, (a, b)) / a**0.5, jnp.zeros(b))
        for k, a, b in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]
    return lambda: np.asarray(run(start, jax.random.PRNGKey(1))[1])


def contestants():
    """{name: function to time}; each returns the training errors after its epochs; the last is printed."""
    x, y = data()
    settings = dict(epochs=EPOCHS, batch_size=BATCH, learning_rate=RATE)
    one, warm, *eight = (models.mlp(x, y, WIDTH, 2, seed=seed) for seed in (0, 0, *range(8)))
    halves = {"first": x[:, : FEATURES // 2], "second": x[:, FEATURES // 2 :]}
    inputs = {name: keras.Input((FEATURES // 2,), name=name) for name in halves}
    joined = models.mlp(x, y, WIDTH, 2, seed=0)(keras.layers.Concatenate()(list(inputs.values())))
    of_dict = keras.Model(inputs, joined)
    warm.compile(keras.optimizers.Adam(RATE), "mse", jit_compile=True)

    def keras_fit():
        return np.sqrt(warm.fit(x, y[:, None], epochs=EPOCHS, batch_size=BATCH, verbose=0).history["loss"])

    def sklearn_fit():
        peer = MLPRegressor(
            hidden_layer_sizes=(WIDTH, WIDTH),
            batch_size=BATCH,
            max_iter=EPOCHS,
            learning_rate_init=RATE,
            alpha=0,
            n_iter_no_change=EPOCHS,
            tol=0,
        )
        return np.sqrt(2 * np.array(peer.fit(x, y).loss_curve_))

    return {
        "ours": lambda: training.fit(one, x, y, **settings).loss,
        "by hand": by_hand(x, y),
        "ours, of a dict": lambda: training.fit(of_dict, halves, y, **settings).loss,
        "eight of ours": lambda: training.fit_ensemble(eight, x, y, **settings).loss[0],
        "keras": keras_fit,
        "scikit-learn": sklearn_fit,
    }


def ratio(times, a, b):
    """Median and quartiles of a / b over the rounds."""
    return np.percentile(np.array(times[a]) / np.array(times[b]), [50, 25, 75])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--table", type=Path, help="also write what is printed into this file")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    players = contestants()
    last = {name: float(play()[-1]) for name, play in players.items()}  # compiles
    times = {name: [] for name in players}
    for _ in range(arguments.rounds):
        for name, play in players.items():
            start = time.perf_counter()
            play()
            times[name].append(time.perf_counter() - start)
    lines, missed = ["| | ratio | quartiles | asked for |", "|---|---:|---:|---:|"], 0
    for text, a, b, sign, limit in ASKED:
        middle, low, high = ratio(times, a, b)
        met = {"at most": middle <= limit, "at least": middle >= limit, "below": middle < limit, "": True}[
            sign
        ]
        missed += not met
        wanted = f"{sign} {limit:g}{'' if met else ': **missed**'}" if sign else ""
        lines.append(f"| {text} | {middle:.2f} | {low:.2f} to {high:.2f} | {wanted} |")
    medians = ", ".join(f"{name} {np.median(t):.2f} s" for name, t in times.items())
    errors = ", ".join(f"{name} {v:.2f}" for name, v in last.items())
    lines += ["", f"Medians: {medians}.  Training RMSE at the end of the first run: {errors}."]
    print("\n".join(lines))
    if arguments.table:
        head = (
            f"# Training speed\n\nMeasured by `benchmarks/training.py` on {datetime.date.today()}, "
            f"{os.cpu_count()} cores, {platform.machine()}, JAX {jax.__version__}, Keras {keras.__version__} "
            f"on {SAMPLES} samples of {FEATURES} features, {WIDTH}-{WIDTH}-1, {EPOCHS} epochs of batches of "
            f"{BATCH}; {arguments.rounds} rounds.\n\n{stamp()}\n\n"
        )
        arguments.table.write_text(head + "\n".join(lines) + "\n")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
