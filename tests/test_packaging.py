"""What installs the course: the lock fits pyproject.toml, the set-up says what is wrong in one sentence."""

import ast
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from jupyter_client.manager import start_new_kernel
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import mlms_helpers

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "setup_env.py"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
PYTHONS = SpecifierSet(PROJECT["requires-python"])
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
PAGES += [f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))]


def bounds(lines):
    """{name: bounds} of lines like "numpy>=2.2,<2.3"."""
    return {canonicalize_name(r.name): r.specifier for r in map(Requirement, lines)}


def lock():
    """(requirement, number of hashes) of each entry of the lock."""
    entries = re.split(r"(?m)^(?=[A-Za-z0-9])", (ROOT / "requirements.lock").read_text())[1:]
    return [(Requirement(entry.split(" \\")[0]), entry.count("--hash=sha256:")) for entry in entries]


# ---- the lists of packages


def test_every_bound_has_an_upper_end():
    for extra in [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]:
        for name, specifier in bounds(extra).items():
            assert any(s.operator in ("<", "==") for s in specifier), f"{name}{specifier}"


@pytest.mark.parametrize("python", ["3.11.0", "3.12.0", "3.13.0"])
def test_lock_satisfies_pyproject(python):
    here = {"python_version": python[:4], "python_full_version": python, "sys_platform": "linux"}
    pinned = {
        canonicalize_name(requirement.name): str(requirement.specifier)[2:]
        for requirement, _ in lock()
        if requirement.marker is None or requirement.marker.evaluate(here)
    }
    wanted = (
        PROJECT["dependencies"]
        + PROJECT["optional-dependencies"]["test"]
        + PYPROJECT["dependency-groups"]["build"]
        + PYPROJECT["build-system"]["requires"]
    )
    for name, specifier in bounds(wanted).items():
        assert name in pinned and specifier.contains(pinned[name]), (
            f"the lock has {name} {pinned.get(name)}, pyproject.toml wants {specifier}: run `make lock`"
        )


def test_lock_pins_and_hashes_everything_and_names_no_place():
    for requirement, hashes in lock():
        assert re.fullmatch(r"==[0-9][^,*]*", str(requirement.specifier)) and hashes, requirement
        assert requirement.url is None
    places = r"://|--(extra-)?index|--find-links|(?m:^ *# +via +-r)|file:|/home|/root"
    assert not re.search(places, (ROOT / "requirements.lock").read_text())


def test_conda_takes_python_from_conda_and_the_rest_from_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, *rest = environment["dependencies"]
    assert PYTHONS.contains(python.removeprefix("python=") + ".0")
    assert rest == ["pip", {"pip": ["-e ."]}]
    assert environment["variables"] == {"KERAS_BACKEND": "jax"}


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"] == mlms_helpers.__version__
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [a["name"] for a in PROJECT["authors"]]
    latest = re.search(r"(?m)^## (\S+)", (ROOT / "CHANGELOG.md").read_text()).group(1)
    assert latest in ("Unreleased", PROJECT["version"])


