"""Training: the compiled program against Keras's own fit, seeds, saving, ensembles."""

import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from mlms_helpers import models, statistics, training  # first: it chooses Keras's backend
import jax.numpy as jnp
import keras


def data(n=200, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)) * [1, 10, 0.1] + [0, 100, 0]
    return x, 5 + 2 * x[:, 0] + np.sin(x[:, 2] * 20)


def small(activation="silu"):
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation), keras.layers.Dense(1)])


def test_model_knows_the_scale():
    x, y = data()
    model = models.mlp(x, y, hidden_layers=0)
    model.get_layer("output").set_weights([np.zeros((3, 1)), np.zeros(1)])
    np.testing.assert_allclose(models.predict(model, x), y.mean(), rtol=1e-6)
    np.testing.assert_allclose(
        keras.Model(model.input, model.get_layer("standardise").output)(x).__array__().std(0), 1, rtol=1e-3
    )


def test_learns_and_reports_true_errors():
    x, y = data()
    model = models.mlp(x[:150], y[:150], width=32)
    history = training.fit(model, x[:150], y[:150], validation=(x[150:], y[150:]), epochs=200)
    assert history.loss.shape == history.val_loss.shape == (200,)

    def rmse(x, y):
        return np.sqrt(((models.predict(model, x) - y) ** 2).mean())

    assert history.loss[-1] == pytest.approx(rmse(x[:150], y[:150]), rel=1e-4)
    assert history.val_loss[-1] == pytest.approx(rmse(x[150:], y[150:]), rel=1e-4)
    assert history.val_loss[-1] < 0.3 * y.std() and history.loss[-1] < 0.1 * history.loss[0] + 0.1
    assert history.best_epoch == 199


def test_a_straight_line_is_least_squares():
    x, y = data()
    model = models.mlp(x, y, hidden_layers=0)
    training.fit(model, x, y, epochs=400, batch_size=200, learning_rate=0.02)
    a = np.column_stack([np.ones(len(x)), x])
    np.testing.assert_allclose(
        models.predict(model, x), a @ np.linalg.lstsq(a, y, rcond=None)[0], atol=2e-3 * y.std()
    )


def test_first_step_is_that_of_keras():
    """One batch of everything, one epoch: the order plays no part, so Keras's own `fit` must agree."""
    x, y = data()
    ours, theirs = models.mlp(x, y, seed=3), models.mlp(x, y, seed=3)
    training.fit(ours, x, y, epochs=1, batch_size=200, learning_rate=1e-2)
    theirs.compile(keras.optimizers.Adam(1e-2), "mse")
    theirs.fit(x, y.reshape(-1, 1), epochs=1, batch_size=200, verbose=0)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_weight_decay_shrinks_kernels():
    x, y = data()
    sizes = []
    for decay in (0.0, 1.0, 10.0):
        model = models.mlp(x, y)
        training.fit(model, x, y, epochs=50, weight_decay=decay)
        sizes.append(np.linalg.norm(model.get_layer("hidden_1").get_weights()[0]))
    assert sizes[0] > sizes[1] > sizes[2]


def test_keep_best_gives_the_best_weights():
    x, y = data(60)
    y = y + np.random.default_rng(1).normal(size=60)
    model = models.mlp(x[:40], y[:40])
    history = training.fit(
        model, x[:40], y[:40], validation=(x[40:], y[40:]), epochs=300, learning_rate=1e-2, keep_best=True
    )
    assert history.best_epoch == history.val_loss.argmin() < 299
    found = np.sqrt(((models.predict(model, x[40:]) - y[40:]) ** 2).mean())
    assert found == pytest.approx(history.val_loss.min(), rel=1e-4)


PROGRAM = """
import numpy as np, hashlib
from mlms_helpers import models, training
import keras
x = np.random.default_rng(0).normal(size=(100, 5)); y = x[:, 0] ** 2
first, last = (keras.layers.Dense(n, kernel_initializer=keras.initializers.GlorotUniform(n)) for n in (8, 1))
m = keras.Sequential([keras.Input((5,)), first, keras.layers.Dropout(0.1, seed=1), last])
training.fit(m, x, y, epochs=20, seed=2)
print(hashlib.sha256(b"".join(w.tobytes() for w in m.get_weights())).hexdigest())
"""


