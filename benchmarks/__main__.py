"""Measure speed and models anew, into docs/; on a machine that does nothing else.

    python -m benchmarks                    all
    python -m benchmarks training slider    these

Each runs in a process of its own, and ends with status 1 where what was asked for is missed.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLES = {  # of each benchmark, in docs/
    "training": "training-speed",
    "descriptors": "descriptor-speed",
    "parallel": "parallel",
    "slider": "slider-speed",
    "hole_traps": "hole-trap-levels",
    "seeds": "seeds",
    "topology": "topology",
    "small_data": "small-data",
    "size": "size",
    "lattice": "lattice-models",
    "uncertainty": "uncertainty",
    "active": "active-learning",
    "water": "beyond-dft",
    "locality": "locality",
    "potentials": "potentials",
}


def main(names):
    unknown = [name for name in names if name not in TABLES]
    if unknown:
        return f"mlms: no benchmark is named {', '.join(unknown)}; there are {', '.join(TABLES)}."
    missed = []
    for name in names or TABLES:
        command = [sys.executable, "-m", f"benchmarks.{name}", "--table", f"docs/{TABLES[name]}.md"]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            missed.append(name)
    return (
        f"mlms: what was asked for is missed, or could not be measured, in: {', '.join(missed)}."
        if missed
        else 0
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
