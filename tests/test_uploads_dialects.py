"""Uploads: the dialects of CIF, VASP and extended XYZ, and files that contradict themselves.

A wrong structure without a word is the worst outcome: each kind has a file that is read rightly and one that
ends in a note or a sentence.
"""

import io

import ase.io
import gemmi
import numpy as np
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st

from mlms_helpers import uploads

MONOCLINIC = (8.2, 9.1, 9.6, 90, 101.3, 90)
ORTHORHOMBIC = (8.2, 9.1, 9.6, 90, 90, 90)
HEXAGONAL = (20.4, 20.4, 24.2, 90, 90, 120)
RHOMBOHEDRAL = (28.8, 28.8, 28.8, 72, 72, 72)
CUBIC = (29.4, 29.4, 29.4, 90, 90, 90)
SITES = [("Li1", "Li", 0.512, 0.95, 0.144), ("P1", "P", 0.453, 0.134, 0.403), ("O1", "O", 0.203, 0.262, 0.75)]
FAR = [("Li1", "Li", 0.11, 0.31, 0.07)]  # from all axes and planes, in large cells
CELL_TAGS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
P21C = ("x,y,z", "-x,y+1/2,-z+1/2", "-x,-y,-z", "x,-y+1/2,z+1/2")


def cif(head="", cell=MONOCLINIC, sites=SITES, columns="label type_symbol fract_x fract_y fract_z"):
    """A CIF by hand; sites: rows of the list, as tuples or as one text."""
    rows = [row if isinstance(row, str) else " ".join(map(str, row)) for row in sites]
    lines = [
        "data_test",
        *(f"_cell_{t} {v}" for t, v in zip(CELL_TAGS, cell, strict=True)),
        *head.split("\n"),
    ]
    lines += ["loop_", *(f"_atom_site_{name}" for name in columns.split()), *rows, ""]
    return "\n".join(lines)


def operations(*texts, tag="_space_group_symop_operation_xyz"):
    return "\n".join(["loop_", tag, *(f"'{text}'" for text in texts)])


def symbol(text):
    return f"_symmetry_space_group_name_H-M '{text}'"


def number(n):
    return f"_symmetry_Int_Tables_number {n}"


def read(text, name="my.cif"):
    return uploads.read(name, text if isinstance(text, bytes) else text.encode())


def by_group(name, cell=MONOCLINIC, sites=SITES):
    """All atoms, placed by a setting of gemmi's table."""
    group = gemmi.find_spacegroup_by_name(name)
    operations = list(group.operations())
    atoms = [(kind, op.apply_to_xyz([x, y, z])) for _, kind, x, y, z in sites for op in operations]
    kinds, places = zip(*atoms, strict=True)
    return Atoms(kinds, scaled_positions=np.array(places), cell=cell, pbc=True)


def assert_same_crystal(found, true, atol=1e-3):
    assert found.get_chemical_formula() == true.get_chemical_formula()
    np.testing.assert_allclose(found.cell.cellpar(), true.cell.cellpar(), atol=atol)
    for kind in sorted(set(true.symbols)):
        for other in sorted(set(true.symbols)):
            shells = [
                np.sort(
                    a.get_all_distances(mic=True)[np.ix_(a.symbols == kind, a.symbols == other)], axis=None
                )
                for a in (found, true)
            ]
            np.testing.assert_allclose(*shells, atol=atol)


# ---------------------------------------------------------------- space groups by name


@pytest.mark.parametrize(
    "head, name, cell",
    [
        (symbol("P 21/n") + "\n" + number(14), "P 1 21/n 1", MONOCLINIC),
        (symbol("P21/a"), "P 1 21/a 1", MONOCLINIC),
        (symbol("P2_1/n"), "P 1 21/n 1", MONOCLINIC),
        (symbol("P2(1)/c"), "P 1 21/c 1", MONOCLINIC),
        (symbol("P2_{1}/c"), "P 1 21/c 1", MONOCLINIC),
        (symbol("P 1 21/n 1 (No. 14)"), "P 1 21/n 1", MONOCLINIC),
        (symbol("P 21/b"), "P 1 1 21/b", (8.2, 9.1, 9.6, 90, 90, 101.3)),
        (symbol("P 21"), "P 1 1 21", (8.2, 9.1, 9.6, 90, 90, 101.3)),
        (symbol("I 2/a"), "I 1 2/a 1", MONOCLINIC),
        (symbol("I-1"), "I -1", (8.2, 9.1, 9.6, 85, 101, 93)),
        (number(14) + "\n_space_group_IT_coordinate_system_code b2", "P 1 21/n 1", MONOCLINIC),
        ("_space_group.name_H-M_full 'P 1 21/n 1'", "P 1 21/n 1", MONOCLINIC),
        (symbol("Pbnm"), "P b n m", ORTHORHOMBIC),
        (number(62) + "\n_space_group_IT_coordinate_system_code cab", "P b n m", ORTHORHOMBIC),
        (symbol("P 21/n 21/m 21/a"), "P n m a", ORTHORHOMBIC),
        (symbol("P m m n :2"), "P m m n:2", ORTHORHOMBIC),
        (symbol("P m m n Z"), "P m m n:2", ORTHORHOMBIC),
        (symbol("Pmmn (origin choice 1)"), "P m m n:1", ORTHORHOMBIC),
        (number(59) + "\n_space_group_IT_coordinate_system_code 2", "P m m n:2", ORTHORHOMBIC),
        (symbol("A e a 2"), "A b a 2", ORTHORHOMBIC),
        (symbol("R 3 m"), "R 3 m:H", HEXAGONAL),
        (symbol("R 3 m"), "R 3 m:R", RHOMBOHEDRAL),
        (symbol("R3m:R"), "R 3 m:R", RHOMBOHEDRAL),
        (symbol("R 3 m H"), "R 3 m:H", HEXAGONAL),
        (number(160), "R 3 m:R", RHOMBOHEDRAL),
        (symbol("R -3 2/m"), "R -3 m:H", HEXAGONAL),
        (symbol("P6_3/mmc"), "P 63/m m c", HEXAGONAL),
        (symbol("P m 3 m"), "P m -3 m", CUBIC),
        ("_space_group_name_Hall '-P 2yn'", "P 1 21/n 1", MONOCLINIC),
        ("_symmetry_space_group_name_Hall 'P 3* -2'", "R 3 m:R", RHOMBOHEDRAL),
        (symbol("?") + "\n" + number(14), "P 1 21/c 1", MONOCLINIC),
        (operations("?") + "\n" + symbol("P 21/n"), "P 1 21/n 1", MONOCLINIC),
    ],
)
def test_a_named_group_is_applied_in_its_setting(head, name, cell):
    sites = SITES if cell == MONOCLINIC else FAR
    assert_same_crystal(read(cif(head, cell, sites)), by_group(name, cell, sites))


