"""Training as one compiled program: every epoch and every batch run inside JAX, without Python in between.

Keras keeps the model and the optimiser (`stateless_call`, `stateless_apply`).  Learning rate, weight decay,
number of epochs, batch order and the number of samples (within steps of a factor of eight: 256, 2,048,
16,384, ...) are arguments of the compiled program, so moving them compiles nothing; a new width, number of
layers or loss compiles once (`compile_ahead` does it in the background).
"""

import functools
import inspect
import math
import os
import re
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np

from .models import Arrays, arrays, far_constants, inputs_of, mode, spread_of, structure, to_float32
from .statistics import spawn, whole

GROUP = 4  # models trained by one program side by side; more of them are slower a model
ROUND = 0.1  # seconds of computing between two looks at the stop button and the clock
FIRST = 4  # epochs before the first look: a slider shows the start of its curve within 200 ms
NEVER = np.int32(2**30)
LEAST = (
    256  # samples: room for them grows from here by factors of eight, and errors are computed in such blocks
)
BLOCK = 2**18  # numbers of samples whose errors are computed at once
KEPT = 64  # programs kept in memory
# losses that a common constant leaves alone
DIFFERENCES = ("mse", "mae", "mean_absolute_error", "huber", "log_cosh")


class History(NamedTuple):
    """Errors after each epoch, and the epoch whose weights were kept.

    Of the loss "mse": root-mean-square errors, in the units of y.  Of any other: its mean.
    Of an ensemble: loss and val_loss [n_models, n_epochs], with NaN after the end of a model that stopped
    early, and best_epoch [n_models].
    """

    loss: np.ndarray  # [n_epochs], on the training data
    val_loss: np.ndarray  # the same on the validation data; NaN without validation
    best_epoch: int  # 0-based, the epoch of the weights kept: the last one unless `keep_best` or `patience`


def fit(
    model: keras.Model,
    x: Arrays,
    y: Arrays,
    *,
    loss: str | Callable = "mse",
    validation: tuple | None = None,
    epochs: int = 200,
    batch_size: int = 32,
    learning_rate: float = 3e-3,
    weight_decay: float = 0.0,
    seed: int = 0,
    keep_best: bool = False,
    patience: int | None = None,
    progress: bool = False,
    watch: Callable | None = None,
) -> History:
    """Train a Keras model in place with Adam.

    model: any `keras.Model`, with one input and output or with several.
    x: array [n_samples, ...], or the dict, list or tuple of such arrays that the model takes; each becomes of
        the kind of its `keras.Input` (float32, whole, bool).
    y: array [n_samples] or [n_samples, n_outputs], or a dict, list or tuple of arrays; for a loss by name as
        the model's outputs are, for a function whatever it reads (masks, whole numbers).  [n_samples] becomes
        [n_samples, 1] where the prediction is so.
    loss: a name in `keras.losses` ("mse", "mae", "huber", ...), averaged over the numbers of a sample and
        over the outputs; or a function (y, prediction) -> the loss of each sample, [n] or [n, ...] (averaged
        over the rest), in JAX or `keras.ops`.  Each function object is compiled for once: define it outside
        of loops.
    validation: (x, y) to watch, never to learn from; None for none.
    epochs: passes over the training data.
    batch_size: samples a step.
    learning_rate: of Adam.
    weight_decay: decoupled, each step shrinks the kernels by learning_rate * weight_decay (AdamW).
    seed: of the order of batches.
    keep_best: keep the weights of the epoch with the lowest validation error instead of the last ones - then
        `validation` is part of the training.
    patience: stop when the validation error has not reached a new low for so many epochs, and keep the best
        weights; None: go on to the end.
    progress: show a bar.
    watch: called some times a second with the `History` so far; training stops when it returns True, and the
        model keeps what it has learned.

    The squared error is learned in units near the spread of y (a power of 1024, 1 for spreads of 1/32 to 32),
    so that eV or Pa make no difference.  Losses that the model adds itself (regularisers) are learned with,
    in the units of the loss, and not part of the errors told.

    Returns `History`.  The same seed gives the same weights to the last bit, watched or not.  An interrupt
    (the stop button of the notebook) goes on to the caller, and the model keeps what it has learned until
    then.
    Warns if the errors end in no finite number.
    Raises ValueError for data that are empty, not finite, or of shapes that do not agree with each other or
    the model, and for numbers that cannot be (no epoch, a learning rate that is not a positive number);
    RuntimeError where Keras does not run on JAX.
    D. P. Kingma and J. Ba, arXiv:1412.6980; I. Loshchilov and F. Hutter, arXiv:1711.05101 (AdamW);
    L. Prechelt, LNCS 1524, 55 (1998) (stopping early).
    """
    counts = {"epochs": epochs, "batch_size": batch_size, "patience": patience}
    rates, seeds = (learning_rate, weight_decay), [whole("seed", seed, 0)]
    task = _task([model], (x, y, validation), loss, counts, rates, seeds, keep_best=keep_best)

    def only(history):
        return History(history.loss[0], history.val_loss[0], int(history.best_epoch[0]))

    return only(_train([model], task, progress, watch and (lambda history: watch(only(history)))))


