"""Hyperparameter search with Optuna, kept in a file: a search that was killed goes on where it was.

What a trial tries follows from the seed, its number and the trials finished before it, and from
nothing else; so a search with one worker, killed and resumed however often, tries the same as one
left alone.  Only the process that calls `run` writes the file, one line a finished trial.
"""

import contextlib
import fcntl
import math
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from mlms_helpers import parallel

SAMPLERS = ("tpe", "random")
COLUMNS = ("trial", "error", "seconds", "failure")          # of the table, beside the hyperparameters
_STUDY = "mlms search"


def run(objective, space, file, *, trials=50, sampler="tpe", seed=0, workers=1, client=None, watch=None):
    """Find hyperparameters with a small error; what the file holds already is not done again.

    objective: `objective(**hyperparameters)` returns the validation error (never the test error), or raises
    ValueError where the combination cannot be: the trial has then failed, and the search goes on.
    space: {name: values}: (low, high) for whole numbers or numbers, both ends included; (low, high, "log") in equal
    factors; a list for a choice (of numbers, words, True, False, None).
    file: made where there is none; its folder must be there.   trials: how many the file shall hold in the end.
    sampler: "tpe", which learns from the trials before (its first ten are random), or "random".   seed: of the sampler.
    workers, client: as in `parallel.map`.   With several at once, "tpe" depends on the order in which trials finish.
    watch: called as `watch(table)` after each trial; stops the search when it returns True (trials under way are
    dropped, and tried again when the search goes on).

    Returns the table, a DataFrame with one row a trial, as `table(file)`.
    Raises ValueError for a space that cannot be, a file that is damaged, in use, or of another search (space, sampler,
    seed); what else `objective` raises ends the search, with the finished trials kept.
    J. Bergstra, R. Bardenet, Y. Bengio and B. Kegl, NeurIPS 24 (2011) (TPE); J. Bergstra and Y. Bengio, J. Mach. Learn.
    Res. 13, 281 (2012) (random); T. Akiba et al., KDD 2019 (Optuna).
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, not {sampler!r}")
    distributions, seed = _distributions(space), int(seed)
    if trials < 1:
        raise ValueError(f"trials must be at least 1, not {trials}")
    with _opened(Path(file)) as study:
        _same_search(study, file, {"space": {name: _plain(d) for name, d in distributions.items()}, "sampler": sampler, "seed": seed})
        found, running = _table(study), {}

        def proposals():
            for number in sorted(set(range(trials)) - set(found.trial)):
                running[number] = _propose(study.get_trials(deepcopy=False), running, distributions, sampler, seed, number)
                yield number, running[number]

        outcomes = parallel.stream(lambda task: _attempt(objective, *task), proposals(),
                                   client=client, workers=workers, ahead=1)
        with contextlib.closing(outcomes):
            for _, (number, error, seconds, failure) in outcomes:
                _keep(study, distributions, running.pop(number), number, error, seconds, failure)
                found = _table(study)
                if watch is not None and watch(found):
                    break
        return found


def table(file):
    """What a search has found so far.

    file: of `run`, which may be running.

    Returns a DataFrame with one row a finished trial, in the order of their numbers: trial, the hyperparameters,
    error (NaN where it failed), seconds, failure (why, or an empty text).
    Raises FileNotFoundError, and ValueError for a file that is damaged or holds no search.
    """
    if not Path(file).exists():
        raise FileNotFoundError(f"there is no file {file}: `search.run` makes it")
    if Path(file).is_dir():
        raise ValueError(f"{file} is a folder: give a file in it")
    return _table(_study(Path(file), create=False))


def _distributions(space):
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not space:
        raise ValueError("the space is empty: give at least one hyperparameter")
    out = {}
    for name, values in space.items():
        if name in COLUMNS:
            raise ValueError(f"no hyperparameter may be called {name!r}: the table has a column of this name")
        if isinstance(values, list) and values and all(isinstance(v, (int, float, str, type(None))) for v in values):
            out[name] = CategoricalDistribution(values)
            continue
        low, high, *log = values if isinstance(values, tuple) and len(values) in (2, 3) else (None, None)
        numbers = all(isinstance(v, (int, float)) and math.isfinite(v) for v in (low, high))
        if not numbers or not low <= high or log not in ([], ["log"]) or log and not low > 0:
            raise ValueError(f'{name}: give (low, high), (low, high, "log") with low > 0, or a list of numbers, words, '
                             f'True, False or None, not {values!r}')
        kind = IntDistribution if isinstance(low, int) and isinstance(high, int) else FloatDistribution
        out[name] = kind(low, high, log=bool(log))
    return out


def _plain(distribution):
    """A distribution in words that JSON keeps apart: whole numbers, numbers, choices."""
    if hasattr(distribution, "choices"):
        return f"one of {list(distribution.choices)}"
    kind = "whole numbers" if isinstance(distribution.low, int) else "numbers"
    return f"{kind} from {distribution.low} to {distribution.high}" + ", log" * distribution.log


def _propose(finished, running, distributions, sampler, seed, number):
    """The hyperparameters of trial `number`: a fresh sampler looks at a copy of the study in memory."""
    import optuna

    seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    sampler = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}[sampler](seed=seed)
    with _silent():
        study = optuna.create_study(sampler=sampler)
    study.add_trials(sorted(finished, key=lambda trial: trial.user_attrs["trial"]))
    for tried in running.values():                  # TPE keeps away from what is being tried
        study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING, params=tried,
                                                  distributions=distributions))
    return study.ask(distributions).params


def _attempt(objective, number, hyperparameters):
    """Runs in a worker.  Returns trial number, error, seconds, why it failed."""
    start, error, failure = time.perf_counter(), math.nan, ""
    try:
        error = float(objective(**hyperparameters))
        if not math.isfinite(error):
            error, failure = math.nan, f"the error is {error}"
    except ValueError as problem:
        failure = str(problem) or "ValueError"
    return number, error, time.perf_counter() - start, failure


def _keep(study, distributions, hyperparameters, number, error, seconds, failure):
    from optuna.trial import TrialState, create_trial

    study.add_trial(create_trial(
        state=TrialState.FAIL if failure else TrialState.COMPLETE, value=None if failure else error,
        params=hyperparameters, distributions=distributions,
        user_attrs={"trial": number, "seconds": seconds, "failure": failure}))


def _table(study):
    names = list(study.user_attrs.get("search", {}).get("space", {}))
    rows = [[t.user_attrs["trial"], *(t.params[name] for name in names), math.nan if t.value is None else t.value,
             t.user_attrs["seconds"], t.user_attrs["failure"]] for t in study.get_trials(deepcopy=False)]
    out = pd.DataFrame(rows, columns=["trial", *names, "error", "seconds", "failure"])
    return out.sort_values("trial", ignore_index=True)


def _same_search(study, file, wanted):
    known = study.user_attrs.get("search")
    if known is None:
        study.set_user_attr("search", wanted)
        return
    for what, value in wanted.items():
        if known[what] != value:
            raise ValueError(f"{file} holds a search with {what} {known[what]!r}, and not {value!r}: go on with that, "
                             f"or give another file")


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
            raise ValueError(f"{file} is in use by another search: wait for it, or give another file") from None
        except OSError:
            pass                                    # a file system without locks: nobody can be kept out
        _mend(file, handle)
        yield _study(file, create=True)


def _mend(file, handle):
    """Cut off a last line that was being written when the machine went down."""
    handle.seek(0)
    content = handle.read()
    start = b'{"op_code":'
    if not content.startswith(start[:len(content)]):
        raise ValueError(f"{file} holds no search, but something else: give another file")
    handle.truncate(content.rfind(b"\n") + 1)


def _study(file, create):
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    lock = SimpleNamespace(acquire=lambda: True, release=lambda: None)      # ours is held already, or nothing is written
    try:
        with _silent():
            storage = JournalStorage(JournalFileBackend(str(file), lock))
            names = [study.study_name for study in storage.get_all_studies()]
            if create and not names:
                return optuna.create_study(storage=storage, study_name=_STUDY)
            study = optuna.load_study(storage=storage, study_name=_STUDY)
        _table(study)
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, AssertionError) as error:
        raise ValueError(f"{file} holds no search, or is damaged: give another file, or bring the file back") from error
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