@pytest.mark.parametrize(
    "head, cell, words",
    [
        (symbol("P m m n"), ORTHORHOMBIC, ["origin", ":1 or :2"]),
        (number(227), CUBIC, ["origin"]),
        (symbol("P x y z"), MONOCLINIC, ["'P x y z'", "not known"]),
        (symbol("P 21/n") + "\n" + number(15), MONOCLINIC, ["not the same space group"]),
        (symbol("P n m a"), MONOCLINIC, ["do not fit the cell", "angles"]),
        (symbol("R 3 m :R"), HEXAGONAL, ["axes", "do not fit"]),
        (number(14), (8.2, 9.1, 9.6, 90, 90, 101), ["3 settings", "symbol"]),
        (number(231), MONOCLINIC, ["1 to 230"]),
        ("_space_group_name_Hall 'P nonsense'", MONOCLINIC, ["Hall symbol", "not known"]),
        ("_space_group_name_Hall '-P 2ybc'\n" + number(15), MONOCLINIC, ["Hall symbol", "not the same"]),
        ("_space_group_name_Schoenflies C2h.5", MONOCLINIC, ["symmetry", "schoenflies", "not read"]),
        (operations(*P21C, tag="_space_group_symop_generator_xyz"), MONOCLINIC, ["generator", "not read"]),
        ("_cell_modulation_dimension 1", MONOCLINIC, ["modulated"]),
        ("_space_group_ssg_name 'P21/c(0b0)00'", MONOCLINIC, ["modulated"]),
    ],
)
def test_what_a_name_leaves_open_is_a_sentence(head, cell, words):
    with pytest.raises(ValueError) as caught:
        read(cif(head, cell, FAR))
    assert all(word in str(caught.value) for word in words)


def test_one_origin_that_fits_formula_and_z_is_taken_with_a_note():
    head = symbol("F d -3 m") + "\n_chemical_formula_sum Si\n_cell_formula_units_Z 8"
    atoms = read(cif(head, (5.43,) * 3 + (90,) * 3, [("Si1", "Si", 0, 0, 0)]))
    assert len(atoms) == 8 and "origin" in atoms.info["note"]
    np.testing.assert_allclose(np.sort(atoms.get_all_distances(mic=True)[0])[1], 5.43 * 3**0.5 / 4)


def test_only_the_number_is_a_note():
    assert "usual setting P 1 21/c 1" in read(cif(number(14))).info["note"]
    assert "note" not in read(cif(number(14) + "\n" + symbol("P 21/c"))).info


# ---------------------------------------------------------------- operations


@pytest.mark.parametrize(
    "texts",
    [
        P21C,
        P21C[1:],  # the identity always belongs to it
        P21C[::-1],
        [t.replace("-", "\u2212") for t in P21C],
        [t.replace("-", "\u2013").upper() for t in P21C],
        [t.replace("1/2", "0.5") for t in P21C],
        [f"{n} {t}" for n, t in enumerate(P21C, 1)],
        [t.replace(",", ", ") for t in P21C],
        ["x+1,y,z-1", "1-x,1/2+y,-.5-z", "-x,-y,-z", "x,-y+3/2,z+1/2"],
        [t.replace("x", "x1").replace("y", "x2").replace("z", "x3") for t in P21C],
    ],
)
def test_ways_to_write_operations(texts):
    atoms = read(cif(operations(*texts)))
    assert_same_crystal(atoms, by_group("P 1 21/c 1"))
    assert not atoms.info


@pytest.mark.parametrize(
    "thirds", [("1/3", "2/3"), ("0.333", "0.667"), ("0.33", "0.66"), ("0.33333", "0.66667")]
)
def test_rounded_thirds_close_to_a_group(thirds):
    head = operations("x,y,z", f"-y,x-y,z+{thirds[0]}", f"-x+y,-x,z+{thirds[1]}")
    assert_same_crystal(read(cif(head, HEXAGONAL)), by_group("P 31", HEXAGONAL))