def test_same_seed_same_weights_in_two_processes():
    runs = [
        subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1] and len(runs[0].strip()) == 64


def test_other_seeds_other_weights():
    x, y = data()
    weights = []
    for seed in (0, 0, 1):
        model = models.mlp(x, y, seed=7)
        training.fit(model, x, y, epochs=5, seed=seed)
        weights.append(model.get_layer("output").get_weights()[0])
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_save_and_load(tmp_path):
    x, y = data()
    model = models.mlp(x, y)
    training.fit(model, x, y, epochs=5)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        models.predict(keras.models.load_model(tmp_path / "model.keras"), x), models.predict(model, x)
    )


def test_ensemble_is_its_members():
    x, y = data()
    members = [models.mlp(x, y, seed=k) for k in range(3)]
    history = training.fit_ensemble(members, x, y, epochs=20, seed=5)
    alone = models.mlp(x, y, seed=1)
    single = training.fit(alone, x, y, epochs=20, seed=statistics.spawn(5, 1))
    assert history.loss.shape == (3, 20)
    np.testing.assert_allclose(history.loss[1], single.loss, rtol=2e-2)
    np.testing.assert_allclose(models.predict(members[1], x), models.predict(alone, x), atol=0.05 * y.std())


def test_weight_zero_is_not_seen():
    x, y = data()
    y[100:] += 1000  # a model that saw these rows would show it
    model = models.mlp(x[:100], y[:100])
    training.fit_ensemble([model], x, y, weights=np.repeat([[1, 0]], 100, axis=1).reshape(1, 200), epochs=100)
    assert np.abs(models.predict(model, x[:100]) - y[:100]).mean() < 1


def test_data_sizes_share_one_program():
    """Moving rate, decay, epochs or number of samples compiles nothing, but at steps of a factor of eight."""
    training._compiled.clear()
    x, y = data(2000)
    for n, epochs, rate, decay in [(2000, 2, 1e-3, 0), (1500, 3, 1e-2, 0), (300, 5, 1e-3, 1)]:
        training.fit(
            models.mlp(x[:n], y[:n], seed=n),
            x[:n],
            y[:n],
            epochs=epochs,
            learning_rate=rate,
            weight_decay=decay,
        )
    assert len(training._compiled) == 1
    for n in (256, 100, 10):
        training.fit(models.mlp(x[:n], y[:n], seed=n), x[:n], y[:n], epochs=2)
    assert len(training._compiled) == 2


def test_names_make_no_program():
    training._compiled.clear()
    x, y = data()
    for _ in range(3):
        training.fit(small("relu"), x, y, epochs=1)
    assert len(training._compiled) == 1
    training.fit(small("tanh"), x, y, epochs=1)
    assert len(training._compiled) == 2


def test_programs_do_not_pile_up(monkeypatch):
    monkeypatch.setattr(training, "KEPT", 2)
    training._compiled.clear()
    x, y = data()
    for width in (1, 2, 3, 1):
        assert len(training.fit(models.mlp(x, y, width=width), x, y, epochs=2).loss) == 2
    assert len(training._compiled) == 2


def test_regularisers_are_learned_with():
    x, y = data()
    sizes = []
    for strength in (0.0, 1.0):
        model = keras.Sequential(
            [keras.Input((3,)), keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(strength))]
        )
        training.fit(model, x / x.std(0), y, epochs=100, learning_rate=0.03)
        sizes.append(np.linalg.norm(model.layers[0].get_weights()[0]))
    assert sizes[1] < 0.7 * sizes[0]


def test_unlike_models_are_no_ensemble():
    x, y = data()
    with pytest.raises(ValueError, match="must be alike"):
        training.fit_ensemble([small("relu"), small("tanh")], x, y)
    with pytest.raises(ValueError, match="must be alike"):
        training.fit_ensemble([models.mlp(x, y, width=4), models.mlp(x, y, width=5)], x, y)
    with pytest.raises(ValueError, match="twice"):
        training.fit_ensemble([models.mlp(x, y)] * 2, x, y)
    with pytest.raises(ValueError, match="is empty"):
        training.fit_ensemble([], x, y)


