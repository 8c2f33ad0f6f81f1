"""What the benchmarks share: the name of the data that a table was made on."""

import hashlib
import re

from mlms_helpers import datasets, published


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