def test_operations_in_other_shapes():
    true = by_group("P -1")
    for head in (
        "_symmetry_equiv_pos_as_xyz\n;\nx,y,z\n-x,-y,-z\n;",
        "loop_\n_symmetry_equiv_pos_as_xyz\n\u2018x,y,z\u2019\n\u2018-x,-y,-z\u2019",
        "loop_\n_space_group_symop_magn_operation_xyz\n'x,y,z,+1'\n'-x,-y,-z,-1'",
        "loop_ _symmetry_equiv.pos_as_xyz 'x,y,z' '-x,-y,-z'",
    ):
        assert_same_crystal(read(cif(head)), true)


@pytest.mark.parametrize(
    "head, words",
    [
        (operations("x,y,z", "-x,y+1/2,-x+1/2"), ["'-x,y+1/2,-x+1/2'", "no symmetry operation"]),
        (operations("x,y,z", "-x,2y,-z"), ["'-x,2y,-z'", "no symmetry operation"]),
        (operations("x,y,z", "-x,y+1/2"), ["no symmetry operation"]),
        ("loop_\n_symmetry_equiv_pos_as_xyz\nx, y, z\n-x, -y, -z", ["quotes"]),
        (operations(*P21C[:3]), ["no group", "missing"]),
        (operations(P21C[0], "-x,y+1/3,-z+1/2", *P21C[2:]), ["no group", "y+1/3"]),
        (
            operations("x,y,z", "-x,y+1/2,-z", "-x,-y,-z", "x,-y+1/2,z") + "\n" + symbol("P 21/c"),
            ["P 1 21/m 1"],
        ),
        (operations(P21C[0], P21C[2]) + "\n" + number(14), ["P -1", "P 1 21/c 1"]),
        (operations("x,y,z") + "\n" + symbol("P 21/c"), ["only the symmetry operation x,y,z", "P 1 21/c 1"]),
        (operations("x,y,z", "-y,x-y,z", "-x+y,-x,z"), ["do not fit the cell"]),
    ],
)
def test_operations_that_cannot_be_are_a_sentence(head, words):
    with pytest.raises(ValueError) as caught:
        read(cif(head))
    assert all(word in str(caught.value) for word in words)


def test_operations_and_name_in_two_settings():
    atoms = read(cif(operations(*P21C) + "\n" + symbol("P 21/n")))
    assert_same_crystal(atoms, by_group("P 1 21/c 1"))
    assert "P 1 21/n 1" in atoms.info["note"]


def test_all_atoms_listed_beside_the_name_of_the_group():
    true = by_group("P 1 21/c 1")
    sites = [
        (f"{s}{n}", s, *p)
        for n, (s, p) in enumerate(zip(true.symbols, true.get_scaled_positions(), strict=True))
    ]
    for head in (operations("x,y,z") + "\n" + symbol("P 21/c"), symbol("P 21/c"), operations(*P21C)):
        assert_same_crystal(read(cif(head, sites=sites)), true)


@pytest.mark.parametrize(
    "head, columns, tail, words",
    [
        (
            "_chemical_formula_sum 'Li O P'\n_cell_formula_units_Z 4",
            "",
            "",
            ["formula", "Z = 4", "no symmetry"],
        ),
        ("", " symmetry_multiplicity", " 4", ["multiplicities", "no symmetry"]),
        ("", " Wyckoff_symbol", " e", ["Wyckoff", "no symmetry"]),
    ],
)
def test_symmetry_that_was_lost_is_a_sentence(head, columns, tail, words):
    rows = [" ".join(map(str, site)) + tail for site in SITES]
    columns = "label type_symbol fract_x fract_y fract_z" + columns
    with pytest.raises(ValueError) as caught:
        read(cif(head, sites=rows, columns=columns))
    assert all(word in str(caught.value) for word in words)
    assert len(read(cif(head + "\n" + operations(*P21C), sites=rows, columns=columns))) == 12


def test_a_crystal_system_alone_is_a_note():
    assert "monoclinic" in read(cif("_symmetry_cell_setting monoclinic")).info["note"]
    assert not read(cif("_symmetry_cell_setting triclinic")).info


# ---------------------------------------------------------------- sites


def one(row, columns="label type_symbol fract_x fract_y fract_z", head=""):
    return read(cif(head, CUBIC, [row, "C9 C 0.6 0.6 0.6" + " ." * (len(columns.split()) - 5)], columns))


@pytest.mark.parametrize(
    "label, kind, element",
    [
        *(("Li1", kind, "Li") for kind in ("Li", "Li1+", "Li+1", "Li+", "LI", "li", "?", ".")),
        *(("O1", kind, "O") for kind in ("O2-", "O-2", "O--")),
        *((label, "?", "Li") for label in ("Li", "Li(1)", "Li_a", "Li1'", "LI1", "Li1A")),
        ("M1", "Fe3+", "Fe"),
    ],
)
def test_elements(label, kind, element):
    atoms = one(f'"{label}" {kind} 0.1 0.2 0.3')
    assert atoms.symbols[0] == element and not atoms.info


@pytest.mark.parametrize(
    "label, kind, element, word",
    [
        ("NA1", "NA", "Na", "'NA'"),
        ("CO1", "?", "Co", "'CO'"),
        ("OW1", "?", "O", "'OW1'"),
        ("LiT1", "?", "Li", "'LiT1'"),
        ("D1", "D", "H", "deuterium"),
        ("Li1", "Lithium", "Li", "'Lithium'"),
        ("Li1", "1", "Li", "'1'"),
        ("N1", "O", "O", "label 'N1'"),
    ],
)
def test_elements_with_a_note(label, kind, element, word):
    atoms = one(f"{label} {kind} 0.1 0.2 0.3")
    assert atoms.symbols[0] == element and word in atoms.info["note"]