def test_ensemble_on_workers_is_the_same():
    from dask.distributed import Client, LocalCluster

    x, y = data()
    here, there = ([models.mlp(x, y, seed=k) for k in range(6)] for _ in range(2))
    settings = dict(
        epochs=10,
        seed=3,
        learning_rate=[1e-3] * 3 + [1e-2] * 3,
        weights=statistics.bootstrap_weights(np.arange(200) // 10, 6),
    )
    alone = training.fit_ensemble(here, x, y, **settings)
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        history = training.fit_ensemble(there, x, y, client=client, **settings)
        with pytest.raises(ValueError, match="leave them out"):
            training.fit_ensemble(there, x, y, client=client, progress=True)
    np.testing.assert_allclose(history.loss, alone.loss, rtol=1e-5)
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(a.get_weights()[2], b.get_weights()[2], atol=1e-5)


@pytest.mark.parametrize(
    "settings, words",
    [
        (dict(validation=(np.zeros((5, 4)), np.zeros(5))), r"validation x must be \[n_samples, 3\]"),
        (dict(validation=(np.zeros((5, 3)), np.zeros((5, 2)))), r"validation y must be \[n_samples, 1\]"),
        (dict(validation=(np.zeros((0, 3)), np.zeros(0))), "n_samples of 1 or more"),
        (dict(validation=(np.zeros((5, 3)), np.zeros(5), 1)), "must be a pair"),
        (dict(seed=None), "seed must be"),
        (dict(seed=-1), "seed must be"),
        (dict(epochs=np.inf), "epochs must be"),
        (dict(epochs=0), "epochs must be"),
        (dict(epochs=10.7), "epochs must be a whole number"),
        (dict(epochs="ten"), "epochs must be"),
        (dict(batch_size=0), "batch_size must be"),
        (dict(batch_size=True), "batch_size must be"),
        (dict(patience=0), "patience must be"),
        (dict(patience=2.5), "patience must be"),
        (dict(learning_rate=np.nan), "learning rate must be"),
        (dict(learning_rate=-1), "learning rate must be"),
        (dict(weight_decay=-1), "weight decay not negative"),
        (dict(loss="msee"), "loss must be the name"),
        (dict(loss=None), "loss must be the name"),
        (dict(loss=keras.losses.Huber()), "one number a sample"),
        (dict(loss=lambda y, p: jnp.mean((y - p) ** 2)), "one number a sample"),
        (dict(loss=lambda y, p: (y - p[:, 0]) ** 2), r"y of \[n\] beside predictions of \[n, 1\]"),
    ],
)
def test_bad_settings_are_said(settings, words):
    x, y = data(20)
    with pytest.raises(ValueError, match=words):
        training.fit(models.mlp(x, y), x, y, **{"validation": (x, y), **settings})


@pytest.mark.parametrize(
    "x, y, words",
    [
        (np.zeros((0, 3)), np.zeros(0), "n_samples of 1 or more"),
        (np.zeros((5, 3)), np.zeros(4), "one first axis"),
        (np.full((5, 3), np.nan), np.zeros(5), "not a finite number"),
        (np.full((5, 3), 1e39), np.zeros(5), "not a finite number of float32"),
        (np.zeros(5), np.zeros(5), r"x must be \[n_samples, 3\]"),
        (np.zeros((5, 3)), np.float32(1), r"y must be \[n_samples, 1\]"),
        (np.zeros((5, 4)), np.zeros(5), r"x must be \[n_samples, 3\]"),
        (np.zeros((5, 3)), np.zeros((5, 2)), r"y must be \[n_samples, 1\]"),
        (np.zeros((5, 3)), np.zeros((1, 5)), r"y must be \[n_samples, 1\]"),
        (np.zeros((5, 3), complex), np.zeros(5), "x must be real numbers"),
        (np.zeros((5, 3)), ["a"] * 5, "y: a value is missing or not a number"),
        (np.ma.masked_equal(np.eye(5)[:, :3], 1), np.zeros(5), "x: values are missing"),
        (np.zeros((5, 3)), np.ma.masked_equal(np.arange(5), 1), "y: values are missing"),
        (
            pd.DataFrame({k: pd.array([1, 2, None, 4, 5], "Int64") for k in "abc"}),
            np.zeros(5),
            "x: a value is missing",
        ),
        (np.zeros((5, 3)), pd.Series([1, 2, None, 4, 5], dtype="Float64"), "missing|not a finite"),
        ({"x": np.zeros((5, 3))}, np.zeros(5), "x must be one array"),
        (
            [np.zeros((5, 3)), np.zeros((4, 3))],
            np.zeros(5),
            "x: a value is missing or not a number, or rows differ",
        ),
    ],
)
def test_bad_data_is_said(x, y, words):
    model = models.mlp(np.zeros((5, 3)), np.zeros(5))
    with pytest.raises(ValueError, match=words):
        training.fit(model, x, y)


def test_numbers_of_any_kind_are_the_same():
    x, y = data(40)
    x, y = np.round(x), np.round(y)
    kinds = [
        (x, y),
        (x.astype(int), y.astype(int)),
        (x.tolist(), y.tolist()),
        (list(x), y.reshape(-1, 1)),
        (pd.DataFrame(x), pd.Series(y)),
        (pd.DataFrame(x.astype(int)).astype("Int64"), pd.Series(y, dtype="Float64")),
        (x.astype(str), y.astype(object)),
        (np.ma.array(x), np.ma.array(y)),
    ]
    weights = []
    for x, y in kinds:
        model = small_line()
        training.fit(model, x, y, epochs=3)
        weights.append(model.get_weights()[0])
        np.testing.assert_array_equal(models.predict(model, x), models.predict(model, kinds[0][0]))
    assert all(np.array_equal(weights[0], w) for w in weights)


def small_line():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="ones")])


