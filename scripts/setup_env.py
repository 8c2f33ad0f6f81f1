"""Build .venv from requirements.lock, or find it built: the first step of `make lab`, `test` and `setup`.

    python3 scripts/setup_env.py            .venv of this folder
    python3 scripts/setup_env.py --here     into the Python that runs this script (Binder, conda)

Runs on Python 3.6 too, to say which one the course needs.  A finished .venv holds a stamp: without it .venv
is made anew (uv has kept what was downloaded), with an older one it is brought up to date if that works.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK, LOG, VENV = ROOT / "requirements.lock", ROOT / "setup.log", ROOT / ".venv"
STAMP, PYTHON = VENV / "setup-done.txt", VENV / "bin" / "python"
GIGABYTES = 2.5  # of free disk
WHY = {  # what venv, pip or uv print: what it means
    "no space left|quota exceeded": f"the disk is full: free {GIGABYTES} GB where {ROOT} lies",
    "ensurepip": "this Python cannot make virtual environments: on Debian, sudo apt install python3-venv",
    "sending request|failed to fetch|connection|timed out|name resolution": "the package index cannot be "
    "reached: check the network (for a mirror, set PIP_INDEX_URL)",
}


def stamp():
    """What a finished .venv was made for; the folder counts, since the scripts in .venv name it."""
    contents = b"".join(path.read_bytes() for path in (LOCK, ROOT / "pyproject.toml", Path(__file__)))
    return f"{ROOT}\n{hashlib.sha256(contents).hexdigest()}\n"


def run(*command):
    """One step, its output in the log; where it fails, one sentence says why."""
    variables = dict(os.environ, PIP_USER="0")
    if "PIP_INDEX_URL" in variables:
        variables.setdefault("UV_DEFAULT_INDEX", variables["PIP_INDEX_URL"])
    with LOG.open("w") as log:
        status = subprocess.call([*map(str, command)], cwd=str(ROOT), env=variables, stdout=log, stderr=log)
    if status:
        said = LOG.read_text(errors="replace").strip() or f"status {status}"
        reasons = [why for pattern, why in WHY.items() if re.search(pattern, said, re.IGNORECASE)]
        reason = [*reasons, "the set-up failed with: " + said.splitlines()[-1].strip()][0]
        sys.exit(f"mlms: {reason}; then run the same command again, it goes on from there (log: {LOG}).")


def main(here):
    built = STAMP.read_text() if not here and STAMP.exists() and PYTHON.exists() else ""
    if built == stamp():
        return
    if os.name == "nt":
        sys.exit("mlms: on Windows, run this in WSL (Linux for Windows), or use conda with environment.yml.")
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):  # as requires-python in pyproject.toml
        found = ".".join(map(str, sys.version_info[:2]))
        sys.exit(f"mlms: Python {found} is not 3.11 to 3.13: install one of these, give PYTHON=python3.11.")
    free = shutil.disk_usage(str(ROOT)).free / 1e9
    if not built and free < GIGABYTES:
        sys.exit(f"mlms: the disk is too full: {free:.1f} GB are free at {ROOT}, {GIGABYTES} are needed.")
    print("mlms: installing the course's packages: about a minute, the first time", flush=True)
    if not here and not built.startswith(f"{ROOT}\n"):
        run(sys.executable, "-m", "venv", "--clear", VENV)
    prefix, python = (sys.prefix, sys.executable) if here else (VENV, PYTHON)
    run(python, "-m", "pip", "install", "uv>=0.13,<0.14")
    install = [python, "-m", "uv", "pip", "install", "--python", python, "--build-constraints", LOCK]
    run(*install, "--require-hashes", "--compile-bytecode", "-r", LOCK)
    run(*install, "--no-deps", "-e", ROOT)
    shutil.copytree(ROOT / "settings", prefix, dirs_exist_ok=True)
    Path(prefix, STAMP.name).write_text(stamp())


if __name__ == "__main__":
    try:
        main(sys.argv[1:] == ["--here"])
    except (OSError, KeyboardInterrupt) as error:
        if STAMP.exists():  # uv may have been in the middle of a package
            STAMP.unlink()
        sys.exit(f"mlms: the set-up was stopped by {error!r}: run the same command again to go on.")
