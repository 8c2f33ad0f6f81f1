"""Read a structure that a reader uploads, or say in one sentence why it cannot be used.

This is the one place in the course where data come from outside.  Whatever is wrong with a file ends here as
a `ValueError` with one plain sentence: what is wrong, where, and what to do.  The sentence may quote the
file; whoever puts it into HTML escapes it.  What a model can treat, the model says (`hole_traps.check`).
"""

import contextlib
import io
import math
import re
import warnings
from collections.abc import Iterable

import ase.io
import numpy as np
from ase.data import chemical_symbols
from ase.io.cif import CIFBlock, parse_cif
from ase.spacegroup.spacegroup import parse_sitesym

from mlms_helpers import descriptors

MAX_BYTES = 2_000_000
MAX_LINE = 20_000  # characters
MAX_ATOMS = 500  # the Ewald sum of 10,000 takes minutes and gigabytes
CLOSEST = 0.7  # A, between two atoms; those of H2 are 0.74 apart
THINNEST = 1.0  # A, between opposite faces of the cell; of no crystal an atom is so near to its own image
LONGEST = 100.0  # A, of a lattice vector
SAME = 0.05  # A, between two images of an atom of a CIF that count as one
ENDINGS = {
    ".cif": "CIF",
    ".vasp": "POSCAR",
    ".poscar": "POSCAR",
    ".contcar": "POSCAR",
    ".xyz": "extended XYZ",
    ".extxyz": "extended XYZ",
}
ACCEPT = ",".join(ENDINGS)
_KNOWN = frozenset(chemical_symbols[1:])
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
        name with POSCAR or CONTCAR in it), extended XYZ (.xyz, .extxyz).  A path in front of it is ignored.
    content: at most 2 MB.  Text may be UTF-8 with or without a mark, UTF-16 with a mark, or Latin-1, with any
        line ends.

    Returns `ase.Atoms` with species, positions (A), cell and periodicity, nothing else from the file.  CIF
    and POSCAR repeat in three directions; extended XYZ as its pbc says, or by default in three directions if
    it has a cell and in none if it has not.  Of several structures the last is taken, as ASE does, and
    `info["note"]` says so.
    Raises ValueError, with one sentence, for everything that is no structure: see also `check`.
    """
    form = "a structure"
    try:
        text = _text(content)
        form = _format(_last(name), text)
        atoms, note = {"CIF": _cif, "POSCAR": _poscar, "extended XYZ": _xyz}[form](text)
        clean = ase.Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell.array, pbc=atoms.pbc)
        _check(clean)
    except _Unusable as fault:
        raise ValueError(f"{label(name)}{fault}") from None
    except Exception as fault:  # the parsers may raise anything; this is the boundary
        raise ValueError(
            f"{label(name)} cannot be read as {form}: its content breaks off or is not laid out as expected "
            f"({type(fault).__name__}). Open it in the program that wrote it and save it again."
        ) from None
    if note:
        clean.info["note"] = note
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
    except _Unusable as fault:
        raise ValueError(f"{name}{fault}") from None


def label(name: str) -> str:
    """How a sentence calls a file: the last part of its path in backticks, short, no control characters."""
    return f"`{_last(name)}`"


def listed(words: Iterable[str]) -> str:
    """Words as a list in a sentence, not too long: "O", "Li and O", "Li, N and O"."""
    words = [_short(w, 20) for w in words]
    if len(words) > 6:
        words = [*words[:6], "more"]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


class _Unusable(Exception):
    """A finished sentence without its beginning, the name of the file: it stays in this module."""

    def __str__(self) -> str:
        text = " ".join(str(self.args[0]).split())
        return text if text.startswith(",") else ": " + text


# ---------------------------------------------------------------- what `check` looks for


def _check(atoms: ase.Atoms) -> None:
    for test in (_count, _finite, _cell, _distances):
        test(atoms)


def _count(atoms: ase.Atoms) -> None:
    if len(atoms) == 0:
        raise _Unusable("there are no atoms in it")
    _few_enough(len(atoms))


def _few_enough(count: int, at_least: bool = False) -> None:
    if count > MAX_ATOMS:
        raise _Unusable(
            f"{f'more than {MAX_ATOMS}' if at_least else f'{count:,}'} atoms are too many: the limit is "
            f"{MAX_ATOMS}, because electrostatics over a larger cell takes too long "
            f"and too much memory here. Give a smaller periodic cell."
        )


def _finite(atoms: ase.Atoms) -> None:
    if not np.isfinite(atoms.cell.array).all():
        raise _Unusable("a lattice vector holds a value that is not a finite number")
    bad = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(bad):
        raise _Unusable(
            f"the position of atom {bad[0]} ({atoms.symbols[bad[0]]}, counted from 0) is not a finite number"
        )


def _cell(atoms: ase.Atoms) -> None:
    if not atoms.pbc.any():
        return
    if not atoms.cell.any():
        raise _Unusable(
            "it repeats (pbc), but there is no cell. Give three lattice vectors "
            '(extended XYZ: Lattice="ax ay az bx by bz cx cy cz" in the second line).'
        )
    cell = atoms.cell.complete().array if not atoms.pbc.all() else atoms.cell.array
    lengths, volume = np.linalg.norm(cell, axis=1), abs(np.linalg.det(cell))
    if (lengths < 1e-6).any() or volume < 1e-6 * lengths.prod():
        raise _Unusable(
            "the cell has zero volume: its three lattice vectors lie in one plane. Give three independent "
            "vectors."
        )
    if lengths.max() > LONGEST:
        raise _Unusable(
            f"a lattice vector is {lengths.max():,.0f} A long; the limit is {LONGEST:.0f} A. "
            "Are the units A? Or choose a more compact cell."
        )
    thickness = volume / np.linalg.norm(np.cross(cell[[1, 2, 0]], cell[[2, 0, 1]]), axis=1)
    thickness[~atoms.pbc] = np.inf
    if thickness.min() < THINNEST:
        raise _Unusable(
            f"the cell is only {thickness.min():.2f} A thick along lattice vector "
            f"{'abc'[thickness.argmin()]}: an atom "
            "would nearly touch its own image. Are the units A, and is the cell complete?"
        )


def _distances(atoms: ase.Atoms) -> None:
    i, j, r = descriptors.neighbours(atoms, CLOSEST)
    if len(i):
        distance = np.linalg.norm(r, axis=1)
        a, b = sorted((int(i[distance.argmin()]), int(j[distance.argmin()])))
        raise _Unusable(
            f"atom {a} ({atoms.symbols[a]}) and atom {b} ({atoms.symbols[b]}) are {distance.min():.2f} A "
            "apart (atoms counted from 0), "
            f"but no two atoms come closer than {CLOSEST} A. Is one of them there twice, or are the units "
            "not A?"
        )


# ---------------------------------------------------------------- from bytes to text, and which format it is


def _last(name: str) -> str:
    """The last part of a path, without control characters, short enough for a sentence."""
    last = re.split(r"[/\\]", str(name))[-1]
    return _short("".join(c for c in last if c.isprintable()).strip(), 80) or "the upload"


def _short(text: object, longest: int = 30) -> str:
    text = str(text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _text(content: bytes) -> str:
    """The content as text with plain line ends."""
    if not isinstance(content, (bytes, bytearray, memoryview)):
        raise _Unusable(
            f'bytes are needed, as open(name, "rb").read() gives them, but the content is of type '
            f"{type(content).__name__}"
        )
    content = bytes(content)
    if len(content) > MAX_BYTES:
        raise _Unusable(
            f"{len(content) / 1e6:.1f} MB are too much: the limit is {MAX_BYTES / 1e6:.0f} MB. Upload one "
            "structure, not a trajectory."
        )
    if not content.strip():
        raise _Unusable("the file is empty")
    for signature, what in _SIGNATURES.items():
        if content.startswith(signature):
            raise _Unusable(f"this is {what}. Structures are read from CIF, POSCAR and extended XYZ files.")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        with contextlib.suppress(UnicodeError):
            content = content.decode("utf-16").encode()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeError:  # a name with an umlaut in an old file: Latin-1 is what the CIF standard asks for
        text = content.decode("latin-1")
    text = re.sub("\r\n?", "\n", text)
    if re.search("[\x00-\x08\x0e-\x1f\x7f]", text):
        raise _Unusable(
            "this is a binary file, not text. Structures are read from CIF, POSCAR and extended XYZ files."
        )
    longest, line = max((len(s), n) for n, s in enumerate(text.split("\n"), 1))
    if longest > MAX_LINE:
        raise _Unusable(
            f", line {line}: the line has {longest:,} characters, which no structure file needs; the limit "
            f"is {MAX_LINE:,}"
        )
    if not text.strip():
        raise _Unusable("the file is empty")
    return text


def _format(name: str, text: str) -> str:
    """CIF, POSCAR or extended XYZ: what the name says, if the content does not say otherwise."""
    ending = "." + name.lower().rpartition(".")[2]
    form = ENDINGS.get(ending) or ("POSCAR" if re.search("poscar|contcar", name, re.I) else None)
    looks = _looks_like(text)
    if form is None:
        hint = f" The content looks like {looks}." if looks in ENDINGS.values() else ""
        raise _Unusable(
            "the name does not say which format it is. Call it something.cif (CIF), POSCAR or "
            f"something.vasp, or something.extxyz.{hint}"
        )
    if looks and looks != form:
        mend = (
            f"Give it the ending {next(e for e, f in ENDINGS.items() if f == looks)}."
            if looks in ENDINGS.values()
            else "Export the structure as CIF, POSCAR or extended XYZ."
        )
        raise _Unusable(f"by its name this is {form}, but the content is {looks}. {mend}")
    return form


def _looks_like(text: str) -> str | None:
    """A format, or None where the content does not tell."""
    lines = [line.strip() for line in text.split("\n", 8)[:8]]
    start = text.lstrip()[:200].lower()
    if start.startswith(("<!doctype html", "<html")):
        return "a web page"
    if start.startswith("<?xml"):
        return "XML"
    if re.search(r"^\s*(data_|_cell_length_a|_atom_site_)", text, re.M | re.I):
        return "CIF"
    if (
        len(lines) > 4
        and len(_numbers(lines[1])) in (1, 3)
        and all(len(_numbers(s)) >= 3 for s in lines[2:5])
    ):
        return "POSCAR"
    if re.fullmatch(r"\d+", lines[0]) and (
        (len(lines) > 1 and "Lattice=" in lines[1])
        or (len(lines) > 2 and re.match(r"[A-Za-z]{1,2}\s+\S*\d", lines[2]))
    ):
        return "extended XYZ"
    if start[:1] in "{[":
        return "JSON"
    return None


def _numbers(line: str) -> list[float]:
    """The finite numbers with which a line begins."""
    found = []
    for word in line.split():
        number = _float(word)
        if number is None or not math.isfinite(number):
            break
        found.append(number)
    return found


def _float(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


# ---------------------------------------------------------------- the three formats: look, then let ASE read


def _ase(text: str, form: str) -> ase.Atoms:
    """What ASE makes of a text whose shape has been looked at; it must not talk to the reader."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        return ase.io.read(io.StringIO(text), format=form, index=-1)


