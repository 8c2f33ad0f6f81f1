"""Training any Keras model, and its predictions: several inputs and outputs, losses, numbers of any size."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from mlms_helpers import models, training  # first: it chooses Keras's backend
import jax.numpy as jnp
import keras


def molecules(n=300, seed=0):
    """Features of up to 6 atoms, a mask of those that are there; their sum, and which of two kinds it is."""
    rng = np.random.default_rng(seed)
    mask = np.arange(6) < rng.integers(1, 7, (n, 1))
    atoms = rng.normal(size=(n, 6, 4))
    energy = (atoms[:, :, 0] * mask).sum(1)
    return {"atoms": atoms, "mask": mask}, {"energy": energy, "kind": (energy > 0).astype(int)}


def test_two_inputs_two_outputs_a_mask_and_a_loss_of_ones_own():
    x, y = molecules()
    atoms, mask = keras.Input((6, 4), name="atoms"), keras.Input((6,), name="mask", dtype="bool")
    each = keras.layers.Dense(16, "silu")(atoms)
    here = keras.layers.Reshape((6, 1))(keras.ops.cast(mask, "float32"))
    energy = keras.ops.sum(keras.layers.Dense(1)(each) * here, axis=(1, 2))
    kind = keras.layers.Dense(1, "sigmoid")(keras.ops.sum(each * here, axis=1))
    model = keras.Model({"atoms": atoms, "mask": mask}, {"energy": energy, "kind": kind})

    def loss(y, prediction):
        right = keras.ops.where(y["kind"] == 1, prediction["kind"], 1 - prediction["kind"])[:, 0]
        return (y["energy"] - prediction["energy"]) ** 2 - keras.ops.log(right + 1e-6)

    history = training.fit(
        model, x, y, loss=loss, validation=molecules(100, 1), epochs=100, learning_rate=1e-2
    )
    new, truth = molecules(100, 2)
    told = models.predict(model, new)
    assert np.sqrt(((told["energy"] - truth["energy"]) ** 2).mean()) < 0.2 * truth["energy"].std()
    assert ((told["kind"] > 0.5) == truth["kind"]).mean() > 0.9
    assert history.val_loss[-1] < 0.3 * history.val_loss[0]


def two_outputs(x, width=8):
    inputs = keras.Input((x.shape[1],))
    start = {"kernel_initializer": keras.initializers.GlorotUniform(1)}
    hidden = keras.layers.Dense(width, "tanh", **start)(inputs)
    return inputs, keras.layers.Dense(2, **start)(hidden)


def numbers(n=100, columns=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, columns))
    return x, np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2]


def test_outputs_apart_are_columns_of_one():
    """The error over a list of outputs is that over the columns of an array."""
    x, first = numbers()
    y = np.column_stack([first, 2 * first - 1])
    inputs, both = two_outputs(x)
    together = keras.Model(inputs, both)
    inputs, both = two_outputs(x)
    apart = keras.Model(inputs, [both[:, :1], both[:, 1:]])
    one = training.fit(together, x, y, validation=(x[:20], y[:20]), epochs=20)
    two = training.fit(apart, x, [y[:, 0], y[:, 1]], validation=(x[:20], [y[:20, 0], y[:20, 1]]), epochs=20)
    np.testing.assert_allclose(one.loss, two.loss, rtol=1e-4)
    np.testing.assert_allclose(one.val_loss, two.val_loss, rtol=1e-4)
    answers = models.predict(apart, x)
    assert isinstance(answers, list) and [a.shape for a in answers] == [(100,), (100,)]
    np.testing.assert_allclose(np.column_stack(answers), models.predict(together, x), atol=1e-3)
    assert one.loss[-1] == pytest.approx(np.sqrt(((models.predict(together, x) - y) ** 2).mean()), rel=1e-4)


def test_whole_numbers_stay_whole():
    """Species as an input for an embedding, in a list of inputs."""
    rng = np.random.default_rng(0)
    species, place = rng.integers(0, 4, (200, 5)), rng.normal(size=(200, 2))
    y = np.array([1.0, -2.0, 5.0, 0.5])[species].sum(1) + place[:, 0]
    kinds, numbers = keras.Input((5,), dtype="int32"), keras.Input((2,))
    sums = keras.ops.sum(keras.layers.Embedding(4, 1)(kinds), axis=1)
    model = keras.Model([kinds, numbers], keras.layers.Dense(1)(keras.layers.Concatenate()([sums, numbers])))
    history = training.fit(model, (species, place), y, epochs=200, learning_rate=3e-2)
    assert history.loss[-1] < 0.05 * y.std()
    assert models.predict(model, (species, place)).shape == (200,)
    with pytest.raises(ValueError, match=r"x\[0\] must be int32 numbers"):
        training.fit(model, (species + 0.5, place), y)
    with pytest.raises(ValueError, match="x must be a list of 2 arrays, not one array"):
        training.fit(model, place, y)
    with pytest.raises(ValueError, match="one first axis"):
        training.fit(model, (species[:5], place), y)


class Cloud(keras.Model):
    """A class of one's own, which does not say what it takes."""

    def __init__(self, width):
        super().__init__()
        self.width = width
        self.first, self.last = keras.layers.Dense(width, "silu"), keras.layers.Dense(1)

    def get_config(self):
        return {"width": self.width}

    def call(self, x):
        return self.last(self.first(x["a"]) + x["b"])