def fit_ensemble(
    models: Sequence[keras.Model],
    x: Arrays,
    y: Arrays,
    *,
    loss: str | Callable = "mse",
    weights: np.ndarray | None = None,
    validation: tuple | None = None,
    epochs: int = 200,
    batch_size: int = 32,
    learning_rate: float | Sequence[float] = 3e-3,
    weight_decay: float | Sequence[float] = 0.0,
    seed: int = 0,
    keep_best: bool = False,
    patience: int | None = None,
    progress: bool = False,
    watch: Callable | None = None,
    client: Any = None,
) -> History:
    """Train several models of one architecture side by side: by `jax.vmap`, and on all cores.

    models: with equal layers, usually of different seeds; of a class of your own, it needs a `get_config`.
    weights: [n_models, n_samples], how often each model sees each sample (bootstrap, folds); None: 1.
    learning_rate: one number, or one for each model.
    weight_decay: one number, or one for each model.
    seed: model k draws its batches as `fit` does with the seed `statistics.spawn(seed, k)`.
    client: `dask.distributed.Client`, to train on its workers, without `progress` and `watch`; None for this
        process.
    x, y, loss, validation, epochs, batch_size, keep_best, patience, progress, watch: as in `fit`.

    Returns `History` with arrays [n_models, n_epochs].
    Raises what `fit` raises, and ValueError for no model, models that are not alike, one model given twice,
    or a model that sees no sample.
    """
    if not models:
        raise ValueError("the ensemble is empty: give at least one model")
    if len({id(model) for model in models}) < len(models):
        raise ValueError("one model stands in the ensemble twice: make a new one for each member")
    if len({_Architecture(model) for model in models}) > 1:
        raise ValueError(
            "the models of an ensemble must be alike, but for their weights and seeds; train others by `fit`"
        )
    counts = {"epochs": epochs, "batch_size": batch_size, "patience": patience}
    rates, seeds = (
        (learning_rate, weight_decay),
        [spawn(whole("seed", seed, 0), k) for k in range(len(models))],
    )
    task = _task(models, (x, y, validation), loss, counts, rates, seeds, weights=weights, keep_best=keep_best)
    if client is None:
        return _train(models, task, progress, watch)
    if progress or watch:
        raise ValueError("progress and watch look into this process: leave them out with a client")
    return _on_workers(client, models, task)