def _coordinates(words: list[str], line: int, what: str = "three coordinates") -> None:
    """Complain about the first of some words that is not a finite number."""
    if len(words) < 3:
        raise _Unusable(
            f", line {line}: {what} were expected, but there {'is' if len(words) == 1 else 'are'} only "
            f"{len(words)}"
        )
    for word in words:
        number = _float(word)
        if number is None:
            raise _Unusable(
                f", line {line}: {_short(word)!r} was found where a number was expected, one of {what}"
            )
        if not math.isfinite(number):
            raise _Unusable(
                f", line {line}: {_short(word)!r} is not a finite number, so the atom has no place"
            )


def _element(symbol: str, line: int) -> None:
    if symbol not in _KNOWN:
        raise _Unusable(f", line {line}: {_short(symbol)!r} is no chemical element")


def _poscar(text: str) -> tuple[ase.Atoms, str | None]:
    lines = text.split("\n")

    def at(number: int) -> str:
        if number < len(lines):
            return lines[number]
        raise _Unusable(
            f"the file ends after line {len(lines)}, but the head of a POSCAR has seven lines or more: it "
            "is cut off"
        )

    if len(_numbers(at(1))) not in (1, 3) or any(s == 0 for s in _numbers(at(1))):
        raise _Unusable(
            ", line 2: the scale factor of a POSCAR was expected here (usually 1.0), but there is "
            f"{_short(at(1).strip())!r}"
        )
    for n in (2, 3, 4):
        _coordinates(at(n).split()[:3], n + 1, "the three numbers of a lattice vector")
    symbols = [word.split("/")[0].split("_")[0] for word in at(5).split("!")[0].split()]
    if symbols and re.fullmatch(r"\d+", symbols[0]):
        raise _Unusable(
            ', line 6: the species are missing (a POSCAR of VASP 4). Put a line such as "Li P O N" before '
            "the numbers of atoms."
        )
    for symbol in symbols:
        _element(symbol, 6)
    counts = at(6).split("!")[0].split()
    if not counts or len(counts) != len(symbols) or not all(re.fullmatch(r"\d{1,9}", c) for c in counts):
        raise _Unusable(
            f", line 7: {len(symbols)} species need as many numbers of atoms, but there is "
            f"{_short(at(6).strip())!r}"
        )
    total = sum(map(int, counts))
    _few_enough(total)
    first = 9 if at(7).strip().lower().startswith("s") else 8  # selective dynamics: one line more
    mode = at(first - 1).strip()
    if mode[:1].lower() not in ("d", "c", "k"):
        raise _Unusable(
            f', line {first}: "Direct" or "Cartesian" was expected here, but there is {_short(mode)!r}'
        )
    for n in range(first, first + total):
        if n >= len(lines) or not lines[n].strip():
            raise _Unusable(
                f"line 7 promises {total} atoms, but the file has only {n - first}: it is cut off, or the "
                "number is wrong"
            )
        _coordinates(lines[n].split()[:3], n + 1)
    if first + total < len(lines) and len(_numbers(lines[first + total])) >= 3:
        raise _Unusable(
            f", line {first + total + 1}: line 7 promises {total} atoms, but there are more. Correct the "
            "numbers in line 7."
        )
    # velocities and the like, which follow, are none of our business
    return _ase("\n".join(lines[: first + total]) + "\n", "vasp"), None


