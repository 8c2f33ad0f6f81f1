"""Training as one compiled program: every epoch and every batch run inside JAX, without Python in between.

Keras keeps the model and the optimiser (`stateless_call`, `stateless_apply`).  Learning rate, weight
decay, number of epochs, batch order and the number of samples (within steps of a factor of eight: 256, 2,048,
16,384, ...) are arguments of the compiled program, so moving them compiles nothing; a new width or depth
compiles once (`compile_ahead` does it in the background).  On another Keras backend than JAX,
`model.fit` does the work, more slowly.
"""

import functools
import math
import os
import re
import threading
import time
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import mlms_helpers  # noqa: F401  (chooses the backend before Keras is imported)
import jax
import jax.numpy as jnp
import keras
import numpy as np

GROUP = 4               # models trained by one program side by side; more of them are slower a model
ROUND = 0.1             # seconds of computing between two looks at the stop button and the clock
FIRST = 4               # epochs before the first look: a slider shows the start of its curve within 200 ms
NEVER = np.int32(2**30)
LEAST = 256             # samples: room for them grows from here by factors of eight, and errors are computed in such blocks
KEPT = 64               # programs kept in memory


class History(NamedTuple):
    """Root-mean-square errors after each epoch, in the units of y, and the epoch whose weights were kept.

    Of an ensemble: loss and val_loss [n_models, n_epochs], with NaN after the end of a model that stopped early,
    and best_epoch [n_models].
    """
    loss: np.ndarray        # [n_epochs], on the training data
    val_loss: np.ndarray    # the same on the validation data; NaN without validation
    best_epoch: int         # 0-based, the epoch of the weights kept: the last one unless `keep_best` or `patience`


def fit(model, x, y, *, validation=None, epochs=200, batch_size=32, learning_rate=3e-3, weight_decay=0.0, seed=0,
        keep_best=False, patience=None, progress=False, watch=None):
    """Train a Keras model in place with Adam on the mean squared error.

    model: `keras.Model` from [n, n_features] to [n, n_outputs].
    x: [n_samples, n_features], y: [n_samples] or [n_samples, n_outputs].
    validation: (x, y) to watch, never to learn from; None for none.
    weight_decay: decoupled, each step shrinks the kernels by learning_rate * weight_decay (AdamW).
    seed: of the order of batches.   keep_best: keep the weights of the epoch with the lowest
    validation error instead of the last ones - then `validation` is part of the training.
    patience: stop when the validation error has not reached a new low for so many epochs, and keep the best
    weights; None: go on to the end.   progress: show a bar.   watch: called some times a second with the
    `History` so far; training stops when it returns True, and the model keeps what it has learned.

    Losses that the model adds itself (regularisers) are learned with, and not part of the errors told.

    Returns `History`.  The same seed gives the same weights to the last bit, watched or not.  An interrupt
    (the stop button of the notebook) goes on to the caller, and the model keeps what it has learned until then.
    Raises ValueError for data that are empty, not finite, or of shapes that do not agree with each other or the
    model, and for numbers that cannot be (no epoch, a learning rate that is not a positive number).
    On other backends than JAX the seed also sets the random generators of Python and NumPy.
    D. P. Kingma and J. Ba, arXiv:1412.6980; I. Loshchilov and F. Hutter, arXiv:1711.05101 (AdamW);
    L. Prechelt, LNCS 1524, 55 (1998) (stopping early).
    """
    one = lambda h: History(h.loss[0], h.val_loss[0], int(h.best_epoch[0]))
    return one(_train([model], x, y, None, validation, epochs, batch_size, learning_rate, weight_decay, seed, keep_best,
                      patience, progress, watch and (lambda h: watch(one(h)))))