@pytest.mark.parametrize(
    "label, kind, words",
    [
        ("N1", "'0.75N + 0.25O'", ["more than one element"]),
        ("M1", "Li/Na", ["more than one element"]),
        ("O1", "OH2", ["OH2", "hydrogen"]),
        ("N1", "NH4+", ["NH4+", "hydrogen"]),
        ("O1", "Wat", ["Wat", "hydrogen"]),
        ("X1", "X", ["X is no chemical element"]),
        ("Ob1", "?", ["Ob is no chemical element"]),
        ("Q1", "?", ["Q is no chemical element"]),
        ("*", "?", ["no chemical element"]),
    ],
)
def test_no_element_or_more_than_one(label, kind, words):
    with pytest.raises(ValueError) as caught:
        one(f"{label} {kind} 0.1 0.2 0.3")
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    "word, x",
    [
        (".", 0),
        ("1/3", 1 / 3),
        ("-1/3", 2 / 3),
        (".25(3)", 0.25),
        ("2.5e-1", 0.25),
        ("\u22120.25", 0.75),
        ("½", 0.5),
    ],
)
def test_numbers(word, x):
    np.testing.assert_allclose(one(f"Li1 Li {word} 0.2 0.3").get_scaled_positions()[0, 0], x)


@pytest.mark.parametrize("word", ["0,25", "nan", "1/0", "?", "x"])
def test_no_number(word):
    with pytest.raises(ValueError, match="not a number") as caught:
        one(f"Li1 Li {word} 0.2 0.3")
    assert repr(word) in str(caught.value)


def test_a_point_for_an_angle_is_90_degrees():
    np.testing.assert_allclose(read(cif(cell=(8, 9, 10, ".", 100, "."))).cell.angles(), [90, 100, 90])


COLUMNS = "label type_symbol fract_x fract_y fract_z "


@pytest.mark.parametrize(
    "column, word, n",
    [
        ("calc_flag", "dum", 1),
        ("occupancy", "0", 1),
        ("occupancy", "1.002(5)", 2),
        ("disorder_group", "1", 2),
        ("attached_hydrogens", "0", 2),
    ],
)
def test_sites_that_are_no_atoms_and_some_that_are(column, word, n):
    atoms = one(f"Li1 Li 0.1 0.2 0.3 {word}", COLUMNS + column)
    assert len(atoms) == n and ("note" in atoms.info) == (n == 1)


@pytest.mark.parametrize(
    "columns, tails, words",
    [
        ("disorder_group", ["1", "2"], ["disorder", "1 and 2"]),
        ("disorder_assembly disorder_group", ["A 1", "A 2"], ["disorder"]),
        ("disorder_group", ["-1", "."], ["disorder"]),
        ("label_alt_id", ["A", "B"], ["alternatives"]),
        ("attached_hydrogens", ["1", "0"], ["1 hydrogen"]),
        ("occupancy", ["0.5", "1"], ["partial occupancy 0.5"]),
        ("occupancy", ["1/2", "1"], ["partial occupancy 0.5"]),
        ("occupancy", ["100", "100"], ["partial occupancy 100"]),
    ],
)
def test_what_is_not_one_ordered_arrangement(columns, tails, words):
    rows = [f"Li{n} Li 0.{n} 0.2 0.3 {tail}" for n, tail in enumerate(tails, 1)]
    with pytest.raises(ValueError) as caught:
        read(cif(cell=CUBIC, sites=rows, columns=COLUMNS + columns))
    assert all(word in str(caught.value) for word in words)
    other = [row.replace(" A 2", " B 1") for row in rows]  # two places, each with its own disorder
    if other != rows:
        assert len(read(cif(cell=CUBIC, sites=other, columns=COLUMNS + columns))) == 2


@pytest.mark.parametrize(
    "formula, word",
    [
        ("'Li O P'", None),
        ("'Li1.00 O1.00 P1.00'", None),
        ("'Li4 O4 P4'", None),
        ("'Li(OP)'", None),
        ("'Li2 O P'", "Li2 O P"),
        ("'Li O'", "LiOP"),
    ],
)
def test_formula(formula, word):
    note = read(cif("_chemical_formula_sum " + formula)).info.get("note")
    assert (note is None) if word is None else ("formula" in note and word in note)


def test_missing_hydrogen_and_a_doubtful_z():
    with pytest.raises(ValueError, match="holds no H"):
        read(cif("_chemical_formula_sum 'H Li O P'"))
    for z, formula, said in (
        (8, "'Li O P'", True),
        (4, "'Li O P'", False),
        (4, "'Li4 O4 P4'", False),
        (5.33, "'Li O P'", True),
    ):
        head = f"_chemical_formula_sum {formula}\n_cell_formula_units_Z {z}\n" + operations(*P21C)
        atoms = read(cif(head))
        assert len(atoms) == 12 and ("note" in atoms.info) == said


# ---------------------------------------------------------------- Cartesian axes