def compile_ahead(
    models: Sequence[keras.Model],
    x: Arrays,
    y: Arrays,
    *,
    loss: str | Callable = "mse",
    validation: tuple | None = None,
    epochs: int = 200,
    batch_size: int = 32,
) -> threading.Thread:
    """Compile in the background what `fit` will need for these models and these sizes, one after the other.

    models: not touched.
    x, y, loss, validation, epochs, batch_size: as in `fit`; what counts is their size, in steps of a factor
        of eight.

    Returns the thread at work.  Raises what `fit` raises.  A `fit` that needs a program still being compiled
    waits for it, and for no other.
    """
    counts = {"epochs": epochs, "batch_size": batch_size, "patience": None}
    task = _task(models[:1], (x, y, validation), loss, counts)
    form, wanted = task.form, [_Architecture(model) for model in models]

    def work():
        for architecture in wanted:
            _program(architecture, form, 1)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


class _Form(NamedTuple):
    """What a program is compiled for, beside the architecture of its models."""

    loss: str | Callable
    batch_size: int
    samples: int  # room for them; the last batch may stick out
    watched: int  # room for validation
    epochs: int  # room for the errors
    nesting: Any  # of (x, y), by `jax.tree.structure`
    sample: tuple  # shape and kind of each array of (x, y), without the first axis

    def data(self, n):
        """x and y of n samples, as shapes and kinds."""
        return self.nesting.unflatten(
            [jax.ShapeDtypeStruct((n, *shape), kind) for shape, kind in self.sample]
        )


class _Task(NamedTuple):
    """Arguments of a training run, checked and of one form; the last four have one entry a model."""

    data: tuple  # x, y, and the same of the validation
    loss: str | Callable
    scale: float  # the errors of "mse" are learned in these units
    inside: (
        dict  # constants that stand neither in the data nor, while they train, in the models: `far_constants`
    )
    epochs: int
    batch_size: int
    keep_best: bool
    patience: int | None
    weights: np.ndarray
    learning_rate: np.ndarray
    weight_decay: np.ndarray
    seeds: list

    @property
    def sizes(self):
        """Number of samples to learn from, and to watch."""
        return len(jax.tree.leaves(self.data[0])[0]), len(jax.tree.leaves(self.data[2])[0])

    @property
    def form(self):
        room = _bucket(self.sizes[0]) + self.batch_size, _bucket(self.sizes[1]), _bucket(self.epochs, 2**14)
        return _Form(self.loss, self.batch_size, *room, *_sample(*self.data[:2]))


def _task(models, data, loss, counts, rates=(1.0, 0.0), seeds=(0,), *, weights=None, keep_best=False):
    if keras.backend.backend() != "jax":
        raise RuntimeError(
            f"training needs Keras on JAX, and Keras runs on {keras.backend.backend()} here: set the "
            "environment variable KERAS_BACKEND=jax before Python starts"
        )
    counts = {name: None if n is None else whole(name, n) for name, n in counts.items()}
    loss, patience = _checked_loss(loss), counts["patience"]
    x, y, validation = data
    x, y = _data(models[0], loss, x, y, "")
    if validation is None:
        if keep_best or patience:
            name = "keep_best" if keep_best else "patience"
            raise ValueError(f"{name} needs validation data to find the best epoch")
        xv, yv = jax.tree.map(lambda a: a[:0], (x, y))
    elif isinstance(validation, tuple | list) and len(validation) == 2:
        xv, yv = _data(models[0], loss, *validation, "validation ")
        if _sample(xv, yv) != _sample(x, y):
            raise ValueError(
                "the validation data must be of the form of the training data, but for their number"
            )
    else:
        raise ValueError("validation must be a pair (x, y), or None")
    n = len(jax.tree.leaves(x)[0])
    own = _numbers_of_models(len(models), n, weights, *rates)
    taken, added, inside, inside_outputs = far_constants(models[0])
    if loss in DIFFERENCES:
        inside = inside | inside_outputs
    else:
        added = None
    data = to_float32(x, taken), to_float32(y, added), to_float32(xv, taken), to_float32(yv, added)
    if not all(np.isfinite(a).all() for a in jax.tree.leaves(data)):
        raise ValueError("the data: a value is not a finite number of float32")
    batch_size, best = min(counts["batch_size"], _bucket(n)), bool(keep_best or patience)
    scale = _scale(y) if loss == "mse" else 1.0
    return _Task(data, loss, scale, inside, counts["epochs"], batch_size, best, patience, *own, list(seeds))


