"""Published data: what comes over a bad network is whole or one sentence, and the sets are what they say."""

import hashlib
import os
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.formula import Formula

from mlms_helpers import datasets, published

CONTENT = {f"someone/things/{40 * 'a'}/{name}": name.encode() * 5000 for name in ("one.csv", "two.csv")}
ONE, TWO = CONTENT


class Server(ThreadingHTTPServer):
    """Serves CONTENT; `mode` says what goes wrong with the second file, `asked` who was asked for."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.mode, self.asked, self.go_on = "good", Counter(), threading.Event()


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        file, server = self.path[1:], self.server
        server.asked[file] += 1
        mode = server.mode if file == TWO else "good"
        if mode in ("fails", "fails once") and (mode == "fails" or server.asked[file] == 1):
            return self.send_error(503)
        content = CONTENT[file]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if mode == "stalls":
            self.wfile.write(content[:100])
            server.go_on.wait(5)
        elif mode == "truncates":
            self.wfile.write(content[:1000])
        else:
            self.wfile.write(content[:-1] + b"!" if mode == "corrupts" else content)


@pytest.fixture(scope="module")
def running():
    server = Server()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def server(running, monkeypatch, tmp_path):
    """A server on this machine, a registry with its two files, an empty cache."""
    running.mode, running.asked, running.go_on = "good", Counter(), threading.Event()
    entries = {file: published.File(hashlib.sha256(c).hexdigest(), len(c)) for file, c in CONTENT.items()}
    monkeypatch.setattr(published, "registry", lambda: {"things": entries})
    monkeypatch.setattr(published, "URL", f"http://127.0.0.1:{running.server_port}/")
    monkeypatch.setattr(published, "WAIT", 0.2)
    monkeypatch.setattr(published, "TRIES_AGAIN", 0)
    monkeypatch.setattr(published.pooch, "os_cache", lambda name: tmp_path / name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv(published.MIRROR, raising=False)
    yield running
    running.go_on.set()


def there(tmp_path):
    """Files in the cache, whatever they are called."""
    folder = tmp_path / "mlms" / "published"
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


def test_download_is_kept_and_asked_for_once(server, tmp_path, capsys):
    paths = published.fetch("things")
    assert {file: path.read_bytes() for file, path in paths.items()} == CONTENT
    shown = capsys.readouterr().err
    assert "things: 100%" in shown and "Downloading" not in shown
    assert published.fetch("things") == paths and set(server.asked.values()) == {1}
    assert capsys.readouterr().err == "" and published.fetch("things", download=False) == paths


@pytest.mark.parametrize("mode", ["fails", "stalls", "truncates", "corrupts"])
def test_bad_network_is_one_sentence_and_goes_on(server, tmp_path, mode):
    server.mode = mode
    start = time.perf_counter()
    with pytest.raises(OSError) as problem:
        published.fetch("things")
    assert time.perf_counter() - start < 4
    sentence = str(problem.value)
    assert published.URL + TWO in sentence and "\n" not in sentence
    assert "datasets.published('things') goes on" in sentence and published.MIRROR in sentence
    assert ("SHA-256" in sentence) == (mode == "corrupts")
    assert set(there(tmp_path)) == {ONE}, "only what is whole is left, and no half of a file"
    server.mode = "good"
    assert published.fetch("things")[TWO].read_bytes() == CONTENT[TWO]
    assert server.asked == {ONE: 1, TWO: 2}


def test_a_fault_that_passes_is_not_seen(server, monkeypatch):
    server.mode = "fails once"
    monkeypatch.setattr(published, "TRIES_AGAIN", 1)
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    assert published.fetch("things")[TWO].read_bytes() == CONTENT[TWO] and server.asked[TWO] == 2


def test_no_server(server, monkeypatch, tmp_path):
    monkeypatch.setattr(published, "URL", "http://127.0.0.1:9/")
    with pytest.raises(OSError, match=r"could not be had \(ConnectionError\)"):
        published.fetch("things")
    assert there(tmp_path) == {}


@pytest.mark.parametrize("damage", [b"", b"x" * len(CONTENT[TWO])])
def test_damaged_file_in_the_cache_is_fetched_anew(server, damage):
    paths = published.fetch("things")
    paths[TWO].write_bytes(damage)
    with pytest.raises(OSError, match=r"not on this machine.*downloads it \(1 files"):
        published.fetch("things", download=False)
    assert published.fetch("things")[TWO].read_bytes() == CONTENT[TWO] and server.asked[ONE] == 1


def test_mirror_is_read_in_place_and_never_mended(server, monkeypatch, tmp_path):
    for file, content in CONTENT.items():
        (tmp_path / "mirror" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mirror" / file).write_bytes(content)
    monkeypatch.setenv(published.MIRROR, str(tmp_path / "mirror"))
    assert published.fetch("things") == {file: tmp_path / "mirror" / file for file in CONTENT}
    for damage in (lambda p: p.write_bytes(b"no"), lambda p: p.unlink()):
        damage(tmp_path / "mirror" / TWO)
        with pytest.raises(OSError, match=f"mirror/{TWO} is missing or damaged .*{published.MIRROR} must"):
            published.fetch("things")
    assert not server.asked and there(tmp_path) == {}


def test_unknown_name():
    with pytest.raises(
        ValueError, match="no published dataset is called 'octet'; there are: octet82, si_deep"
    ):
        datasets.published("octet")


def test_registry_has_a_reader_and_a_card_for_each_set():
    registry = published.registry()
    assert list(registry) == list(published.READERS) and sum(map(len, registry.values())) == 941
    for name, files in registry.items():
        assert "github.com/" in published.READERS[name].__doc__
        for file, (checksum, size) in files.items():
            owner, repository, commit, *path = file.split("/")
            assert owner and repository and path and len(commit) == 40 and int(commit, 16)
            assert len(checksum) == 64 and int(checksum, 16) and 0 < size < 10e6


# ---- the data themselves, where they are


@pytest.fixture(scope="module")
def data():
    """The function that reads a published set; skips without the folder."""
    if not os.environ.get(published.MIRROR):
        pytest.skip(
            f"no published data here: set {published.MIRROR} to a folder with the files of published.txt"
        )
    return datasets.published


def test_octet82(data):
    structures, table, card = data("octet82")
    ours = datasets.load("octet").table.pivot(index="compound", columns="structure", values="energy_per_atom")
    assert structures == [] and "eV an atom" in card and set(table.compound) == set(ours.index)
    difference = (ours.rocksalt - ours.zincblende)[table.compound].to_numpy() - table.energy_difference
    assert np.abs(difference).median() < 0.005
    error = table.predicted - table.energy_difference
    assert np.sqrt(np.mean(error**2)) == pytest.approx(0.088, abs=5e-4)  # as published
    np.testing.assert_allclose(table.descriptor_1, (table.IP_B - table.EA_B) / table.r_p_A**2, rtol=1e-5)
    second = np.abs(table.r_s_A - table.r_p_B) / np.exp(table.r_s_A)
    np.testing.assert_allclose(table.descriptor_2, second, atol=1e-6)


def test_si_deep_levels(data):
    structures, table, card = data("si_deep_levels")
    assert structures == [] and "cm^2" in card and len(table) == 1008
    gold = table[(table.defect == "Au_s") & (table.doi == "10.1103/PhysRev.93.64")].iloc[0]
    assert (gold.level, gold.edge, gold.energy, gold.elements) == ("Ev+0.33", "Ev", 0.33, "Au")
    assert table.energy.between(0, 1.12).sum() == table.energy.notna().sum() == 948  # all in the gap
    assert set(table.level[table.level.notna() & table.energy.isna()].str.contains("T|Ei|/")) == {True}


def test_oxygen_vacancies(data):
    structures, table, card = data("oxygen_vacancies")
    assert len(structures) == len(table) == 924 and "O core potential" in card
    assert dict(table.split.value_counts()) == {"train": 646, "test": 139, "validation": 138}
    assert structures[1].symbols.formula.reduce()[0] == Formula("Ag2HgO2") and table.formula[1] == "Ag2HgO2"
    vacancies = pd.concat([atoms.info["vacancies"] for atoms in structures])
    assert len(vacancies) == table.n_vacancies.sum() == 4826 and set(vacancies.charge) == {0, 1, 2}
    wrong = [atoms for atoms in structures if (atoms.info["vacancies"].atom < 0).any()]
    assert [str(atoms.symbols.formula.reduce()[0]) for atoms in wrong] == ["Sr2SnO4"]
    alumina = structures[list(table.formula).index("Al2O3")].info["vacancies"]
    assert alumina.formation_energy.round(2).tolist() == [7.69, 4.56, 1.87]


def test_nomad2018(data):
    structures, table, card = data("nomad2018")
    assert dict(table.split.value_counts()) == {"train": 2391, "test": 600} and "eV a cation" in card
    for atoms, row in list(zip(structures, table.itertuples(), strict=True))[::50]:
        cations = len(atoms) - atoms.symbols.count("O")
        assert len(atoms) == row.n_atoms and 3 * cations == 2 * atoms.symbols.count("O")
        assert atoms.symbols.count("In") / cations == pytest.approx(row.x_In)
        near = atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)].min()
        assert 1.4 < near < 2.3  # A: a bond between metal and oxygen
    files = published.fetch("nomad2018")
    given = {Path(file).name: pd.read_csv(path) for file, path in files.items() if "taidopurason" in file}
    both = table[table.split == "train"].merge(given["train.csv"], on="id")
    np.testing.assert_allclose(both.formation_energy, both.formation_energy_ev_natom, atol=6e-5)
    np.testing.assert_allclose(both.gap, both.bandgap_energy_ev, atol=6e-5)
    assert (both.spacegroup_x == both.spacegroup_y).all()
    left_out = set(given["train.csv"].id) - set(table.id[table.split == "train"])
    assert left_out == {126, 308, 353, 464, 531, 1215, 2189, 2319, 2370}
    assert all(str(number) in card for number in left_out)