@pytest.mark.parametrize("kind", ["Cartn", "fract", "mmCIF", "none"])
def test_cartesian_coordinates(kind):
    true = by_group("P 1")
    if kind == "none":  # as ASE does, and with a note
        matrix, head = true.cell.array.T, ""
    else:  # c along z, a in the plane of x and z
        a, b, c, _, beta, _ = true.cell.cellpar()
        beta = np.deg2rad(beta)
        matrix = np.array([[a * np.sin(beta), 0, 0], [0, b, 0], [a * np.cos(beta), 0, c]])
        given = matrix if kind == "Cartn" else np.linalg.inv(matrix)
        tag = "fract_transf_matrix[%d][%d]" if kind == "mmCIF" else f"{kind}_tran_matrix_%d%d"
        head = "\n".join(
            f"_atom_sites{'.' if kind == 'mmCIF' else '_'}{tag % (i + 1, j + 1)} {given[i, j]:.8f}"
            for i, j in np.ndindex(3, 3)
        )
    places = true.get_scaled_positions() @ matrix.T
    rows = [(s, s, *p) for s, p in zip(true.symbols, places, strict=True)]
    atoms = read(cif(head, sites=rows, columns="label type_symbol Cartn_x Cartn_y Cartn_z"))
    assert_same_crystal(atoms, true)
    assert ("note" in atoms.info) == (kind == "none")


def test_cartesian_axes_of_another_cell():
    head = "\n".join(
        f"_atom_sites_Cartn_tran_matrix_{i}{j} {9.0 * (i == j)}" for i in (1, 2, 3) for j in (1, 2, 3)
    )
    with pytest.raises(ValueError, match=r"axes .* do not fit the _cell"):
        read(cif(head, columns="label type_symbol Cartn_x Cartn_y Cartn_z"))


# ---------------------------------------------------------------- syntax


@pytest.mark.parametrize(
    "text",
    [
        cif().replace("data_test", "data_my own block"),
        cif().replace("data_test", "data_"),
        cif("_publ_author_name 'D'Arc, B.'"),
        cif("_publ_author_name M\u00fcller"),
        cif("loop_\n_citation_id\n_citation_journal\n_citation_year\na\n;\nLong\ndata_old\n; 1977\nb ? ."),
        cif("loop_\n_atom_site_aniso_label\n_atom_site_aniso_U_11"),
        cif("loop_\n_a\n# a remark\n_b\n1 2\n# another\n3 4"),
        cif("_cell_length_a 8.2"),
        "global_\n_a 1\n" + cif(),
        cif() + "\x1a",
        cif() + "\x1a\r\n\x1a\x1a",
        cif().replace("_atom_site_", "_atom_site."),
        cif().replace("\n_atom_site", " _atom_site"),
        cif().upper().replace("LI1 LI", "Li1 Li"),
    ],
)
def test_syntax(text):
    atoms = read(text)
    assert_same_crystal(atoms, by_group("P 1"))
    assert not atoms.info


@pytest.mark.parametrize(
    "text, words",
    [
        (cif("_a 'unclosed"), ["line 8", "quotation"]),
        (cif("_cell_length_a 9"), ["_cell_length_a", "twice"]),
        (cif(sites=["Li1 Li 0.1 0.2"]), ["columns", "cut off"]),
    ],
)
def test_broken_syntax(text, words):
    with pytest.raises(ValueError) as caught:
        read(text)
    assert all(word in str(caught.value) for word in words)


# ---------------------------------------------------------------- VASP

VECTORS = "7.2 0 0\n1.1 7.4 0\n-0.6 0.9 7.6\nLi O\n1 2\n"
FIRST = "0.1 0.2 0.3\n0.5 0.5 0.5\n0.8 0.1 0.1\n"
LAST = "0.1 0.2 0.35\n0.5 0.5 0.5\n0.8 0.1 0.1\n"


@pytest.mark.parametrize(
    "text, frames",
    [
        ("Direct configuration= 1\n" + FIRST + "Direct configuration= 2\n" + LAST, 2),
        ("Konfig= 1\n" + FIRST + "\nKonfig= 2\n" + LAST, 2),
        ("Direct\n" + FIRST + "t\n1.0\n" + VECTORS + "Direct\n" + LAST, 2),
        ("Direct\n" + FIRST + "\n" + FIRST + "\nt\n1.0\n" + VECTORS + "Selective\nDirect\n" + LAST, 2),
        (("Direct configuration= 1\n" + FIRST + "t\n1.0\n" + VECTORS) * 2 + "Direct\n" + LAST, 3),
        ("Direct\n" + LAST + "\n" + FIRST, 1),  # velocities
        ("Direct\n" + LAST + "Lattice velocities and vectors\n1\n7 0 0\n0 7 0\n0 0 7\n", 1),
    ],
)
def test_of_several_structures_of_vasp_the_last(text, frames):
    atoms = read("t\n1.0\n" + VECTORS + text, "XDATCAR")
    np.testing.assert_allclose(atoms.get_scaled_positions()[0], [0.1, 0.2, 0.35])
    assert atoms.info.get("note", "").startswith(f"the file holds {frames}" if frames > 1 else "")
    assert ("note" in atoms.info) == (frames > 1)


@pytest.mark.parametrize(
    "title", ["data_x", "_cell_length_a 5", "loop_", "<?xml", "<html>", "{", "[", "3", "#"]
)
def test_a_title_may_hold_anything(title):
    assert len(read(f"{title}\n1.0\n{VECTORS}Direct\n{LAST}", "POSCAR")) == 3
    assert len(read(f"1\n{title}\nO 0 0 0\n", "my.xyz")) == 1


@pytest.mark.parametrize("mode", ["direct", "D", "Fractional", "fract"])
def test_words_for_fractions_of_the_vectors(mode):
    atoms = read(f"t\n1.0\n{VECTORS}{mode}\n{LAST}", "POSCAR")
    assert np.allclose(atoms.positions, read(f"t\n1.0\n{VECTORS}Direct\n{LAST}", "POSCAR").positions)