def fit_ensemble(models, x, y, *, weights=None, validation=None, epochs=200, batch_size=32, learning_rate=3e-3,
                 weight_decay=0.0, seed=0, keep_best=False, patience=None, progress=False, watch=None, client=None):
    """Train several models of one architecture side by side: by `jax.vmap`, and on all cores.

    models: list of `keras.Model` with equal layers, usually of different seeds.
    weights: [n_models, n_samples], how often each model sees each sample (bootstrap, folds); None: 1.
    learning_rate, weight_decay: one number, or one for each model.
    client: `dask.distributed.Client`, to train on its workers, without `progress` and `watch`; None for this process.
    The other arguments are those of `fit`; model k draws its batches with seed + k.

    Returns `History` with arrays [n_models, n_epochs].
    Raises ValueError as `fit`, and for no model, models that are not alike, or one model given twice.
    """
    if not models:
        raise ValueError("the ensemble is empty: give at least one model")
    if len({id(model) for model in models}) < len(models):
        raise ValueError("one model stands in the ensemble twice: make a new one for each member")
    if len({_Architecture(model) for model in models}) > 1:
        raise ValueError("the models of an ensemble must be alike, but for their weights and seeds; train others by `fit`")
    if client is not None:
        if progress or watch:
            raise ValueError("progress and watch look into this process: leave them out with a client")
        return _on_workers(client, models, _task(models, x, y, weights, validation, epochs, batch_size, learning_rate,
                                                 weight_decay, seed, keep_best, patience))
    return _train(models, x, y, weights, validation, epochs, batch_size, learning_rate, weight_decay, seed, keep_best,
                  patience, progress, watch)


def compile_ahead(models, x, y, *, validation=None, epochs=200, batch_size=32):
    """Compile in the background what `fit` will need for these models and these sizes, one after the other.

    models: list of `keras.Model`, not touched.   x, y, validation, epochs, batch_size: as in `fit`; what counts
    is their size, in steps of a factor of eight.

    Returns the thread at work.  Raises ValueError as `fit`.  A `fit` that needs a program still being compiled waits for it, and for no other.
    """
    task = _task(models[:1], x, y, None, validation, epochs, batch_size, 1, 0, 0, False, None)
    wanted = [_Architecture(model) for model in models] if keras.backend.backend() == "jax" else []
    thread = threading.Thread(target=lambda: [_program(a, task.batch_size, task.shapes, 1) for a in wanted], daemon=True)
    thread.start()
    return thread


class _Task(NamedTuple):
    """Arguments of a training run, checked and of one form; the last four have one entry a model."""
    x: np.ndarray
    y: np.ndarray
    xv: np.ndarray
    yv: np.ndarray
    epochs: int
    batch_size: int
    keep_best: bool
    patience: int | None
    weights: np.ndarray
    learning_rate: np.ndarray
    weight_decay: np.ndarray
    seeds: list

    @property
    def shapes(self):
        """Sizes that a program is compiled for: room for samples and for validation, for epochs, and columns."""
        return (_bucket(len(self.x)) + self.batch_size, _bucket(len(self.xv)), _bucket(self.epochs, 2**14),   # the last batch may stick out
                self.x.shape[1:], self.y.shape[1:])