def test_a_class_of_ones_own_and_an_ensemble_of_it():
    x, y = numbers()
    x = {"a": x, "b": x[:, :1]}
    clouds = [Cloud(8) for _ in range(2)]
    with pytest.raises(ValueError, match="the model is not built"):
        training.fit(clouds[0], x, y)
    for cloud in clouds:
        cloud({k: v[:2].astype("float32") for k, v in x.items()})
    history = training.fit_ensemble(clouds, x, y, epochs=60, learning_rate=1e-2)
    assert (history.loss[:, -1] < 0.5 * y.std()).all()
    found = np.sqrt(((models.predict(clouds[1], x) - y) ** 2).mean())
    assert found == pytest.approx(history.loss[1, -1], rel=1e-4)


def test_losses_by_name_and_by_function_are_the_same():
    x, y = numbers()
    runs = {}
    for name, loss in {"name": "huber", "function": lambda y, p: keras.losses.huber(y, p)}.items():
        model = models.mlp(x, y, width=8)
        runs[name] = training.fit(model, x, y, loss=loss, epochs=20).loss
        told = np.asarray(keras.losses.huber(y[:, None], models.predict(model, x)[:, None])).mean()
        assert runs[name][-1] == pytest.approx(told, rel=1e-4)
    np.testing.assert_allclose(runs["name"], runs["function"], rtol=1e-4)
    model = models.mlp(x, y, width=8)
    error = training.fit(model, x, y, loss="mean_absolute_error", epochs=20).loss[-1]
    assert error == pytest.approx(np.abs(models.predict(model, x) - y).mean(), rel=1e-4)


def test_a_loss_is_compiled_once_and_another_anew():
    x, y = numbers(40)
    training._compiled.clear()

    def weighted(power):
        return lambda y, p: jnp.abs(y - p) ** power

    loss = weighted(2.0)
    squared = [training.fit(models.mlp(x, y, width=4), x, y, loss=loss, epochs=2).loss for _ in range(2)]
    assert len(training._compiled) == 1
    fourth = training.fit(models.mlp(x, y, width=4), x, y, loss=weighted(4.0), epochs=2).loss
    assert len(training._compiled) == 2 and not np.allclose(squared[0], fourth)
    np.testing.assert_array_equal(*squared)


def test_a_layer_written_anew_under_its_name_is_another():
    """As in a cell that is edited and run again."""
    x, y = numbers(40)

    def line(slope):
        class Slope(keras.layers.Layer):
            def call(self, x):
                return slope * x

        def bend(x):
            return x + slope

        inputs = keras.Input((3,))
        layer = keras.layers.Dense(1, bend, kernel_initializer="ones")(Slope(name="slope")(inputs))
        return keras.Model(inputs, layer)

    told = [training.fit(line(slope), x, y, epochs=1, learning_rate=1e-9).loss[0] for slope in (1.0, 2.0)]
    for slope, error in zip((1.0, 2.0), told, strict=True):
        assert error == pytest.approx(np.sqrt(((slope * x.sum(1) + slope - y) ** 2).mean()), rel=1e-4)


def test_what_stands_in_unused_room_harms_no_loss():
    """Programs have room for more samples: a loss that zeros would break must not meet any."""
    x, y = numbers(100)
    x, y = x + 3, np.exp(y)
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(1, "exponential", kernel_initializer="zeros")]
    )
    settings = dict(validation=(x[:30], y[:30]), epochs=30, learning_rate=1e-2, batch_size=32)
    history = training.fit(model, x, y, loss=lambda y, p: jnp.log(p / y) ** 2 + 0 / jnp.sqrt(y), **settings)
    assert np.isfinite(history.loss).all() and np.isfinite(history.val_loss).all()
    assert all(np.isfinite(w).all() for w in model.get_weights())


