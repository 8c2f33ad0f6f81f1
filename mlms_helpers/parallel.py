"""Many tasks at once: in local processes, or on the workers of a Dask cluster; the results are the same.

A task is `function(item)`.  What is random in it takes its seed from the item: then nothing depends on
how many workers there are, in which order they finish, or whether one of them was lost.  Few items
are on their way at once, so that a long list of large ones needs little memory, and the function,
with the data that it holds, is sent once.  Each worker computes with one thread.
"""

import functools
import inspect
import itertools
import multiprocessing
import os
import pickle
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ase
import numpy as np

from mlms_helpers.descriptors._checks import validated

if TYPE_CHECKING:
    from distributed import Client

LOSSES = 3  # so often a task whose worker was lost is tried again; Dask's own number
CHUNK = 4000  # atoms in one task of `featurise`
# Read by BLAS, OpenMP, JAX and joblib when they start in a worker.
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NPROC",
        "LOKY_MAX_CPU_COUNT",
    ),
    "1",
)


def map(
    function: Callable[[Any], Any],
    items: Iterable,
    *,
    client: "Client | None" = None,
    workers: int | None = None,
    watch: Callable[[int, int | None], Any] | None = None,
) -> list:
    """The list `[function(item) for item in items]`, computed side by side.

    function: of one argument; one written in a notebook will do.
    items: list or iterator, read as work goes on.
    client: of Dask; None for processes on this machine.
    workers: how many processes (without a client); default, one a core; 1 computes here, in this process.
    watch: called as `watch(done, total)` after each result (total None for an iterator).

    Returns the results in the order of `items`.  A task whose worker is lost (killed, out of memory, end of
    its job) is done again by another.
    Raises what `function` raises; RuntimeError with its text where that cannot be sent or would end this
    process, for an item that cannot be sent, and for a task that has lost its worker four times; ValueError
    for less than one worker.
    """
    total = len(items) if hasattr(items, "__len__") else None
    if total == 1 and client is None:
        workers = 1
    results = {}
    for number, result in stream(function, items, client=client, workers=workers):
        results[number] = result
        if watch is not None:
            watch(len(results), total)
    return [results[number] for number in range(len(results))]


def stream(
    function: Callable[[Any], Any],
    items: Iterable,
    *,
    client: "Client | None" = None,
    workers: int | None = None,
    ahead: int = 4,
) -> Iterator[tuple[int, Any]]:
    """As `map`, but yields (number of the item, result) as soon as a result is there, in no certain order.

    function, items, client, workers: as in `map`.
    ahead: items on their way for each Dask worker, which gets them unevenly; for each local process two at
        most.  With 1 an item is read from `items` only when a worker is free for it, and may depend on all
        results yielded before.

    Leaving the loop drops what is not finished.
    """
    tasks = enumerate(items)
    if client is not None:
        return _on_dask(function, tasks, client, ahead)
    workers = cores() if workers is None else workers
    if not isinstance(workers, (int, np.integer)) or workers < 1:
        raise ValueError(f"workers must be at least 1, and a whole number, not {workers}")
    if workers == 1:
        return ((number, _run(function, item)) for number, item in tasks)
    return _in_processes(function, tasks, int(workers), min(ahead, 2))


def cores() -> int:
    """How many local processes make sense: the cores that this process may use, and 1 inside a worker."""
    import joblib

    return joblib.cpu_count()