def _task(models, x, y, weights, validation, epochs, batch_size, learning_rate, weight_decay, seed, keep_best, patience):
    x, y = _data(x, y, "training", models[0])
    if validation is not None and not (isinstance(validation, (tuple, list)) and len(validation) == 2):
        raise ValueError("validation must be a pair (x, y), or None")
    xv, yv = (x[:0], y[:0]) if validation is None else _data(*validation, "validation", models[0])
    if (keep_best or patience) and len(xv) == 0:
        raise ValueError(f"{'keep_best' if keep_best else 'patience'} needs validation data to find the best epoch")
    counts = {"epochs": epochs, "batch_size": batch_size, "patience": 1 if patience is None else patience}
    for name, number in counts.items():
        if not (np.isscalar(number) and np.isfinite(number) and number >= 1):
            raise ValueError(f"{name} must be a whole number of at least 1, not {number}")
    if not isinstance(seed, (int, np.integer)):
        raise ValueError(f"seed must be a whole number, not {seed!r}")
    weights = np.ones((len(models), len(x)), "float32") if weights is None else np.asarray(weights, "float32")
    if weights.shape != (len(models), len(x)) or not (weights >= 0).all():
        raise ValueError(f"weights must be [n_models, n_samples], {(len(models), len(x))}, and not negative; theirs is {weights.shape}")
    numbers = [np.broadcast_to(np.asarray(n, "float32"), len(models)) for n in (learning_rate, weight_decay)]
    if not (np.isfinite(numbers).all() and (numbers[0] > 0).all() and (numbers[1] >= 0).all()):
        raise ValueError(f"the learning rate must be positive and the weight decay not negative, not {learning_rate} and {weight_decay}")
    return _Task(x, y, xv, yv, int(epochs), min(int(batch_size), _bucket(len(x))), bool(keep_best or patience), patience,
                 weights, *numbers, [seed + k for k in range(len(models))])


def _train(models, x, y, weights, validation, epochs, batch_size, learning_rate, weight_decay, seed, keep_best, patience,
           progress, watch):
    task = _task(models, x, y, weights, validation, epochs, batch_size, learning_rate, weight_decay, seed, keep_best, patience)
    if progress:
        from tqdm.auto import tqdm
        with tqdm(total=task.epochs, unit="epoch") as bar:
            return _run(models, task, lambda history: (_advance(bar, history), watch and watch(history))[1])
    return _run(models, task, watch)


def _advance(bar, history):
    """Bring a progress bar up to date."""
    watched = {"training": history.loss, "validation": history.val_loss}
    bar.set_postfix({name: f"{np.nanmean(errors[:, -1]):.3g}" for name, errors in watched.items()
                     if np.isfinite(errors[:, -1]).any()}, refresh=False)
    bar.update(history.loss.shape[1] - bar.n)


def _run(models, task, watch):
    """Train in rounds of many epochs; after each, `watch` may stop.  Whatever ends it, the models get their weights."""
    if keras.backend.backend() != "jax":
        return _run_with_keras(models, task, watch)
    size = _group_size(len(models))
    groups = np.arange(len(models)).reshape(-1, size)
    advance = _program(_Architecture(models[0]), task.batch_size, task.shapes, size)
    samples, watched, room, *_ = task.shapes
    data = [jnp.asarray(_pad(a, n)) for a, n in zip((task.x, task.y, task.xv, task.yv), (samples, samples, watched, watched))]
    common = np.int32(len(task.x)), np.int32(len(task.xv)), np.bool_(task.keep_best), np.int32(task.patience or NEVER)
    weights = np.pad(task.weights, [(0, 0), (0, samples - len(task.x))])
    own = [(weights[g], jnp.stack([jax.random.PRNGKey(task.seeds[k]) for k in g]), task.learning_rate[g], task.weight_decay[g])
           for g in groups]
    states = [_start([models[k] for k in g], task.learning_rate[g], task.shapes) for g in groups]

    def one_round(g, until):
        states[g] = jax.block_until_ready(advance(states[g], np.int32(until), data, common, own[g]))

    until, step = 0, FIRST
    try:
        with ThreadPoolExecutor(min(len(groups), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)) as pool:
            while until < task.epochs:
                began, until = time.perf_counter(), min(until + step, task.epochs)
                if len(groups) == 1:
                    one_round(0, until)
                else:
                    list(pool.map(one_round, range(len(groups)), [until] * len(groups)))
                step = max(1, int(step * ROUND / max(time.perf_counter() - began, 1e-3)))
                if (watch and watch(_history(states))) or max(int(s.epoch.max()) for s in states) < until:
                    break
    finally:
        for g, state in zip(groups, states):
            for place, k in enumerate(g):
                _assign(models[k], *([v[place] for v in part] for part in state.kept))
    return _history(states)