def _xyz(text: str) -> tuple[ase.Atoms, str | None]:
    lines = text.rstrip().split("\n")
    start, frames, count = 0, 0, 0
    while start < len(lines):
        head = lines[start].strip()
        if not re.fullmatch(r"\d{1,12}", head):
            more = (
                f"the head promises {count} atoms, but more follow. Correct the number."
                if frames
                else "an extended XYZ file begins with the number of atoms"
            )
            raise _Unusable(
                f", line {start + 1}: {_short(head)!r} was found where a number of atoms was expected; {more}"
            )
        frames, first, count = frames + 1, start, int(head)
        _few_enough(count)
        start += 2 + count
        if start > len(lines):
            raise _Unusable(
                f", line {first + 1}: {count} atoms are promised, but the file has only "
                f"{max(0, len(lines) - first - 2)} more lines for them: "
                f"it is cut off, or the number is wrong"
            )
    comment = lines[first + 1]
    kind, species, place, width = _columns(comment, first + 2)
    for n in range(first + 2, first + 2 + count):
        words = lines[n].split()
        if len(words) < width:
            raise _Unusable(f", line {n + 1}: {width} columns were expected, but there are only {len(words)}")
        if kind == "species":
            _element(words[species].capitalize(), n + 1)
        _coordinates(words[place : place + 3], n + 1)
    lattice = re.search(r"\bLattice\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|\{([^}]*)\}|\[([^\]]*)\])", comment)
    if "Lattice" in comment:
        values = (
            next((g for g in lattice.groups() if g is not None), "").replace(",", " ").split()
            if lattice
            else []
        )
        if len(values) != 9 or len(_numbers(" ".join(values))) != 9:
            raise _Unusable(
                f", line {first + 2}: Lattice needs nine finite numbers in quotes, ax ay az bx by bz cx cy cz"
            )
        # only what we need: the rest of the line may hold anything
        cell = f'Lattice="{" ".join(values)}" '
    else:
        cell = ""
    cell += _periodicity(comment, first + 2, "F" if not cell else "T")
    properties = re.search(r"\bProperties\s*=\s*\"?([^\s\"]+)", comment)
    comment = cell + (f"Properties={properties[1]}" if properties else "")
    atoms = _ase("\n".join([str(count), comment, *lines[first + 2 : first + 2 + count]]) + "\n", "extxyz")
    return atoms, f"the file holds {frames} structures; this is the last" if frames > 1 else None


