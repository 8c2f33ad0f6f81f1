"""CIF: gemmi splits the text into tags and values; what they mean, and whether they agree, is decided here.

Every statement about the number of atoms (operations, formula and Z, multiplicities) is compared with the
others: a symmetry that was lost on the way must not end as a smaller crystal.
Meaning of the tags: https://www.iucr.org/resources/cif/dictionaries/cif_core
"""

import re
import unicodedata
from collections import Counter

import ase
import gemmi
import numpy as np
from ase.data import atomic_numbers
from ase.geometry import cellpar_to_cell

from mlms_helpers.uploads import symmetry
from mlms_helpers.uploads._sentences import (
    KNOWN,
    Unusable,
    far_out,
    few_enough,
    listed,
    several,
    short,
    two_letters,
)
from mlms_helpers.uploads.symmetry import Group, Tags

SAME = 0.05  # A, between two images of an atom that count as one
ROUNDED = 0.5  # A, the same at most, where the coordinates are given so coarsely: 0.33 for 1/3
TOUCHING = 0.7  # A: of two origins, that is wrong which puts atoms so near to one another
_CELL = [f"_cell_length_{x}" for x in "abc"] + [f"_cell_angle_{x}" for x in ("alpha", "beta", "gamma")]
_FRACTIONAL = [f"_atom_site_fract_{x}" for x in "xyz"]
_CARTESIAN = [f"_atom_site_cartn_{x}" for x in "xyz"]
_MULTIPLICITY = ("_atom_site_symmetry_multiplicity", "_atom_site_site_symmetry_multiplicity")
_NO_ATOM = {"x", "xx", "du", "dum", "dummy", "cg", "q", "va", "vac", "void", "cnt", "bq"}
_GROUPS = {"wat", "hoh", "ow", "oh", "ho", "me", "et", "ph"}  # types that stand for several atoms
_MINUS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d"), "-") | {0x2044: "/"}
_QUOTES = {0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"'}
_NUMBER = re.compile(r"([+-]?(?:\d+\.?(\d*)|\.(\d+))(?:[eE][+-]?\d+)?)(?:\((\d+)\))?")


def looks_so(text: str) -> bool:
    """A block and a tag, each at the start of a line."""
    return bool(
        re.search(r"^\s*data_", text, re.M | re.I) and re.search(r"^\s*(loop_|_\w)", text, re.M | re.I)
    )


def read(text: str) -> tuple[ase.Atoms, list[str]]:
    """The last structure, and notes for the reader."""
    blocks = _blocks(text)
    tags, notes = blocks[-1], several(len(blocks))
    cell = _cell(tags)
    sites = _sites(tags, cell, notes)
    said = symmetry.read(tags, cell)
    group = _group(said, tags, sites, cell, notes)
    for site in sites:
        moved = np.linalg.norm((_special(group, site, cell) - site.place) @ cell)
        if moved > SAME:
            notes.append(
                f"the coordinates of atom {site.row} ({site.symbol}) are rounded: it was put on the special "
                f"position {moved:.2f} A from them"
            )
    symbols, places, images = _expand(group, sites, cell)
    notes += said.notes
    _against_formula(tags, symbols, said.kind, notes)
    _against_multiplicities(tags, sites, images, said.kind, len(group.turns), notes)
    _against_volume(tags, cell, notes)
    if len(group.turns) == 1 and len(symbols) < len(sites):
        notes.append(
            f"the list has {len(sites)} lines for {len(symbols)} atoms: one repeats the place of another"
        )
    return ase.Atoms(symbols, scaled_positions=places, cell=cell, pbc=True), notes


# ---------------------------------------------------------------- from text to tags


def _blocks(text: str) -> list[Tags]:
    """The tags and values of every block that lists atoms."""
    if not re.search(r"^\s*data_", text, re.M | re.I):
        raise Unusable("a CIF needs a line that begins with data_, and there is none. Is it a CIF?")
    try:
        document = gemmi.cif.read_string(_plain(text), 0)
    except (ValueError, RuntimeError) as fault:
        later = " It is CIF 2.0: write it as CIF 1.1." if text.lstrip().startswith("#\\#CIF_2") else ""
        raise Unusable(_syntax(str(fault)) + later) from None
    blocks = [_tags(block) for block in document]
    blocks = [tags for tags in blocks if tags.get(_FRACTIONAL[0]) or tags.get(_CARTESIAN[0])]
    if not blocks:
        raise Unusable(
            "the CIF lists no atoms (_atom_site_type_symbol or _atom_site_label, _atom_site_fract_x and so "
            "on): it is cut off, or holds something else"
        )
    return blocks


def _plain(text: str) -> str:
    """As the standard asks for: signs of ASCII, and block names without blanks; lines stay where they are."""
    text = re.sub(r"(\d)[\u0304\u0305]", r"-\1", text)
    lines, inside = unicodedata.normalize("NFKC", text).translate(_MINUS).split("\n"), False
    for n, line in enumerate(lines):
        line = re.sub(r"[\x0b\x0c\x85\u2028\u2029]", " ", line)
        if not re.search("['\"]", line):  # quotes of a word processor
            line = line.translate(_QUOTES)
        lines[n] = line.encode("ascii", "replace").decode()
        if line.startswith(";"):
            inside = not inside
        elif not inside and re.match(r"\s*data_\S*\s+(?!_|loop_|#|save_)\S", line, re.I):
            lines[n] = line.split()[0]
    return "\n".join(lines)


def _syntax(fault: str) -> str:
    """gemmi's complaint in words of ours."""
    number = re.match(r"\w+:(\d+)", fault)
    line = f", line {number[1]}: " if number else ""
    if "Wrong number of values" in fault:
        return (
            f"{line}the list (loop_) that begins here has a row with a wrong number of columns, or a value "
            "with blanks but without quotes, or breaks off: then the CIF is cut off or damaged"
        )
    return (
        f"{line}the CIF breaks off, perhaps before a quotation or a text is closed, or a value with blanks "
        "stands without quotes: it is cut off or damaged. Save it again in the program that wrote it."
    )


def _tags(block: gemmi.cif.Block) -> Tags:
    tags: Tags = {}
    for item in block:
        if item.pair is not None:
            found = [(item.pair[0], [item.pair[1]])]
        elif item.loop is not None:
            width, values = item.loop.width(), list(item.loop.values)
            found = [(tag, values[n::width]) for n, tag in enumerate(item.loop.tags)]
        else:
            continue
        for tag, values in found:
            name = tag.lower().replace(".", "_")
            plain = [v if v in ("?", ".") else gemmi.cif.as_string(v) for v in values]
            ours = name.startswith(("_cell_", "_atom_site_", "_symmetry", "_space_group"))
            ours = ours and not name.startswith("_atom_site_aniso")
            if ours and tags.get(name, plain) != plain:
                raise Unusable(f"{name} is there twice, with different values. Keep one of them.")
            tags[name] = plain
    return tags


def _number(word: str, blank: float | None = None) -> tuple[float, float] | None:
    """Value and uncertainty of 0.25, .25(3) or -1/3, None for anything else; blank: what "." means."""
    word = word.replace(" ", "")
    if word == "." and blank is not None:
        return blank, 0.0
    number, fraction = _NUMBER.fullmatch(word), re.fullmatch(r"([+-]?\d+)/([1-9]\d*)", word)
    if fraction:
        return int(fraction[1]) / int(fraction[2]), 0.0
    if not number or not np.isfinite(float(number[1])):
        return None
    digits = len(number[2] or number[3] or "")
    return float(number[1]), int(number[4] or 0) * 10.0**-digits


def _cell(tags: Tags) -> np.ndarray:
    """The lattice vectors, a along x and b in the plane of x and y."""
    missing = [tag for tag in _CELL if not tags.get(tag)]
    if missing:
        raise Unusable(
            f"there is no cell: the CIF lacks {listed(missing)}"
            if len(missing) < 6
            else "there is no cell: the CIF lacks _cell_length_a, _cell_angle_alpha and their like"
        )
    values = []
    for tag in _CELL:
        value = _number(tags[tag][0], 90.0 if "angle" in tag else None)
        if value is None:
            raise Unusable(f"{tag} is {short(tags[tag][0])!r}, which is not a number")
        if value[0] <= 0 or ("angle" in tag and value[0] >= 180):
            raise Unusable(f"{tag} is {value[0]:g}, so the cell has zero volume or none at all")
        values.append(value[0])
    cosines = np.cos(np.deg2rad(values[3:]))
    if 1 + 2 * cosines.prod() - (cosines**2).sum() < 1e-10:
        raise Unusable(
            f"the angles {', '.join(f'{a:g}' for a in values[3:])} degrees close no cell: it has zero "
            "volume. Check the _cell_angle lines."
        )
    return cellpar_to_cell(values)


# ---------------------------------------------------------------- sites


class Site:
    """A line of the list of atoms: its row (counted from 0), element and place in units of the cell.

    step: one unit in the last digit of each coordinate, 0 where it is exact; it may be rounded or cut there.
    """

    def __init__(self, row: int, symbol: str, place: np.ndarray, step: np.ndarray):
        self.row, self.symbol, self.place, self.step = row, symbol, place, step


def _sites(tags: Tags, cell: np.ndarray, notes: list[str]) -> list[Site]:
    """The atoms of the list, each whole and in its place."""
    axes = _FRACTIONAL if any(set(tags.get(tag, "?")) != {"?"} for tag in _FRACTIONAL) else _CARTESIAN
    if not all(tags.get(tag) for tag in axes):
        raise Unusable(f"the list of atoms lacks {listed(tag for tag in axes if not tags.get(tag))}")
    rows = range(len(tags[axes[0]]))
    few_enough(len(rows))
    if not any(tags.get(tag) for tag in ("_atom_site_type_symbol", "_atom_site_label")):
        raise Unusable("the list of atoms has neither _atom_site_type_symbol nor _atom_site_label")
    kept, remarks = [], []
    for row in rows:
        if _at(tags, "_atom_site_calc_flag", row).lower() in ("dum", "dummy"):
            remarks.append("sites marked as dummy (dum) are no atoms and were left out")
            continue
        symbol = _symbol(tags, row, remarks)
        if _whole(tags, row, symbol):
            step = np.array([_last_digit(_at(tags, tag, row)) for tag in axes])
            kept.append(Site(row, symbol, np.array(_place(tags, axes, row, symbol)), step))
        else:
            remarks.append("sites of occupancy 0 are no atoms and were left out")
    _no_alternatives(tags, kept)
    _no_hidden_hydrogen(tags, kept)
    if axes == _CARTESIAN and kept:
        matrix, origin = _axes(tags, cell, remarks)
        for site in kept:
            site.place = np.linalg.solve(matrix, site.place - origin)
            site.step = np.abs(np.linalg.inv(matrix)) @ site.step
    elif kept:
        remarks += far_out([site.place for site in kept])
    notes += dict.fromkeys(remarks)
    return kept


def _at(tags: Tags, tag: str, row: int) -> str:
    values = tags.get(tag, [])
    return values[row].strip() if row < len(values) else "?"


def _place(tags: Tags, axes: list[str], row: int, symbol: str) -> list[float]:
    place = []
    for tag in axes:
        value = _number(_at(tags, tag, row), 0.0)
        if value is None:
            raise Unusable(
                f"the position of atom {row} ({symbol}, counted from 0) holds "
                f"{short(_at(tags, tag, row))!r}, which is not a number"
            )
        place.append(value[0])
    return place


def _last_digit(word: str) -> float:
    """One unit in the last digit of 0.33 or 3.3e-1, 0 for 0, 1/3 and all that has no point."""
    number = re.search(r"\.(\d+)(?:\(\d+\))?(?:[eE]([+-]?\d+))?", word)
    return 10.0 ** (int(number[2] or 0) - len(number[1])) if number else 0.0


def _whole(tags: Tags, row: int, symbol: str) -> bool:
    """Is the site filled (True) or empty (False)?  All between is a sentence."""
    word = _at(tags, "_atom_site_occupancy", row)
    share = (1.0, 0.0) if word in (".", "?") else _number(word)
    if share is None:
        raise Unusable(
            f"the occupancy of atom {row} ({symbol}, counted from 0) is {short(word)!r}, which is not a "
            "number"
        )
    if share[0] == 0:
        return False
    if abs(share[0] - 1) > max(0.0011, min(share[1], 0.01)):
        raise Unusable(
            f"atom {row} ({symbol}, counted from 0) has the partial occupancy {share[0]:g}. Every atom must "
            "be in its place: give one ordered arrangement, for example a supercell in which each site is "
            "filled or empty."
        )
    return True


def _symbol(tags: Tags, row: int, remarks: list[str]) -> str:
    """The element: that of the type if it is one and no more, else that of the label, else a sentence."""
    kind, name = _at(tags, "_atom_site_type_symbol", row), _at(tags, "_atom_site_label", row)
    where = f"atom {row} of the list (counted from 0, label {short(name)!r})"
    if kind in ("?", ".", ""):
        return _of_label(name, row, remarks)
    bare = re.sub(r"(\d*\.?\d*[+-]+|[+-]\d*\.?\d*|0)$", "", kind.replace(" ", ""))
    if bare.lower() in _NO_ATOM:
        raise Unusable(
            f"{short(kind)} is no chemical element: {where} is a dummy or an empty site. Delete its line."
        )
    found = _of_word(bare, remarks)
    if found:
        label = re.match(r"([A-Z][a-z]?)(?![A-Za-z])", name)
        if label and label[1] in KNOWN and label[1] != found and (found, label[1]) != ("H", "D"):
            remarks.append(f"the label {short(name)!r} stands beside the type {found}, which was taken")
        return found
    parts = re.sub(r"[\d\s.,:;/+*()\[\]_-]", " ", kind)
    inside = re.findall(r"[A-Z][a-z]?", parts)
    several_elements = all(part in KNOWN for part in inside) and "".join(inside) == parts.replace(" ", "")
    if (len(inside) > 1 and several_elements) or bare.lower() in _GROUPS:
        hydrogen = " with hydrogen" if "H" in inside or bare.lower() in _GROUPS else ""
        raise Unusable(
            f"{where} is of the type {short(kind)!r}, more than one element{hydrogen}, but a site holds one "
            "atom of one element. Give an ordered arrangement, with one line for each atom."
        )
    symbol = _of_label(name, row, remarks, kind)
    remarks.append(
        f"the type {short(kind)!r} is no chemical element; the label {short(name)!r} was read as {symbol}"
    )
    return symbol


def _of_word(word: str, remarks: list[str]) -> str | None:
    """The element that a word is, whole; "NA" and "li" with a remark."""
    if word in KNOWN:
        return word
    if word == "D":
        remarks.append("D (deuterium) was read as H")
        return "H"
    one = word.capitalize()
    made = one in KNOWN and atomic_numbers[one] > 99 and set(word.upper()) <= KNOWN  # NH and CN are groups
    if re.fullmatch("[A-Z]{2}|[a-z]{1,2}", word) and one in KNOWN and not made:
        remarks += filter(None, [two_letters(word)])
        return one
    return None


def _of_label(label: str, row: int, remarks: list[str], kind: str = "") -> str:
    """The element with which a label begins: Li of Li1, Li(1) or Li_a, O of OW1; never O of Ob1."""
    letters = re.match("[A-Za-z]*", label)[0]
    beside = re.match(r"([A-Z][a-z]?)[\d.]*[/:,+]?([A-Z][a-z]?)(?=[\d.]+$|$)", label)
    if beside and set(beside.groups()) <= KNOWN and re.search(r"[/:,+]|\d\.\d", label):
        raise Unusable(
            f"the label {short(label)!r} of atom {row} (counted from 0) names two elements. Give an ordered "
            "arrangement, with one line for each atom."
        )
    found = _of_word(letters, remarks)
    if found is None and len(letters) > 1:
        head = re.match("[A-Z][a-z]+(?=[A-Z])|[A-Z](?=[A-Z]+$)", letters)
        if head and head[0] in KNOWN and letters.lower() not in _NO_ATOM:
            found = head[0]
            remarks.append(f"the label {short(label)!r} was read as {found}")
    if found is None:
        word = kind or letters or label
        raise Unusable(
            f"{short(word)} is no chemical element: atom {row} of the list (counted from 0, label "
            f"{short(label)!r}) must begin with one, such as Li, Li1 or O2-, in _atom_site_type_symbol or "
            "_atom_site_label"
        )
    return found


def _no_alternatives(tags: Tags, sites: list[Site]) -> None:
    """Groups of disorder exclude one another: only one of an assembly can be there."""
    for tag, assembly in (
        ("_atom_site_disorder_group", "_atom_site_disorder_assembly"),
        ("_atom_site_label_alt_id", ""),
    ):
        groups: dict[str, set[str]] = {}
        for site in sites:
            group = _at(tags, tag, site.row)
            if group not in ("?", ".", "", "0"):
                groups.setdefault(_at(tags, assembly, site.row), set()).add(group)
        for found in groups.values():
            if len(found) > 1 or any(group.startswith("-") for group in found):
                raise Unusable(
                    f"it is disordered: the atoms of the groups {listed(sorted(found))} ({tag}) are "
                    "alternatives that exclude one another. Keep one group only."
                )


def _no_hidden_hydrogen(tags: Tags, sites: list[Site]) -> None:
    for site in sites:
        word = _at(tags, "_atom_site_attached_hydrogens", site.row)
        count = (0.0, 0.0) if word in (".", "?") else _number(word)
        if count is None or count[0] > 0:
            raise Unusable(
                f"atom {site.row} of the list ({site.symbol}, counted from 0) carries {short(word)} hydrogen "
                "atoms that have no place (_atom_site_attached_hydrogens). Add them to the list."
            )


def _axes(tags: Tags, cell: np.ndarray, remarks: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Matrix and origin: Cartesian coordinates of the file = matrix @ those in the cell + origin."""
    for kind in ("cartn", "fract"):
        matrix = _matrix(tags, kind)
        if matrix is None:
            continue
        origin = _vector(tags, kind)
        if kind == "fract":
            if abs(np.linalg.det(matrix)) < 1e-12:
                raise Unusable("the matrix _atom_sites_fract_tran_matrix has no inverse. Correct it.")
            matrix = np.linalg.inv(matrix)
            origin = -matrix @ origin
        metric = cell @ cell.T
        size = np.sqrt(np.outer(metric.diagonal(), metric.diagonal()))
        if (np.abs(matrix.T @ matrix - metric) > 0.01 * size).any():
            raise Unusable(
                f"the Cartesian axes (_atom_sites_{kind}_tran_matrix) do not fit the _cell lines. Correct "
                "them, or give fractional coordinates."
            )
        return matrix, origin
    remarks.append(
        "the atoms are given in Cartesian coordinates without their axes (_atom_sites_Cartn_tran_matrix): a "
        "along x and b in the plane of x and y is assumed"
    )
    return cell.T, np.zeros(3)


def _matrix(tags: Tags, kind: str) -> np.ndarray | None:
    for name in (f"_atom_sites_{kind}_tran_matrix_%d%d", f"_atom_sites_{kind}_transf_matrix[%d][%d]"):
        values = [symmetry.first(tags, (name % (i, j),)) for i in (1, 2, 3) for j in (1, 2, 3)]
        if any(values):
            values = [_number(value or "?") for value in values]
            if None in values:
                raise Unusable(
                    f"the matrix _atom_sites_{kind}_tran_matrix of the Cartesian axes is not complete"
                )
            return np.array([value[0] for value in values]).reshape(3, 3)
    return None


def _vector(tags: Tags, kind: str) -> np.ndarray:
    names = [
        (f"_atom_sites_{kind}_tran_vector_{i}", f"_atom_sites_{kind}_transf_vector[{i}]") for i in (1, 2, 3)
    ]
    return np.array([(_number(symmetry.first(tags, name) or "0") or (0.0,))[0] for name in names])


# ---------------------------------------------------------------- images


def _group(
    said: symmetry.Symmetry, tags: Tags, sites: list[Site], cell: np.ndarray, notes: list[str]
) -> Group:
    """The operations to apply: those of the file, where it leaves no choice or the atoms decide."""
    if said.kind == "identity":
        return _as_listed(said, tags, sites, cell, notes)
    if len(said.groups) == 1:
        return said.groups[0]
    possible = [group for group in said.groups if _plausible(group, tags, sites, cell)]
    if len(possible) != 1:
        raise Unusable(
            f"the space group {said.groups[0].name.split(':')[0]} can have its origin in two places, and the "
            "file does not say where. Add :1 or :2 to the symbol, or list the symmetry operations."
        )
    notes.append(
        f"the file does not say which origin its space group has; only {possible[0].name} fits the atoms"
    )
    return possible[0]


def _as_listed(
    said: symmetry.Symmetry, tags: Tags, sites: list[Site], cell: np.ndarray, notes: list[str]
) -> Group:
    """Only x,y,z is listed beside the name of a larger group: right if all atoms of the cell are there."""
    for group in said.named:
        try:
            if len(_expand(group, sites, cell)[0]) == len(sites):
                return said.groups[0]
        except Unusable:
            continue
    per_cell, _ = _formula_units(tags, [site.symbol for site in sites])
    wanted = _number(symmetry.first(tags, ("_cell_formula_units_z",)) or "?")
    if per_cell and wanted and abs(per_cell - wanted[0]) < 0.01 and per_cell > 1.5:
        notes.append(
            "the space group of the file is larger than its symmetry operations, which were used (P 1)"
        )
        return said.groups[0]
    name = said.named[0].name if said.named else "another one"
    raise Unusable(
        f"only the symmetry operation x,y,z is listed, but the space group is called {name}, and the list of "
        "atoms has not that symmetry. Add the operations, or call it P 1 if all atoms of the cell are listed."
    )


def _plausible(group: Group, tags: Tags, sites: list[Site], cell: np.ndarray) -> bool:
    """Do the atoms of this origin keep apart, and agree with formula, Z and multiplicities?"""
    try:
        symbols, places, images = _expand(group, sites, cell)
    except Unusable:
        return False
    away = places[:, None] - places
    distance = np.linalg.norm((away - away.round()) @ cell, axis=2) + 9 * np.eye(len(places))
    if distance.min() < TOUCHING:
        return False
    units, fits = _formula_units(tags, symbols)
    wanted = _number(symmetry.first(tags, ("_cell_formula_units_z",)) or "?")
    if not fits or (wanted and units and abs(units - wanted[0]) > 0.01):
        return False
    given = _multiplicities(tags, sites)
    return given is None or given == images


def _expand(group: Group, sites: list[Site], cell: np.ndarray) -> tuple[list[str], np.ndarray, list[int]]:
    """Species and places of all images, and how many places each site has; what falls together is one.

    When one atom was exchanged and the space group kept, its image meets another species: that is said.
    """
    symbols: list[str] = []
    places, images = np.zeros((0, 3)), []
    for site in sites:
        own = np.zeros((0, 3))
        for image in (group.turns @ _special(group, site, cell) + group.shifts) % 1:
            if _nearest(own, image, cell)[0] > SAME:
                own = np.vstack([own, image])
            distance, which = _nearest(places, image, cell)
            if distance > SAME:
                symbols.append(site.symbol)
                places = np.vstack([places, image])
                few_enough(len(symbols), at_least=True)
            elif symbols[which] != site.symbol:
                raise Unusable(
                    f"atom {site.row} of the list ({site.symbol}, counted from 0) lies where another line, "
                    f"or the symmetry, puts {symbols[which]}. "
                    "Write the CIF without symmetry (P1), with one species in each place."
                )
        images.append(len(own))
    return symbols, places, images


def _special(group: Group, site: Site, cell: np.ndarray) -> np.ndarray:
    """The place of a site, or the special position that it is within the digits given.

    That is the mean of its images around it, again and again until it keeps them: 1/3, 2/3 for 0.33, 0.67.
    """
    place = site.place
    rounding = np.abs(group.turns - np.eye(3)) @ site.step + 1e-9
    for _ in range(10):
        away = group.turns @ place + group.shifts - place
        away -= away.round()
        distance = np.linalg.norm(away @ cell, axis=1)
        near = (distance <= SAME) | ((distance <= ROUNDED) & (np.abs(away) <= rounding).all(axis=1))
        place = place + away[near].mean(axis=0)
    return place


def _nearest(places: np.ndarray, place: np.ndarray, cell: np.ndarray) -> tuple[float, int]:
    if not len(places):
        return np.inf, -1
    away = places - place
    distance = np.linalg.norm((away - away.round()) @ cell, axis=1)
    return float(distance.min()), int(distance.argmin())


# ---------------------------------------------------------------- other statements on the number of atoms


def _formula(tags: Tags) -> tuple[dict[str, float], float] | None:
    """Atoms of each element and how exactly they are given, None where there is no plain formula."""
    text = symmetry.first(tags, ("_chemical_formula_sum",)) or ""
    text = re.sub(r"[\s'\"~,]", "", text)
    parts = re.findall(r"([A-Z][a-z]?)(\d*\.?\d*)", text)
    if not parts or "".join(symbol + n for symbol, n in parts) != text:
        return None
    counts: Counter = Counter()
    for symbol, n in parts:
        counts["H" if symbol == "D" else symbol] += float(n) if n not in ("", ".") else 1.0
    digits = max(len(n.partition(".")[2]) for _, n in parts)
    counts = {symbol: n for symbol, n in counts.items() if n > 0}
    return (counts, 10.0**-digits if digits else 0.0) if counts and set(counts) <= KNOWN else None


def _formula_units(tags: Tags, symbols: list[str]) -> tuple[float | None, bool]:
    """How many formulas the atoms are, None if there is none or they are not whole ones; do they fit?"""
    formula = _formula(tags)
    if formula is None or not symbols:
        return None, True
    wanted, exact = formula
    found = Counter(symbols)
    units = sum(found.values()) / sum(wanted.values())
    fits = all(abs(found[s] - units * wanted.get(s, 0)) <= units * exact + 0.01 for s in {*found, *wanted})
    return (units if fits else None), fits


def _against_formula(tags: Tags, symbols: list[str], kind: str, notes: list[str]) -> None:
    units, fits = _formula_units(tags, symbols)
    formula, atoms = symmetry.first(tags, ("_chemical_formula_sum",)), ase.Atoms(symbols)
    if not fits:
        missing = sorted(set(_formula(tags)[0]) - set(symbols))
        if missing:
            raise Unusable(
                f"the formula in the file is {short(formula, 60)}, but the list of atoms holds no "
                f"{listed(missing)}. Add the missing atoms, or correct _chemical_formula_sum."
            )
        notes.append(
            f"the formula in the file is {short(formula, 60)}, but the atoms are "
            f"{short(atoms.get_chemical_formula(), 60)}"
        )
    wanted = _number(symmetry.first(tags, ("_cell_formula_units_z",)) or "?")
    if units is None or wanted is None or abs(units - wanted[0]) < 0.01:
        return
    whole_cell = abs(units - 1) < 0.01 and all(n % wanted[0] == 0 for n in _formula(tags)[0].values())
    if kind == "none" and units < wanted[0] and not whole_cell:
        raise Unusable(
            f"the formula {short(formula, 60)} and Z = {wanted[0]:g} mean more atoms than the {len(symbols)} "
            "of the list, and no symmetry is given. List the symmetry operations, or all atoms of the cell."
        )
    if kind == "none" or not whole_cell:
        notes.append(
            f"by the formula {short(formula, 60)} the cell holds {units:.3g} formula units, but Z in the "
            f"file is {wanted[0]:g}"
        )


def _against_volume(tags: Tags, cell: np.ndarray, notes: list[str]) -> None:
    said, volume = _number(symmetry.first(tags, ("_cell_volume",)) or "?"), abs(np.linalg.det(cell))
    if said and abs(said[0] - volume) > 0.01 * volume:
        notes.append(f"the volume in the file is {said[0]:g} A^3, but that of its cell is {volume:.1f} A^3")


def _multiplicities(tags: Tags, sites: list[Site]) -> list[int] | None:
    """How many places each site has by the file, None where it does not say that of all."""
    for tag in _MULTIPLICITY:
        values = [_number(_at(tags, tag, site.row)) for site in sites]
        if values and None not in values:
            return [int(value[0]) for value in values]
    return None


def _against_multiplicities(
    tags: Tags, sites: list[Site], images: list[int], kind: str, order: int, notes: list[str]
) -> None:
    given = _multiplicities(tags, sites)
    letters = {_at(tags, tag, site.row) for tag in tags if "wyckoff" in tag for site in sites}
    if kind == "none" and (max(given or [1]) > 1 or letters - {"a", "1a", "?", ".", ""}):
        raise Unusable(
            "the list of atoms gives multiplicities or Wyckoff positions, so each line stands for several "
            "atoms, but no symmetry is given. List the symmetry operations, or all atoms of the cell."
        )
    if given is None or given == images or kind == "identity":
        return
    if all(m * n == order for m, n in zip(given, images, strict=True)):
        return  # old SHELX wrote the order of the site symmetry under this tag
    row = next(n for n, (m, i) in enumerate(zip(given, images, strict=True)) if m != i)
    notes.append(
        f"the multiplicity of atom {sites[row].row} ({sites[row].symbol}) is {given[row]} in the file, but "
        f"{images[row]} by the symmetry operations"
    )
