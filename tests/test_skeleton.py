"""What installs the course: the lists of packages agree, and the set-up says what is wrong in one sentence."""

import ast
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import mlms_helpers

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "setup_env.py"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def bounds(lines):
    """{name: bounds} of lines like "numpy>=2.2,<2.3"."""
    found = map(Requirement, lines)
    return {canonicalize_name(r.name): r.specifier for r in found}


def lock():
    """(requirement, number of hashes) of each entry of the lock."""
    entries = re.split(r"(?m)^(?=[A-Za-z0-9])", (ROOT / "requirements.lock").read_text())[1:]
    return [(Requirement(entry.split(" \\")[0]), entry.count("--hash=sha256:")) for entry in entries]


# ---- the lists of packages

def test_conda_list_agrees_with_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    *conda, pip = environment
    assert conda == ["python" + PROJECT["requires-python"], "pip"]
    assert pip["pip"][-1] == "-e ."
    assert bounds(pip["pip"][:-1]) == bounds(PROJECT["dependencies"])


def test_every_bound_has_an_upper_end():
    for extra in [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]:
        for name, specifier in bounds(extra).items():
            assert any(s.operator in ("<", "==") for s in specifier), f"{name}{specifier}"


@pytest.mark.parametrize("python", ["3.11.0", "3.12.0", "3.13.0"])
def test_lock_satisfies_pyproject(python):
    here = {"python_version": python[:4], "python_full_version": python, "sys_platform": "linux"}
    pinned = {canonicalize_name(r.name): str(r.specifier)[2:] for r, _ in lock()
              if r.marker is None or r.marker.evaluate(here)}
    wanted = (PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"] + PYPROJECT["dependency-groups"]["build"]
              + PYPROJECT["build-system"]["requires"])
    for name, specifier in bounds(wanted).items():
        assert name in pinned and specifier.contains(pinned[name]), \
            f"requirements.lock has {name} {pinned.get(name)}, pyproject.toml wants {specifier}: run `make lock`"


def test_lock_pins_and_hashes_everything_and_names_no_place():
    for requirement, hashes in lock():
        assert re.fullmatch(r"==[0-9][^,*]*", str(requirement.specifier)) and hashes, requirement
        assert requirement.url is None
    assert not re.search(r"://|--(extra-)?index|--find-links|(?m:^ *# +via +-r)|file:|/home|/root", (ROOT / "requirements.lock").read_text())


def test_binder_installs_from_the_lock():
    folder = ROOT / "binder"
    assert not (ROOT / ".binder").exists(), "repo2docker would take .binder, and not binder"
    assert {path.name for path in folder.iterdir()} == {"runtime.txt", "postBuild", "start"}, "a list of packages of its own?"
    version = re.fullmatch(r"python-(3\.\d+)\n", (folder / "runtime.txt").read_text()).group(1)
    assert SpecifierSet(PROJECT["requires-python"]).contains(version)
    assert "python scripts/setup_env.py --here" in (folder / "postBuild").read_text()
    start = (folder / "start").read_text()
    assert start.splitlines()[-1] == 'exec "$@"'
    chosen = dict(re.findall(r"^export (\w+)=(.*)$", start, re.MULTILINE))
    package = (ROOT / "mlms_helpers" / "__init__.py").read_text()
    assert chosen["KERAS_BACKEND"] == "jax" and all(name in package for name in chosen)
    for path in (folder / "postBuild", folder / "start", ROOT / ".ci" / "run"):
        assert os.access(path, os.X_OK), f"{path} is not executable"
        subprocess.run(["bash", "-n", path], check=True)


def test_ci_calls_exactly_the_test_command():
    assert "make test" in (ROOT / ".ci" / "run").read_text().splitlines()


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"] == mlms_helpers.__version__
    assert citation["license"] == PROJECT["license"]
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


# ---- the set-up

@pytest.fixture
def setup_env():
    """The set-up script's functions."""
    return SimpleNamespace(**runpy.run_path(str(SCRIPT)))


@pytest.fixture
def tree(tmp_path):
    """A folder with what the set-up needs, and no .venv."""
    for name in ("requirements.lock", "pyproject.toml", "README.md", "LICENSE", "LICENSE-DATA", "Makefile", "scripts/setup_env.py",
                 "mlms_helpers/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def one_sentence(process, *parts):
    """The process failed, printed one line with all `parts`, and no traceback."""
    lines = [line for line in process.stderr.splitlines() if line and not line.startswith("make: ***")]
    assert process.returncode != 0
    assert len(lines) == 1 and lines[0].startswith("mlms: ") and lines[0].endswith("."), process.stderr
    for part in parts:
        assert part in lines[0]


def run(command, tree, **environment):
    environment = {"HOME": str(tree), "PATH": os.environ["PATH"], **environment}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=300)


def test_script_runs_on_old_pythons():
    ast.parse(SCRIPT.read_text(), feature_version=(3, 6))


def test_pythons_agree(setup_env):
    wanted = SpecifierSet(PROJECT["requires-python"])
    minors = [minor for minor in range(30) if wanted.contains(f"3.{minor}")]
    assert [(3, minors[0]), (3, minors[-1])] == [setup_env.OLDEST, setup_env.NEWEST]


@pytest.mark.parametrize("version", [(3, 6, 9), (3, 10, 13), (3, 14, 0)])
def test_wrong_python(tree, version):
    pretend = f"import runpy, sys; sys.version_info = {version}; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    process = run([sys.executable, "-c", pretend, "scripts/setup_env.py"], tree, PATH="/nowhere")
    one_sentence(process, f"this is Python 3.{version[1]}", "needs Python 3.11 to 3.13", "install one of those")
    assert not (tree / ".venv").exists()


