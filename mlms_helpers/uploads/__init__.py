"""Read a structure that a reader uploads, or say in one sentence why it cannot be used.

This is the one place in the course where data come from outside.  Whatever is wrong with a file ends here as
a `ValueError` with one plain sentence: what is wrong, where, and what to do.  Sentence and note may quote the
file; whoever puts it into HTML escapes it.  What a model can treat, the model says (`hole_traps.check`).
"""

import contextlib
import re

import ase
import numpy as np

from mlms_helpers import descriptors
from mlms_helpers.uploads import cif, poscar, xyz
from mlms_helpers.uploads._sentences import MAX_ATOMS, Unusable, few_enough, listed, short

MAX_BYTES = 2_000_000
MAX_LINE = 20_000  # characters
CLOSEST = 0.7  # A, between two atoms; those of H2 are 0.74 apart
THINNEST = 1.0  # A, between opposite faces of the cell; of no crystal an atom is so near to its own image
LONGEST = 100.0  # A, of a lattice vector
ENDINGS = {
    ".cif": "CIF",
    ".vasp": "POSCAR",
    ".poscar": "POSCAR",
    ".contcar": "POSCAR",
    ".xyz": "extended XYZ",
    ".extxyz": "extended XYZ",
}
ACCEPT = ",".join(ENDINGS)
__all__ = ["ACCEPT", "ENDINGS", "MAX_ATOMS", "MAX_BYTES", "check", "label", "listed", "read"]
_SIGNATURES = {
    b"PK\x03\x04": "a zip archive: unpack it and upload one file from it",
    b"\x1f\x8b": "a gzip file: unpack it first",
    b"BZh": "a bzip2 file: unpack it first",
    b"\xfd7zXZ": "an xz file: unpack it first",
    b"7z\xbc\xaf": "a 7z archive: unpack it first",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x7fELF": "a program",
}


def read(name: str, content: bytes) -> ase.Atoms:
    """A structure from the bytes of a file.

    name: the file's name; its ending says the format: CIF (.cif), POSCAR (.vasp, .poscar, .contcar, or a
        name with POSCAR, CONTCAR or XDATCAR in it), extended XYZ (.xyz, .extxyz).  A path in front of it is
        ignored.
    content: at most 2 MB.  Text may be UTF-8 with or without a mark, UTF-16 with a mark, or Latin-1, with any
        line ends.

    Returns `ase.Atoms` with species, positions (A), cell and periodicity, nothing else from the file.  CIF
    and POSCAR repeat in three directions; extended XYZ as its pbc says, or by default in three directions if
    it has a cell and in none if it has not.  `info["note"]` is there where the reading was not the only one
    possible, and says what was taken: of several structures the last; the symmetry where a CIF contradicts
    itself or leaves it open; a formula that the atoms do not fit.
    Raises ValueError, with one sentence, for everything that is no structure: see also `check`.
    """
    form = "a structure"
    try:
        text = _text(content)
        form = _format(_last(name), text)
        atoms, notes = {"CIF": cif.read, "POSCAR": poscar.read, "extended XYZ": xyz.read}[form](text)
        clean = ase.Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell.array, pbc=atoms.pbc)
        _check(clean)
    except Unusable as fault:
        raise ValueError(f"{label(name)}{fault}") from None
    except Exception as fault:  # the parsers may raise anything; this is the boundary
        raise ValueError(
            f"{label(name)} cannot be read as {form}: its content breaks off or is not laid out as expected "
            f"({type(fault).__name__}). Open it in the program that wrote it and save it again."
        ) from None
    if notes:
        clean.info["note"] = "; ".join(notes)
    return clean


def check(atoms: ase.Atoms, name: str = "the structure") -> None:
    """Raise ValueError, with one sentence, for what no structure can be.

    atoms: any, periodic in some directions or none.  Atoms are counted from 0 in the sentence.
    name: begins the sentence.

    Looked for: no atoms, more than 500 atoms, values that are not finite, a cell that is missing though it
    should repeat, or is flat, thin or very long, and two atoms closer than 0.7 A.
    """
    try:
        _check(atoms)
    except Unusable as fault:
        raise ValueError(f"{name}{fault}") from None


def label(name: str) -> str:
    """How a sentence calls a file: the last part of its path in backticks, short, no control characters."""
    return f"`{_last(name)}`"


# ---------------------------------------------------------------- what `check` looks for


def _check(atoms: ase.Atoms) -> None:
    for test in (_count, _finite, _cell, _distances):
        test(atoms)


def _count(atoms: ase.Atoms) -> None:
    if len(atoms) == 0:
        raise Unusable("there are no atoms in it")
    few_enough(len(atoms))


def _finite(atoms: ase.Atoms) -> None:
    if not np.isfinite(atoms.cell.array).all():
        raise Unusable("a lattice vector holds a value that is not a finite number")
    bad = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(bad):
        raise Unusable(
            f"the position of atom {bad[0]} ({atoms.symbols[bad[0]]}, counted from 0) is not a finite number"
        )