def test_keep_best_needs_validation():
    x, y = data()
    with pytest.raises(ValueError, match="needs validation"):
        training.fit(models.mlp(x, y), x, y, keep_best=True)


def noisy(n=60, seed=1):
    x, y = data(n)
    return x, y + np.random.default_rng(seed).normal(size=n)


def test_patience_stops_and_keeps_the_best():
    x, y = noisy()
    settings = dict(validation=(x[40:], y[40:]), learning_rate=1e-2, epochs=2000)
    model = models.mlp(x[:40], y[:40])
    history = training.fit(model, x[:40], y[:40], patience=30, **settings)
    assert len(history.loss) == len(history.val_loss) == history.best_epoch + 31 < 2000
    assert history.best_epoch == history.val_loss.argmin()
    found = np.sqrt(((models.predict(model, x[40:]) - y[40:]) ** 2).mean())
    assert found == pytest.approx(history.val_loss.min(), rel=1e-4)
    with pytest.raises(ValueError, match="patience needs validation"):
        training.fit(model, x, y, patience=5)


def test_patience_of_an_ensemble_is_each_models_own():
    x, y = noisy()
    nets = [models.mlp(x[:40], y[:40], seed=k) for k in range(6)]
    history = training.fit_ensemble(
        nets, x[:40], y[:40], validation=(x[40:], y[40:]), learning_rate=1e-2, epochs=2000, patience=30
    )
    ends = np.isfinite(history.loss).sum(1)
    np.testing.assert_array_equal(ends, history.best_epoch + 31)
    assert len(set(ends)) > 1 and history.loss.shape == (6, ends.max())