@given(seed=st.integers(0, 1000))
@examples(max_examples=5)
def test_the_order_of_samples_is_nothing_to_one_batch(seed):
    """Of everything in one batch; and a sample of weight 2 is a sample that stands there twice."""
    x, y = numbers(50)
    order = np.random.default_rng(seed).permutation(50)
    twice = np.concatenate([order, order[:10]])
    weights = np.ones((1, 50))
    weights[0, order[:10]] = 2
    nets = [models.mlp(x, y, width=8) for _ in range(4)]
    settings = dict(epochs=10, batch_size=256)
    plain = training.fit(nets[0], x, y, **settings).loss
    shuffled = training.fit(nets[1], x[order], y[order], **settings).loss
    np.testing.assert_allclose(plain, shuffled, rtol=1e-4)
    heavy = training.fit_ensemble(nets[2:3], x, y, weights=weights, **settings).loss[0]
    double = training.fit(nets[3], x[twice], y[twice], **settings).loss
    np.testing.assert_allclose(heavy, double, rtol=1e-4)


def share(scale_x=1.0, scale_y=1.0, offset_x=0.0, offset_y=0.0, n=200):
    """RMSE of a small network, as a share of the spread of y: by its predictions, and as `fit` tells it."""
    x, y = numbers(n)
    x, y = x * scale_x + offset_x, y * scale_y + offset_y
    model = models.mlp(x, y, width=32)
    told = training.fit(model, x, y, validation=(x, y), epochs=200)
    found = np.sqrt(((models.predict(model, x) - y) ** 2).mean())
    assert told.loss[-1] == pytest.approx(found, rel=1e-2) == told.val_loss[-1]
    return found / y.std()


@pytest.fixture(scope="module")
def plain():
    return share()


@pytest.mark.parametrize(
    "numbers_of",
    [
        dict(scale_y=1e-3),  # eV in place of meV
        dict(scale_y=0.03),
        dict(scale_y=1e-10),
        dict(scale_y=2e11),  # Pa
        dict(scale_y=1e25),
        dict(scale_x=1e-7),
        dict(scale_x=1e-19),
        dict(scale_x=1e20),
        dict(offset_y=-60_000.0),  # eV
        dict(scale_y=0.2, offset_y=-2_012_735.0),
        dict(scale_y=1e-3, offset_y=1e9),
        dict(offset_x=1e7),
        dict(scale_x=[1e-7, 1.0, 1e9], offset_x=[0.0, 1e8, 1e12]),
    ],
    ids=str,
)
def test_the_unit_of_the_data_is_nothing_to_learning(plain, numbers_of):
    assert share(**{name: np.array(value) for name, value in numbers_of.items()}) < 1.5 * plain