def _checked_loss(loss):
    if isinstance(loss, str):
        try:
            found = keras.losses.get(loss)
        except ValueError:
            found = None
        if inspect.isfunction(found):
            return "mse" if found is keras.losses.mean_squared_error else loss
    elif callable(loss):
        return loss
    raise ValueError(
        "loss must be the name of a function in keras.losses, such as 'mse', 'mae' or 'huber', or a function "
        f"(y, prediction) -> the loss of each sample, not {loss!r}"
    )


def _sample(x, y):
    """Nesting of (x, y), and shape and kind of each array without its first axis."""
    leaves, nesting = jax.tree.flatten((x, y))
    return nesting, tuple((a.shape[1:], a.dtype) for a in leaves)


def _data(model, loss, x, y, which):
    """x and y as arrays, float64 where they are to become float32."""
    x = inputs_of(model, x, which + "x")
    outputs = structure(model, "output")
    if outputs is None:
        two = jax.tree.map(lambda a: jax.ShapeDtypeStruct((2, *a.shape[1:]), a.dtype), to_float32(x))
        outputs = _predicted(model, two)
    if callable(loss):
        y = arrays(y, which + "y")
        if jax.tree.structure(y) == jax.tree.structure(outputs):
            y = jax.tree.map(
                lambda a, out: a[:, None] if a.ndim == 1 and len(out.shape) == 2 else a, y, outputs
            )
    else:
        y = arrays(y, which + "y", outputs)
    lengths = {a.shape[:1] for a in jax.tree.leaves((x, y))}
    if len(lengths) != 1 or lengths <= {(), (0,)}:
        raise ValueError(
            f"{which}x and y must have one first axis, n_samples of 1 or more, not {sorted(lengths)}"
        )
    return x, y


def _predicted(model, x):
    """Shapes of the outputs, from those of x."""
    variables = [
        [v.value for v in kind] for kind in (model.trainable_variables, model.non_trainable_variables)
    ]
    return jax.eval_shape(lambda x: model.stateless_call(*variables, x, **mode(model, False))[0], x)


def _scale(y):
    """A power of 1024 near the spread of the targets."""
    spread = np.sqrt(np.mean([(spread_of(a) ** 2).mean() for a in jax.tree.leaves(y)]))
    return 1024.0 ** round(math.log(spread, 1024)) if 0 < spread < np.inf else 1.0


def _numbers_of_models(n_models, n_samples, weights, learning_rate, weight_decay):
    weights = np.ones((n_models, n_samples), "float32") if weights is None else np.asarray(weights, "float32")
    if weights.shape != (n_models, n_samples) or not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError(
            f"weights must be [n_models, n_samples], {(n_models, n_samples)}, finite and not negative; "
            f"theirs is {weights.shape}"
        )
    if not weights.any(axis=1).all():
        raise ValueError(
            f"model {weights.any(axis=1).argmin()} of the ensemble sees no sample: all its weights are 0"
        )
    rates, decays = (
        np.broadcast_to(np.asarray(n, "float32"), n_models) for n in (learning_rate, weight_decay)
    )
    if not (np.isfinite([rates, decays]).all() and (rates > 0).all() and (decays >= 0).all()):
        raise ValueError(
            f"the learning rate must be positive and the weight decay not negative, "
            f"not {learning_rate} and {weight_decay}"
        )
    return weights, rates, decays


