"""Hyperparameter search with Optuna, kept in a file: a search that was killed goes on where it was.

What a trial tries follows from the seed, its number and the trials finished before it, and from
nothing else; so a search with one worker, killed and resumed however often, tries the same as one
left alone.  Only the process that calls `run` writes the file, one line a finished trial.
"""

import contextlib
import fcntl
import math
import operator
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlms_helpers import parallel
from mlms_helpers.statistics import spawn

if TYPE_CHECKING:
    from distributed import Client
    from matplotlib.figure import Figure

SAMPLERS = ("tpe", "random")
COLUMNS = ("trial", "error", "seconds", "failure")  # of the table, beside the hyperparameters
_STUDY = "mlms search"


def run(
    objective: Callable[..., float],
    space: dict[str, tuple | list],
    file: str | os.PathLike,
    *,
    trials: int = 50,
    sampler: str = "tpe",
    seed: int = 0,
    workers: int = 1,
    client: "Client | None" = None,
    watch: Callable[[pd.DataFrame], Any] | None = None,
) -> pd.DataFrame:
    """Find hyperparameters with a small error; what the file holds already is not done again.

    objective: `objective(**hyperparameters)` returns the validation error (never the test error), or raises
        ValueError where the combination cannot be: the trial has then failed, and the search goes on.
    space: {name: values}: (low, high) for whole numbers or numbers, both ends included; (low, high, "log") in
        equal factors; a list for a choice (of numbers, words, True, False, None).
    file: made where there is none; its folder must be there.
    trials: how many the file shall hold in the end.
    sampler: "tpe", which learns from the trials before (its first ten are random), or "random".
    seed: of the sampler.
    workers: how many processes; with several at once, "tpe" depends on the order in which trials finish.
    client: as in `parallel.map`.
    watch: called as `watch(table)` after each trial; stops the search when it returns True (trials under way
        are dropped, and tried again when the search goes on).

    Returns the table, a DataFrame with one row a trial, as `table(file)`.
    Raises ValueError for a space that cannot be, a file that is damaged, in use, or of another search (space,
    sampler, seed); what else `objective` raises ends the search, with the finished trials kept.
    J. Bergstra, R. Bardenet, Y. Bengio and B. Kegl, NeurIPS 24 (2011) (TPE); J. Bergstra and Y. Bengio,
    J. Mach. Learn. Res. 13, 281 (2012) (random); T. Akiba et al., KDD 2019 (Optuna).
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, not {sampler!r}")
    distributions = _distributions(space)
    try:
        trials, seed = operator.index(trials), operator.index(seed)
    except TypeError:
        raise ValueError(f"trials ({trials!r}) and seed ({seed!r}) must be whole numbers") from None
    if trials < 1 or seed < 0:
        raise ValueError(f"trials must be at least 1, not {trials}, and seed at least 0, not {seed}")
    wanted = {
        "space": {name: _plain(d) for name, d in distributions.items()},
        "sampler": sampler,
        "seed": seed,
    }
    with _opened(Path(file).expanduser()) as study:
        _same_search(study, file, wanted)
        found, running = _table(study), {}

        def proposals():
            for number in sorted(set(range(trials)) - set(found.trial)):
                running[number] = _propose(
                    _trials(study), running, distributions, sampler, spawn(seed, number)
                )
                yield number, running[number]

        def attempt(task):
            return _attempt(objective, *task)

        outcomes = parallel.stream(attempt, proposals(), client=client, workers=workers, ahead=1)
        with contextlib.closing(outcomes):
            for _, (number, error, seconds, failure) in outcomes:
                _keep(study, distributions, running.pop(number), number, error, seconds, failure)
                found = _table(study)
                if watch is not None and watch(found):
                    break
        return found


def table(file: str | os.PathLike) -> pd.DataFrame:
    """What a search has found so far, also while it runs, in another notebook or on a cluster.

    file: of `run`.

    Returns a DataFrame with one row a finished trial, in the order of their numbers: trial, the
    hyperparameters, error (NaN where it failed), seconds, failure (why, or an empty text).
    Raises FileNotFoundError, and ValueError for a file that is damaged or holds no search.
    """
    file = Path(file).expanduser()
    if not file.exists():
        raise FileNotFoundError(f"there is no file {file}: `search.run` makes it")
    if file.is_dir():
        raise ValueError(f"{file} is a folder: give a file in it")
    return _table(_study(file, create=False))


def draw(
    table: pd.DataFrame, *, unit: str = "eV", label: str = "validation error", title: str | None = None
) -> "Figure":
    """Error against trial with the best so far, below it error against each hyperparameter.

    table: of `run`; late trials are yellow, early ones blue, failed ones crosses.
    unit: of the error.
    label: what the error is.
    title: default, the best error and its trial.

    Returns Figure.   Raises ValueError where there is no trial to draw.
    """
    from matplotlib.figure import Figure

    from mlms_helpers import rendering

    names = [name for name in table if name not in COLUMNS]
    if not len(table) or not names:
        raise ValueError("search: there is no trial to draw")
    across = min(3, len(names))
    down = -(-len(names) // across)
    done, failed = table[table.error.notna()], table[table.error.isna()]
    points = {"c": done.trial, "cmap": "cividis", "vmin": 0, "vmax": table.trial.max(), "s": 36, "zorder": 3}
    with rendering.style():
        fig = Figure(figsize=(8.2, 3.2 + 2.7 * down))
        grid = fig.add_gridspec(1 + down, across)
        top = fig.add_subplot(grid[0, :])
        slices = [fig.add_subplot(grid[1 + k // across, k % across], sharey=top) for k in range(len(names))]
        top.scatter(done.trial, done.error, **points)
        best_so_far = {"color": rendering.PALETTE["vermillion"], "label": "best so far"}
        top.step(done.trial, done.error.cummin(), where="post", **best_so_far)
        if len(failed):
            low = {"transform": top.get_xaxis_transform(), "label": "failed"}
            top.plot(failed.trial, np.full(len(failed), 0.97), "x", color=rendering.GREY, **low)
        axis = rendering.axis_label(label, unit)
        top.set(xlabel="trial", ylabel=axis, xlim=(-0.5, max(9, table.trial.max()) + 0.5))
        top.xaxis.get_major_locator().set_params(integer=True)
        top.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, ncols=2, frameon=False)
        for k, (ax, name) in enumerate(zip(slices, names, strict=True)):
            _slice(ax, done[name], done.error, points)
            ax.set_xlabel(rendering.as_written(name.replace("_", " ")))
            ax.tick_params(labelleft=k % across == 0)
            ax.set_ylabel(axis if k % across == 0 else "")
        if len(done) and 0 < 10 * done.error.min() < done.error.max():
            top.set_yscale("log")
            rendering.plain_ticks(top.yaxis)
        if len(done) and not title:
            best = done.loc[done.error.idxmin()]
            error = f"{rendering.short(best.error)} {unit}".strip()
            title = f"Best of {len(table)} trials: {error} in trial {best.trial}"
        top.set_title(title or "No trial has succeeded yet")
    return fig


def _slice(ax, values, errors, points):
    """Error against one hyperparameter: an axis of numbers, or one place for each choice."""
    values = ["none" if pd.isna(v) else v for v in values]
    kinds = sorted(set(values), key=str)
    if not all(isinstance(v, (int, float, np.number)) and not isinstance(v, (bool, np.bool_)) for v in kinds):
        ax.scatter([kinds.index(v) for v in values], errors, **points)
        ax.set_xticks(range(len(kinds)), [str(v) for v in kinds], parse_math=False)
        ax.set_xlim(-0.5, len(kinds) - 0.5)
        return
    ax.scatter(values, errors, **points)
    if kinds and min(kinds) > 0 and max(kinds) > 30 * min(kinds):
        ax.set_xscale("log")
    else:
        ax.locator_params(axis="x", nbins=4, integer=all(v == int(v) for v in kinds))


def _distributions(space):
    if not space:
        raise ValueError("the space is empty: give at least one hyperparameter")
    for name in space:
        if not isinstance(name, str):
            raise ValueError(f"the name of a hyperparameter must be a word, not {name!r}")
        if name in COLUMNS:
            raise ValueError(f"no hyperparameter may be called {name!r}: the table has a column of this name")
    return {name: _distribution(name, values) for name, values in space.items()}


def _distribution(name, values):
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    given, values = values, values.tolist() if isinstance(values, np.ndarray) else values
    kind = type(values)
    if isinstance(values, (list, tuple)):  # NumPy's numbers are written into the file as Python's
        values = [v.item() if isinstance(v, np.generic) else v for v in values]
    if kind is list and values and all(isinstance(v, (int, float, str, type(None))) for v in values):
        if len(set(values)) < len(values):
            raise ValueError(f"{name}: two of the choices {values} are equal (True is 1, and False is 0)")
        return CategoricalDistribution(values)
    low, high, *log = values if kind is tuple and len(values) in (2, 3) else (None, None)
    numbers = all(type(v) in (int, float) and math.isfinite(v) for v in (low, high))
    if not numbers or not low <= high or log not in ([], ["log"]) or (log and not low > 0):
        raise ValueError(
            f'{name}: give (low, high), (low, high, "log") with low > 0, or a list of numbers, words, '
            f"True, False or None, not {given!r}"
        )
    whole = isinstance(low, int) and isinstance(high, int)
    return (IntDistribution if whole else FloatDistribution)(low, high, log=bool(log))


def _plain(distribution):
    """A distribution in words that JSON keeps apart: whole numbers, numbers, choices."""
    if hasattr(distribution, "choices"):
        return f"one of {list(distribution.choices)}"
    kind = "whole numbers" if isinstance(distribution.low, int) else "numbers"
    log = ", log" if distribution.log else ""
    return f"{kind} from {distribution.low} to {distribution.high}{log}"


def _propose(finished, running, distributions, sampler, seed):
    """The hyperparameters of a trial: a fresh sampler looks at a copy of the study in memory."""
    import optuna

    samplers = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
    with _silent():
        study = optuna.create_study(sampler=samplers[sampler](seed=seed))
    study.add_trials(finished)
    for tried in running.values():  # TPE keeps away from what is being tried
        state = optuna.trial.TrialState.RUNNING
        study.add_trial(optuna.trial.create_trial(state=state, params=tried, distributions=distributions))
    return study.ask(distributions).params


def _attempt(objective, number, hyperparameters):
    """Runs in a worker.  Returns trial number, error, seconds, why it failed."""
    start, error, failure = time.perf_counter(), math.nan, ""
    try:
        answer = objective(**hyperparameters)
        error, failure = _finite(answer)
    except ValueError as problem:
        failure = str(problem) or "ValueError"
    return number, error, time.perf_counter() - start, failure


def _finite(answer):
    """The answer of an objective as a number, and what is wrong with it."""
    try:
        error = float(answer)
    except (TypeError, ValueError):
        return math.nan, f"the objective returns a {type(answer).__name__}, not a number"
    return (error, "") if math.isfinite(error) else (math.nan, f"the error is {error}")


def _keep(study, distributions, hyperparameters, number, error, seconds, failure):
    from optuna.trial import TrialState, create_trial

    study.add_trial(
        create_trial(
            state=TrialState.FAIL if failure else TrialState.COMPLETE,
            value=None if failure else error,
            params=hyperparameters,
            distributions=distributions,
            user_attrs={"trial": number, "seconds": seconds, "failure": failure},
        )
    )


def _trials(study):
    """The finished trials in the order of their numbers; a line that stands twice in the file counts once."""
    kept = {}
    for trial in study.get_trials(deepcopy=False):
        first = kept.setdefault(trial.user_attrs["trial"], trial)
        one, other = ((t.params, t.value, t.user_attrs) for t in (first, trial))
        if repr(one) != repr(other):
            raise ValueError(f"two trials have the number {trial.user_attrs['trial']}")
    return [kept[number] for number in sorted(kept)]


def _table(study):
    names = list(study.user_attrs.get("search", {}).get("space", {}))
    rows = [
        [
            trial.user_attrs["trial"],
            *(trial.params[name] for name in names),
            math.nan if trial.value is None else trial.value,
            trial.user_attrs["seconds"],
            trial.user_attrs["failure"],
        ]
        for trial in _trials(study)
    ]
    return pd.DataFrame(rows, columns=[COLUMNS[0], *names, *COLUMNS[1:]])


def _same_search(study, file, wanted):
    known = study.user_attrs.get("search")
    if known is None:
        study.set_user_attr("search", wanted)
        return
    for what, value in wanted.items():
        if known[what] != value:
            raise ValueError(
                f"{file} holds a search with {what} {known[what]!r}, and not {value!r}: go on with that, "
                f"or give another file"
            )


@contextlib.contextmanager
def _opened(file):
    """The study in a file that no other process may write meanwhile; the lock ends with the process."""
    if file.is_dir():
        raise ValueError(f"{file} is a folder: give a file in it")
    if not file.parent.is_dir():
        raise ValueError(f"there is no folder {file.parent} for {file.name}")
    with open(file, "ab+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"{file} is in use by another search: wait for it, or give another file"
            ) from None
        except OSError:
            pass  # a file system without locks: nobody can be kept out
        _mend(file, handle)
        yield _study(file, create=True)


def _mend(file, handle):
    """Cut off a last line that was being written when the machine went down."""
    handle.seek(0)
    content = handle.read()
    start, text = b'{"op_code":', content.removeprefix(b"\xef\xbb\xbf")
    if not text.startswith(start[: len(text)]):
        raise ValueError(f"{file} holds no search, but something else: give another file")
    handle.truncate(content.rfind(b"\n") + 1)


def _study(file, create):
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    # the lock is held already, or nothing is written
    lock = SimpleNamespace(acquire=lambda: True, release=lambda: None)
    try:
        with _silent():
            storage = JournalStorage(JournalFileBackend(str(file), lock))
            names = [study.study_name for study in storage.get_all_studies()]
            if create and not names:
                return optuna.create_study(storage=storage, study_name=_STUDY)
            study = optuna.load_study(storage=storage, study_name=_STUDY)
        _table(study)
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, AssertionError) as error:
        raise ValueError(
            f"{file} holds no search, or is damaged: give another file, or bring the file back"
        ) from error
    return study


@contextlib.contextmanager
def _silent():
    """Optuna says on the screen that it has made a study; nobody asked."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
