"""Keras models: each builder returns a plain `keras.Model`, and `predict` asks any.

A model keeps the scales of its training data in two frozen layers: `standardise`, behind an input, and
`restore_units`, which makes an output.  float32 holds seven digits: a total energy of -2e6 eV to 0.1 eV.  So
where a mean is more than `FAR` spreads away from zero, `predict` and `training.fit` take it out of the layer
and off the data, in float64.
"""

import inspect
import warnings
from typing import Any

import keras
import numpy as np

from .statistics import whole

EPSILON = 1e-12  # of the frozen batch normalisations
FAR = 1000  # spreads
ROWS = 16384  # of one batch of `predict`, at most
NUMBERS = 2**22  # of one batch of `predict`, about, where a sample is large
POOLS = ("sum", "mean", "max", "attention")
Arrays = (
    np.ndarray | dict | tuple | list
)  # one array, or a dict, list or tuple of arrays, nested as one likes


def mlp(
    x: np.ndarray,
    y: np.ndarray,
    width: int = 64,
    hidden_layers: int = 2,
    *,
    least_spread: float = 0.0,
    seed: int = 0,
    depth: int | None = None,
) -> keras.Model:
    """Multilayer perceptron that knows the scale of its training data.

    x: [n_samples, n_features], the *training* data; only their shape, means and standard deviations are used.
    y: [n_samples] or [n_samples, n_outputs], likewise: the first layer standardises the features, the last
        one restores the units of y, so the network in between deals with numbers near one.
    width: neurons a layer.
    hidden_layers: their number; 0 is a straight line.
    least_spread: features that vary less (standard deviation, in their own units) are divided by this
        instead, so that what hardly varies in training is not blown up elsewhere.  At 0, what does not vary
        is divided by 1.
    seed: of the initial weights.
    depth: the old name of hidden_layers.

    Returns a `keras.Model` from [n, n_features] to [n, n_outputs], with silu between the layers.
    Raises ValueError for data that are empty, not finite, or of other shapes, and for numbers that cannot be.
    """
    if depth is not None:
        warnings.warn("depth is called hidden_layers now", DeprecationWarning, stacklevel=2)
        hidden_layers = depth
    width, hidden_layers, seed = (
        whole("width", width),
        whole("hidden_layers", hidden_layers, 0),
        whole("seed", seed, 0),
    )
    x, y = arrays(x, "x"), arrays(y, "y")
    if np.ndim(x) != 2 or np.ndim(y) not in (1, 2) or len(x) != len(y) or 0 in np.shape(x) + np.shape(y):
        raise ValueError(
            "x must be [n_samples, n_features] and y [n_samples] or [n_samples, n_outputs], n_samples > 0, "
            f"not {np.shape(x)} and {np.shape(y)}"
        )
    if not (np.isfinite(to_float32(x)).all() and np.isfinite(to_float32(y)).all()):
        raise ValueError("x or y: a value is not a finite number of float32")
    if not least_spread >= 0:
        raise ValueError(f"least_spread must be at least 0, not {least_spread}")
    seeds = np.random.SeedSequence(seed).generate_state(2 * hidden_layers + 1)[::2].tolist()
    inputs = keras.Input((x.shape[1],), name="features")
    layer = _standardise(x, least_spread)(inputs)
    for n in range(hidden_layers):
        start = keras.initializers.GlorotUniform(seeds[n])
        layer = keras.layers.Dense(width, "silu", name=f"hidden_{n + 1}", kernel_initializer=start)(layer)
    y = y.reshape(len(y), -1)
    start = keras.initializers.GlorotUniform(seeds[-1])
    layer = keras.layers.Dense(y.shape[1], name="output", kernel_initializer=start)(layer)
    return keras.Model(inputs, _restore_units(y)(layer), name="mlp")