def test_no_python(tree):
    one_sentence(run(["make", "lab", "PYTHON=python9"], tree), "python9 is missing", "install Python 3.11")


def test_full_disk(tree):
    pretend = ("import runpy, shutil, sys; from types import SimpleNamespace; "
               "shutil.disk_usage = lambda path: SimpleNamespace(free=700_000_000); "
               "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')")
    process = run([sys.executable, "-c", pretend, "scripts/setup_env.py"], tree)
    one_sentence(process, "disk is too full", "0.7 GB are free", "needs 2.5 GB", "free some space")


def test_no_network(tree):
    """The sentence, and then a second try that does not trust the half-done .venv."""
    unreachable = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0",
                   "PIP_NO_CACHE_DIR": "1"}
    for _ in range(2):
        process = run(["make", "test", f"PYTHON={sys.executable}"], tree, **unreachable)
        one_sentence(process, "index cannot be reached", "check the network", "setup.log")
        assert "-m pytest" not in process.stdout and not (tree / ".venv" / "setup-done.txt").exists()
    assert "absl-py" in (tree / "setup.log").read_text()


@pytest.mark.parametrize("message, parts", [
    ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n", ["disk became full", "free 2.5 GB"]),
    ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have\nnumpy==2.2.6:", ["not the one", "cache purge"]),
    ("WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError(': Failed to establish a new "
     "connection: [Errno -3] Temporary failure in name resolution')'\nERROR: No matching distribution found for ase==3.29.0",
     ["cannot be reached"]),
    ("Could not fetch URL: SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]')) - skipping\n", ["PIP_CERT"]),
    ("ERROR: Could not find a version that satisfies the requirement jaxlib==0.10.2 (from versions: 0.4.17, 0.4.38)\n"
     "ERROR: No matching distribution found for jaxlib==0.10.2\n", ["no ready-made jaxlib==0.10.2", "Binder"]),
    ("Error: Command '[...]' /usr/bin/python3: No module named ensurepip", ["python3-venv"]),
    ("PermissionError: [Errno 13] Permission denied: '/x'", ["may not be written"]),
    ("something else\nERROR: the moon is in the way\n", ["the moon is in the way", "run the command again"]),
    ("", ["failed"]),
])
def test_sentences_for_failures(setup_env, message, parts):
    sentence = setup_env.explain(message, "installing the packages")
    assert sentence.endswith(".") and "\n" not in sentence
    for part in parts:
        assert part in sentence


def test_stamp_belongs_to_lock_python_and_folder(tree):
    def built():
        return runpy.run_path(str(tree / "scripts" / "setup_env.py"))["is_built"]()

    script = runpy.run_path(str(tree / "scripts" / "setup_env.py"))
    assert not built()
    script["VENV_PYTHON"].parent.mkdir(parents=True)
    script["VENV_PYTHON"].touch()
    script["STAMP"].write_text(script["stamp"]((3, 11)))
    assert built()
    (tree / "requirements.lock").write_text("numpy==1.0")
    assert not built()
    script["STAMP"].write_text(script["stamp"]((3, 11)).replace(str(tree), "/somewhere/else"))
    assert not built()
    script["STAMP"].write_text("")
    assert not built()


def test_damaged_packages_are_forgotten(setup_env, tmp_path):
    def package(name, text, record="{0}/__init__.py,sha256=x,{1}\n{0}-1.dist-info/RECORD,,\n{0}/data.pyc,sha256=x,7\n"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)
        (tmp_path / f"{name}-1.dist-info").mkdir()
        if record:
            (tmp_path / f"{name}-1.dist-info" / "RECORD").write_text(record.format(name, 4))

    package("whole", "1234")
    package("cut", "12")
    package("unlisted", "1234", record=None)
    package("garbled", "1234", record="{0}/__init__.py")
    package("missing", "1234", record='"{0}/a, b.py",sha256=x,3\n')
    (tmp_path / "~hole").mkdir()
    setup_env.forget_damaged(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*-1.dist-info")) == ["whole-1.dist-info"]
    assert not (tmp_path / "~hole").exists()


def test_lock_splits_into_wheels_and_nglview(setup_env):
    text = (ROOT / "requirements.lock").read_text()
    wheels, built = setup_env.read_lock(text)
    assert re.match(r"nglview==4\.0 .*\\\n    --hash", built) and "nglview==" not in wheels
    assert sorted(wheels + built) == sorted(text)


# ---- the files

def tracked():
    process = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if process.returncode:
        pytest.skip("this folder is no git repository")
    return [ROOT / name for name in process.stdout.split("\0") if name and os.path.lexists(ROOT / name)]


def test_tracked_files_are_plain_and_small():
    for path in tracked():
        assert not path.is_symlink(), f"{path} is a symbolic link: Binder and Windows do not follow it"
        assert path.stat().st_size <= 20e6, f"{path} is larger than 20 MB"


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{p.name}" for p in sorted((ROOT / "docs").glob("*.md")))])
def test_links_lead_somewhere(page):
    folder = (ROOT / page).parent
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text()):
        assert (folder / target).exists(), f"{page} links to {target}, which is not there"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_is_saved_with_its_outputs(path):
    assert path.stat().st_size < 1.5e6, "larger than 1.5 MB: save smaller figures"
    notebook = json.loads(path.read_text())
    outputs = [output for cell in notebook["cells"] if cell["cell_type"] == "code" for output in cell["outputs"]]
    assert outputs, "run the notebook, and save it"
    assert not [output["evalue"] for output in outputs if output["output_type"] == "error"]
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