def featurise(
    descriptor: Callable[..., np.ndarray],
    structures: list[ase.Atoms],
    *,
    client: "Client | None" = None,
    workers: int | None = None,
    watch: Callable[[int, int], Any] | None = None,
    **hyperparameters: Any,
) -> np.ndarray:
    """The array `descriptor(structures, **hyperparameters)`, computed side by side in chunks of structures.

    descriptor: function of `descriptors` or alike: one row an atom, or one row a structure.
    structures: what is sent of them is cell, boundary conditions, positions and the arrays with one number an
        atom.
    client, workers: as in `map`.
    watch: called as `watch(done, total)` after each chunk.
    hyperparameters: the descriptor's.  `species` and `n_atoms`, where it takes them and None are given, are
        found from all structures, as it would do itself.  `charges`, and any other with one array a structure
        and in it one value an atom, are cut as the structures are.

    Returns the same array to the last bit.  Memory holds the array and a few chunks.
    Raises ValueError as the descriptor does, and for one whose rows are neither atoms nor structures, or
    whose columns differ between chunks; RuntimeError as `map`.
    """
    structures = validated(structures)
    takes = inspect.signature(descriptor).parameters
    if "species" in takes and hyperparameters.get("species") is None:
        hyperparameters["species"] = sorted({s for atoms in structures for s in set(atoms.symbols)})
    if "n_atoms" in takes and hyperparameters.get("n_atoms") is None:
        hyperparameters["n_atoms"] = max(len(atoms) for atoms in structures)
    own = {
        name: hyperparameters.pop(name)
        for name in list(hyperparameters)
        if _one_a_structure(name, hyperparameters[name], structures)
    }
    for name, values in own.items():
        if len(values) != len(structures):
            raise ValueError(f"there are {len(structures)} structures, but {name} of {len(values)}")
    describe = functools.partial(_describe, descriptor, hyperparameters)

    def chunk(start, stop):
        packed = [_packed(atoms) for atoms in structures[start:stop]]
        return start, packed, {name: values[start:stop] for name, values in own.items()}

    # one small structure, here: it gives the shape, and shows most mistakes before anything is sent
    sizes = np.array([len(atoms) for atoms in structures])
    small = np.argmin(np.where(sizes > 1, sizes, sizes.max() + 1))
    sample = describe(chunk(small, small + 1))
    if len(sample) not in (1, sizes[small]):
        raise ValueError(
            f"the descriptor gives {len(sample)} rows for a structure of {sizes[small]} atoms, "
            f"neither one row an atom nor one a structure"
        )
    rows = np.cumsum([0, *sizes]) if len(sample) == sizes[small] else np.arange(len(structures) + 1)

    chunk_of = (np.cumsum(sizes) - sizes) // CHUNK
    cuts = [0, *(np.flatnonzero(np.diff(chunk_of)) + 1), len(structures)]
    spans = list(itertools.pairwise(cuts))
    if len(spans) == 1 and client is None:
        workers = 1
    chunks = (chunk(start, stop) for start, stop in spans)
    out = np.empty((rows[-1], *sample.shape[1:]), sample.dtype)
    for done, (number, block) in enumerate(stream(describe, chunks, client=client, workers=workers), 1):
        start, stop = (rows[end] for end in spans[number])
        if block.shape != (stop - start, *out.shape[1:]) or block.dtype != out.dtype:
            raise ValueError(
                f"the descriptor gives {block.dtype} {list(block.shape)} for the structures from "
                f"{spans[number][0]} on: {out.dtype} {[int(stop - start), *out.shape[1:]]} fits the first"
            )
        out[start:stop] = block
        if watch is not None:
            watch(done, len(spans))
    return out


def _one_a_structure(name, values, structures):
    """Whether a hyperparameter has an entry for each structure, in it a value for each atom."""
    if not isinstance(values, (list, tuple, np.ndarray)):
        return False
    each = len(values) == len(structures) and all(
        np.ndim(part) > 0 and len(part) == len(atoms) for part, atoms in zip(values, structures, strict=True)
    )
    return each or name == "charges"


def _describe(descriptor, hyperparameters, chunk):
    first, structures, own = chunk
    try:
        return np.asarray(descriptor([_unpacked(*parts) for parts in structures], **hyperparameters, **own))
    except ValueError as error:
        raise ValueError(f"{error} (counting from structure {first})" if first else str(error)) from error


def _packed(atoms):
    """Cell, boundary conditions, positions and what is one number an atom: the rest may be much larger."""
    arrays = {n: values for n, values in atoms.arrays.items() if n == "positions" or values.ndim == 1}
    return atoms.cell.array, atoms.pbc, arrays


def _unpacked(cell, pbc, arrays):
    """The structure again, its arrays made anew.

    An unpickled array has a dtype that equals float64 but is another object, and with such NumPy 2.2 adds at
    indices (`np.add.at`) five times slower.
    """
    atoms = ase.Atoms(cell=cell.astype(float), pbc=pbc)
    atoms.arrays = {name: values.astype(values.dtype.type) for name, values in arrays.items()}
    return atoms