def _train(models, task, progress, watch):
    if progress:
        from tqdm.auto import tqdm

        with tqdm(total=task.epochs, unit="epoch") as bar:

            def watch_and_show(history):
                _advance(bar, history)
                return watch and watch(history)

            history = _run(models, task, watch_and_show)
    else:
        history = _run(models, task, watch)
    if not (task.keep_best or np.isfinite(history.loss[:, -1]).all()):
        warnings.warn(
            "the errors end in no finite number: take a smaller learning_rate", RuntimeWarning, stacklevel=3
        )
    return history


def _advance(bar, history):
    """Bring a progress bar up to date."""
    watched = {"training": history.loss, "validation": history.val_loss}
    told = {name: f"{np.nanmean(e[:, -1]):.3g}" for name, e in watched.items() if np.isfinite(e[:, -1]).any()}
    bar.set_postfix(told, refresh=False)
    bar.update(history.loss.shape[1] - bar.n)


def _run(models, task, watch):
    """Train in rounds of epochs, `watch` between them; whatever ends it, the models get their weights."""
    size = _group_size(len(models))
    groups = np.arange(len(models)).reshape(-1, size)
    form = task.form
    advance = _program(_Architecture(models[0]), form, size)
    room = form.samples, form.samples, form.watched, form.watched
    data = [
        jax.tree.map(lambda a, n=n: jnp.asarray(_pad(a, n)), tree)
        for tree, n in zip(task.data, room, strict=True)
    ]
    patience = np.int32(task.patience or NEVER)
    common = *np.int32(task.sizes), np.bool_(task.keep_best), patience, np.float32(task.scale)
    weights = np.pad(task.weights, [(0, 0), (0, form.samples - task.sizes[0])])
    keys = [jax.random.PRNGKey(seed) for seed in task.seeds]
    own = [
        (weights[g], jnp.stack([keys[k] for k in g]), task.learning_rate[g], task.weight_decay[g])
        for g in groups
    ]
    states = [_start([models[k] for k in g], task.learning_rate[g], form.epochs, task.inside) for g in groups]

    def one_round(g, until):
        states[g] = jax.block_until_ready(advance(states[g], np.int32(until), data, common, own[g]))

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
    until, step = 0, FIRST
    try:
        with ThreadPoolExecutor(min(len(groups), cores)) as pool:
            while until < task.epochs:
                began, until = time.perf_counter(), min(until + step, task.epochs)
                if len(groups) == 1:
                    one_round(0, until)
                else:
                    list(pool.map(one_round, range(len(groups)), [until] * len(groups)))
                step = max(1, int(step * ROUND / max(time.perf_counter() - began, 1e-3)))
                if (watch and watch(_history(states, task))) or max(
                    int(s.epoch.max()) for s in states
                ) < until:
                    break
    finally:
        for g, state in zip(groups, states, strict=True):
            for place, k in enumerate(g):
                _assign(models[k], *([v[place] for v in part] for part in state.kept), task.inside)
    return _history(states, task)


def _on_workers(client, models, task):
    """The groups of an ensemble on the workers of a Dask cluster, by the same programs."""
    from . import parallel

    def share(part):
        own = ("weights", "learning_rate", "weight_decay", "seeds")
        return task._replace(**{name: getattr(task, name)[part] for name in own})

    size = _group_size(len(models))
    parts = [slice(k, k + size) for k in range(0, len(models), size)]
    answers = parallel.map(_train_part, [(models[part], share(part)) for part in parts], client=client)
    for model, weights in zip(models, [w for kept, _ in answers for w in kept], strict=True):
        model.set_weights(weights)
    return _join([history for _, history in answers])


def _train_part(part):
    """Runs in a worker: (models, task) -> (their weights, History)."""
    history = _run(*part, None)
    return [model.get_weights() for model in part[0]], history


def _group_size(n_models):
    """Models of one program: the largest number up to GROUP that divides their number."""
    return max(n for n in range(1, GROUP + 1) if n_models % n == 0)