def _on_workers(client, models, task):
    """The groups of an ensemble on the workers of a Dask cluster, by the same programs."""
    from . import parallel

    size = _group_size(len(models))
    parts = [slice(k, k + size) for k in range(0, len(models), size)]
    share = lambda part: task._replace(**{name: getattr(task, name)[part] for name in ("weights", "learning_rate", "weight_decay", "seeds")})
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
    """What a training run hands from epoch to epoch; of several models side by side, each entry is stacked."""
    epoch: jnp.ndarray      # epochs done
    weights: list           # trainable variables, other variables (states of random generators, moving averages)
    optimiser: list
    loss: jnp.ndarray       # [room for epochs]
    val_loss: jnp.ndarray
    best: jnp.ndarray       # epoch of the weights kept
    kept: list              # those weights


def _start(models, rates, shapes):
    """The state before the first epoch."""
    weights = [[np.stack([np.asarray(getattr(m, kind)[i].value) for m in models]) for i in range(len(getattr(models[0], kind)))]
               for kind in ("trainable_variables", "non_trainable_variables")]
    adam, rate_at = _adam(models[0])
    optimiser = [np.repeat(np.asarray(v.value)[None], len(models), 0) for v in adam.variables]
    optimiser[rate_at] = rates
    nothing, none = np.full((len(models), shapes[2]), np.nan, "float32"), np.zeros(len(models), "int32")
    return _State(none, weights, optimiser, nothing, nothing, none, weights)


def _adam(model):
    """Keras's optimiser for a model, and which of its variables is the learning rate."""
    adam = keras.optimizers.Adam()
    adam.build(model.trainable_variables)
    return adam, [v.path for v in adam.variables].index(adam.learning_rate.path)


def _history(states):
    done = max(int(s.epoch.max()) for s in states)
    both = [np.concatenate([np.asarray(getattr(s, name))[:, :done] for s in states]) for name in ("loss", "val_loss")]
    return History(*both, np.concatenate([np.asarray(s.best) for s in states]))


_compiled, _lock = {}, threading.Lock()


def _program(architecture, batch_size, shapes, size):
    """The compiled program of `size` models side by side, made once.  Safe to call from several threads."""
    key = architecture, batch_size, shapes, size
    with _lock:
        found = _compiled.get(key)
        if found is None:
            _compiled[key] = mine = Future()
            if len(_compiled) > KEPT:
                del _compiled[next(iter(_compiled))]
    if found is not None:
        return found.result()
    try:
        mine.set_result(_build(architecture.model, batch_size, shapes, size))
    except BaseException as error:
        with _lock:
            _compiled.pop(key, None)
        mine.set_exception(error)
        raise
    return mine.result()


