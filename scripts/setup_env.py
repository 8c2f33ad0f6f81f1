"""Build .venv from requirements.lock, or find that it is built: what `make lab`, `make test` and `make setup` do first.

    python3 scripts/setup_env.py            .venv of this folder
    python3 scripts/setup_env.py --here     into the Python that runs this script (Binder, conda)

Runs on the standard library alone, and on a Python too old for the course (from 3.6 on), to say so in a sentence.
Whatever goes wrong ends in one sentence: what is wrong, what to do.  A set-up that was interrupted goes on where it
stopped: .venv counts as built only when the stamp, its last file, is there and belongs to this lock.
"""
import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)            # as requires-python in pyproject.toml
NEW_GB, UPDATE_GB = 2.5, 0.5                 # free disk space to ask for: a new .venv with pip's cache; a change to one

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STAMP = VENV / "setup-done.txt"
LOG = ROOT / "setup.log"
LOCK = ROOT / "requirements.lock"

# JupyterLab asks a newcomer about news, and looks for a newer version on the network: neither here.
LAB_SETTINGS = {"@jupyterlab/apputils-extension:notification":
                {"fetchNews": "false", "checkForUpdates": False}}


class Trouble(Exception):
    """One sentence for the reader: what is wrong, and what to do."""


def dotted(version):
    return ".".join(map(str, version[:2]))