def test_watching_changes_nothing_and_can_stop():
    x, y = data()
    alone, watched, stopped = (models.mlp(x, y, seed=2) for _ in range(3))
    seen = []
    training.fit(alone, x, y, epochs=300)
    training.fit(watched, x, y, epochs=300, watch=lambda h: seen.append(len(h.loss)) or time.sleep(0.01))
    assert seen[-1] == 300 and seen == sorted(set(seen)) and len(seen) > 1
    for a, b in zip(alone.get_weights(), watched.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    history = training.fit(stopped, x, y, epochs=10**6, watch=lambda h: len(h.loss) >= 40)
    assert 40 <= len(history.loss) < 10**6
    rmse = np.sqrt(((models.predict(stopped, x) - y) ** 2).mean())
    assert rmse == pytest.approx(history.loss[-1], rel=1e-4)


@pytest.mark.parametrize("n", [1, 8])
def test_interrupted_models_keep_what_they_learned(n):
    x, y = data()
    nets = [models.mlp(x, y, seed=k) for k in range(n)]
    before = [np.sqrt(((models.predict(net, x) - y) ** 2).mean()) for net in nets]

    def stop_button(history):
        if history.loss.shape[1] > 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.fit_ensemble(nets, x, y, epochs=10**6, watch=stop_button)
    after = [np.sqrt(((models.predict(net, x) - y) ** 2).mean()) for net in nets]
    assert (np.array(after) < 0.5 * np.array(before)).all()


def test_progress_bar_tells_epochs_and_errors(capsys):
    x, y = data()
    training.fit(models.mlp(x, y), x, y, validation=(x, y), epochs=40, progress=True)
    shown = capsys.readouterr().err
    assert "40/40" in shown and "training=" in shown and "validation=" in shown


def test_one_learning_rate_a_model():
    x, y = data()
    rates, decays = [1e-4, 1e-3, 1e-2, 1e-2], [0, 0, 0, 10.0]
    nets = [models.mlp(x, y, seed=0) for _ in rates]
    history = training.fit_ensemble(nets, x, y, epochs=30, learning_rate=rates, weight_decay=decays)
    assert (np.diff(history.loss[:3, -1]) < 0).all()
    assert np.linalg.norm(nets[3].get_weights()[4]) < 0.9 * np.linalg.norm(nets[2].get_weights()[4])
    alone = models.mlp(x, y, seed=0)
    assert training.fit(alone, x, y, epochs=30, learning_rate=1e-3, seed=1).loss[-1] == pytest.approx(
        history.loss[1, -1], rel=0.05
    )


def test_compiled_ahead_is_used():
    training._compiled.clear()
    x, y = data()
    nets = [models.mlp(x, y, width=w) for w in (8, 16)]
    training.compile_ahead(nets, x, y, epochs=20).join()
    assert len(training._compiled) == 2 and all(program.done() for program in training._compiled.values())
    for width in (16, 8):
        training.fit(models.mlp(x, y, width=width, seed=5), x, y, epochs=10)
    assert len(training._compiled) == 2


def test_fit_waits_for_a_program_being_compiled():
    training._compiled.clear()
    x, y = data()
    thread = training.compile_ahead([models.mlp(x, y, width=24)], x, y)
    history = training.fit(models.mlp(x, y, width=24, seed=5), x, y, epochs=3)
    thread.join()
    assert len(history.loss) == 3 and len(training._compiled) == 1


def test_program_that_fails_to_compile_is_tried_again():
    class Fragile(keras.layers.Layer):
        works = True

        def call(self, x):
            if not self.works:
                raise ArithmeticError("broken")
            return x

    layer = Fragile()
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1), layer])
    x, y = data()
    layer.works = False
    with pytest.raises(ArithmeticError):
        training.fit(model, x, y, epochs=1)
    layer.works = True
    assert len(training.fit(model, x, y, epochs=1).loss) == 1


def test_other_backends_are_refused_in_a_sentence():
    """On Keras's NumPy backend, which needs nothing installed: models predict, and `fit` says what to do."""
    program = """
import numpy as np
from mlms_helpers import models, training
x = np.random.default_rng(0).normal(size=(20, 3))
model = models.mlp(x, x[:, 0] - 2e6)
assert np.abs(models.predict(model, x) + 2e6).max() < 10
try:
    training.fit(model, x, x[:, 0])
except RuntimeError as sentence:
    print(sentence)
"""
    environment = {**os.environ, "KERAS_BACKEND": "numpy"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    assert "Keras runs on numpy here: set the environment variable KERAS_BACKEND=jax" in done.stdout


def test_least_spread_holds_back_what_hardly_varied():
    x, y = data()
    x = np.column_stack([x, 1e-4 * np.random.default_rng(1).normal(size=len(x)), np.full(len(x), 3.0)])
    model = models.mlp(x, y, least_spread=0.05)
    standardised = keras.Model(model.input, model.get_layer("standardise").output)(x + 1).__array__()
    np.testing.assert_allclose(standardised.std(0)[:3], 1, rtol=0.01)
    np.testing.assert_allclose(standardised[:, 3], 1 / 0.05, rtol=0.01)
    assert np.isfinite(standardised).all() and np.abs(standardised[:, 4]).max() <= 1 / 0.05 + 1e-3