def over_atoms(
    x: dict[str, np.ndarray],
    y: np.ndarray,
    *,
    pool: str = "sum",
    width: int = 32,
    hidden_layers: int = 2,
    least_spread: float = 0.0,
    seed: int = 0,
) -> keras.Model:
    """One network for each atom, and a pool that makes one number a structure of what it says.

    x: of `descriptors.padded`, the *training* data: atoms [n, most_atoms, n_features], node_mask [n,
        most_atoms]; only sizes, means and standard deviations are used.
    y: [n] or [n, n_outputs], likewise.  Take a constant for each element off energies first.
    pool: "sum" adds up what the atoms say: grows with the size.  "mean" averages it.  "max" takes the largest
        value of each neuron over the atoms, and a line in these.  "attention" averages with weights that the
        network gives (softmax of a score for each atom).  All but the sum are the same for a supercell.
    width, hidden_layers: of the network, silu between the layers; 0 layers are a straight line.
    least_spread: as in `mlp`.
    seed: of the initial weights.

    Returns a `keras.Model` from the dict to [n, n_outputs].
    Raises ValueError for another pool, a structure without atoms, and data as in `mlp`.
    J. Behler and M. Parrinello, PRL 98, 146401 (2007) (sum); M. Zaheer et al., arXiv:1703.06114 (pools);
    M. Ilse, J. Tomczak and M. Welling, arXiv:1802.04712, eqs. 7 and 8 (attention).
    """
    width, hidden_layers, seed = (
        whole("width", width),
        whole("hidden_layers", hidden_layers, 0),
        whole("seed", seed, 0),
    )
    atoms, mask, y = arrays(x["atoms"], "atoms"), arrays(x["node_mask"], "node_mask"), _column(y)
    n_atoms = _sizes(mask, y, pool)
    if np.ndim(atoms) != 3 or atoms.shape[:2] != mask.shape:
        raise ValueError(
            f"atoms must be [n, most_atoms, n_features] and node_mask [n, most_atoms], not {atoms.shape} and "
            f"{mask.shape}"
        )
    start = _starts(seed)
    inputs = {
        "atoms": keras.Input((None, atoms.shape[2]), name="atoms"),
        "node_mask": keras.Input((None,), name="node_mask"),
    }
    layer = _standardise(atoms[mask > 0], least_spread)(inputs["atoms"])
    for _ in range(hidden_layers):
        layer = keras.layers.Dense(width, "silu", kernel_initializer=next(start))(layer)
    return keras.Model(
        inputs, _pooled(layer, inputs["node_mask"], y, n_atoms, pool, start), name="over_atoms"
    )


def message_passing(
    graph: dict[str, np.ndarray],
    y: np.ndarray,
    *,
    width: int = 32,
    steps: int = 3,
    pool: str = "mean",
    seed: int = 0,
) -> keras.Model:
    """Message passing: in each step atoms hear from their neighbours, then a pool makes one number of all.

    graph: of `descriptors.graph`, the *training* data; of it only sizes are used.
    y: [n] or [n, n_outputs]; only means and standard deviations are used.  Take a constant for each element
        off energies first.
    width: neurons a layer.
    steps: how many bonds far an atom hears; 0: an atom knows its species alone.
    pool: as in `over_atoms`.
    seed: of the initial weights.

    With h_i the state of atom i, first a vector for its species, and e_ij the label of an edge, each step is

        m_i = sum_j w_ij silu(A h_i + B h_j + C e_ij + a)        h_i <- h_i + D silu(E m_i + F h_i + b)

    where w_ij is `edge_mask`.  The order of atoms and edges plays no part, nor does the padding.

    Returns a `keras.Model` from the dict to [n, n_outputs].  A species whose number is larger than those
    here has no vector.
    Raises ValueError for another pool, a structure without atoms, and data as in `mlp`.
    J. Gilmer et al., arXiv:1704.01212, eqs. 1 to 3; P. B. Jorgensen et al., PRB 100, 104114 (2019).
    """
    width, steps, seed = whole("width", width), whole("steps", steps, 0), whole("seed", seed, 0)
    y = _column(y)
    n_atoms = _sizes(arrays(graph["node_mask"], "node_mask"), y, pool)
    start, n_species = _starts(seed), int(np.max(graph["nodes"]))
    whole_numbers, n_features = ("nodes", "senders", "receivers"), np.shape(graph["edges"])[2]
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in whole_numbers}
    inputs |= {name: keras.Input((None,), name=name) for name in ("node_mask", "edge_mask")}
    inputs["edges"] = keras.Input((None, n_features), name="edges")

    def dense(values, bias=True):
        return keras.layers.Dense(width, use_bias=bias, kernel_initializer=next(start))(values)

    ends = [inputs[name][..., None] for name in ("receivers", "senders")]
    counted = inputs["edge_mask"][..., None]
    state = dense(keras.ops.one_hot(inputs["nodes"] - 1, n_species))
    for _ in range(steps):
        message = dense(inputs["edges"])
        for end in ends:
            message = message + keras.ops.take_along_axis(dense(state, False), end, axis=1)
        heard = Collect()(keras.ops.silu(message) * counted, inputs["receivers"], state)
        state = state + dense(keras.ops.silu(dense(heard) + dense(state, False)))
    state = keras.ops.silu(dense(state))
    return keras.Model(inputs, _pooled(state, inputs["node_mask"], y, n_atoms, pool, start), name="messages")