class _State(NamedTuple):
    """What a training run hands from epoch to epoch; of models side by side, each entry is stacked."""

    epoch: jnp.ndarray  # epochs done
    weights: list  # trainable variables, other variables (states of random generators, moving averages)
    optimiser: list
    loss: jnp.ndarray  # [room for epochs]
    val_loss: jnp.ndarray
    best: jnp.ndarray  # epoch of the weights kept
    kept: list  # those weights


def _start(models, rates, epochs, inside):
    """The state before the first epoch."""

    def stacked(kind):
        variables = zip(*(getattr(m, kind) for m in models), strict=True)
        return [np.stack([np.asarray(v.value) for v in same]) for same in variables]

    trained, others = stacked("trainable_variables"), stacked("non_trainable_variables")
    others = [values - inside[k] if k in inside else values for k, values in enumerate(others)]
    adam, rate_at = _adam(models[0])
    optimiser = [np.repeat(np.asarray(v.value)[None], len(models), 0) for v in adam.variables]
    optimiser[rate_at] = rates
    nothing, none = np.zeros((len(models), epochs), "float32"), np.zeros(len(models), "int32")
    return _State(none, [trained, others], optimiser, nothing, nothing, none, [trained, others])


def _adam(model):
    """Keras's optimiser for a model, and which of its variables is the learning rate."""
    adam = keras.optimizers.Adam()
    adam.build(model.trainable_variables)
    return adam, [v.path for v in adam.variables].index(adam.learning_rate.path)


def _history(states, task):
    """The errors so far, with NaN where a model has not been, and without validation."""

    def joined(name):
        return np.concatenate([np.asarray(getattr(state, name)) for state in states])

    nan, epochs = np.float32(np.nan), joined("epoch").max()
    past = np.arange(epochs) >= joined("epoch")[:, None]
    loss, val_loss = joined("loss")[:, :epochs], joined("val_loss")[:, :epochs]
    watched = task.sizes[1] > 0
    return History(np.where(past, nan, loss), np.where(past | (not watched), nan, val_loss), joined("best"))


_compiled, _lock = {}, threading.Lock()


def _program(architecture, form, size):
    """The compiled program of `size` models side by side, made once.  Safe to call from several threads."""
    key = architecture, form, size
    with _lock:
        found = _compiled.get(key)
        if found is None:
            _compiled[key] = mine = Future()
            if len(_compiled) > KEPT:
                del _compiled[next(iter(_compiled))]
    if found is not None:
        return found.result()
    try:
        mine.set_result(_build(architecture.model, form, size))
    except BaseException as error:
        with _lock:
            _compiled.pop(key, None)
        mine.set_exception(error)
        raise
    return mine.result()


def _losses(loss, y, predicted, scale):
    """The loss of each sample, [n], of "mse" in units of scale**2; of a function, [n, ...]."""
    if callable(loss):
        return loss(y, predicted)
    if loss == "mse":
        each = [
            ((b - a) / scale) ** 2
            for a, b in zip(jax.tree.leaves(y), jax.tree.leaves(predicted), strict=True)
        ]
    else:
        each = [
            keras.losses.get(loss)(a, b)
            for a, b in zip(jax.tree.leaves(y), jax.tree.leaves(predicted), strict=True)
        ]
    each = [_mean_of_rest(a) for a in each]
    return sum(each) / len(each)


def _mean_of_rest(a):
    return a.mean(axis=tuple(range(1, a.ndim)))


def _look_at_loss(model, form):
    """ValueError if the loss does not give one number a sample, or numbers of several samples meet in it."""
    shapes = []
    for n in (2, 3):
        x, y = form.data(n)
        given = jax.eval_shape(lambda y, p: _losses(form.loss, y, p, 1.0), y, _predicted(model, x))
        shapes.append(tuple(getattr(given, "shape", ())))
    if not (shapes[0] and shapes[0][0] == 2 and shapes[1] == (3, *shapes[0][1:])):
        raise ValueError(
            "the loss must give one number a sample, [n], or [n, ...]; for 2 samples it gives the shape "
            f"{list(shapes[0])}, for 3 {list(shapes[1])} (y of [n] beside predictions of [n, 1]?)"
        )


