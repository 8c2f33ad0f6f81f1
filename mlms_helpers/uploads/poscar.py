"""POSCAR, CONTCAR and XDATCAR of VASP."""

import re

import ase
import numpy as np

from mlms_helpers.uploads._sentences import (
    KNOWN,
    Unusable,
    coordinates,
    element,
    far_out,
    few_enough,
    numbers,
    several,
    short,
)


def looks_so(lines: list[str]) -> bool:
    """Scale factors in the second line and three vectors behind it: only this format has that."""
    return (
        len(lines) > 4
        and len(numbers(lines[1])) in (1, 3)
        and all(len(numbers(line)) >= 3 for line in lines[2:5])
    )


def read(text: str) -> tuple[ase.Atoms, list[str]]:
    """The last structure, and notes for the reader.

    A title may hold anything.  Velocities and the like, behind the atoms, are none of our business; another
    head, or another "Direct configuration=", begins another structure.
    """
    lines = text.split("\n")
    frames, head, mode = 1, 0, None
    atoms, after, notes = _structure(lines, 0, None)
    if after < len(lines) and len(numbers(lines[after])) >= 3:
        raise Unusable(
            f", line {after + 1}: line 7 promises {len(atoms)} atoms, but there are more. Correct the "
            "numbers in line 7."
        )
    for n in range(after, len(lines)):
        if n < after:
            continue
        if _configuration(lines[n]):
            mode = n
        elif _head(lines[n : n + 7]):
            head, mode = n, None
        else:
            continue
        frames += 1
        atoms, after, notes = _structure(lines, head, mode)
    return atoms, several(frames) + notes


def _configuration(line: str) -> bool:
    """The line above each step of an XDATCAR."""
    return re.match(r"\s*(direct)?\s*(configuration|konfig)\s*=", line, re.I) is not None


def _head(lines: list[str]) -> bool:
    return len(lines) == 7 and looks_so(lines) and bool(re.match(r"\s*[A-Z]", lines[5]))


def _words(line: str) -> list[str]:
    return re.split("[!#]", line)[0].split()


def _structure(lines: list[str], head: int, mode: int | None) -> tuple[ase.Atoms, int, list[str]]:
    """The structure whose head begins in a line, the line behind its atoms (counted from 0), and notes.

    mode: the line that says "Direct", where it is not that of the head.
    """

    def at(number: int) -> str:
        if head + number < len(lines):
            return lines[head + number]
        raise Unusable(
            f"the file ends after line {len(lines)}, but the head of a POSCAR has seven lines or more: it "
            "is cut off"
        )

    vectors = [_vector(at(n), head + n + 1) for n in (2, 3, 4)] if _scales(at(1), head + 2) else []
    scale = _lengths(np.array(vectors), np.array(_scales(at(1), head + 2)), head + 2)
    symbols, counts = _species(at(5), at(6), head)
    total = sum(counts)
    first = head + 7 if mode is None else mode
    if mode is None and at(7).strip().lower().startswith("s"):  # selective dynamics: one line more
        first += 1
    direct = _direct(at(first - head).strip(), first + 1)
    first += 1
    places, kinds = [], np.repeat(symbols, counts)
    for n in range(first, first + total):
        if n >= len(lines) or not lines[n].strip():
            raise Unusable(
                f"line {head + 7} promises {total} atoms, but the file has only {n - first}: it is cut off, "
                "or the number is wrong"
            )
        words = lines[n].split()
        places.append(coordinates(words[:3], n + 1))
        _same_label(words[3:], kinds[n - first], n + 1)
    cell, places = np.array(vectors) * scale, np.array(places).reshape(-1, 3)
    notes = far_out(places.tolist()) if direct else []
    places = places @ cell if direct else places * scale
    return ase.Atoms(kinds, positions=places, cell=cell, pbc=True), first + total, notes


def _same_label(behind: list[str], kind: str, number: int) -> None:
    """A label such as Li1 behind the coordinates, and flags, must not contradict the order of the species."""
    flags = 3 if len(behind) > 2 and all(re.fullmatch(r"\.?[TF]\w*\.?", w, re.I) for w in behind[:3]) else 0
    label = re.fullmatch(r"([A-Z][a-z]?)\d*", behind[flags]) if len(behind) > flags else None
    if label and label[1] in KNOWN and label[1] != kind:
        raise Unusable(
            f", line {number}: the label is {behind[flags]}, but by the numbers of atoms this is {kind}. "
            "Correct the one that is wrong."
        )


def _vector(line: str, number: int) -> list[float]:
    return coordinates(line.split()[:3], number, "the three numbers of a lattice vector")


def _scales(line: str, number: int) -> list[float]:
    found = numbers(line)
    if len(found) not in (1, 3) or 0 in found or (len(found) == 3 and min(found) < 0):
        raise Unusable(
            f", line {number}: the scale factor of a POSCAR was expected here (usually 1.0; below zero, one "
            f"number alone, it is a volume), but there is {short(line.strip())!r}"
        )
    return found


def _lengths(vectors: np.ndarray, scales: np.ndarray, number: int) -> np.ndarray:
    """By what the vectors and Cartesian coordinates are multiplied, along x, y and z."""
    if scales[0] > 0:
        return scales
    volume = abs(np.linalg.det(vectors))
    if volume < 1e-9:
        raise Unusable(
            "the cell has zero volume: its three lattice vectors lie in one plane. Give three independent "
            f"vectors (below line {number})."
        )
    return (-scales / volume) ** (1 / 3)


def _species(names: str, numbers_of_atoms: str, head: int) -> tuple[list[str], list[int]]:
    symbols = [word.split("/")[0].split("_")[0] for word in _words(names)]
    if symbols and re.fullmatch(r"\d+", symbols[0]):
        raise Unusable(
            f', line {head + 6}: the species are missing (a POSCAR of VASP 4). Put a line such as "Li P O N" '
            "before the numbers of atoms."
        )
    for symbol in symbols:
        element(symbol, head + 6)
    counts = _words(numbers_of_atoms)
    if not counts or len(counts) != len(symbols) or not all(re.fullmatch(r"\d{1,18}", c) for c in counts):
        raise Unusable(
            f", line {head + 7}: {len(symbols)} species need as many numbers of atoms, but there is "
            f"{short(numbers_of_atoms.strip())!r}"
        )
    few_enough(sum(map(int, counts)))
    return symbols, [int(c) for c in counts]


def _direct(mode: str, number: int) -> bool:
    # VASP reads the first letter only, and takes all but C and K for direct; "Polar" may have meant neither.
    first = mode[:1].lower()
    if first in ("d", "f", "c", "k"):
        return first in ("d", "f") or _configuration(mode)
    raise Unusable(
        f', line {number}: "Direct" or "Cartesian" was expected here, but there is {short(mode)!r}'
    )
