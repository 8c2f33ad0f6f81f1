"""Every table in docs/ that a benchmark made names its data, and those are the data as shipped."""

import re
from pathlib import Path

import pytest

from benchmarks import common

ROOT = Path(__file__).resolve().parent.parent
TABLES = sorted(
    path for path in (ROOT / "docs").glob("*.md") if "Measured by `benchmarks/" in path.read_text()
)


def stamps(text):
    """Names of the datasets in the line `data: ...` of a table; None without one."""
    found = re.search(r"^data: (.*)$", text, re.M)
    return found and re.findall(r"(\w+) [0-9a-f]{12}\b", found[1])


def test_tables_name_their_data():
    assert TABLES, "no table in docs/ says that a benchmark measured it"
    missing = {path.name for path in TABLES if stamps(path.read_text()) is None}
    assert not missing, f"without a line `data: ...` (benchmarks/common.py: stamp): {sorted(missing)}"


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.name)
def test_tables_are_of_the_data_as_shipped(path):
    text = path.read_text()
    names = stamps(text)
    if names is not None:
        assert common.stamp(*names) in text.splitlines(), (
            f"docs/{path.name} was made on other data: run its benchmark again"
        )


def test_stamp_follows_every_file(tmp_path, monkeypatch):
    line = common.stamp("lipon", "octet")
    assert re.fullmatch(r"data: lipon [0-9a-f]{12}, octet [0-9a-f]{12}", line) and stamps(line) == [
        "lipon",
        "octet",
    ]
    assert stamps(common.stamp()) == []
    card = (ROOT / "data" / "lipon" / "README.md").read_text()
    digest = re.findall(r"^ *([0-9a-f]{64})  \S+$", card, re.M)[-1]
    (tmp_path / "lipon").mkdir()
    (tmp_path / "lipon" / "README.md").write_text(card.replace(digest, "0" * 64))
    monkeypatch.setenv("MLMS_DATA", str(tmp_path))
    assert common.stamp("lipon") != line.split(",")[0]
