"""What the benchmarks share: when, where and on which data a table was made; a root mean square."""

import datetime
import hashlib
import os
import platform
import re

import numpy as np

from mlms_helpers import datasets, published


def measured(benchmark: str, *names: str) -> str:
    """The head of a page: which benchmark measured it, when, on which machine, and the `stamp` of its data.

    benchmark: the name of its module.
    names: as in `stamp`.
    """
    return (
        f"Measured by `benchmarks/{benchmark}.py` on {datetime.date.today()}, {os.cpu_count()} cores, "
        f"{platform.machine()}, Python {platform.python_version()}.\n\n{stamp(*names)}"
    )


def rms(values: np.ndarray, axis: int | None = None) -> np.ndarray | float:
    """Root mean square, along an axis or of all values."""
    return np.sqrt(np.mean(np.square(values), axis=axis))


def stamp(*names: str) -> str:
    """The line of a table that says which data it was made on; a test compares it with the data as shipped.

    names: shipped or published datasets; none where a benchmark draws its own data.

    Returns "data: lipon 36f163af5865, octet ..." with the first 12 hexadecimal digits of a SHA-256 over the
    checksums in each dataset's card (of a published one, in the registry), so that the line changes with any
    file of the dataset.
    """
    return "data: " + (", ".join(f"{name} {_digits(name)}" for name in names) or "drawn by the benchmark")


def _digits(name: str) -> str:
    files = published.registry().get(name)
    if files:
        checksums = [entry.checksum for entry in files.values()]
    else:
        card = (datasets.folder() / name / "README.md").read_text()
        checksums = re.findall(r"^ *([0-9a-f]{64})  \S+$", card, re.M)
    if not checksums:
        raise ValueError(f"the data card of {name} holds no checksum")
    return hashlib.sha256("\n".join(checksums).encode()).hexdigest()[:12]