def _build(model, batch_size, shapes, size):
    """Trace and compile: everything but the architecture and the sizes is an argument."""
    samples, watched, room, inputs, outputs = shapes
    decays = np.array([v.path.endswith("kernel") for v in model.trainable_variables])
    adam, _ = _adam(model)
    everyone = jnp.arange(samples)

    def to_learn(trained, others, x, y, w):
        predicted, others, added = model.stateless_call(trained, others, x, training=True, return_losses=True)
        error = ((predicted - y) ** 2).mean(axis=-1)
        return (error * w).sum() / jnp.maximum(w.sum(), 1e-12) + sum(added), others

    def rmse(weights, x, y, w, n):
        """In blocks, so that room that is not used costs nothing."""
        def block(k, sums):
            part = lambda a: jax.lax.dynamic_slice_in_dim(a, k * LEAST, LEAST)
            error = ((model.stateless_call(*weights, part(x), training=False)[0] - part(y)) ** 2).mean(axis=-1)
            used = part(w) * (k * LEAST + jnp.arange(LEAST) < n)
            return sums[0] + (error * used).sum(), sums[1] + used.sum()

        total, count = jax.lax.fori_loop(0, (n + LEAST - 1) // LEAST, block, (0.0, 0.0))
        return jnp.sqrt(total / jnp.maximum(count, 1e-12))

    def advance(state, until, data, common, own):
        x, y, xv, yv = data
        n, n_val, keep_best, patience = common
        w, key, learning_rate, weight_decay = own

        def batch(step, carry):
            (trained, others), optimiser, order = carry
            chosen = jax.lax.dynamic_slice(order, (step * batch_size,), (batch_size,))
            here = (step * batch_size + jnp.arange(batch_size) < n) * w[chosen]
            (_, others), slope = jax.value_and_grad(to_learn, has_aux=True)(trained, others, x[chosen], y[chosen], here)
            shrunk = [v * (1 - learning_rate * weight_decay) if d else v for v, d in zip(trained, decays)]
            trained, optimiser = adam.stateless_apply(optimiser, slope, shrunk)
            return [trained, others], optimiser, order

        def epoch(state):
            number = state.epoch
            order = jnp.argsort(jnp.where(everyone < n, jax.random.uniform(jax.random.fold_in(key, number), (samples,)), 2.0))
            weights, optimiser, _ = jax.lax.fori_loop(
                0, (n + batch_size - 1) // batch_size, batch, (state.weights, state.optimiser, order))
            loss = rmse(weights, x, y, w, n)
            val_loss = rmse(weights, xv, yv, jnp.ones(watched), n_val) if watched else jnp.nan
            lowest = jnp.where(number > 0, state.val_loss[state.best], jnp.inf)
            better = ~keep_best | (val_loss < lowest)
            kept = jax.tree.map(lambda new, old: jnp.where(better, new, old), weights, state.kept)
            return _State(number + 1, weights, optimiser, state.loss.at[number].set(loss), state.val_loss.at[number].set(val_loss),
                          jnp.where(better, number, state.best), kept)

        return jax.lax.while_loop(lambda s: (s.epoch < until) & (s.epoch - 1 - s.best < patience), epoch, state)

    many = jax.vmap(advance, in_axes=(0, None, None, None, 0))
    if size == 1:                                   # a batch of one, without what vmap makes of loops
        first = functools.partial(jax.tree.map, lambda a: a[0])
        many = lambda state, until, data, common, own: jax.tree.map(
            lambda a: a[None], advance(first(state), until, data, common, first(own)))
    number = lambda kind, *shape: jax.ShapeDtypeStruct(shape, kind)
    rates = number("float32", size)
    state = jax.tree.map(lambda a: number(a.dtype, *a.shape), _start([model] * size, np.zeros(size, "float32"), shapes))
    data = [number("float32", n, *rest) for n, rest in ((samples, inputs), (samples, outputs), (watched, inputs), (watched, outputs))]
    common = number("int32"), number("int32"), number("bool"), number("int32")
    own = number("float32", size, samples), number("uint32", size, 2), rates, rates
    return jax.jit(many).lower(state, number("int32"), data, common, own).compile()


def _run_with_keras(models, task, watch):
    """The same by `keras.Model.fit`, one model after the other: for Keras's other backends."""
    warnings.warn(f"Keras runs on {keras.backend.backend()} here, so training uses Keras's own fit, many times slower than on "
                  "JAX: set the environment variable KERAS_BACKEND=jax before Python starts", stacklevel=5)
    histories = []
    for k, model in enumerate(models):
        keras.utils.set_random_seed(task.seeds[k])
        adam = keras.optimizers.AdamW(float(task.learning_rate[k]), weight_decay=float(task.weight_decay[k]))
        adam.exclude_from_weight_decay(var_list=[v for v in model.trainable_variables if not v.path.endswith("kernel")])
        model.compile(adam, "mse", jit_compile=False)
        recorder = _Recorder(task, k, lambda h, before=tuple(histories): watch and watch(_join([*before, h])))
        try:
            model.fit(task.x, task.y, sample_weight=task.weights[k], epochs=task.epochs, batch_size=task.batch_size, verbose=0,
                      callbacks=[recorder])
        finally:
            if recorder.kept is not None:
                model.set_weights(recorder.kept)
        histories.append(recorder.history())
        if recorder.stopped:
            break
    return _join(histories)


class _Recorder(keras.callbacks.Callback):
    """Errors after each epoch, the best weights, and when to stop, as the compiled program does it."""

    def __init__(self, task, k, watch):
        super().__init__()
        self.task, self.weights, self.watch = task, task.weights[k], watch
        self.loss, self.val_loss, self.best, self.stopped, self.kept = [], [], 0, False, None

    def on_epoch_end(self, epoch, logs=None):
        guess = lambda x: keras.ops.convert_to_numpy(self.model(x, training=False))
        rmse = lambda x, y, w: float(np.sqrt(np.average(((guess(x) - y) ** 2).mean(axis=1), weights=w)))
        self.loss.append(rmse(self.task.x, self.task.y, self.weights))
        self.val_loss.append(rmse(self.task.xv, self.task.yv, None) if len(self.task.xv) else np.nan)
        if not self.task.keep_best or epoch == 0 or self.val_loss[-1] < self.val_loss[self.best]:
            self.best, self.kept = epoch, self.model.get_weights()
        self.stopped = bool(self.watch(self.history()))
        self.model.stop_training = self.stopped or epoch - self.best >= (self.task.patience or NEVER)

    def history(self):
        return History(np.array([self.loss]), np.array([self.val_loss]), np.array([self.best]))


def _join(histories):
    """One History of several, with NaN after the end of the shorter ones."""
    longest = max(h.loss.shape[1] for h in histories)
    fill = lambda a: np.pad(a, [(0, 0), (0, longest - a.shape[1])], constant_values=np.nan)
    return History(*(np.concatenate([fill(h[i]) for h in histories]) for i in (0, 1)),
                   np.concatenate([h.best_epoch for h in histories]))


class _Architecture:
    """A model as the key of a compiled program: models alike but for seeds, weights and names are one key."""

    def __init__(self, model):
        text = re.sub(r'"seed": \d+', "", model.to_json())
        places = {name: str(k) for k, name in enumerate(dict.fromkeys(re.findall(r'"name": "([^"\\]*)"', text)))}
        self.model, self.key = model, re.sub(r'"([^"\\]*)"', lambda m: f'"{places.get(m[1], m[1])}"', text)

    def __eq__(self, other):
        return self.key == other.key

    def __hash__(self):
        return hash(self.key)


def _data(x, y, which, model):
    x, y = np.asarray(x, "float32"), np.asarray(y, "float32")
    if x.ndim < 2 or y.ndim < 1 or len(x) == 0 or len(x) != len(y):
        raise ValueError(f"{which} data: x must be [n_samples, n_features] and y as long, "
                         f"not {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError(f"{which} data: a value is not a finite number")
    y = y.reshape(len(y), -1)
    taken, given = model.input_shape[1:], model.output_shape[1:]
    if len(taken) != x.ndim - 1 or any(t not in (None, n) for t, n in zip(taken, x.shape[1:])) or given != y.shape[1:]:
        raise ValueError(f"{which} data: the model goes from {taken} to {given} numbers a sample, "
                         f"but x has {x.shape[1:]} and y {y.shape[1:]}")
    return x, y


def _bucket(n, least=LEAST):
    """Sizes are rounded up to `least` times a power of eight, so that few programs serve all."""
    return least * 8 ** max(0, math.ceil(math.log(n / least, 8) - 1e-9)) if n else 0


def _pad(array, size):
    return np.pad(array, [(0, size - len(array))] + [(0, 0)] * (array.ndim - 1))


def _assign(model, trained, others):
    for variable, value in zip(model.trainable_variables, trained):
        variable.assign(value)
    for variable, value in zip(model.non_trainable_variables, others):
        variable.assign(value)