def _periodicity(comment: str, line: int, default: str) -> str:
    """What an extended XYZ file says of pbc, as ASE reads it; default: T or F, where it says nothing."""
    said = re.search(r"\bpbc\s*=\s*(\"[^\"]*\"|'[^']*'|\{[^}]*\}|\[[^\]]*\]|\S+)", comment, re.I)
    words = re.sub(r"[\"'{}\[\],]", " ", said[1] if said else default).split()
    meaning = {"t": "T", "true": "T", "1": "T", "f": "F", "false": "F", "0": "F"}
    letters = [meaning.get(word.lower()) for word in words]
    if None in letters or len(letters) not in (1, 3):
        raise _Unusable(f', line {line}: pbc must be three letters such as "T T F", not {_short(said[1])!r}')
    return f'pbc="{" ".join(letters * (3 // len(letters)))}" '


def _columns(comment: str, line: int) -> tuple[str, int, int, int]:
    """Where a row of extended XYZ holds what: (species or Z, its column, that of x, columns in all)."""
    properties = re.search(r"\bProperties\s*=\s*\"?([^\s\"]+)", comment)
    fields = (properties[1] if properties else "species:S:1:pos:R:3").split(":")
    if (
        len(fields) % 3
        or not all(re.fullmatch(r"[1-9]\d{0,3}", c) for c in fields[2::3])
        or not set(fields[1::3]) <= set("SRIL")
    ):
        raise _Unusable(
            f", line {line}: Properties must be triplets such as species:S:1:pos:R:3, not "
            f"{_short(properties[1], 60)!r}"
        )
    ends = np.cumsum([int(c) for c in fields[2::3]])
    column = dict(zip(fields[::3], (ends - [int(c) for c in fields[2::3]]).tolist(), strict=True))
    width = dict(zip(fields[::3], map(int, fields[2::3]), strict=True))
    kind = "species" if "species" in column else "Z"
    if kind not in column or width.get("pos") != 3:
        raise _Unusable(f", line {line}: Properties must name species and pos, as in species:S:1:pos:R:3")
    return kind, column[kind], column["pos"], int(ends[-1])


