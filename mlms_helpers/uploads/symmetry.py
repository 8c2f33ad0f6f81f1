"""The symmetry of a CIF: operations that are listed, or those of a named space group in its setting.

A list of operations is believed only if it closes to a group.  A name is looked up in gemmi's table of 564
settings; what is said (number, Hermann-Mauguin symbols, Hall symbol, code of the setting) must agree, and the
cell must have that symmetry.  Nothing is guessed without a note.
"""

import re
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

import gemmi
import numpy as np

from mlms_helpers.uploads._sentences import Unusable, listed, short

Tags = dict[str, list[str]]  # of a CIF: tags in small letters, "_" for ".", each with its values
_OPERATIONS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
_MAGNETIC = ("_space_group_symop_magn_operation_xyz", "_space_group_symop_magn_centering_xyz")
_MODULATED = ("_space_group_symop_ssg", "_space_group_ssg", "_cell_wave_vector", "_atom_site_fourier")
_NUMBER = ("_space_group_it_number", "_symmetry_int_tables_number")
_HALL = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
_CODE = ("_space_group_it_coordinate_system_code", "_symmetry_it_coordinate_system_code")
_UNREAD = ("_space_group_symop", "_symmetry_equiv", "_space_group_generator")
_TRIVIAL = {
    "1",
    "-1",
    "1.1",
    "p1",
    "p 1",
    "c1",
    "ci",
    "c1^1",
    "ci^1",
    "c1.1",
    "ci.1",
    "triclinic",
    "anorthic",
}
_TERM = r"(?:[xyz]|\d+\.?\d*(?:/[1-9]\d*)?|\.\d+)"
SNAP = 0.008  # of a lattice vector: 0.33 and 0.333 are 1/3, 0.66 and 0.67 are 2/3
FIT = (0.004, 0.02)  # of a metric tensor under an operation: what counts as the same, first strictly


class Group(NamedTuple):
    """turns: int [n, 3, 3] and shifts: float [n, 3]: x' = turn x + shift, in units of the lattice vectors."""

    name: str
    turns: np.ndarray
    shifts: np.ndarray


class Symmetry(NamedTuple):
    """What a CIF says.

    groups: one, or those among which the file leaves the choice (two origins).
    kind: "operations" (listed), "identity" (only x,y,z is listed, but `named` says more), "named" or "none".
    named: what the name would be; [] where there is none, or where it is not needed.
    """

    groups: list[Group]
    kind: str
    named: list[Group]
    notes: list[str]


P1 = Group("P 1", np.eye(3, dtype=int)[None], np.zeros((1, 3)))


def read(tags: Tags, cell: np.ndarray) -> Symmetry:
    """The symmetry that a block of a CIF tells; cell: [3, 3], A, one lattice vector a row.

    Raises Unusable where the operations are no group, or the statements contradict one another or the cell.
    """
    modulated = [tag for tag in tags if tag.startswith(_MODULATED)]
    if modulated or first(tags, ("_cell_modulation_dimension",)) not in (None, "0"):
        raise Unusable(
            "it is a modulated structure (superspace group), whose cell repeats no atom exactly. Give a "
            "commensurate approximation with ordinary symmetry operations."
        )
    _once(tags)
    given = _listed(tags)
    if given is None:
        return _by_name(tags, cell)
    _fits_or_sentence(given, cell, "the listed symmetry operations")
    return _compared(given, tags, cell)


def _once(tags: Tags) -> None:
    """The same thing under its old and its new tag must be the same."""
    for names in (_NUMBER, _HALL, _CODE):
        values = {first(tags, (name,)) for name in names} - {None}
        if len({value.replace(" ", "").replace("_", "").lower() for value in values}) > 1:
            raise Unusable(f"{names[0]} and {names[1]} differ: {listed(sorted(values))}. Keep the right one.")
    lists = [_group_of(_texts(tags, (name,))) for name in _OPERATIONS]
    if None not in lists and not np.array_equal(*(np.sort(_key(*group)) for group in lists)):
        raise Unusable(f"{_OPERATIONS[0]} and {_OPERATIONS[1]} differ. Keep the right list.")