def _in_processes(function, tasks, workers, ahead):
    """`stream` in local processes; they stay for a minute, to serve the next call."""
    import cloudpickle
    from joblib.externals.loky import get_reusable_executor

    def executor():
        # asked for anew each time: it may have lost a worker, or another user of joblib may have replaced it
        return get_reusable_executor(max_workers=workers, timeout=60, env=ONE_THREAD)

    pending, suspects = {}, []
    with tempfile.TemporaryDirectory(prefix="mlms-") as folder:
        path = str(Path(folder) / "function.pickle")
        Path(path).write_bytes(pickle.dumps(({**os.environ, **ONE_THREAD}, cloudpickle.dumps(function))))
        try:
            while True:
                if suspects and not pending:
                    task = suspects.pop()
                    yield task[0], _alone(executor, path, task)
                    continue
                while not suspects and len(pending) < ahead * workers and (task := next(tasks, None)):
                    task = (task[0], _sendable(*task))
                    try:
                        pending[executor().submit(_call_stored, path, task[1])] = task
                    except BrokenExecutor:
                        suspects.append(task)
                if not pending and not suspects:
                    return
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    task = pending.pop(future)
                    try:
                        result = future.result()
                    except BrokenExecutor:
                        # one death breaks the whole pool: each task under way may have been its cause
                        suspects.append(task)
                        continue
                    yield task[0], result
        finally:
            if pending:
                # loky stumbles over a task that it has taken and not yet handed on
                give_up = time.monotonic() + 1
                while time.monotonic() < give_up and not all(f.running() or f.done() for f in pending):
                    time.sleep(0.002)
                executor().shutdown(wait=False, kill_workers=True)


def _alone(executor, path, task):
    """The result of a task that may have killed its worker, with no other beside it to blame."""
    for _ in range(LOSSES):
        try:
            return executor().submit(_call_stored, path, task[1]).result()
        except BrokenExecutor:
            pass
    raise _given_up(task[0])


def _sendable(number, item):
    """An item as bytes: Dask would send each small array in it by itself, and a fault names the item."""
    import cloudpickle

    try:
        return cloudpickle.dumps(item)
    except Exception as error:
        raise RuntimeError(
            f"item {number} (counted from 0) cannot be sent to another process: "
            f"{type(error).__name__}: {error}"
        ) from error


def _run(function, item):
    """The result; what would end the loop of the caller, or the caller, is an error of the task."""
    try:
        return function(item)
    except (StopIteration, SystemExit) as error:
        raise RuntimeError(f"the task has ended with {error!r}") from error


def _call_stored(path, item):
    try:
        return _run(_stored(path), pickle.loads(item))
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # it would break the pool on its way home
            raise RuntimeError(f"{type(error).__name__}: {error}\n{traceback.format_exc()}") from None
        raise


@functools.lru_cache(maxsize=1)
def _stored(path):
    """The function; the worker's environment is that of the caller now, not when the worker was started."""
    environment, function = pickle.loads(Path(path).read_bytes())
    os.environ.update(environment)
    return pickle.loads(function)


def _on_dask(function, tasks, client, ahead):
    """`stream` on Dask workers.  Dask itself does again what was lost."""
    import cloudpickle
    import dask
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    def threads():
        return max(1, sum(client.nthreads().values()))

    # made by a task, not scattered: whichever worker is lost, Dask can make it again
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
        shared = client.submit(pickle.loads, cloudpickle.dumps(function), pure=False)
    pending, finished, room = {}, as_completed(loop=client.loop), ahead * threads()
    try:
        while True:
            while len(pending) < room and (task := next(tasks, None)):
                future = client.submit(_call, shared, _sendable(*task), pure=False)
                pending[future] = task[0]
                finished.add(future)
            if not pending:
                return
            future = next(finished)
            number = pending.pop(future)
            try:
                result = future.result()
            except KilledWorker as error:
                raise _given_up(number) from error
            yield number, result
            if number % room == 0:
                room = ahead * threads()  # a cluster may grow and shrink
    finally:
        client.cancel([shared, *pending])


def _call(function, item):
    """Run in a Dask worker; where that is a process of its own, with one thread."""
    if multiprocessing.parent_process() is not None:
        os.environ.update(ONE_THREAD)
    return _run(function, pickle.loads(item))


def _given_up(number):
    return RuntimeError(
        f"the task of item {number} (counted from 0) has lost its worker {LOSSES + 1} times: it may need "
        f"more memory than a worker has; use fewer workers, or give them more"
    )