def probe(python):
    """(version, path) of an interpreter, or None where it does not run: a name on the PATH may be an empty shim."""
    code = "import sys; print(sys.version_info[0], sys.version_info[1], sys.executable)"
    try:
        answer = subprocess.run([str(python), "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                universal_newlines=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    words = answer.stdout.rstrip("\n").split(" ", 2)
    if answer.returncode or len(words) != 3:
        return None
    return (int(words[0]), int(words[1])), words[2]


def find_python():
    """A Python that the course runs on: the one that runs this script, or another on the PATH."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return sys.executable
    for name in ("python3.11", "python3.12", "python3.13"):
        found = probe(name)
        if found and OLDEST <= found[0] <= NEWEST:
            return found[1]
    raise Trouble(f"the course needs Python {dotted(OLDEST)} to {dotted(NEWEST)}, and this is Python "
                  f"{dotted(sys.version_info)}: install one of those (Debian, Ubuntu: sudo apt install python3.11 "
                  "python3.11-venv) and run the command again, with PYTHON=/path/to/python3.11 if it is not on the PATH.")


def stamp(version):
    """What a finished .venv was made for.  The folder counts, since scripts and the package point into it."""
    digest = hashlib.sha256()
    for path in (LOCK, ROOT / "pyproject.toml", Path(__file__)):
        digest.update(path.read_bytes())
    return f"{digest.hexdigest()}\nPython {dotted(version)}\n{ROOT}\n"


def is_built():
    """Whether .venv is complete.  Starts no process, so that a second `make lab` costs nothing."""
    if not (STAMP.is_file() and VENV_PYTHON.exists()):
        return False
    found = STAMP.read_text()
    return found in [stamp((3, minor)) for minor in range(OLDEST[1], NEWEST[1] + 1)]


def check_disk():
    need = UPDATE_GB if (VENV / "share" / "jupyter").is_dir() else NEW_GB
    free = shutil.disk_usage(str(ROOT)).free / 1e9
    if free < need:
        raise Trouble(f"the disk is too full: {free:.1f} GB are free where {ROOT} lies, and the set-up needs {need} GB; "
                      "free some space and run the command again.")


def make_venv():
    """.venv with a working pip; what a working one holds is kept."""
    if VENV.exists():
        found = probe(VENV_PYTHON)
        if found and OLDEST <= found[0] <= NEWEST:
            code = "import pip._internal.cli.main"
            if subprocess.run([str(VENV_PYTHON), "-c", code], stderr=subprocess.DEVNULL).returncode == 0:
                return
    python = find_python()
    say(f"making .venv with {python}")
    # pip in a step of its own: venv would keep the reason to itself where that fails.
    for command in ([python, "-m", "venv", "--clear", "--without-pip", str(VENV)],
                    [str(VENV_PYTHON), "-m", "ensurepip", "--default-pip"]):
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
        if result.returncode:
            raise Trouble(explain(result.stdout, "making .venv"))


def forget_damaged(site_packages):
    """Make pip install again what was interrupted: packages without a list of files, or with a file missing or cut."""
    for info in site_packages.glob("*.dist-info"):
        try:
            with (info / "RECORD").open(newline="", encoding="utf-8") as file:
                sizes = {site_packages / row[0]: int(row[2]) for row in csv.reader(file)
                         if row[2] and not row[0].endswith(".pyc")}          # bytecode is ours: compiled anew below
            whole = all(path.is_file() and path.stat().st_size == size for path, size in sizes.items())
        except (OSError, ValueError, IndexError):
            whole = False
        if not whole:
            shutil.rmtree(str(info))
    for path in site_packages.glob("~*"):               # what pip moves away while it replaces a package
        shutil.rmtree(str(path), ignore_errors=True)


def read_lock(text):
    """The lock in two parts: nglview 4.0, which is built from source with the tools in the lock, and all the rest."""
    entries = re.split(r"(?m)^(?=[A-Za-z0-9])", text)
    built = [entry for entry in entries if entry.startswith("nglview==")]
    return "".join(entry for entry in entries if entry not in built), "".join(built)


def install(python, site_packages):
    """The locked packages and this one, into `python`; bytecode too, without which the first import of Keras is slow."""
    LOG.write_text("")
    wheels, built = read_lock(LOCK.read_text())
    count = len(re.findall(r"(?m)^\S+==", wheels))
    say(f"installing about {count} packages, some minutes the first time (log: {LOG})")
    with tempfile.TemporaryDirectory() as folder:
        for name, text, *options in [("wheels.txt", wheels, "--only-binary", ":all:"),
                                     ("built.txt", built, "--no-build-isolation")]:
            path = Path(folder) / name
            path.write_text(text)
            pip(python, *options, "--require-hashes", "-r", str(path))
    pip(python, "--no-build-isolation", "-e", str(ROOT))
    # Some packages ship files that are no valid Python (templates), so the exit status says nothing.
    subprocess.run([python, "-m", "compileall", "-qq", "-j", "0", str(site_packages)],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def pip(python, *arguments):
    """pip install without dependencies, all of which the lock names.  On a terminal one line shows how far it is."""
    command = [python, "-m", "pip", "-vv", "--disable-pip-version-check", "--no-input", "install", "--no-deps",
               "--no-compile", "--progress-bar", "off", *arguments]
    environment = dict(os.environ, PIP_USER="0", PYTHONUNBUFFERED="1")
    process = subprocess.Popen(command, cwd=str(ROOT), env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, universal_newlines=True, errors="replace")
    output = []
    with LOG.open("a") as log:
        for line in process.stdout:
            if re.match(r"\s*(Skipping|Found) link", line):     # a line for every file on the index
                continue
            output.append(line)
            log.write(line)
            if sys.stdout.isatty() and re.match(r"\s*(Collecting|Downloading|Installing) ", line):
                print("\r\033[K" + line.strip()[:78], end="", flush=True)
    if sys.stdout.isatty():
        print("\r\033[K", end="", flush=True)
    status = process.wait()
    if status < 0:
        raise Trouble(f"pip was killed (signal {-status}), perhaps for want of memory: run the command again, it goes on "
                      "where it stopped.")
    if status:
        raise Trouble(explain("".join(output), "installing the packages"))


def explain(output, doing):
    """The sentence for a failure of pip or venv, from what it printed."""
    def says(pattern):
        return re.search(pattern, output, re.IGNORECASE)

    log = f" (log: {LOG})" if LOG.exists() else ""
    if says(r"No space left on device|Disk quota exceeded|\[Errno (28|122)\]"):
        return (f"the disk became full while {doing}: free {NEW_GB} GB where {ROOT} lies, and look at pip's cache "
                f"(`python3 -m pip cache purge` empties it) and at the folder for temporary files; then run the command again{log}.")
    if says("ensurepip is not available|No module named '?(ensurepip|venv)"):
        return ("this Python cannot make virtual environments: install its venv module (Debian, Ubuntu: sudo apt install "
                "python3-venv) and run the command again.")
    if says("DO NOT MATCH THE HASHES"):
        return (f"a downloaded package is not the one that requirements.lock names, so it was not installed: empty pip's "
                f"cache with `python3 -m pip cache purge` and run the command again{log}.")
    if says("CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError"):
        return (f"the package index showed a certificate that this Python does not trust, as behind some company networks: "
                f"set PIP_CERT to the network's certificate file and run the command again{log}.")
    if says("NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|Max retries exceeded|Connection ?(refused|reset|"
            "aborted|broken)|Temporary failure in name resolution|Name or service not known|Network is unreachable|"
            "IncompleteRead"):
        return (f"the package index cannot be reached: check the network (or the proxy, or PIP_INDEX_URL if you use a "
                f"mirror) and run the command again, it goes on where it stopped{log}.")
    missing = says(r"No matching distribution found for (\S+)")
    if missing:
        return (f"the package index has no ready-made {missing.group(1)} for this machine: the course installs on Linux "
                f"(x86-64) and on Macs with an Apple processor, elsewhere use Binder{log}.")
    if says(r"Permission denied|\[Errno 13\]"):
        return f"a file may not be written while {doing}: make sure that {ROOT} and pip's cache belong to you, and run the command again{log}."
    errors = [line for line in output.splitlines() if "error" in line.lower()] or output.strip().splitlines() or ["no message"]
    return f"{doing} failed, and the last message is \"{errors[-1].strip()[:200]}\": run the command again, or report this{log}."


def settings(prefix):
    folder = Path(prefix) / "share" / "jupyter" / "lab" / "settings"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "overrides.json").write_text(json.dumps(LAB_SETTINGS, indent=1) + "\n")


def alone():
    """Wait until no other set-up works on this folder (two `make` at once).  Ends with the process."""
    try:
        import fcntl
        handle = os.open(str(ROOT), os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up of this folder to end")
            fcntl.flock(handle, fcntl.LOCK_EX)
    except (ImportError, OSError):
        pass                                             # no such locks on this file system: go on without


def say(text):
    print("mlms: " + text, flush=True)


def main(arguments):
    if arguments == ["--here"]:
        if not OLDEST <= sys.version_info[:2] <= NEWEST:
            raise Trouble(f"the course needs Python {dotted(OLDEST)} to {dotted(NEWEST)}, and this is {dotted(sys.version_info)}.")
        install(sys.executable, Path(sysconfig.get_path("purelib")))
        settings(sys.prefix)
        return
    if arguments:
        raise Trouble("usage: python3 scripts/setup_env.py [--here]")
    if os.name == "nt":
        raise Trouble("on Windows, run this inside WSL (Windows Subsystem for Linux), or use conda with environment.yml.")
    if is_built():
        return
    alone()
    if is_built():                                       # by the set-up that we waited for
        return
    start = time.time()
    find_python()
    check_disk()
    if STAMP.exists():
        STAMP.unlink()
    make_venv()
    version = probe(VENV_PYTHON)[0]
    site_packages = VENV / "lib" / ("python" + dotted(version)) / "site-packages"
    forget_damaged(site_packages)
    install(str(VENV_PYTHON), site_packages)
    settings(VENV)
    STAMP.write_text(stamp(version))
    say(f"set-up done in {time.time() - start:.0f} s")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Trouble as trouble:
        sys.exit(f"mlms: {trouble}")
    except KeyboardInterrupt:
        sys.exit("\nmlms: interrupted; run the same command again to go on.")
    except OSError as error:
        sys.exit(f"mlms: {explain(str(error), 'setting up')}")