def _cif(text: str) -> tuple[ase.Atoms, str | None]:
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(record=True) as said,
    ):
        warnings.simplefilter("always")
        blocks = _blocks(text)
        block = blocks[-1]
        _look(block)
        ragged = [str(w.message) for w in said if str(w.message).startswith("Wrong number")]
        if ragged:
            raise _Unusable(
                f"a row of a list has a wrong number of columns: {_short(ragged[0].partition(': ')[2], 80)}"
            )
        atoms = _expand(block)
    return atoms, f"the file holds {len(blocks)} structures; this is the last" if len(blocks) > 1 else None


def _blocks(text: str) -> list[CIFBlock]:
    """Parts of a CIF that hold a structure."""
    if not re.search(r"^\s*data_", text, re.M | re.I):
        raise _Unusable("a CIF needs a line that begins with data_, and there is none. Is it a CIF?")
    try:
        blocks = list(parse_cif(io.StringIO(text)))
    except Exception as fault:
        where = (
            "in the middle of a list"
            if "CIF loop ended" in str(fault)
            else "somewhere in the text, perhaps before a quotation is closed"
        )
        raise _Unusable(
            f"the CIF breaks off {where}: it is cut off or damaged. Save it again in the program that "
            "wrote it."
        ) from None
    try:
        blocks = [block for block in blocks if block.has_structure()]
    except Exception:
        raise _Unusable(
            "a label in the list of atoms is no chemical element, such as Li, Li1 or O2-"
        ) from None
    if not blocks:
        raise _Unusable(
            "the CIF lists no atoms (_atom_site_type_symbol or _atom_site_label, _atom_site_fract_x and so "
            "on): "
            "it is cut off, or holds something else"
        )
    return blocks


