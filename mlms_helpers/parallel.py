"""Many tasks at once: in local processes, or on the workers of a Dask cluster; the results are the same.

A task is `function(item)`.  What is random in it takes its seed from the item: then nothing depends on
how many workers there are, in which order they finish, or whether one of them was lost.  Few items
are on their way at once, so that a long list of large ones needs little memory, and the function,
with the data that it holds, is sent once.  Each worker computes with one thread.
"""

import functools
import inspect
import multiprocessing
import os
import pickle
import tempfile
import time
import traceback
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait
from pathlib import Path

import ase
import numpy as np

from mlms_helpers.descriptors._checks import validated

LOSSES = 3                  # so often a task whose worker was lost is tried again; Dask's own number
CHUNK = 4000                # atoms in one task of `featurise`
# Read by BLAS, OpenMP, JAX and joblib when they start in a worker.
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
                                     "NPROC", "LOKY_MAX_CPU_COUNT")}


def map(function, items, *, client=None, workers=None, watch=None):
    """The list `[function(item) for item in items]`, computed side by side.

    function: of one argument; one written in a notebook will do.   items: list or iterator, read as work goes on.
    client: `dask.distributed.Client`; None for processes on this machine.
    workers: how many processes (without a client); default, one a core; 1 computes here, in this process.
    watch: called as `watch(done, total)` after each result (total None for an iterator).

    Returns the results in the order of `items`.  A task whose worker is lost (killed, out of memory, end of its
    job) is done again by another.
    Raises what `function` raises (RuntimeError with its text where it cannot be sent); ValueError for less than one
    worker; RuntimeError for a task that has lost its worker four times.
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


def imap(function, items, *, client=None, workers=None):
    """As `map`, but yields each result, in the order of `items`, as soon as it and all before it are there."""
    waiting, next_one = {}, 0
    for number, result in stream(function, items, client=client, workers=workers):
        waiting[number] = result
        while next_one in waiting:
            yield waiting.pop(next_one)
            next_one += 1


def stream(function, items, *, client=None, workers=None, ahead=4):
    """As `map`, but yields (number of the item, result) as soon as a result is there, in no certain order.

    ahead: items on their way for each Dask worker, which gets them unevenly; for each local process two at most.  With 1 an
    item is read from `items` only when a worker is free for it, and may depend on all results yielded before.
    Leaving the loop drops what is not finished.
    """
    tasks = enumerate(items)
    if client is not None:
        return _on_dask(function, tasks, client, ahead)
    workers = cores() if workers is None else workers
    if workers < 1:
        raise ValueError(f"workers must be at least 1, not {workers}")
    if workers == 1:
        return ((number, function(item)) for number, item in tasks)
    return _in_processes(function, tasks, workers, min(ahead, 2))


def cores():
    """How many local processes make sense: the cores that this process may use, and 1 inside a worker."""
    import joblib
    return joblib.cpu_count()


def featurise(descriptor, structures, *, client=None, workers=None, watch=None, **hyperparameters):
    """The array `descriptor(structures, **hyperparameters)`, computed side by side in chunks of structures.

    descriptor: function of `descriptors` or alike: one row an atom, or one row a structure.
    structures: list of `ase.Atoms`; what is sent of them is cell, boundary conditions, positions and the arrays with
    one number an atom.
    client, workers, watch: as in `map`; `watch` counts chunks.
    hyperparameters: the descriptor's.  `species` and `n_atoms`, where it takes them and None are given, are found
    from all structures, as it would do itself.

    Returns the same array to the last bit.  Memory holds the array and a few chunks.
    Raises ValueError as the descriptor does, and for one with another number of rows; RuntimeError as `map`.
    """
    structures = list(structures)
    validated(structures)
    takes = inspect.signature(descriptor).parameters
    if "species" in takes and hyperparameters.get("species") is None:
        hyperparameters["species"] = sorted({s for atoms in structures for s in set(atoms.symbols)})
    if "n_atoms" in takes and hyperparameters.get("n_atoms") is None:
        hyperparameters["n_atoms"] = max(len(atoms) for atoms in structures)
    describe = functools.partial(_describe, descriptor, hyperparameters)

    # one small structure, here: it gives the shape, and shows most mistakes before anything is sent
    sizes = np.array([len(atoms) for atoms in structures])
    small = np.argmin(np.where(sizes > 1, sizes, sizes.max() + 1))
    sample = describe((small, [_packed(structures[small])]))
    if len(sample) not in (1, sizes[small]):
        raise ValueError(f"the descriptor gives {len(sample)} rows for a structure of {sizes[small]} atoms, "
                         f"neither one row an atom nor one a structure")
    rows = np.cumsum([0, *sizes]) if len(sample) == sizes[small] else np.arange(len(structures) + 1)

    chunk_of = (np.cumsum(sizes) - sizes) // CHUNK
    cuts = [0, *(np.flatnonzero(np.diff(chunk_of)) + 1), len(structures)]
    spans = list(zip(cuts, cuts[1:]))
    if len(spans) == 1 and client is None:
        workers = 1
    chunks = ((start, [_packed(atoms) for atoms in structures[start:stop]]) for start, stop in spans)
    out = np.empty((rows[-1], *sample.shape[1:]), sample.dtype)
    for done, (number, block) in enumerate(stream(describe, chunks, client=client, workers=workers), 1):
        start, stop = spans[number]
        out[rows[start]:rows[stop]] = block
        if watch is not None:
            watch(done, len(spans))
    return out


def _describe(descriptor, hyperparameters, chunk):
    first, structures = chunk
    try:
        return descriptor([_unpacked(*parts) for parts in structures], **hyperparameters)
    except ValueError as error:
        raise ValueError(f"{error} (counting from structure {first})" if first else str(error)) from error


def _packed(atoms):
    """Cell, boundary conditions, positions and what is one number an atom: the rest can be a hundred times larger."""
    return atoms.cell.array, atoms.pbc, {name: values for name, values in atoms.arrays.items()
                                         if name == "positions" or values.ndim == 1}


def _unpacked(cell, pbc, arrays):
    """The structure again, its arrays made anew.

    An unpickled array has a dtype that equals float64 but is another object, and with such NumPy 2.2 adds at indices
    (`np.add.at`) five times slower.
    """
    atoms = ase.Atoms(cell=cell.astype(float), pbc=pbc)
    atoms.arrays = {name: values.astype(values.dtype.type) for name, values in arrays.items()}
    return atoms


def _in_processes(function, tasks, workers, ahead):
    """`stream` in local processes; they stay for a minute, to serve the next call."""
    import cloudpickle
    from joblib.externals.loky import get_reusable_executor

    # asked for anew each time: it may have lost a worker, or another user of joblib may have replaced it
    executor = lambda: get_reusable_executor(max_workers=workers, timeout=60, env=ONE_THREAD)
    pending, suspects = {}, []
    with tempfile.TemporaryDirectory(prefix="mlms-") as folder:
        path = str(Path(folder) / "function.pickle")
        Path(path).write_bytes(cloudpickle.dumps(function))
        try:
            while True:
                if suspects and not pending:
                    task = suspects.pop()
                    yield task[0], _alone(executor, path, task)
                    continue
                while not suspects and len(pending) < ahead * workers and (task := next(tasks, None)):
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
                    except BrokenExecutor:          # one death breaks the whole pool: each task under way may have been its cause
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


def _call_stored(path, item):
    try:
        return _stored(path)(item)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:                           # it would break the pool on its way home
            raise RuntimeError(f"{type(error).__name__}: {error}\n{traceback.format_exc()}") from None
        raise


@functools.lru_cache(maxsize=1)
def _stored(path):
    return pickle.loads(Path(path).read_bytes())


def _on_dask(function, tasks, client, ahead):
    """`stream` on Dask workers.  Dask itself does again what was lost."""
    import cloudpickle
    import dask
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    threads = lambda: max(1, sum(client.nthreads().values()))
    # made by a task, not scattered: whichever worker is lost, Dask can make it again
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
        shared = client.submit(pickle.loads, cloudpickle.dumps(function), pure=False)
    pending, finished, room = {}, as_completed(loop=client.loop), ahead * threads()
    try:
        while True:
            while len(pending) < room and (task := next(tasks, None)):
                # as one string of bytes: Dask would send each small array in it by itself
                future = client.submit(_call, shared, cloudpickle.dumps(task[1]), pure=False)
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
                room = ahead * threads()            # a cluster may grow and shrink
    finally:
        client.cancel([shared, *pending])


def _call(function, item):
    """Run in a Dask worker; where that is a process of its own, with one thread."""
    if multiprocessing.parent_process() is not None:
        os.environ.update(ONE_THREAD)
    return function(pickle.loads(item))


def _given_up(number):
    return RuntimeError(f"the task of item {number} (counted from 0) has lost its worker {LOSSES + 1} times: it may need more "
                        f"memory than a worker has; use fewer workers, or give them more")