def _cell(atoms: ase.Atoms) -> None:
    if not atoms.pbc.any():
        return
    if not atoms.cell.any():
        raise Unusable(
            "it repeats (pbc), but there is no cell. Give three lattice vectors "
            '(extended XYZ: Lattice="ax ay az bx by bz cx cy cz" in the second line).'
        )
    cell = atoms.cell.complete().array if not atoms.pbc.all() else atoms.cell.array
    lengths, volume = np.linalg.norm(cell, axis=1), abs(np.linalg.det(cell))
    if (lengths < 1e-6).any() or volume < 1e-6 * lengths.prod():
        raise Unusable(
            "the cell has zero volume: its three lattice vectors lie in one plane. Give three independent "
            "vectors."
        )
    if lengths.max() > LONGEST:
        raise Unusable(
            f"a lattice vector is {lengths.max():,.0f} A long; the limit is {LONGEST:.0f} A. "
            "Are the units A? Or choose a more compact cell."
        )
    thickness = volume / np.linalg.norm(np.cross(cell[[1, 2, 0]], cell[[2, 0, 1]]), axis=1)
    thickness[~atoms.pbc] = np.inf
    if thickness.min() < THINNEST:
        raise Unusable(
            f"the cell is only {thickness.min():.2f} A thick along lattice vector "
            f"{'abc'[thickness.argmin()]}: an atom "
            "would nearly touch its own image. Are the units A, and is the cell complete?"
        )


def _distances(atoms: ase.Atoms) -> None:
    i, j, r = descriptors.neighbours(atoms, CLOSEST)
    if len(i):
        distance = np.linalg.norm(r, axis=1)
        a, b = sorted((int(i[distance.argmin()]), int(j[distance.argmin()])))
        raise Unusable(
            f"atom {a} ({atoms.symbols[a]}) and atom {b} ({atoms.symbols[b]}) are {distance.min():.2f} A "
            "apart (atoms counted from 0), "
            f"but no two atoms come closer than {CLOSEST} A. Is one of them there twice, or are the units "
            "not A?"
        )


# ---------------------------------------------------------------- from bytes to text, and which format it is


def _last(name: str) -> str:
    """The last part of a path, without control characters, short enough for a sentence."""
    last = re.split(r"[/\\]", str(name))[-1]
    return short("".join(c for c in last if c.isprintable()).strip(), 80) or "the upload"


def _text(content: bytes) -> str:
    """The content as text with plain line ends."""
    if not isinstance(content, (bytes, bytearray, memoryview)):
        raise Unusable(
            f'bytes are needed, as open(name, "rb").read() gives them, but the content is of type '
            f"{type(content).__name__}"
        )
    content = bytes(content)
    if len(content) > MAX_BYTES:
        raise Unusable(
            f"{len(content) / 1e6:.1f} MB are too much: the limit is {MAX_BYTES / 1e6:.0f} MB. Upload one "
            "structure, not a trajectory."
        )
    if not content.strip():
        raise Unusable("the file is empty")
    for signature, what in _SIGNATURES.items():
        if content.startswith(signature):
            raise Unusable(f"this is {what}. Structures are read from CIF, POSCAR and extended XYZ files.")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        with contextlib.suppress(UnicodeError):
            content = content.decode("utf-16").encode()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeError:  # a name with an umlaut in an old file: Latin-1 is what the CIF standard asks for
        text = content.decode("latin-1")
    text = re.sub("\r\n?", "\n", text)
    text = re.sub(r"\x1a[\s\x1a\x00]*\Z", "\n", text)  # Ctrl-Z: so DOS ended its text files
    if re.search("[\x00-\x08\x0e-\x1f\x7f]", text):
        raise Unusable(
            "this is a binary file, not text. Structures are read from CIF, POSCAR and extended XYZ files."
        )
    longest, line = max((len(s), n) for n, s in enumerate(text.split("\n"), 1))
    if longest > MAX_LINE:
        raise Unusable(
            f", line {line}: the line has {longest:,} characters, which no structure file needs; the limit "
            f"is {MAX_LINE:,}"
        )
    if not text.strip():
        raise Unusable("the file is empty")
    return text


def _format(name: str, text: str) -> str:
    """CIF, POSCAR or extended XYZ: what the name says, if the content does not say otherwise."""
    ending = "." + name.lower().rpartition(".")[2]
    form = ENDINGS.get(ending) or ("POSCAR" if re.search("poscar|contcar|xdatcar", name, re.I) else None)
    looks = _looks_like(text)
    if form is None:
        hint = f" The content looks like {looks}." if looks in ENDINGS.values() else ""
        raise Unusable(
            "the name does not say which format it is. Call it something.cif (CIF), POSCAR or "
            f"something.vasp, or something.extxyz.{hint}"
        )
    if looks and looks != form:
        mend = (
            f"Give it the ending {next(e for e, f in ENDINGS.items() if f == looks)}."
            if looks in ENDINGS.values()
            else "Export the structure as CIF, POSCAR or extended XYZ."
        )
        raise Unusable(f"by its name this is {form}, but the content is {looks}. {mend}")
    return form


def _looks_like(text: str) -> str | None:
    """A format, or None where the content does not tell."""
    lines = text.split("\n", 8)[:8]
    start = text.lstrip()[:200].lower()
    if poscar.looks_so(lines):  # before all others: a title may hold anything
        return "POSCAR"
    if xyz.looks_so(lines):
        return "extended XYZ"
    if start.startswith(("<!doctype html", "<html")):
        return "a web page"
    if start.startswith("<?xml"):
        return "XML"
    if cif.looks_so(text):
        return "CIF"
    if start[:1] in ("{", "["):
        return "JSON"
    return None
