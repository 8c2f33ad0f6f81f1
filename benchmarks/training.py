"""Training speed: ours against a hand-written JAX loop, against Keras's own fit, and eight networks against one.

    python benchmarks/training.py --table docs/training-speed.md        (about a minute on 2 cores)

2,000 samples of 100 features, a 64-64-1 network, 50 epochs of batches of 32.  Everybody is warm (compiled), sees the same
data, and takes turns; a ratio is the median over the rounds of the ratios within a round, with its quartiles.
"""

import argparse
import datetime
import os
import platform
import sys
import time
from pathlib import Path

from mlms_helpers import models, training  # first: it chooses Keras's backend
import jax
import jax.numpy as jnp
import keras
import numpy as np
from sklearn.neural_network import MLPRegressor

SAMPLES, FEATURES, WIDTH, EPOCHS, BATCH, RATE = 2000, 100, 64, 50, 32, 1e-3


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

    loss = lambda p, x, y: ((net(p, x) - y) ** 2).mean()

    @jax.jit
    def run(p, key):
        def batch(carry, index):
            p, m, v, t = carry
            g = jax.grad(loss)(p, x[index], y[index])
            t = t + 1
            m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
            v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
            p = jax.tree.map(lambda p, m, v: p - RATE * m / (1 - 0.9 ** t) / (jnp.sqrt(v / (1 - 0.999 ** t)) + 1e-7), p, m, v)
            return (p, m, v, t), None

        def epoch(carry, key):
            order = jax.random.permutation(key, len(x))[:len(x) // BATCH * BATCH].reshape(-1, BATCH)
            carry, _ = jax.lax.scan(batch, carry, order)
            return carry, jnp.sqrt(loss(carry[0], x, y))

        zero = jax.tree.map(jnp.zeros_like, p)
        (p, *_), losses = jax.lax.scan(epoch, (p, zero, zero, 0.0), jax.random.split(key, EPOCHS))
        return p, losses

    keys = jax.random.split(jax.random.PRNGKey(0), 3)
    sizes = [FEATURES, WIDTH, WIDTH, 1]
    start = [(jax.random.normal(k, (a, b)) / a ** 0.5, jnp.zeros(b)) for k, a, b in zip(keys, sizes, sizes[1:])]
    return lambda: np.asarray(run(start, jax.random.PRNGKey(1))[1])


def contestants():
    """{name: function to time}; each returns the training errors after its epochs, the last of which is printed."""
    x, y = data()
    net = lambda seed: models.mlp(x, y, WIDTH, 2, seed=seed)
    settings = dict(epochs=EPOCHS, batch_size=BATCH, learning_rate=RATE)
    one, eight, warm = net(0), [net(k) for k in range(8)], net(0)
    warm.compile(keras.optimizers.Adam(RATE), "mse", jit_compile=True)

    def keras_fit():
        return np.sqrt(warm.fit(x, y[:, None], epochs=EPOCHS, batch_size=BATCH, verbose=0).history["loss"])

    def sklearn_fit():
        peer = MLPRegressor(hidden_layer_sizes=(WIDTH, WIDTH), batch_size=BATCH, max_iter=EPOCHS, learning_rate_init=RATE,
                            alpha=0, n_iter_no_change=EPOCHS, tol=0)
        return np.sqrt(2 * np.array(peer.fit(x, y).loss_curve_))

    return {"ours": lambda: training.fit(one, x, y, **settings).loss,
            "by hand": by_hand(x, y),
            "eight of ours": lambda: training.fit_ensemble(eight, x, y, **settings).loss[0],
            "keras": keras_fit,
            "scikit-learn": sklearn_fit}


def ratio(times, a, b):
    """Median and quartiles of a / b over the rounds."""
    return np.percentile(np.array(times[a]) / np.array(times[b]), [50, 25, 75])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--table", type=Path, help="also write what is printed into this file")
    arguments = parser.parse_args()
    import sklearn.exceptions, warnings
    warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
    players = contestants()
    last = {name: float(play()[-1]) for name, play in players.items()}         # compiles
    times = {name: [] for name in players}
    for _ in range(arguments.rounds):
        for name, play in players.items():
            start = time.perf_counter()
            play()
            times[name].append(time.perf_counter() - start)
    lines, missed = ["| | ratio | quartiles | asked for |", "|---|---:|---:|---:|"], 0
    for text, a, b, wanted, met in (("ours / hand-written JAX loop", "ours", "by hand", "at most 1.3", lambda r: r <= 1.3),
                                    ("warm `keras.Model.fit` / ours", "keras", "ours", "at least 3", lambda r: r >= 3),
                                    ("eight networks of ours / one of ours", "eight of ours", "ours", "below 8", lambda r: r < 8),
                                    ("scikit-learn's MLPRegressor / ours", "scikit-learn", "ours", "", lambda r: True)):
        middle, low, high = ratio(times, a, b)
        missed += not met(middle)
        lines.append(f"| {text} | {middle:.2f} | {low:.2f} to {high:.2f} | {wanted}{'' if met(middle) else ': **missed**'} |")
    lines += ["", "Medians: " + ", ".join(f"{name} {np.median(t):.2f} s" for name, t in times.items())
              + ".  Training RMSE at the end of the first run: " + ", ".join(f"{name} {v:.2f}" for name, v in last.items()) + "."]
    print("\n".join(lines))
    if arguments.table:
        head = (f"# Training speed\n\nMeasured by `benchmarks/training.py` on {datetime.date.today()}, {os.cpu_count()} cores, "
                f"{platform.machine()}, JAX {jax.__version__}, Keras {keras.__version__}: {SAMPLES} samples of {FEATURES} features, "
                f"{WIDTH}-{WIDTH}-1, {EPOCHS} epochs of batches of {BATCH}; {arguments.rounds} rounds.\n\n")
        arguments.table.write_text(head + "\n".join(lines) + "\n")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