def test_scale_factors():
    bare = read(f"t\n1.0\n{VECTORS}Direct\n{LAST}", "POSCAR")
    volume = read(f"t\n-{8 * bare.get_volume()}\n{VECTORS}Direct\n{LAST}", "POSCAR")
    np.testing.assert_allclose(volume.positions, 2 * bare.positions)
    cartesian = "\n".join(" ".join(map(str, p)) for p in bare.positions)
    three = read(f"t\n2 2 3\n{VECTORS}Cartesian\n{cartesian}\n", "POSCAR")
    np.testing.assert_allclose(three.positions, bare.positions * [2, 2, 3])
    np.testing.assert_allclose(three.cell.array, bare.cell.array * [2, 2, 3])
    with pytest.raises(ValueError, match="line 2: the scale factor"):
        read(f"t\n-1 -1 -1\n{VECTORS}Direct\n{LAST}", "POSCAR")


# ---------------------------------------------------------------- extended XYZ

BOX, OTHER = 'Lattice="9 0 0 0 9 0 0 0 9"', 'Lattice="8 0 0 0 8 0 0 0 8"'
WATER = "O 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n"


def xyz(comment, rows=WATER):
    return read(f"{rows.count(chr(10))}\n{comment}\n{rows}", "my.extxyz")


@pytest.mark.parametrize(
    "comment",
    [
        BOX,
        f"title='{OTHER}' {BOX}",
        r'title="old: Lattice=\"8 0 0 0 8 0 0 0 8\"" ' + BOX,
        f'{BOX} title="Properties=species:S:1:forces:R:3:pos:R:3"',
        f'{BOX} title="pbc=F F F"',
        f"old_{OTHER} {BOX} prev-{OTHER}",
        BOX.replace("=", " = "),
        BOX.lower(),
        f"it's water, {BOX}, energy=-5",
        f"{BOX} {BOX}",
        "Lattice={9 0 0 0 9 0 0 0 9}",
    ],
)
def test_the_comment_line_is_read_by_its_grammar(comment):
    atoms = xyz(comment)
    np.testing.assert_allclose(atoms.cell.lengths(), 9)
    assert atoms.pbc.all() and str(atoms.symbols) == "OH2" and not atoms.info


@pytest.mark.parametrize(
    "comment, words",
    [
        (f"{BOX} {OTHER}", ["Lattice", "twice"]),
        (f'{BOX} pbc="T T T" pbc=F', ["pbc", "twice"]),
        ('Lattice "9 0 0 0 9 0 0 0 9"', ["nine", "quotes"]),
        ("Lattice=9 0 0 0 9 0 0 0 9", ["nine", "quotes"]),
        ("Lattice=[[9, 0, 0], [0, 9, 0], [0, 0, 9]]", ["nine", "quotes"]),
        ("Properties=species:S:1:pos:R:3:pos:R:3", ["pos twice"]),
        ("Properties=species:S:1:species:S:1:pos:R:3", ["species twice"]),
        ("Properties=species:S:1:positions:R:3", ["species and pos"]),
        ("Properties=species:S:1:pos:R:3:id:I:1", ["5 columns", "only 4"]),
        ("Properties=species:S:1:pos:R:2:x:R:1", ["species and pos"]),
    ],
)
def test_a_comment_line_that_contradicts_itself(comment, words):
    with pytest.raises(ValueError) as caught:
        xyz(comment)
    assert all(word in str(caught.value) for word in ["line", *words])


def test_a_lattice_inside_another_value_alone_is_a_note():
    atoms = xyz(f"title='{BOX}'")
    assert not atoms.cell.any() and "Lattice" in atoms.info["note"]


@pytest.mark.parametrize("name", ["Z", "numbers", "atomic_numbers"])
def test_species_and_z(name):
    rows = "O 0 0 0 8\nH 0.96 0 0 1\nH -0.24 0.93 0 1\n"
    comment = f"Properties=species:S:1:pos:R:3:{name}:I:1"
    assert str(xyz(comment, rows).symbols) == "OH2"
    assert str(xyz(f"Properties={name}:I:1:pos:R:3", "8 0 0 0\n1 0.96 0 0\n").symbols) == "OH"
    with pytest.raises(ValueError, match=rf"line 3: the species is O, but {name} is 7, N"):
        xyz(comment, rows.replace(" 8", " 7"))


def test_other_columns_do_not_move_the_atoms():
    rows = "1 O 0 0 0 5 5 5\n2 H 0.96 0 0 6 6 6\n"
    atoms = xyz("Properties=id:I:1:species:S:1:pos:R:3:positions:R:3", rows)
    np.testing.assert_allclose(atoms.positions, [[0, 0, 0], [0.96, 0, 0]])
    with pytest.raises(ValueError, match="line 3: 4 columns were expected, but there are 8"):
        xyz("Properties=species:S:1:pos:R:3", rows)


# ---------------------------------------------------------------- whatever is written comes back