def _by_name(tags: Tags, cell: np.ndarray) -> Symmetry:
    notes: list[str] = []
    settings = _settings(tags, notes, strict=True)
    if settings:
        return Symmetry(_chosen(settings, tags, cell, notes), "named", [], notes)
    hints = [tag for tag in tags if tag.startswith(_UNREAD) and first(tags, (tag,)) and "_id" not in tag]
    hints += [
        tag
        for tag in tags
        if re.search("schoenflies|point_group|laue|magn_name|magn_number", tag)
        and tag.startswith(("_space_group", "_symmetry"))
        and (first(tags, (tag,)) or "1").lower() not in _TRIVIAL
    ]
    if hints:
        raise Unusable(
            f"its symmetry stands only in {hints[0]}, which is not read. List the symmetry operations "
            "(_space_group_symop_operation_xyz), or all atoms of the cell with the space group P 1."
        )
    system = first(tags, ("_symmetry_cell_setting", "_space_group_crystal_system"))
    if system and system.lower() not in _TRIVIAL:
        notes.append(
            f"the crystal system is {short(system)}, but no symmetry operations are given, so none are "
            "applied (P 1)"
        )
    return Symmetry([P1], "none", [], notes)


# ---------------------------------------------------------------- operations


def _listed(tags: Tags) -> Group | None:
    """The operations in the file as a group, or None where there are none."""
    texts = _texts(tags, _OPERATIONS)
    extra = []
    if not texts:
        texts, extra = _texts(tags, _MAGNETIC[:1]), _texts(tags, _MAGNETIC[1:])
    if not texts:
        return None
    turns, shifts = _group_of(texts)
    if extra:
        _, centring = _group_of(extra)
        turns = np.repeat(turns, len(centring), axis=0)
        shifts = (shifts[:, None] + centring).reshape(-1, 3)
        turns, shifts = _unique(turns, shifts)
    if len(turns) > 192:
        raise Unusable(f"{len(turns)} symmetry operations are more than the 192 that a space group can have")
    open_ = _not_closed(turns, shifts)
    if open_:
        first, second = (_words(turns[n], shifts[n]) for n in open_)
        raise Unusable(
            f"the {len(turns)} symmetry operations are no group: {first!r} after {second!r} is none of them. "
            "One is missing or wrong: correct the list, or give the space group alone."
        )
    return Group("the listed operations", turns, shifts)


def _group_of(texts: list[str]) -> tuple[np.ndarray, np.ndarray] | None:
    """Turns and shifts of operations, the identity among them; None where there are none."""
    return _unique(*zip(*map(_operation, ("x,y,z", *texts)), strict=True)) if texts else None


def _texts(tags: Tags, names: Iterable[str]) -> list[str]:
    for name in names:
        values = [
            piece.strip()
            for value in tags.get(name, [])
            for piece in re.split(r"[;\n]", value)
            if piece.strip()
        ]
        if any(value not in ("?", ".") for value in values):
            return values
    return []


def _operation(text: str) -> tuple[np.ndarray, np.ndarray]:
    """'-x, y+1/2, -z+1/2' -> turn int [3, 3], shift float [3]."""
    plain = re.sub(r"^\s*\d+\s+(?=[-+.\dxyzXYZ])", "", text).lower().strip("'\"")
    plain = re.sub(r"\s", "", plain)
    if "x4" not in plain:
        plain = plain.replace("x1", "x").replace("x2", "y").replace("x3", "z")
    parts = re.sub(r",[+-]?1$", "", plain).split(",") if plain.count(",") == 3 else plain.split(",")
    turn, shift = np.zeros((3, 3), int), np.zeros(3)
    good = len(parts) == 3 and all(re.fullmatch(f"[+-]?{_TERM}(?:[+-]{_TERM})*", part) for part in parts)
    for row, part in enumerate(parts if good else []):
        terms = re.findall(r"([+-]?)([xyz]|[\d./]+)", part)
        letters = [letter for _, letter in terms if letter in "xyz"]
        good = good and len(set(letters)) == len(letters) and len(terms) - len(letters) < 2
        for sign, word in terms:
            if word in "xyz":
                turn[row, "xyz".index(word)] = -1 if sign == "-" else 1
            else:
                top, _, bottom = word.partition("/")
                shift[row] = float(top) / int(bottom or 1) * (-1 if sign == "-" else 1)
    if not good or abs(round(np.linalg.det(turn))) != 1:
        raise Unusable(
            f"{short(text, 40)!r} is no symmetry operation, such as '-x,y+1/2,-z'; one with blanks needs "
            "quotes. Correct it, or write the CIF without symmetry (P 1)."
        )
    near = np.round(shift * 24) / 24
    return turn, np.where(np.abs(near - shift) < SNAP, near, shift)