def _learned_and_told(model, form):
    """Two functions: the loss of a batch that is learned from, and the error of all the data that is told."""

    def to_learn(trained, others, x, y, w, scale):
        predicted, others, added = model.stateless_call(
            trained, others, x, return_losses=True, **mode(model, True)
        )
        loss = _mean_of_rest(_losses(form.loss, y, predicted, scale))
        return (loss * w).sum() / jnp.maximum(w.sum(), 1e-12) + sum(added) / scale / scale, others

    numbers = sum(math.prod(shape) for shape, _ in form.sample)
    size = min(LEAST, 2 ** max(0, int(math.log2(BLOCK / max(numbers, 1)))))

    def mean_loss(weights, x, y, w, n, scale):
        """In blocks: room that is not used costs nothing, and large samples do not fill the memory."""

        def block(k, sums):
            part = functools.partial(jax.lax.dynamic_slice_in_dim, start_index=k * size, slice_size=size)
            xk, yk = jax.tree.map(part, (x, y))
            loss = _mean_of_rest(
                _losses(form.loss, yk, model.stateless_call(*weights, xk, **mode(model, False))[0], scale)
            )
            used = part(w) * (k * size + jnp.arange(size) < n)
            return sums[0] + (loss * used).sum(), sums[1] + used.sum()

        zero = jnp.float32(0)
        total, count = jax.lax.fori_loop(0, (n + size - 1) // size, block, (zero, zero))
        mean = total / jnp.maximum(count, 1e-12)
        return jnp.sqrt(mean) * scale if form.loss == "mse" else mean

    return to_learn, mean_loss


def _build(model, form, size):
    """Trace and compile: everything but the architecture and the form is an argument."""
    _look_at_loss(model, form)
    batch_size = form.batch_size
    decays = np.array([v.path.endswith("kernel") for v in model.trainable_variables])
    adam, _ = _adam(model)
    to_learn, mean_loss = _learned_and_told(model, form)
    everyone = jnp.arange(form.samples, dtype="int32")

    def advance(state, until, data, common, own):
        x, y, xv, yv = data
        n, n_val, keep_best, patience, scale = common
        w, key, learning_rate, weight_decay = own

        def batch(step, carry):
            (trained, others), optimiser, order = carry
            chosen = jax.lax.dynamic_slice(order, (step * batch_size,), (batch_size,))
            here = (step * batch_size + jnp.arange(batch_size) < n) * w[chosen]
            xb, yb = jax.tree.map(lambda a: a[chosen], (x, y))
            (_, others), slope = jax.value_and_grad(to_learn, has_aux=True)(
                trained, others, xb, yb, here, scale
            )
            shrunk = [
                v * (1 - learning_rate * weight_decay) if d else v
                for v, d in zip(trained, decays, strict=True)
            ]
            trained, optimiser = adam.stateless_apply(optimiser, slope, shrunk)
            return [trained, others], optimiser, order

        def epoch(state):
            number = state.epoch
            draws = jax.random.uniform(jax.random.fold_in(key, number), (form.samples,), "float32")
            order = jnp.argsort(jnp.where(everyone < n, draws, 2.0))
            weights, optimiser, _ = jax.lax.fori_loop(
                0, (n + batch_size - 1) // batch_size, batch, (state.weights, state.optimiser, order)
            )
            loss = mean_loss(weights, x, y, w, n, scale)
            everything = jnp.ones(form.watched, "float32")
            val_loss = mean_loss(weights, xv, yv, everything, n_val, scale) if form.watched else 0.0
            lowest = jnp.where(number > 0, state.val_loss[state.best], jnp.inf)
            better = ~keep_best | (val_loss < lowest)
            kept = jax.tree.map(lambda new, old: jnp.where(better, new, old), weights, state.kept)
            return _State(
                number + 1,
                weights,
                optimiser,
                state.loss.at[number].set(loss),
                state.val_loss.at[number].set(val_loss),
                jnp.where(better, number, state.best),
                kept,
            )

        return jax.lax.while_loop(
            lambda s: (s.epoch < until) & (s.epoch - 1 - s.best < patience), epoch, state
        )

    def alone(state, until, data, common, own):
        """A batch of one, without what vmap makes of loops."""
        state, own = jax.tree.map(lambda a: a[0], (state, own))
        return jax.tree.map(lambda a: a[None], advance(state, until, data, common, own))

    many = alone if size == 1 else jax.vmap(advance, in_axes=(0, None, None, None, 0))
    number = jax.ShapeDtypeStruct
    state = _start([model] * size, np.zeros(size, "float32"), form.epochs, {})
    state = jax.tree.map(lambda a: number(a.shape, a.dtype), state)
    data = [*form.data(form.samples), *form.data(form.watched)]
    common = [number((), kind) for kind in ("int32", "int32", "bool", "int32", "float32")]
    rates = number((size,), "float32")
    own = number((size, form.samples), "float32"), number((size, 2), "uint32"), rates, rates
    return jax.jit(many).lower(state, number((), "int32"), data, tuple(common), own).compile()


def _join(histories):
    """One History of several, with NaN after the end of the shorter ones."""
    longest = max(h.loss.shape[1] for h in histories)

    def filled(a):
        return np.pad(a, [(0, 0), (0, longest - a.shape[1])], constant_values=np.nan)

    loss, val_loss = (np.concatenate([filled(h[i]) for h in histories]) for i in (0, 1))
    return History(loss, val_loss, np.concatenate([h.best_epoch for h in histories]))


class _Architecture:
    """A model as the key of a compiled program: models alike but for seeds, weights and names are one key."""

    def __init__(self, model):
        self.model = model
        sizes = tuple((tuple(v.shape), v.dtype) for v in model.variables)
        self.key = _text(model), sizes, tuple(_code(model))

    def __eq__(self, other):
        return self.key == other.key

    def __hash__(self):
        return hash(self.key)


def _text(model):
    """The model's own description, with its names as numbers; of one that has none, itself."""
    try:
        text = model.to_json()
    except (NotImplementedError, TypeError, ValueError):
        return model
    text = re.sub(r'"Constant", "config": \{[^{}]*\}|"seed": \d+', "", text)
    places = {name: str(k) for k, name in enumerate(dict.fromkeys(re.findall(r'"name": "([^"\\]*)"', text)))}
    return re.sub(r'"([^"\\]*)"', lambda m: f'"{places.get(m[1], m[1])}"', text)


def _code(model):
    """Classes of the layers, code of their functions: what is written anew under its old name is another."""
    yield type(model)
    for layer in model.layers:
        yield from _code(layer) if hasattr(layer, "layers") else [type(layer)]
        for function in filter(inspect.isfunction, vars(layer).values()):
            cells = [cell.cell_contents for cell in function.__closure__ or ()]
            yield function.__code__, tuple(c for c in cells if isinstance(c, int | float | str))


def _bucket(n, least=LEAST):
    """Sizes are rounded up to `least` times a power of eight, so that few programs serve all."""
    return least * 8 ** max(0, math.ceil(math.log(n / least, 8) - 1e-9)) if n else 0


def _pad(array, size):
    """With copies of the first row, which no loss stumbles over."""
    return np.concatenate([array, np.repeat(array[:1], size - len(array), axis=0)])


def _assign(model, trained, others, inside):
    for variable, value in zip(model.trainable_variables, trained, strict=True):
        variable.assign(value)
    for k, (variable, value) in enumerate(zip(model.non_trainable_variables, others, strict=True)):
        if k not in inside:
            variable.assign(value)