def test_an_ensemble_far_from_zero_and_its_files(tmp_path):
    x, y = numbers()
    y = 0.2 * y - 2_012_735.0
    nets = [models.mlp(x[k : k + 80], y[k : k + 80], width=8, seed=k) for k in range(3)]
    before = [net.get_layer("restore_units").get_weights() for net in nets]
    history = training.fit_ensemble(nets, x, y, epochs=100, learning_rate=1e-2)
    for k, net in enumerate(nets):
        for old, new in zip(before[k], net.get_layer("restore_units").get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
        found = np.sqrt(((models.predict(net, x) - y) ** 2).mean())
        assert found == pytest.approx(history.loss[k, -1], rel=1e-2) and found < 0.3 * y.std()
    nets[0].save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras")
    np.testing.assert_array_equal(models.predict(again, x), models.predict(nets[0], x))
    np.testing.assert_allclose(nets[0].predict(x, verbose=0)[:, 0], y, atol=1)  # Keras alone: float32


@pytest.mark.parametrize(
    "x, y, batch_size",
    [
        (np.ones((20, 3)), numbers(20)[1], 32),  # columns that do not vary
        (numbers(20)[0], np.full(20, -2e6), 32),  # nor does the target
        (numbers(20)[0], np.full(20, 0.1), 1),
        (numbers(1)[0], np.array([4.0]), 32),
        (numbers(2)[0], np.array([4.0, 5.0]), 1),
    ],
    ids=["columns", "far target", "target", "one sample", "two samples"],
)
def test_what_does_not_vary_is_learned(x, y, batch_size):
    model = models.mlp(x, y, width=8)
    history = training.fit(model, x, y, epochs=200, batch_size=batch_size)
    assert np.isfinite(history.loss).all()
    assert np.abs(models.predict(model, x).mean() - y.mean()) < 0.1


def test_a_clone_keeps_the_scales():
    x, y = numbers()
    model = models.mlp(100 * x + 5000, y - 2e6)
    clone = keras.models.clone_model(model)
    np.testing.assert_array_equal(
        models.predict(clone, 100 * x + 5000), models.predict(model, 100 * x + 5000)
    )


def test_scales_of_many_rows_are_right():
    x = 5000 + np.random.default_rng(0).normal(size=(100_000, 2)) * [1, 1e-3]
    gamma, _, mean, variance = models.mlp(x, x[:, 0], width=4).get_layer("standardise").get_weights()
    np.testing.assert_allclose(mean, x.mean(0), atol=3e-4)
    np.testing.assert_allclose(np.sqrt(variance + 1e-12) / gamma, x.std(0), rtol=1e-6)


def test_many_rows_are_learned_and_predicted():
    x, y = numbers(300_000)
    model = models.mlp(x, y, width=4, hidden_layers=1)
    history = training.fit(model, x, y, epochs=1, batch_size=4096)
    told = models.predict(model, x)
    assert told.shape == (300_000,)
    assert history.loss[0] == pytest.approx(np.sqrt(((told - y) ** 2).mean()), rel=1e-3)


def test_predictions_have_the_shape_of_the_outputs():
    x, y = numbers(7)
    one, two = models.mlp(x, y), models.mlp(x, np.column_stack([y, 10 - y]))
    assert models.predict(one, x).shape == (7,) and models.predict(one, x).dtype == float
    assert models.predict(two, x).shape == (7, 2)
    np.testing.assert_allclose(models.predict(two, x), two(x.astype("float32")), rtol=1e-5)
    assert models.predict(one, x[:1]).shape == (1,) and models.predict(two, x[:1]).shape == (1, 2)
    assert models.predict(one, x[:0]).shape == (0,) and models.predict(two, x[:0]).shape == (0, 2)
    whole = np.arange(21, dtype="int32").reshape(7, 3)
    np.testing.assert_array_equal(models.predict(one, whole), models.predict(one, whole.astype(float)))
    gap = np.where(np.arange(7)[:, None] == 3, np.nan, x)
    np.testing.assert_array_equal(np.isnan(models.predict(one, gap)), np.arange(7) == 3)
    with pytest.raises(ValueError, match=r"x must be \[n_samples, 3\], as the model has it, not \[3\]"):
        models.predict(one, x[0])
    with pytest.raises(ValueError, match="values are missing"):
        models.predict(one, np.ma.masked_greater(x, 0))
    with pytest.raises(ValueError, match="the model is not built"):
        models.predict(keras.Sequential([keras.layers.Dense(1)]), x)


@pytest.mark.parametrize(
    "x, y, more, words",
    [
        (np.zeros(5), np.zeros(5), {}, r"x must be \[n_samples, n_features\]"),
        (np.zeros((0, 3)), np.zeros(0), {}, "n_samples > 0"),
        (np.zeros((5, 3)), np.zeros(4), {}, "not \\(5, 3\\) and \\(4,\\)"),
        (np.zeros((5, 3)), np.full(5, np.nan), {}, "not a finite number"),
        (np.full((5, 3), 1e200), np.zeros(5), {}, "not a finite number of float32"),
        (np.ma.masked_equal(np.eye(5), 1), np.zeros(5), {}, "x: values are missing"),
        (np.eye(5), np.zeros(5), dict(width=0), "width must be"),
        (np.eye(5), np.zeros(5), dict(width=2.5), "width must be"),
        (np.eye(5), np.zeros(5), dict(hidden_layers=-1), "hidden_layers must be"),
        (np.eye(5), np.zeros(5), dict(seed=-1), "seed must be"),
        (np.eye(5), np.zeros(5), dict(least_spread=-1), "least_spread must be"),
    ],
)
def test_bad_data_of_a_perceptron_are_said(x, y, more, words):
    with pytest.raises(ValueError, match=words):
        models.mlp(x, y, **more)


def test_the_old_name_of_hidden_layers_is_taken_with_a_word():
    x, y = numbers(10)
    with pytest.warns(DeprecationWarning, match="hidden_layers"):
        old = models.mlp(x, y, width=4, depth=1)
    np.testing.assert_array_equal(models.predict(old, x), models.predict(models.mlp(x, y, 4, 1), x))


def test_errors_that_end_in_no_number_are_told():
    x, y = numbers(40)
    with pytest.warns(RuntimeWarning, match="smaller learning_rate"):
        training.fit(models.mlp(x, y), x, y, epochs=20, learning_rate=1e30)


PROGRAM = """
import numpy as np
from mlms_helpers import models, training
import jax
rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, (100, 3))
model = models.mlp(x, x[:, 0], width=8)
print(*training.fit(model, x, x[:, 0], epochs=20, validation=(x, x[:, 0])).val_loss)
print(*training.fit(model, x, x[:, 0], epochs=2).loss)
"""


@pytest.mark.parametrize("name", ["JAX_ENABLE_X64", "JAX_DEBUG_NANS"])
def test_settings_of_jax_change_nothing(name):
    runs = []
    for environment in (os.environ, {**os.environ, name: "1"}):
        command = [sys.executable, "-W", "error::FutureWarning", "-c", PROGRAM]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-1500:]
        runs.append(np.array(done.stdout.split(), float))
    np.testing.assert_allclose(*runs, rtol=1e-3)