def _key(turns: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """One whole number an operation, the same for two that differ by whole lattice vectors and rounding."""
    steps = np.floor((shifts + 1e-6) % 1 * 9973.3).astype(np.int64)
    digits = (turns + 1).reshape(*turns.shape[:-2], 9) @ 3 ** np.arange(9)
    return digits * 9974**3 + steps @ 9974 ** np.arange(3)


def _unique(turns: Iterable, shifts: Iterable) -> tuple[np.ndarray, np.ndarray]:
    turns, shifts = np.array(list(turns)), np.array(list(shifts)) % 1
    _, first = np.unique(_key(turns, shifts), return_index=True)
    return turns[np.sort(first)], shifts[np.sort(first)]


def _not_closed(turns: np.ndarray, shifts: np.ndarray) -> tuple[int, int] | None:
    """Two operations whose product is missing."""
    products = turns[:, None] @ turns
    moved = np.einsum("aij,bj->abi", turns, shifts) + shifts[:, None]
    missing = np.argwhere(
        (np.abs(products) > 1).any((2, 3)) | ~np.isin(_key(products, moved), _key(turns, shifts))
    )
    return tuple(missing[0]) if len(missing) else None


def _words(turn: np.ndarray, shift: np.ndarray) -> str:
    parts = []
    for row, step in zip(turn, shift, strict=True):
        text = "".join(f"{'-' if n < 0 else '+'}{letter}" for n, letter in zip(row, "xyz", strict=True) if n)
        step = str(Fraction(float(step)).limit_denominator(24))
        parts.append(text.lstrip("+") + (f"+{step}" if step != "0" else ""))
    return ",".join(parts)


def _from_gemmi(name: str, operations: gemmi.GroupOps) -> Group:
    operations = list(operations)
    turns = np.array([op.rot for op in operations]) // gemmi.Op.DEN
    shifts = np.array([op.tran for op in operations]) / gemmi.Op.DEN
    return Group(name, turns, shifts)


def _known(group: Group) -> gemmi.SpaceGroup | None:
    """The entry of the table, None for a group in no listed setting."""
    if np.abs(group.shifts * 24 - np.round(group.shifts * 24)).max() > 1e-6:
        return None
    triplets = [_words(*operation) for operation in zip(group.turns, group.shifts, strict=True)]
    return gemmi.find_spacegroup_by_ops(gemmi.GroupOps([gemmi.Op(text) for text in triplets]))


def _fit(group: Group, cell: np.ndarray, tolerance: float) -> bool:
    """Do the turns leave lengths and angles of the cell as they are?"""
    metric = cell @ cell.T
    size = np.sqrt(np.outer(metric.diagonal(), metric.diagonal()))
    turned = np.swapaxes(group.turns, 1, 2) @ metric @ group.turns
    return bool((np.abs(turned - metric) <= tolerance * size).all())


def _fits_or_sentence(group: Group, cell: np.ndarray, what: str) -> None:
    if not _fit(group, cell, FIT[1]):
        raise Unusable(
            f"{what} do not fit the cell: its lengths or angles lack that symmetry. Check the _cell lines, "
            "and for which axes the space group is meant."
        )


# ---------------------------------------------------------------- names


def first(tags: Tags, names: Iterable[str]) -> str | None:
    """The first value that says something."""
    for name in names:
        for value in tags.get(name, []):
            if value.strip() not in ("", "?", "."):
                return value.strip()
    return None


def _symbols(tags: Tags) -> list[str]:
    found = [
        first(tags, (tag,))
        for tag in tags
        if tag.startswith(("_space_group", "_symmetry")) and "name_h-m" in tag and not tag.endswith("_ref")
    ]
    return [symbol for symbol in found if symbol]


def _plain(symbol: str) -> tuple[str, str]:
    """'P2(1)/n', 'P2_1/n' and 'P 21/n' -> 'p21/n' and the code of the setting, '' where there is none."""
    text = re.sub(
        r"\((?:no\.?|#)?\s*\d{2,3}\)|\(\s*(?:no\.?|#)\s*\d+\s*\)|#\s*\d+|\$", "", symbol, flags=re.I
    )
    text = re.sub(r"\\(?:bar|overline)\s*\{?\s*(\d)\s*\}?", r"-\1", text)
    text = re.sub(r"(\d)[\u0304\u0305]", r"-\1", text).strip()
    code = ""
    ends = (
        (r"[\s,:(\[]*origin\s*(?:choice|at)?\s*([12])[)\]]*$", None),
        (r"[\s,:(\[]*(hex|rhomb|obv)\w*(?:\s+axes)?[)\]]*$", None),
        (r"\s*:\s*([\w-]+)\s*$", None),
        (r"\s*\(\s*(-?[abc][123])\s*\)$", None),
        (r"(?<=[\sa-z0-9])([SZHR])\s*$", {"S": "1", "Z": "2"}),
    )
    for pattern, meaning in ends:
        end = re.search(pattern, text, re.I if meaning is None else 0)
        if end:
            code = (meaning or {}).get(end[1], end[1]).lower()
            code = {"hex": "h", "rhomb": "r", "obv": "h"}.get(code, code)
            text = text[: end.start()]
            break
    text = re.sub(r"[{}_()\[\]]", "", text)
    if re.match(r"h\s*-?3", text, re.I):
        text, code = "R" + text[1:], code or "h"
    return text, code


def _keys(hm: str) -> set[str]:
    """Ways to write a symbol whose parts are apart, in small letters and without blanks."""
    lattice, *parts = hm.lower().split()
    keys = {lattice + "".join(parts)}
    if len(parts) == 3 and parts.count("1") == 2:  # monoclinic: the axis need not be said
        keys.add(lattice + "".join(part for part in parts if part != "1"))
    return keys


def _entries() -> dict[str, list[gemmi.SpaceGroup]]:
    table: dict[str, list[gemmi.SpaceGroup]] = {}
    for entry in gemmi.spacegroup_table():
        for key in _keys(entry.hm):
            table.setdefault(key, []).append(entry)
    return table


_TABLE = _entries()


def _by_symbol(text: str) -> list[gemmi.SpaceGroup]:
    """The settings that a symbol can mean, [] for one that is unknown."""
    words = text.split()
    short_of_full = [
        re.sub(r"\d+/([a-z])", r"\1", word, flags=re.I)
        if n > (1 if len(words) > 2 and words[1][:1] in "46" and "3" not in words[2] else 0)
        else word
        for n, word in enumerate(words)
    ]
    for form in ("".join(words).lower(), "".join(short_of_full).lower()):
        if form in _TABLE:
            return _TABLE[form]
    for form in (text, " ".join(short_of_full)):
        entry = gemmi.find_spacegroup_by_name(form)
        if entry:
            return [e for e in _TABLE["".join(entry.hm.lower().split())] if e.number == entry.number]
    return []


def _settings(tags: Tags, notes: list[str], strict: bool) -> list[gemmi.SpaceGroup | Group]:
    """The settings that everything said of the space group allows; [] where nothing is said.

    strict: nothing else in the file tells the symmetry, so what is not understood is a sentence.
    """
    symbols, number, hall = _symbols(tags), first(tags, _NUMBER), first(tags, _HALL)
    said = listed(
        [f"'{short(s)}'" for s in symbols] + ([f"number {short(number)}"] if number else []) or ["a setting"]
    )
    left, codes = None, [(first(tags, _CODE) or "").lower()]
    for symbol in symbols:
        text, code = _plain(symbol)
        found = _by_symbol(text)
        codes.append(code)
        if found:
            left = found if left is None else [entry for entry in left if entry in found] or _clash(said)
        elif strict and not hall:
            raise Unusable(
                f"the space group {short(symbol)!r} is not known. Correct the symbol, or list the symmetry "
                "operations (_space_group_symop_operation_xyz)."
            )
    if number:
        numbered = [e for e in gemmi.spacegroup_table() if str(e.number) == number.lstrip("0")]
        if not numbered:
            raise Unusable(f"a space group has a number from 1 to 230, not {short(number)!r}")
        left = numbered if left is None else [e for e in left if e in numbered] or _clash(said)
    for code in filter(None, codes):
        fitting = [e for e in left or [] if code in _codes(e)]
        left = fitting or left
        if left and not fitting and strict:
            raise Unusable(
                f"the space group {said} has no setting {short(code)!r}. Correct it, or list the symmetry "
                "operations."
            )
    return _with_hall(hall, left or [], notes, strict, said)


def _clash(said: str) -> list[gemmi.SpaceGroup]:
    raise Unusable(
        f"{said} are not the same space group. Correct the wrong one, or leave it out and list the symmetry "
        "operations."
    )


def _codes(entry: gemmi.SpaceGroup) -> set[str]:
    extension, axes = entry.ext.strip("\0 ").lower(), entry.qualifier.lower()
    return {extension, axes, extension + axes, axes or "abc", extension + (axes or "abc")} - {""}


def _with_hall(hall: str | None, left: list, notes: list[str], strict: bool, said: str) -> list:
    """The Hall symbol leaves nothing open, if it agrees with the rest."""
    if hall is None:
        return left
    try:
        group = _from_gemmi(f"Hall symbol {short(hall)}", gemmi.symops_from_hall(hall.replace("_", " ")))
    except (RuntimeError, ValueError, IndexError):
        if strict and not left:
            raise Unusable(
                f"the Hall symbol {short(hall)!r} is not known. Correct it, or list the symmetry operations."
            ) from None
        notes.append(f"the Hall symbol {short(hall)!r} is not known and was left out of account")
        return left
    entry = _known(group)
    if entry and left and entry.number not in {e.number for e in left}:
        raise Unusable(
            f"the Hall symbol {short(hall)!r} and {said} are not the same space group. Correct the wrong one."
        )
    return [entry] if entry else [group]


def _chosen(settings: list, tags: Tags, cell: np.ndarray, notes: list[str]) -> list[Group]:
    """Of the settings that are left, those that fit the cell; more than one only where the origin is open."""
    if isinstance(settings[0], Group):
        _fits_or_sentence(settings[0], cell, "the operations of the Hall symbol")
        return settings
    groups = {entry.xhm(): (entry, _from_gemmi(entry.xhm(), entry.operations())) for entry in settings}
    for tolerance in FIT:
        fitting = {name: pair for name, pair in groups.items() if _fit(pair[1], cell, tolerance)}
        if fitting:
            break
    else:
        _fits_or_sentence(next(iter(groups.values()))[1], cell, f"the axes of {settings[0].xhm()}")
    entries = [entry for entry, _ in fitting.values()]
    same = [e for e in entries if e.hm == entries[0].hm and e.ext.strip("\0 ") in ("1", "2")]
    if len(same) > 1:
        return [fitting[e.xhm()][1] for e in same]
    if len(entries) > 1 and not _symbols(tags) and not first(tags, _HALL):
        usual = [entry for entry in entries if entry.is_reference_setting()]
        if not usual:
            raise Unusable(
                f"number {entries[0].number} can be the space group in {len(entries)} settings with these "
                f"axes, such as {entries[0].xhm()}. Give its symbol, or list the symmetry operations."
            )
        entries = usual
        notes.append(
            f"only the number of the space group is given: its usual setting {usual[0].xhm()} is taken"
        )
    return [fitting[entries[0].xhm()][1]]


def _compared(given: Group, tags: Tags, cell: np.ndarray) -> Symmetry:
    """Listed operations beside what the file calls them."""
    notes: list[str] = []
    try:
        settings = _settings(tags, notes, strict=False)
    except Unusable as fault:
        return Symmetry([given], "operations", [], [f"{str(fault).lstrip(': ')} The operations were used"])
    if not settings or isinstance(settings[0], Group):
        return Symmetry([given], "operations", [], notes)
    entry, wanted = _known(given), {e.number for e in settings}
    if entry and entry.number in wanted:
        if entry not in settings:
            notes.append(
                f"the operations are those of {entry.xhm()}, not of {settings[0].xhm()}; they were used"
            )
        return Symmetry([given], "operations", [], notes)
    if len(given.turns) == 1:
        groups = [_from_gemmi(e.xhm(), e.operations()) for e in settings]
        return Symmetry([given], "identity", [g for g in groups if _fit(g, cell, FIT[1])], notes)
    of_name = _from_gemmi(settings[0].xhm(), settings[0].operations())
    if entry or len({t.tobytes() for t in given.turns}) != len({t.tobytes() for t in of_name.turns}):
        raise Unusable(
            f"the symmetry operations are those of {entry.xhm() if entry else 'another space group'}, but "
            f"the space group is called {of_name.name}. Correct the one that is wrong, or leave the name out."
        )
    return Symmetry([given], "operations", [], notes)
