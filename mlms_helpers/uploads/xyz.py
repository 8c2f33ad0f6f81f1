"""Extended XYZ: the comment line is read by its grammar, key=value, and never searched.

Grammar: https://github.com/libAtoms/extxyz
"""

import re

import ase
import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from mlms_helpers.uploads._sentences import (
    KNOWN,
    Unusable,
    as_float,
    coordinates,
    element,
    few_enough,
    numbers,
    several,
    short,
    two_letters,
)

# "a \" b", 'a', {a}, [a], or a word that holds no quotation mark at its start
_VALUE = (
    r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\{[^{}]*\}|\[(?:[^\[\]]|\[[^\[\]]*\])*\]|[^\s"'][^\s]*|(?=\s|$)"""
)
_TOKEN = re.compile(
    rf"""\s*(?:(?P<key>"[^"]*"|'[^']*'|[^\s="',]+)\s*=\s*(?P<value>{_VALUE})|(?P<bare>"[^"]*"|'[^']*'|[^\s]+))"""
)
_NUMBER_COLUMNS = ("Z", "numbers", "atomic_numbers")


def looks_so(lines: list[str]) -> bool:
    return bool(
        re.fullmatch(r"\s*\d+\s*", lines[0])
        and (
            (len(lines) > 1 and "Lattice=" in lines[1])
            or (len(lines) > 2 and re.match(r"\s*[A-Za-z]{1,2}\s+\S*\d", lines[2]))
        )
    )


def read(text: str) -> tuple[ase.Atoms, list[str]]:
    """The last structure, and notes for the reader."""
    lines = text.rstrip().split("\n")
    frames, first, count = _last_frame(lines)
    said, bare = _comment(lines[first + 1], first + 2)
    cell = _lattice(said, first + 2)
    notes = several(frames)
    if cell is None and any(word == "Lattice" or word.lower().startswith("lattice=") for word in bare):
        raise Unusable(
            f', line {first + 2}: Lattice needs nine finite numbers in quotes, Lattice="ax ay az bx by bz '
            'cx cy cz"'
        )
    if cell is None and any("lattice=" in v.lower() for v in said.values()):
        notes.append("the word Lattice stands only inside another value, so there is no cell")
    notes += _unread(said, first + 2, cell is None)
    column, width, strict = _columns(said.get("Properties"), first + 2)
    symbols, places, remarks = [], [], []
    for n in range(first + 2, first + 2 + count):
        words = lines[n].split()
        if len(words) < width or (strict and len(words) > width):
            raise Unusable(
                f", line {n + 1}: {width} columns were expected, but there are "
                f"{'only ' if len(words) < width else ''}{len(words)}"
            )
        symbols.append(_species(words, column, n + 1, remarks))
        places.append(coordinates(words[column["pos"] : column["pos"] + 3], n + 1))
        if "occupancy" in column and as_float(words[column["occupancy"]]) != 1:
            raise Unusable(
                f", line {n + 1}: the occupancy is {short(words[column['occupancy']])}, not 1. Give one "
                "ordered arrangement, in which each site is filled or empty."
            )
    periodic = _periodicity(said.get("pbc"), first + 2, cell is not None)
    atoms = ase.Atoms(symbols, positions=np.array(places).reshape(-1, 3), cell=cell, pbc=periodic)
    return atoms, [*notes, *dict.fromkeys(remarks)]


def _last_frame(lines: list[str]) -> tuple[int, int, int]:
    """How many frames, the first line of the last one (counted from 0), its number of atoms."""
    start, frames, first, count = 0, 0, 0, 0
    while start < len(lines):
        head = lines[start].strip()
        if not re.fullmatch(r"\d{1,12}", head):
            more = (
                f"the head promises {count} atoms, but more follow. Correct the number."
                if frames
                else "an extended XYZ file begins with the number of atoms"
            )
            raise Unusable(
                f", line {start + 1}: {short(head)!r} was found where a number of atoms was expected; {more}"
            )
        frames, first, count = frames + 1, start, int(head)
        few_enough(count)
        start += 2 + count
        if count and start > len(lines):
            raise Unusable(
                f", line {first + 1}: {count} atoms are promised, but the file has only "
                f"{max(0, len(lines) - first - 2)} more lines for them: "
                f"it is cut off, or the number is wrong"
            )
    if first + 1 >= len(lines):
        raise Unusable("there are no atoms in it")
    return frames, first, count


def _comment(line: str, number: int) -> tuple[dict[str, str], list[str]]:
    """Values by key, without their quotation marks or brackets, and the words that belong to no key."""
    said, bare, place = {}, [], 0
    known = {"lattice": "Lattice", "properties": "Properties", "pbc": "pbc"}
    while token := _TOKEN.match(line, place):
        place = token.end()
        if token["key"] is None:
            if token["bare"][0] not in "\"'":
                bare.append(token["bare"])
            continue
        key = token["key"].strip("\"'")
        key = known.get(key.lower(), key)
        value = token["value"]
        value = value[1:-1] if value[:1] in tuple("\"'{[") and len(value) > 1 else value
        if key in known.values() and said.get(key, value) != value:
            raise Unusable(f", line {number}: {key} is there twice, with different values. Keep one of them.")
        said[key] = value
    return said, bare


def _unread(said: dict[str, str], number: int, no_cell: bool) -> list[str]:
    """Notes on keys that may have meant a cell; complains about units that are not A."""
    for key, value in said.items():
        if "unit" in key.lower() and re.fullmatch(r"(?i)bohr|a\.?u\.?|nm|pm|m", value.strip()):
            raise Unusable(f", line {number}: {short(key)} is {short(value)}, but lengths in A are needed")
    cells = [key for key in said if re.fullmatch(r"(?i)(unit_?)?cell\w*|box\w*|tv\w*|vec_?\d", key)]
    if cells and no_cell:
        return [f"{short(cells[0])} is not read (only Lattice is), so there is no cell"]
    return []


def _lattice(said: dict[str, str], number: int) -> np.ndarray | None:
    if "Lattice" not in said:
        return None
    values = numbers(said["Lattice"].replace(",", " "))
    if len(values) != 9 or len(said["Lattice"].replace(",", " ").split()) != 9:
        raise Unusable(
            f", line {number}: Lattice needs nine finite numbers in quotes, ax ay az bx by bz cx cy cz"
        )
    return np.array(values).reshape(3, 3)


def _periodicity(said: str | None, number: int, default: bool) -> list[bool]:
    """What the file says of pbc; default: where it says nothing."""
    if said is None:
        return [default] * 3
    meaning = {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}
    letters = [meaning.get(word.lower()) for word in re.sub(r"[\"'{}\[\],]", " ", said).split()]
    if None in letters or len(letters) not in (1, 3):
        raise Unusable(f', line {number}: pbc must be three letters such as "T T F", not {short(said)!r}')
    return letters * (3 // len(letters))


def _columns(said: str | None, number: int) -> tuple[dict[str, int], int, bool]:
    """The first column of species, Z and pos (as far as they are there), columns in all, are they all."""
    fields = (said or "species:S:1:pos:R:3").split(":")
    if (
        len(fields) % 3
        or not all(re.fullmatch(r"[1-9]\d{0,3}", c) for c in fields[2::3])
        or not set(fields[1::3]) <= set("SRIL")
    ):
        raise Unusable(
            f", line {number}: Properties must be triplets such as species:S:1:pos:R:3, not "
            f"{short(said, 60)!r}"
        )
    names, widths = fields[::3], [int(c) for c in fields[2::3]]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Unusable(
            f", line {number}: Properties names {short(twice[0])} twice. Each name must be unique."
        )
    width, starts = dict(zip(names, widths, strict=True)), np.cumsum([0, *widths]).tolist()
    column = dict(zip(names, starts, strict=False))
    kinds = [name for name in ("species", *_NUMBER_COLUMNS) if name in column]
    if not kinds or width.get("pos") != 3 or any(width[kind] != 1 for kind in kinds):
        raise Unusable(f", line {number}: Properties must name species and pos, as in species:S:1:pos:R:3")
    read_too = [name for name in ("occupancy",) if name in column]
    return {name: column[name] for name in (*kinds, "pos", *read_too)}, starts[-1], said is not None


def _species(words: list[str], column: dict[str, int], number: int, remarks: list[str]) -> str:
    """The element of a row: from the species, which Z must not contradict."""
    found = None
    if "species" in column:
        word = words[column["species"]]
        found = element(word if word in KNOWN else word.capitalize(), number)
        remarks += filter(None, [two_letters(word)])
    for name in _NUMBER_COLUMNS:
        if name not in column:
            continue
        z = words[column[name]]
        if not re.fullmatch(r"\d{1,3}", z) or not 0 < int(z) < len(chemical_symbols):
            raise Unusable(f", line {number}: {short(z)!r} is no atomic number ({name}) of an element")
        if found and atomic_numbers[found] != int(z):
            raise Unusable(
                f", line {number}: the species is {found}, but {name} is {z}, {chemical_symbols[int(z)]}. "
                "Keep the column that is right."
            )
        found = chemical_symbols[int(z)]
    return found