def test_wheel_holds_every_file_of_the_package(tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(
        ROOT / "mlms_helpers", tree / "mlms_helpers", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-DATA"):
        shutil.copy(ROOT / name, tree / name)
    build = f"from setuptools import build_meta; print(build_meta.build_wheel({str(tmp_path)!r}))"
    output = subprocess.run(
        [sys.executable, "-c", build], cwd=tree, capture_output=True, text=True, check=True
    )
    packed = zipfile.ZipFile(tmp_path / output.stdout.split()[-1]).namelist()
    here = {str(path.relative_to(tree)) for path in (tree / "mlms_helpers").rglob("*") if path.is_file()}
    assert here == {name for name in packed if name.startswith("mlms_helpers/")}


# ---- programs in the reader's place: `make`, Binder and CI call stand-ins that say what they were given


@pytest.fixture
def tree(tmp_path):
    """A folder with what the set-up needs, and no .venv."""
    files = (
        "requirements.lock",
        "pyproject.toml",
        "Makefile",
        "scripts/setup_env.py",
        "binder/postBuild",
        ".ci/run",
    )
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "settings", tmp_path / "settings")
    return tmp_path


def stand_in(path, script):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run(command, folder, **environment):
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"], **environment}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def one_sentence(process, *parts):
    """The process failed, printed one line with all `parts`, and no traceback."""
    lines = [line for line in process.stderr.splitlines() if line and not line.startswith("make")]
    assert process.returncode != 0
    assert len(lines) == 1 and lines[0].startswith("mlms: ") and lines[0].endswith("."), process.stderr
    for part in parts:
        assert part in lines[0]


def test_lab_command_chooses_the_backend_unless_the_reader_has(tree):
    stand_in(tree / ".venv" / "bin" / "python", 'echo "backend $KERAS_BACKEND: $@"')
    assert "backend jax: -m jupyterlab" in run(["make", "lab", "PYTHON=true"], tree).stdout
    process = run(["make", "lab", "PYTHON=true"], tree, KERAS_BACKEND="torch", PYTHONPATH="/elsewhere")
    assert "backend torch: -m jupyterlab" in process.stdout


def test_lint_comes_before_the_tests(tree):
    stand_in(tree / ".venv" / "bin" / "python", "echo tests")
    stand_in(tree / ".venv" / "bin" / "ruff", "echo lint")
    assert re.findall(r"(?m)^(?:lint|tests)$", run(["make", "test", "PYTHON=true"], tree).stdout)[-2:] == [
        "lint",
        "tests",
    ]
    stand_in(tree / ".venv" / "bin" / "ruff", "exit 1")
    process = run(["make", "test", "PYTHON=true"], tree)
    assert process.returncode and not re.search("(?m)^tests$", process.stdout)


def test_data_command_names_the_generators_and_takes_no_other(tree):
    for name, text in [("salt", '"--out"'), ("convergence_salt", '"--out"'), ("gather", '"--into"')]:
        stand_in(tree / "data" / "generate" / f"{name}.py", text)
    for name in ("", "gather", "convergence_salt", "nothing"):
        one_sentence(run(["make", "data", f"NAME={name}"], tree), "give NAME=, one of: salt.")
    one_sentence(run(["make", "data", "NAME=salt"], tree), "their own environment")


def test_bench_command_knows_its_names():
    process = run([sys.executable, "-m", "benchmarks", "speed"], ROOT)
    one_sentence(process, "no benchmark is named speed", "training")
    tables = runpy.run_path(str(ROOT / "benchmarks" / "__main__.py"))["TABLES"]
    helpers = {"__init__", "__main__", "common"}
    assert set(tables) == {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - helpers
    assert all((ROOT / "docs" / f"{table}.md").exists() for table in tables.values())


def test_binder_installs_with_the_set_up_script_and_starts_with_jax(tree):
    assert not (ROOT / ".binder").exists(), "repo2docker would take .binder, and not binder"
    assert {path.name for path in (ROOT / "binder").iterdir()} == {"runtime.txt", "postBuild", "start"}
    version = re.fullmatch(r"python-(3\.\d+)\n", (ROOT / "binder" / "runtime.txt").read_text()).group(1)
    assert PYTHONS.contains(f"{version}.0")
    stand_in(tree / "bin" / "python", 'echo "python $@"; exit 3')
    process = run(["binder/postBuild"], tree, PATH=f"{tree}/bin:{os.environ['PATH']}")
    assert (process.stdout, process.returncode) == ("python scripts/setup_env.py --here\n", 3)
    started = run([str(ROOT / "binder" / "start"), "env"], tree).stdout.splitlines()
    assert {"KERAS_BACKEND=jax", f"JAX_COMPILATION_CACHE_DIR={tree}/.cache/mlms/jax"} <= set(started)


@pytest.mark.parametrize("status", [0, 7])
def test_ci_runs_the_tests_and_ends_as_they_end(tree, status):
    stand_in(tree / "bin" / "chromium", "")
    stand_in(tree / "bin" / "make", f'echo "CI=$CI make $@"; exit {status}')
    process = run([".ci/run"], tree, PATH=f"{tree}/bin:/usr/bin:/bin")
    assert process.returncode == status and process.stdout.startswith("CI=true make test\n")


def test_a_readers_own_import_of_keras_computes_with_jax(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    environment["KERAS_HOME"] = str(tmp_path)  # no ~/.keras/keras.json of another day
    manager, client = start_new_kernel(kernel_name="python3", env=environment, startup_timeout=300)
    try:
        printed = []
        client.execute_interactive(
            "import keras; print(keras.backend.backend())",
            timeout=300,
            output_hook=lambda message: printed.append(message["content"].get("text", "")),
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert "".join(printed) == "jax\n", "run `make setup`, which copies settings/ into .venv"


# ---- the set-up


@pytest.fixture
def setup(tree, monkeypatch):
    """The script of `tree`, whose steps are only noted down, on a machine that suits it."""
    functions = SimpleNamespace(**runpy.run_path(str(tree / "scripts" / "setup_env.py")))
    functions.steps = []
    monkeypatch.setitem(functions.main.__globals__, "run", lambda *step: functions.steps.append(step))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=functions.free))
    functions.free = 9e9
    functions.venv = tree / ".venv"
    functions.venv.mkdir()
    monkeypatch.setattr(sys, "prefix", str(tree / "prefix"))
    return functions


def said(function, *arguments):
    """The sentence that `function` ends with."""
    with pytest.raises(SystemExit) as stopped:
        function(*arguments)
    sentence = stopped.value.code
    assert sentence.startswith("mlms: ") and sentence.endswith(".") and "\n" not in sentence
    return sentence


def test_script_runs_on_old_pythons():
    ast.parse(SCRIPT.read_text(), feature_version=(3, 6))


@pytest.mark.parametrize("minor", [6, 10, 11, 12, 13, 14])
def test_python_of_the_project_is_asked_for(setup, monkeypatch, minor):
    monkeypatch.setattr(sys, "version_info", (3, minor, 0))
    if PYTHONS.contains(f"3.{minor}.0"):
        setup.main(here=True)
        assert setup.steps and Path(sys.prefix, "etc", "ipython", "ipython_config.py").exists()
    else:
        assert f"Python 3.{minor} is not 3.11 to 3.13" in said(setup.main, False)
        assert not setup.steps


def test_no_python(tree):
    one_sentence(run(["make", "lab", "PYTHON=python9"], tree), "python9 is missing", "install Python 3.11")


def test_full_disk(setup):
    setup.free = 700_000_000
    sentence = said(setup.main, False)
    assert "disk is too full" in sentence and "0.7 GB" in sentence and "2.5 are needed" in sentence
    assert not setup.steps


def test_windows(setup, monkeypatch):
    monkeypatch.setitem(setup.main.__globals__, "os", SimpleNamespace(name="nt"))
    sentence = said(setup.main, False)
    assert "WSL" in sentence and "environment.yml" in sentence


def test_no_network(tree):
    process = run(
        ["make", "test", f"PYTHON={sys.executable}"],
        tree,
        PIP_INDEX_URL="http://127.0.0.1:9/simple",
        PIP_CONFIG_FILE=os.devnull,
        PIP_RETRIES="1",
    )
    one_sentence(process, "index cannot be reached", "check the network", "setup.log")
    assert not (tree / ".venv" / "setup-done.txt").exists(), "half done"


@pytest.mark.parametrize(
    "message, part",
    [
        ("ERROR: Could not install: [Errno 28] No space left on device", "disk is full: free 2.5 GB"),
        ("error: Failed to fetch: `x`\n  Caused by: dns error", "cannot be reached: check the network"),
        ("WARNING: NewConnectionError\nERROR: No matching distribution found for uv", "cannot be reached"),
        ("The virtual environment was not created: ensurepip is not available.", "apt install python3-venv"),
        (
            "first\nerror: Hash mismatch for `ase==3.29.0`\n",
            "failed with: error: Hash mismatch for `ase==3.29.0`;",
        ),
        ("", "failed with: status 1;"),
    ],
)
def test_sentences_for_failures(tree, message, part):
    step = runpy.run_path(str(tree / "scripts" / "setup_env.py"))["run"]
    sentence = said(step, sys.executable, "-c", f"print({message!r}); raise SystemExit(1)")
    assert part in sentence and "run the same command again" in sentence


def test_set_up_starts_anew_goes_on_or_has_nothing_to_do(setup, tree):
    clear = (sys.executable, "-m", "venv", "--clear", setup.venv)
    setup.main(here=False)
    assert setup.steps[0] == clear, "a .venv without a stamp was interrupted"
    assert (setup.venv / "share/jupyter/lab/settings/overrides.json").exists()
    setup.STAMP.write_text(setup.stamp().replace(str(tree), "/somewhere/else"))
    setup.PYTHON.parent.mkdir()
    setup.PYTHON.touch()
    setup.steps.clear()
    setup.main(here=False)
    assert setup.steps[0] == clear, "its scripts name another folder"
    setup.steps.clear()
    setup.main(here=False)
    assert not setup.steps, "finished"
    (tree / "requirements.lock").write_text("numpy==1.0")
    setup.main(here=False)
    assert setup.steps and clear not in setup.steps, "what a reader added to .venv is kept"
    assert setup.STAMP.read_text() == setup.stamp()


@pytest.mark.parametrize("ending, kept", [(KeyboardInterrupt, False), (OSError, False), (1, True)])
def test_what_is_left_of_an_update_that_ends_early(setup, tree, monkeypatch, ending, kept):
    """A failure leaves what there was, as without a network; an interruption may leave half a package."""
    setup.PYTHON.parent.mkdir()
    setup.PYTHON.touch()
    setup.STAMP.write_text(setup.stamp())
    (tree / "requirements.lock").write_text("numpy==1.0")

    def call(command, **options):
        assert "--clear" not in command
        if isinstance(ending, int):
            return ending
        raise ending

    monkeypatch.setattr(subprocess, "call", call)
    monkeypatch.setattr(sys, "argv", ["setup_env.py"])
    said(runpy.run_path, str(tree / "scripts" / "setup_env.py"), None, "__main__")
    assert setup.STAMP.exists() == kept


# ---- the files


def tracked():
    process = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if process.returncode:
        pytest.skip("this folder is no git repository")
    return [ROOT / name for name in process.stdout.split("\0") if name and os.path.lexists(ROOT / name)]


def test_tracked_files_are_plain_and_small():
    for path in tracked():
        assert not path.is_symlink(), f"{path} is a symbolic link: Binder and Windows do not follow it"
        assert path.stat().st_size <= 20e6, f"{path} is larger than 20 MB"


def test_scripts_can_be_executed():
    for name in ("binder/postBuild", "binder/start", ".ci/run"):
        assert os.access(ROOT / name, os.X_OK), f"{name} is not executable"


def test_actions_run_on_every_python_of_the_project():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    pythons = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert pythons == [f"3.{minor}" for minor in range(30) if PYTHONS.contains(f"3.{minor}.0")]
    for job in workflow["jobs"].values():
        assert all(step.get("uses", "actions/").startswith("actions/") for step in job["steps"])


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    folder = (ROOT / page).parent
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text()):
        assert (folder / target).exists(), f"{page} links to {target}, which is not there"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_is_saved_with_its_outputs(path):
    assert path.stat().st_size < 1.5e6, "larger than 1.5 MB: save smaller figures"
    notebook = json.loads(path.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in code for output in cell["outputs"]]
    assert outputs, "run the notebook, and save it"
    assert not [output["evalue"] for output in outputs if output["output_type"] == "error"]
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