@keras.saving.register_keras_serializable("mlms")
class Collect(keras.layers.Layer):
    """Sums what arrives at each atom: values [n, most_edges, width] to [n, most_atoms, width]."""

    def call(self, values, receivers, atoms):
        n, most, width = keras.ops.shape(atoms)
        place = receivers + most * keras.ops.arange(n, dtype="int32")[:, None]
        total = keras.ops.segment_sum(
            keras.ops.reshape(values, (-1, width)), keras.ops.reshape(place, (-1,)), num_segments=n * most
        )
        return keras.ops.reshape(total, (n, most, width))

    def compute_output_shape(self, values_shape, receivers_shape, atoms_shape):
        return atoms_shape


def _pooled(state, mask, y, n_atoms, pool, start):
    """What the atoms say, [n, most_atoms, width], as one number a structure and output, in the units of y."""
    counted = mask[..., None]

    def dense(values, n=y.shape[1]):
        return keras.layers.Dense(n, kernel_initializer=next(start))(values)

    if pool == "sum":
        return keras.ops.sum(_restore_units(y / n_atoms[:, None])(dense(state)) * counted, axis=1)
    if pool == "max":
        largest = keras.ops.max(keras.ops.where(counted > 0, state, -1e9), axis=1)
        return _restore_units(y)(dense(largest))
    weights = counted
    if pool == "attention":
        score = dense(state, 1)
        largest = keras.ops.max(keras.ops.where(counted > 0, score, -1e9), axis=1, keepdims=True)
        weights = keras.ops.exp(keras.ops.minimum(score - largest, 0.0)) * counted
    weights = weights / keras.ops.sum(weights, axis=1, keepdims=True)
    return _restore_units(y)(keras.ops.sum(dense(state) * weights, axis=1))


def _starts(seed):
    """Initialisers of one layer after the other."""
    numbers = np.random.SeedSequence(seed)
    while True:
        yield keras.initializers.GlorotUniform(int(numbers.spawn(1)[0].generate_state(1)[0]))


def _sizes(mask, y, pool):
    """Atoms of each structure."""
    if pool not in POOLS:
        raise ValueError(f"pool must be one of {', '.join(POOLS)}, not {pool!r}")
    if len(mask) != len(y):
        raise ValueError(f"there are {len(mask)} structures, but {len(y)} values of y")
    n_atoms = mask.sum(axis=1)
    if not n_atoms.all():
        raise ValueError(f"structure {n_atoms.argmin()} has no atoms")
    return n_atoms


def _column(y):
    """y as [n, n_outputs]."""
    y = arrays(y, "y")
    if np.ndim(y) not in (1, 2) or 0 in np.shape(y):
        raise ValueError(f"y must be [n] or [n, n_outputs], n > 0, not {np.shape(y)}")
    if not np.isfinite(to_float32(y)).all():
        raise ValueError("y: a value is not a finite number of float32")
    return y.reshape(len(y), -1)