def _look(block: CIFBlock) -> None:
    """What can be wrong in a CIF that parses."""
    cell = block.get_cellpar()
    if cell is None:
        missing = [tag for tag in block.cell_tags if tag not in block]
        raise _Unusable(
            f"there is no cell: the CIF lacks {listed(missing)}"
            if len(missing) < 6
            else "there is no cell: the CIF lacks _cell_length_a, _cell_angle_alpha and their like"
        )
    for tag, value in zip(block.cell_tags, cell, strict=True):
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            raise _Unusable(f"{tag} is {_short(value)!r}, which is not a number")
        if value <= 0 or ("angle" in tag and value >= 180):
            raise _Unusable(f"{tag} is {value:g}, so the cell has zero volume or none at all")
    cosines = np.cos(np.deg2rad(cell[3:]))
    if 1 + 2 * cosines.prod() - (cosines**2).sum() < 1e-10:
        raise _Unusable(
            f"the angles {', '.join(f'{a:g}' for a in cell[3:])} degrees close no cell: it has zero "
            "volume. Check the _cell_angle lines."
        )
    symbols = block.get_symbols()
    _few_enough(len(symbols))
    unknown = sorted(set(symbols) - _KNOWN)
    if unknown:
        raise _Unusable(f"{listed(unknown)} is no chemical element")
    _look_at_sites(block, symbols)


def _look_at_sites(block: CIFBlock, symbols: list[str]) -> None:
    axes = [block.get(f"_atom_site_{kind}_{x}") for kind in ("fract", "cartn") for x in "xyz"]
    axes = axes[:3] if None not in axes[:3] else axes[3:]
    for row, place in enumerate(zip(*axes, strict=False)):
        for value in place:
            if not isinstance(value, (int, float)) or not math.isfinite(value):
                raise _Unusable(
                    f"the position of atom {row} ({symbols[row]}, counted from 0) holds {_short(value)!r}, "
                    "which is not a number"
                )
    for row, share in enumerate(block.get("_atom_site_occupancy") or []):
        if not isinstance(share, (int, float)) and share not in (".", "?"):
            raise _Unusable(
                f"the occupancy of atom {row} ({symbols[row]}, counted from 0) is {_short(share)!r}, which "
                "is not a number"
            )
        if isinstance(share, (int, float)) and abs(share - 1) > 1e-3:
            raise _Unusable(
                f"atom {row} ({symbols[row]}, counted from 0) has the partial occupancy {share:g}. The "
                "model needs every atom in its place: "
                "give one ordered arrangement, for example a supercell in which each site is filled or "
                "empty."
            )


def _expand(block: CIFBlock) -> ase.Atoms:
    """The atoms of a CIF with the images that its symmetry makes; an atom that falls on itself is there once.

    Not left to ASE: when one atom was exchanged and the space group kept, it would quietly drop a species.
    """
    given, said = block.get_unsymmetrized_structure(), block._get_sitesym()
    turn, shift = (
        np.array(part, float)
        for part in (
            parse_sitesym(said) if said else zip(*block.get_spacegroup(True).get_symop(), strict=True)
        )
    )
    cell, symbols, places = given.cell.array, [], np.zeros((0, 3))
    for row, (symbol, start) in enumerate(
        zip(given.symbols, given.get_scaled_positions(wrap=False), strict=True)
    ):
        for image in turn @ start + shift:
            away = places - image
            distance = np.linalg.norm((away - away.round()) @ cell, axis=1)
            if len(distance) and distance.min() < SAME:
                other = symbols[int(distance.argmin())]
                if other != symbol:
                    raise _Unusable(
                        f"atom {row} of the list ({symbol}, counted from 0) lies where another line, or "
                        f"the symmetry, puts {other}. "
                        f"Write the CIF without symmetry (P1), with one species in each place."
                    )
                continue
            symbols.append(symbol)
            places = np.vstack([places, image % 1])
            _few_enough(len(symbols), at_least=True)
    return ase.Atoms(symbols, scaled_positions=places, cell=cell, pbc=True)