@st.composite
def crystals(draw):
    """Some atoms of any species on a grid that keeps them apart, in a cell of any shape."""
    lengths = [draw(st.floats(6, 12)) for _ in range(3)]
    angles = [draw(st.floats(75, 105)) for _ in range(3)]
    cells = draw(st.lists(st.integers(0, 26), min_size=1, max_size=8, unique=True))
    places = [[(n // 9 + draw(st.floats(0, 0.4))) / 3, (n // 3 % 3) / 3, (n % 3) / 3] for n in cells]
    kinds = [draw(st.sampled_from(["H", "Li", "N", "Na", "O", "P", "Co", "No", "U"])) for _ in cells]
    return Atoms(kinds, scaled_positions=places, cell=[*lengths, *angles], pbc=True)


@given(crystals(), st.sampled_from(["cif", "vasp", "extxyz", "gemmi"]))
def test_a_written_crystal_is_read_back(crystal, form):
    if form == "gemmi":
        small = gemmi.SmallStructure()
        small.name, small.cell = "test", gemmi.UnitCell(*crystal.cell.cellpar())
        small.spacegroup_hm = "P 1"
        for n, (kind, place) in enumerate(zip(crystal.symbols, crystal.get_scaled_positions(), strict=True)):
            site = gemmi.SmallStructure.Site()
            site.label, site.type_symbol, site.element = f"{kind}{n}", kind, gemmi.Element(kind)
            site.fract, site.occ = gemmi.Fractional(*place), 1
            small.add_site(site)
        content = small.make_cif_block().as_string().encode()
    else:
        buffer = io.BytesIO() if form == "cif" else io.StringIO()
        ase.io.write(buffer, crystal, format=form)
        content = buffer.getvalue() if form == "cif" else buffer.getvalue().encode()
    atoms = uploads.read({"vasp": "POSCAR", "extxyz": "my.xyz"}.get(form, "my.cif"), content)
    assert_same_crystal(atoms, crystal)
    assert not atoms.info


@given(
    st.sampled_from([e for e in gemmi.spacegroup_table() if e.ext.strip("\0 ") != "2" and ")" not in e.hm]),
    st.integers(0, 99),
)
def test_each_setting_of_a_space_group_is_known_by_symbol_hall_and_operations(entry, seed):
    cell = {
        "triclinic": (17, 19, 23, 85, 101, 93),
        "monoclinic": {
            "a": (17, 19, 23, 101, 90, 90),
            "b": (17, 19, 23, 90, 101, 90),
            "c": (17, 19, 23, 90, 90, 101),
        },
        "orthorhombic": (17, 19, 23, 90, 90, 90),
        "tetragonal": (23, 23, 19, 90, 90, 90),
        "trigonal": (21, 21, 21, 72, 72, 72) if "R" in entry.ext else (23, 23, 29, 90, 90, 120),
        "hexagonal": (23, 23, 29, 90, 90, 120),
        "cubic": (31, 31, 31, 90, 90, 90),
    }[entry.crystal_system_str()]
    if isinstance(cell, dict):
        cell = cell[entry.qualifier.strip("-")[:1] or "b"]
    place = np.random.default_rng(seed).uniform(0.05, 0.95, 3).round(5)
    sites = [("Li1", "Li", *place)]
    triplets = [op.triplet() for op in entry.operations()]
    counts = []
    for head in (symbol(entry.xhm()), f"_space_group_name_Hall '{entry.hall}'", operations(*triplets)):
        try:
            counts.append(len(read(cif(head, cell, sites))))
        except ValueError as sentence:  # atoms near an element of symmetry
            assert "apart" in str(sentence)
            counts.append(None)
    assert counts[0] == counts[1] == counts[2]
    # on an element of symmetry, to 0.05 A, images are one
    assert counts[0] is None or len(triplets) % counts[0] == 0


ZINCITE = (3.25, 3.25, 5.2, 90, 90, 120)


@pytest.mark.parametrize("digits", [2, 3, 4])
@pytest.mark.parametrize(
    "group, cell, sites, formula",
    [
        ("P 63 m c", ZINCITE, [("Zn", 1 / 3, 2 / 3, 0), ("O", 1 / 3, 2 / 3, 0.38)], "O2Zn2"),
        ("P 63/m m c", ZINCITE, [("Mg", 1 / 3, 2 / 3, 0.25)], "Mg2"),
        ("P -3 m 1", (4.24, 4.24, 6.84, 90, 90, 120), [("Cd", 0, 0, 0), ("I", 1 / 3, 2 / 3, 0.25)], "CdI2"),
        (
            "P 32 2 1",
            (4.92, 4.92, 5.41, 90, 90, 120),
            [("Si", 0.47, 0, 2 / 3), ("O", 0.41, 0.27, 0.79)],
            "O6Si3",
        ),
        ("R -3 c", (4.76, 4.76, 12.99, 90, 90, 120), [("Al", 0, 0, 0.35), ("O", 0.31, 0, 0.25)], "Al12O18"),
    ],
    ids=["wurtzite", "hcp", "CdI2", "quartz", "corundum"],
)
def test_special_positions_that_were_rounded(group, cell, sites, formula, digits):
    rounded = [(f"{kind}1", kind, *(f"{x:.{digits}f}" for x in place)) for kind, *place in sites]
    atoms = read(cif(symbol(group), cell, rounded))
    assert atoms.get_chemical_formula() == formula
    exact = read(cif(symbol(group), cell, [(f"{kind}1", kind, *place) for kind, *place in sites]))
    assert_same_crystal(atoms, exact, 0.02)


def test_a_place_beside_a_special_one_is_not_moved_by_its_digits():
    atoms = read(cif(symbol("P -1"), (9, 9, 9, 90, 90, 90), [("Li1", "Li", 0.06, 0.0, 0.0)]))
    assert len(atoms) == 2  # 0.5 A from the centre of inversion: more than the last digit


def test_remarks_on_what_looks_wrong():
    cell = (4, 4, 4, 90, 90, 90)
    atoms = read(cif("_cell_volume 70", cell, [("Li1", "Li", 0.1, 0.2, 0.3)]))
    assert "volume" in atoms.info["note"]
    atoms = read(cif("", cell, [("Li1", "Li", 2.7, 0.2, 0.3)]))
    assert "units of the cell" in atoms.info["note"]
    poscar = "x\n1.0\n4 0 0\n0 4 0\n0 0 4\nLi O\n1 1\nDirect\n0 0 0 Li1\n.5 .5 .5 {}\n"
    assert len(read(poscar.format("O1"), "POSCAR")) == 2
    with pytest.raises(ValueError, match="line 10: the label is Li2, but by the numbers of atoms this is O"):
        read(poscar.format("Li2"), "POSCAR")
    with pytest.raises(ValueError, match="names two elements"):
        read(cif("", cell, [("Li/Na1", "?", 0.1, 0.2, 0.3)]))


@pytest.mark.parametrize(
    "head, words",
    [
        (number(14) + "\n_space_group_IT_number 15", ["14 and 15", "differ"]),
        (
            "_space_group_name_Hall '-P 2yn'\n_symmetry_space_group_name_Hall '-P 2ybc'",
            ["-P 2ybc and -P 2yn", "differ"],
        ),
        (
            operations(*P21C) + "\n" + operations(P21C[0], P21C[2], tag="_symmetry_equiv_pos_as_xyz"),
            ["_symmetry_equiv_pos_as_xyz", "differ"],
        ),
        ('_space_group_magn.name_BNS "P 2_1\'/c"', ["magn_name_bns", "not read"]),
    ],
)
def test_one_thing_under_two_tags_must_be_one(head, words):
    with pytest.raises(ValueError) as caught:
        read(cif(head))
    assert all(word in str(caught.value) for word in words)


def test_the_same_operations_under_two_tags():
    head = operations(*P21C) + "\n" + operations(*P21C[::-1], tag="_symmetry_equiv_pos_as_xyz")
    assert_same_crystal(read(cif(head)), by_group("P 1 21/c 1"))


def test_two_lists_of_displacements_are_no_contradiction():
    more = "loop_\n_atom_site_aniso_label\n_atom_site_aniso_U_11\n{} 0.01\n"
    assert_same_crystal(read(more.format("Li1").join([cif(), more.format("P1")])), by_group("P 1"))


def test_unknown_fractions_beside_cartesian_coordinates():
    columns = "label type_symbol fract_x fract_y fract_z Cartn_x Cartn_y Cartn_z"
    atoms = read(cif("", ORTHORHOMBIC, ["Li1 Li ? ? ? 1 2 3"], columns))
    np.testing.assert_allclose(atoms.positions, [[1, 2, 3]])
    with pytest.raises(ValueError, match="lacks _atom_site_fract_z"):
        read(cif("", ORTHORHOMBIC, ["Li1 Li 0.1 0.2"], "label type_symbol fract_x fract_y"))


def test_a_line_that_stands_twice_is_a_note():
    atoms = read(cif("", ORTHORHOMBIC, ["Li1 Li 0.1 0.2 0.3", "Li2 Li 1.1 0.2 0.3"]))
    assert len(atoms) == 1 and "repeats the place of another" in atoms.info["note"]


@pytest.mark.parametrize(
    "comment, words",
    [
        ('Lattice="9 0 0 0 9 0 0 0 9', ["nine", "quotes"]),
        (f"{BOX} units=bohr", ["units is bohr", "A are needed"]),
        (f'{BOX} length_unit="nm"', ["length_unit is nm"]),
    ],
)
def test_a_comment_line_that_is_not_closed_or_has_other_units(comment, words):
    with pytest.raises(ValueError) as caught:
        xyz(comment)
    assert all(word in str(caught.value) for word in ["line 2", *words])


@pytest.mark.parametrize("key", ["cell", "box", "Tv_1", "unit_cell"])
def test_a_cell_under_another_key_is_a_note(key):
    atoms = xyz(f'{key}="9 0 0 0 9 0 0 0 9"')
    assert not atoms.cell.any() and atoms.info["note"].startswith(f"{key} is not read")


def test_a_column_of_occupancies():
    comment, rows = f"{BOX} Properties=species:S:1:pos:R:3:occupancy:R:1", "O 0 0 0 1.0\nH 0.96 0 0 {}\n"
    assert len(xyz(comment, rows.format(1))) == 2
    with pytest.raises(ValueError, match=r"line 4: the occupancy is 0\.5"):
        xyz(comment, rows.format(0.5))


def test_flags_and_labels_behind_the_coordinates():
    rows = "0.1 0.2 0.3 F F F\n0.5 0.5 0.5 T F T O1\n0.8 0.1 0.1 .FALSE. T T O2\n"  # F is no fluorine here
    assert len(read(f"t\n1.0\n{VECTORS}Selective\nDirect\n{rows}", "POSCAR")) == 3
    with pytest.raises(ValueError, match="line 11: the label is Li1"):
        read(f"t\n1.0\n{VECTORS}Selective\nDirect\n{rows.replace('O1', 'Li1')}", "POSCAR")
    with pytest.raises(ValueError, match="10,000,000,000 atoms are too many"):
        read(f"t\n1.0\n{VECTORS.replace('1 2', '1 9999999999')}Direct\n{rows}", "POSCAR")


def test_a_vector_that_is_no_number_is_called_a_vector():
    with pytest.raises(ValueError, match=r"line 3: 'nan' is not a finite number, one of .* lattice vector"):
        read(f"t\n1.0\n{VECTORS.replace('7.2', 'nan')}Direct\n{FIRST}", "POSCAR")