def predict(model: keras.Model, x: Arrays) -> Arrays:
    """Predictions of any Keras model, without the overhead of `model.predict`, in batches.

    x: array [n_samples, ...], or the dict, list or tuple of arrays that the model takes.

    Returns float64 [n_samples] for one number a sample, [n_samples, n_outputs] for more, in the units of y;
    of a model with several outputs, as many such arrays in the dict, list or tuple that it gives.
    Raises ValueError for a model that is not built, and for x that it does not take or where values are
    missing.
    """
    x = inputs_of(model, x, "x")
    taken, added, *inside = far_constants(model)
    inside = inside[0] | inside[1]
    fixed = [variable.value - inside.get(k, 0) for k, variable in enumerate(model.non_trainable_variables)]
    x = to_float32(x, taken)
    leaves, parts = keras.tree.flatten(x), []
    n, most = len(leaves[0]), NUMBERS // max(1, sum(a[0].size for a in leaves if len(a)))
    batch = min(ROWS, max(1, most))
    for k in range(0, max(n, 1), batch):
        rows = keras.tree.map_structure(lambda a, k=k: a[k : k + batch], x)
        if inside:
            told = model.stateless_call(model.trainable_variables, fixed, rows, **mode(model, False))[0]
        else:
            told = model(rows, **mode(model, False))
        parts.append([np.asarray(keras.ops.convert_to_numpy(a), float) for a in keras.tree.flatten(told)])
    values = [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
    values = [a + c for a, c in zip(values, added or [0.0] * len(values), strict=True)]
    return keras.tree.pack_sequence_as(told, [a[:, 0] if a.shape[1:] == (1,) else a for a in values])


def _standardise(x, least_spread):
    """(x - mean) / spread: a frozen batch normalisation, whose epsilon gamma makes up for."""
    mean, spread = x.mean(0), np.maximum(spread_of(x), least_spread)
    spread = np.where(spread > 0, spread, 1.0)
    variance = np.minimum(spread**2, 1e36)
    return _frozen(
        "standardise", np.sqrt(variance + EPSILON) / spread, -_rest(mean, spread) / spread, mean, variance
    )


def _restore_units(y):
    """spread * output + mean."""
    mean, spread = y.mean(0), spread_of(y)
    spread = np.where(spread > 0, spread, 1.0)
    return _frozen("restore_units", spread, mean, -_rest(mean, spread) / spread, np.ones_like(mean))


def _frozen(name, gamma, beta, mean, variance):
    """The numbers stand in the initialisers, so that a clone of the model has them, too."""
    scales = {"gamma": gamma, "beta": beta, "moving_mean": mean, "moving_variance": variance}
    start = {f"{k}_initializer": keras.initializers.Constant(v.tolist()) for k, v in scales.items()}
    return keras.layers.BatchNormalization(name=name, epsilon=EPSILON, trainable=False, **start)


def spread_of(values: np.ndarray) -> np.ndarray:
    """Standard deviation of each column of [n_samples, ...]; 0 where it does not vary, but for rounding."""
    spread = values.std(0)
    return np.where(spread > 1e-13 * np.abs(values).max(0), spread, 0.0)


def _rest(mean, spread):
    """What float32 loses of a mean far from zero."""
    return np.where(np.abs(mean) > FAR * spread, mean - mean.astype("float32"), 0.0)


def inputs_of(model: keras.Model, x: Arrays, what: str) -> Arrays:
    """x as the arrays that a model takes, float64 where they become float32; ValueError if it does not."""
    if not model.built:
        raise ValueError("the model is not built: begin it with a keras.Input, or call it once on some data")
    x = arrays(x, what, structure(model, "input"))
    shapes = [a.shape for a in keras.tree.flatten(x)]
    if not shapes or () in shapes or len({shape[0] for shape in shapes}) > 1:
        raise ValueError(f"{what} must have one first axis, n_samples, not the shapes {shapes}")
    return x


def mode(model: keras.Model, training: bool) -> dict:
    """{"training": ...} for a model that asks for it, {} for a class of its own that does not."""
    return {"training": training} if "training" in inspect.signature(model.call).parameters else {}


def structure(model: keras.Model, side: str) -> Any:
    """What a model takes ("input") or gives ("output"): one tensor, or a dict, list or tuple of them.

    None for a class of its own, which does not say.
    """
    tensors = getattr(model, side + "s", None)
    if not tensors:
        return None
    return tensors[0] if isinstance(model, keras.Sequential) else getattr(model, side)


def arrays(values: Arrays, what: str, like: Any = None) -> Arrays:
    """Numbers as NumPy arrays: one, or the dict, list or tuple of arrays that is given.

    values: anything that NumPy reads; of float numbers, float64 comes back.
    what: the name of values in an error.
    like: tensors of a model, nested as the arrays are to be, and of their shapes and kinds; [n] becomes [n,
        1] where they are so.  None: as they come, and a list or tuple of plain numbers is one array.

    Raises ValueError, in a sentence, for other nesting or shapes, for words and for missing values.
    """
    nested = values if like is None else like
    if isinstance(nested, dict):
        if not isinstance(values, dict) or set(values) != set(nested):
            raise ValueError(f"{what} must be a dict with the entries {sorted(nested)}, not {_told(values)}")
        return {key: arrays(values[key], f"{what}[{key!r}]", like and like[key]) for key in nested}
    if isinstance(nested, list | tuple) and (like is not None or _holds_arrays(values)):
        if not isinstance(values, list | tuple) or len(values) != len(nested):
            raise ValueError(f"{what} must be a list of {len(nested)} arrays, not {_told(values)}")
        parts = [arrays(v, f"{what}[{k}]", like and like[k]) for k, v in enumerate(values)]
        return tuple(parts) if isinstance(nested, tuple) else parts
    return _array(values, what, like)


def _holds_arrays(values) -> bool:
    return isinstance(values, list | tuple) and any(
        np.ndim(v) or isinstance(v, dict) for v in keras.tree.flatten(values)
    )


def _told(values) -> str:
    if isinstance(values, dict):
        return f"a dict with {sorted(map(str, values))}"
    return f"a {type(values).__name__} of {len(values)}" if isinstance(values, list | tuple) else "one array"


def _array(values, what, like):
    """One array of numbers: float64, whole or bool."""
    if np.ma.is_masked(values):
        raise ValueError(f"{what}: values are missing (a masked array): leave these samples out")
    if isinstance(values, dict):
        raise ValueError(f"{what} must be one array, not {_told(values)}")
    try:
        values = np.asarray(values)
        if values.dtype.kind in "OUSf":
            values = values.astype(float)
    except (TypeError, ValueError):
        raise ValueError(f"{what}: a value is missing or not a number, or rows differ in length") from None
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{what} must be real numbers, not {values.dtype}")
    return values if like is None else _like(values, what, like)


def _like(values, what, tensor):
    """An array in the kind and shape of a tensor."""
    sizes = tensor.shape[1:]
    shaped = values[:, None] if values.ndim == 1 and len(sizes) == 1 else values
    if shaped.ndim != len(sizes) + 1 or any(
        n not in (None, m) for n, m in zip(sizes, shaped.shape[1:], strict=True)
    ):
        wanted = ", ".join(["n_samples", *("any" if n is None else str(n) for n in sizes)])
        raise ValueError(f"{what} must be [{wanted}], as the model has it, not {list(values.shape)}")
    kind = np.dtype(keras.backend.standardize_dtype(tensor.dtype))
    if kind.kind not in "biu":
        return shaped.astype(float)
    whole_numbers = shaped.astype(kind)
    if (whole_numbers != shaped).any():
        raise ValueError(f"{what} must be {kind} numbers, as the model takes them")
    return whole_numbers


def to_float32(tree: Arrays, constants: list | None = None) -> Arrays:
    """Arrays as JAX takes them: float32 without the constants of `far_constants`, int32 or bool."""
    leaves = keras.tree.flatten(tree)
    kinds = {"f": "float32", "i": "int32", "u": "int32", "b": "bool"}
    with np.errstate(over="ignore"):
        leaves = [
            (a - c if np.any(c) else a).astype(kinds[a.dtype.kind])
            for a, c in zip(leaves, constants or [0.0] * len(leaves), strict=True)
        ]
    return keras.tree.pack_sequence_as(tree, leaves)


def far_constants(model: keras.Model) -> tuple[list, list, dict, dict]:
    """What frozen layers take off a model's inputs and add to its outputs, where it is too large for float32.

    Returns a list of constants, one an input (arrays [n_features], or 0.0), another one an output, and two
    dicts of what is to be subtracted from the non-trainable variables, by their places, where the inputs and
    where the outputs go without these constants.
    """
    inputs, outputs = ([0.0] * len(getattr(model, side, None) or []) for side in ("inputs", "outputs"))
    places = {id(v): k for k, v in enumerate(model.non_trainable_variables)}
    inside_inputs, inside_outputs = {}, {}
    for layer in model.layers:
        frozen = isinstance(layer, keras.layers.BatchNormalization) and not layer.trainable
        if not frozen or layer.name not in ("standardise", "restore_units"):
            continue
        scales = [np.asarray(keras.ops.convert_to_numpy(w.value), float) for w in layer.weights]
        gamma, beta, mean, variance = scales
        factor = gamma / np.sqrt(variance + layer.epsilon)
        if layer.name == "standardise":
            variable, constant, spread, inside = layer.moving_mean, mean, 1 / factor, inside_inputs
            constants, tensors, tensor = inputs, model.inputs, layer.input
        else:
            variable, constant, spread, inside = layer.beta, beta, factor, inside_outputs
            constants, tensors, tensor = outputs, model.outputs, layer.output
        constant = np.where(np.abs(constant) > FAR * np.abs(spread), constant, 0.0)
        place = [k for k, t in enumerate(tensors) if t is tensor]
        if place and constant.any():
            constants[place[0]] = constant
            inside[places[id(variable)]] = constant.astype("float32")
    return inputs, outputs, inside_inputs, inside_outputs
