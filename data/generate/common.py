"""What every generator shares: tasks that may be stopped at any moment and go on where they stopped.

A generator is a list of tasks, a function that works on one of them, and a call of `run`:

    def work(task):                                # runs in a process of its own
        for i in range(3):
            yield f"{task}-{i}.npz", lambda i=i: npz_bytes({"energy": compute(task, i)})

    if __name__ == "__main__":
        sys.exit(run({f"k{k:04d}": [f"k{k:04d}-{i}.npz" for i in range(3)] for k in range(60)},
                     work, "results", workers=2, packages=["numpy"]))

The folder then holds nothing but finished files, and beside them

    log.jsonl          versions at each start; of each file seconds, core seconds (less if busy), time
    output.txt         what the workers printed
    failed/FILE.txt    why a file could not be computed; tried again when the command is run again
    claims/            one lock a task, held by the process that works on it, and files half written

This module needs only numpy and tqdm.  (Locks as on Linux and macOS.)
"""

import argparse
import contextlib
import fcntl
import hashlib
import importlib.metadata
import io
import json
import multiprocessing
import os
import platform
import re
import signal
import sys
import threading
import time
import traceback
import zipfile
from pathlib import Path

import numpy as np
from tqdm import tqdm


def numbers(text):
    """The whole numbers first to last less one, of `first:last` as 0:70: a type for `argparse`."""
    try:
        first, last = map(int, text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not first:last, as 0:70") from None
    return range(first, last)


def npz_bytes(arrays):
    """The bytes of a compressed .npz file, the same at any time (`numpy.savez` puts the clock in).

    arrays: name -> array, scalar or string; written in the order of the dictionary, nothing pickled.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 3
            archive.writestr(entry, member.getvalue())
    return buffer.getvalue()


def write_whole(path, content, scratch=None):
    """Write bytes so that `path` never holds a part of them, whenever the process or the machine dies.

    scratch: folder of the half-written file, on the same disk; default, the folder of `path`.
    """
    path = Path(path)
    half = Path(scratch or path.parent) / f"{path.name}.part"
    with open(half, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(half, path)


def update_checksums(folder):
    """Bring the SHA-256 sums of the data card, README.md, up to date: its lines `SUM  FILE`.

    Returns the names of the files that have such a line.
    """
    card = Path(folder) / "README.md"
    text = before = card.read_text(encoding="utf-8")
    found = []
    for path in sorted(p for p in card.parent.iterdir() if p.is_file() and p != card):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        text, lines = re.subn(
            rf"^( *)[0-9a-f]{{64}}(?=  {re.escape(path.name)}$)", rf"\g<1>{digest}", text, flags=re.M
        )
        found += [path.name] * lines
    if text != before:
        write_whole(card, text.encode("utf-8"))
    return found


@contextlib.contextmanager
def claim(folder, task):
    """Hold the lock of a task; gives False where another process does.  Locks end with their process."""
    with open(Path(folder) / "claims" / f"{task}.lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _log(folder, **entry):
    """Append one line to the log."""
    entry["time"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with open(folder / "log.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def _failure(folder, file):
    """Where the reason is written why `file` could not be computed."""
    return folder / "failed" / f"{file}.txt"


def _open(folder, files):
    """Those of `files` that are neither computed nor failed."""
    return [f for f in files if not (folder / f).exists() and not _failure(folder, f).exists()]


def _fail(folder, files):
    """Write down the exception being handled as the reason why `files` could not be computed."""
    for file in files:
        write_whole(_failure(folder, file), traceback.format_exc().encode("utf-8"), folder / "claims")


def _compute(folder, file, compute):
    """Compute one file and write it, or write down why not."""
    start, core = time.perf_counter(), time.process_time()
    try:
        write_whole(folder / file, compute(), folder / "claims")
    except Exception:
        _fail(folder, [file])
    else:
        _log(
            folder,
            file=file,
            seconds=round(time.perf_counter() - start, 1),
            core_seconds=round(time.process_time() - core, 1),
        )


def _work_through(tasks, work, folder):
    """One worker: each task that nobody else holds and that has files to compute."""

    def die_with_parent():
        multiprocessing.parent_process().join()
        os._exit(1)

    # Ctrl-C reaches the parent too, and the parent ends its workers at once: a worker may die anywhere.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=die_with_parent, daemon=True).start()
    # open for as long as the process lives
    output = open(folder / "output.txt", "a", buffering=1, encoding="utf-8")  # noqa: SIM115
    sys.stdout = sys.stderr = output
    for task, files in tasks.items():
        with claim(folder, task) as mine:
            if not mine or not _open(folder, files):
                continue
            try:
                for file, compute in work(task):
                    if file in _open(folder, files):
                        _compute(folder, file, compute)
            except Exception:
                _fail(folder, _open(folder, files))


def run(tasks, work, folder, workers=1, packages=()):
    """Compute every file of every task that is not there yet, and show how far it is.

    tasks: name of the task -> names of the files it makes.
    folder: where they go; several runs may share it.
    work: function of a task's name, importable (not nested), that yields for each file, in order, its name
        and a function that computes its bytes; that function is called only where the file is missing.
    workers: processes, of one core each.
    packages: whose versions the log keeps.

    Returns the exit status: 0 when all files are there, 1 when some failed or are still missing, 130 when
    stopped.
    """
    folder = Path(folder).resolve()
    for name in ("claims", "failed"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    files = [file for names in tasks.values() for file in names]
    for file in files:
        _failure(folder, file).unlink(missing_ok=True)
    _log(
        folder,
        start=sys.argv,
        python=platform.python_version(),
        versions={name: importlib.metadata.version(name) for name in packages},
    )
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    spawn = multiprocessing.get_context("spawn")
    crew = [
        spawn.Process(target=_work_through, args=(tasks, work, folder), daemon=True) for _ in range(workers)
    ]
    handlers = {s: signal.signal(s, signal.default_int_handler) for s in (signal.SIGINT, signal.SIGTERM)}
    stopped = False
    try:
        for process in crew:
            process.start()
        _watch(folder, files, crew)
    except KeyboardInterrupt:
        stopped = True
        for process in crew:
            if process.pid:
                process.terminate()
                process.join()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return _report(folder, files, crew, stopped)


def _watch(folder, files, crew):
    """Show the files done, of all, and the time left, until no worker lives."""

    def done():
        return sum((folder / file).exists() for file in files)

    with tqdm(
        total=len(files),
        initial=done(),
        unit="file",
        smoothing=0,
        file=sys.stdout,
        mininterval=0.5 if sys.stdout.isatty() else 60,
    ) as bar:
        while any(process.is_alive() for process in crew):
            time.sleep(0.2)
            bar.update(done() - bar.n)


def _report(folder, files, crew, stopped):
    """Say in a sentence or two how the run ended; returns the exit status."""
    missing = [file for file in files if not (folder / file).exists()]
    failed = [file for file in missing if _failure(folder, file).exists()]
    if stopped:
        print(
            f"Stopped with {len(files) - len(missing)} of {len(files)} files done; "
            "nothing is lost: run the same command again to go on."
        )
        return 130
    if any(process.exitcode for process in crew):
        print(f"A worker died; its last words may be in {folder.name}/output.txt.")
    for file in failed:
        reason = _failure(folder, file).read_text(encoding="utf-8").strip().splitlines()[-1]
        print(f"{file} failed: {reason}  (all of it: {folder.name}/failed/{file}.txt)")
    if missing:
        print(
            f"{len(missing)} of {len(files)} files are missing, {len(failed)} of them failed; "
            "run the same command again to compute what no other run has in hand."
        )
        return 1
    print(f"All {len(files)} files are done.")
    return 0
