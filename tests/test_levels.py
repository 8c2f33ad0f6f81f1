"""Levels derived from bands: a case to check in the head, and two real structures checked by hand."""

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlms_helpers import datasets, levels


@pytest.fixture(scope="module")
def lipon():
    return datasets.load("lipon")


#                      N-2s    O-2p .......  edge   N    empty
EPS = np.array([-14.0, -3.0, -2.0, -1.0, 0.0, 1.5, 6.0])
OCC = np.array([2, 2, 2, 2, 2, 2, 0.0])
SHARE = np.array(
    [
        [0.95, 0.30, 0.02, 0.01, 0.05, 0.40, 0.1],  # N
        [0.05, 0.70, 0.98, 0.99, 0.95, 0.60, 0.9],
    ]
)  # O


def test_toy_bands():
    edge = levels.host_edge(EPS, OCC, SHARE, [True, False])
    assert EPS[edge] == 0.0  # the highest with less than a tenth on N
    assert EPS[levels.atom_level(EPS, OCC, SHARE, 0, EPS[edge])] == 1.5
    assert levels.atom_level(EPS, OCC, SHARE, 1, EPS[edge]) == 5  # O's own: 0.60 is more than half of 0.99


def test_window_keeps_the_2s_band_out():
    share = SHARE.copy()
    share[0, 1:6] = 0.05, 0.05, 0.05, 0.05, 0.3  # half of the 2s share would exclude every 2p band
    assert EPS[levels.atom_level(EPS, OCC, share, 0, 0.0)] == 1.5


def test_no_host_band_is_said():
    with pytest.raises(ValueError, match="no host band edge"):
        levels.host_edge(EPS, OCC, np.array([[0.9] * 7, [0.1] * 7]), [True, False])


@pytest.mark.parametrize("config", ["k0002-0", "k0010-1"])
def test_two_structures_by_hand(lipon, config):
    """The definition again, in plain loops over bands."""
    number = lipon.table.index[lipon.table.config == config][0]
    atoms = lipon.structures[number]
    eps, occ, share = atoms.info["eps"], atoms.info["occ"], atoms.arrays["share"]
    nitrogen = [k for k in range(len(atoms)) if atoms[k].symbol == "N"]
    band = max(b for b in range(len(eps)) if occ[b] > 1)
    while sum(share[k, b] for k in nitrogen for b in [band]) >= 0.1:
        band -= 1
    edge = eps[band]
    oxygen = [atoms.arrays["potential"][k] for k in range(len(atoms)) if atoms[k].symbol == "O"]
    reference = sum(oxygen) / len(oxygen)
    found = levels.nitrogen_levels([atoms])
    assert list(found.atom) == nitrogen
    for row, k in zip(found.itertuples(), nitrogen, strict=True):
        inside = [b for b in range(len(eps)) if occ[b] > 1 and eps[b] > edge - 8]
        top = max(share[k, b] for b in inside)
        level = max(eps[b] for b in inside if share[k, b] >= top / 2)
        assert row.depth == pytest.approx(level - edge, abs=1e-9)
        assert row.aligned == pytest.approx(level - reference, abs=1e-9)
    edges = levels.band_edges([atoms]).iloc[0]
    assert edges.host_edge == pytest.approx(edge - reference, abs=1e-9)
    assert edges.gap == pytest.approx(min(eps[occ < 1]) - edge, abs=1e-9)


def test_all_levels_lie_where_they_should(lipon):
    table = levels.nitrogen_levels(lipon.structures)
    assert len(table) == (lipon.table.n_nitrogen).sum()
    assert table.depth.between(-0.5, 4.5).all() and table.share.between(0.05, 1).all()
    assert (
        table.depth[table.n_nitrogen == 1].max() < 3
    )  # what lies deeper: two N that push each other's levels
    pristine = levels.band_edges([a for a in lipon.structures if "N" not in a.symbols])
    np.testing.assert_allclose(
        pristine.host_edge, pristine.top_level
    )  # without N the top of all is the host's


def test_a_common_shift_of_all_energies_changes_nothing(lipon):
    """Only differences mean something: shift bands and site potentials together."""
    atoms = lipon.structures[7].copy()
    before = levels.nitrogen_levels([atoms])
    atoms.info["eps"] = atoms.info["eps"] + 3.3
    atoms.arrays["potential"] = atoms.arrays["potential"] + 3.3
    after = levels.nitrogen_levels([atoms])
    np.testing.assert_allclose(
        after[["depth", "aligned", "centroid"]], before[["depth", "aligned", "centroid"]], atol=1e-9
    )


def test_content_is_intensive(lipon):
    structures = lipon.structures[:9]
    content = levels.nitrogen_content(structures)
    np.testing.assert_array_equal(content, lipon.table.n_nitrogen[:9] / 8)
    np.testing.assert_array_equal(
        levels.nitrogen_content([atoms * (1, 2, 1) for atoms in structures]), content
    )
    bare = structures[8][[atom.index for atom in structures[8] if atom.symbol != "P"]]
    with pytest.raises(ValueError, match="structure 1 has no P"):
        levels.nitrogen_content([structures[0], bare])


def test_sites_are_one_row_an_atom_in_their_order(lipon):
    structures = lipon.structures[4:7]
    table = levels.sites(structures)
    assert list(table.columns) == ["structure", "atom", "symbol"] and len(table) == sum(map(len, structures))
    for row in table.sample(20, random_state=0).itertuples():
        assert structures[row.structure].symbols[row.atom] == row.symbol
    anions = levels.sites(structures, ("O", "N"))
    assert list(anions.index) == list(range(len(anions))) and set(anions.symbol) == {"O", "N"}
    pd.testing.assert_frame_equal(anions, table[~table.symbol.isin(["Li", "P"])].reset_index(drop=True))
    assert len(levels.sites([])) == 0 == len(levels.site_potentials([]))


def test_site_potentials_go_with_the_table_of_sites(lipon):
    structures = lipon.structures[4:7]
    for symbols in (("O", "N"), ["Li"], None):
        table, found = levels.sites(structures, symbols), levels.site_potentials(structures, symbols)
        for row, value in zip(table.itertuples(), found, strict=True):
            assert value == structures[row.structure].arrays["potential"][row.atom]
    bare = structures[0].copy()
    del bare.arrays["potential"]
    with pytest.raises(ValueError, match="structure 1 has no potential"):
        levels.site_potentials([structures[0], bare])


def test_from_oxygen_is_a_difference_in_each_structure():
    table = pd.DataFrame({"structure": [0, 0, 0, 1, 1], "symbol": ["O", "O", "N", "O", "N"]})
    np.testing.assert_allclose(levels.from_oxygen([1.0, 3.0, 7.0, -5.0, -4.0], table), [-1, 1, 5, 0, 1])


def test_host_zero_is_the_edge_of_the_cells_without_nitrogen(lipon):
    edges = levels.band_edges(lipon.structures)
    pristine = levels.band_edges([a for a in lipon.structures if "N" not in a.symbols])
    assert levels.host_zero(edges, lipon.table) == pytest.approx(pristine.host_edge.mean(), abs=1e-12)
    shuffled = lipon.table.sample(frac=1, random_state=0)  # its index does not matter, its order does
    assert levels.host_zero(edges.loc[shuffled.index], shuffled) == pytest.approx(pristine.host_edge.mean())
    doped = (lipon.table.n_nitrogen > 0).to_numpy()
    with pytest.raises(ValueError, match="each structure holds N"):
        levels.host_zero(edges[doped], lipon.table[doped])
    with pytest.raises(ValueError, match="do not belong to a table of"):
        levels.host_zero(edges, lipon.table[doped])


@pytest.mark.parametrize(
    "depth, more, words",
    [
        ([], {}, "depth is empty"),
        ([1.0], {"sigma": [0.1, 0.2]}, "equally long"),
        ([np.nan], {}, "not a number"),
        ([1.0], {"true": [1.0, 2.0]}, "equally long"),
    ],
)
def test_a_picture_that_cannot_be_drawn_says_why(depth, more, words):
    with pytest.raises(ValueError, match=words):
        levels.draw(depth, **more)


@pytest.mark.parametrize(
    "function",
    [
        levels.sites,
        levels.site_potentials,
        levels.band_edges,
        levels.nitrogen_levels,
        levels.nitrogen_content,
    ],
)
def test_one_structure_without_brackets_gets_a_sentence(function):
    atoms = datasets.load("lipon").structures[0]
    with pytest.raises(ValueError, match="brackets"):
        function(atoms)


def test_motifs_of_built_cells():
    def cell(nitrogen):
        """Two P 6 A apart with four O each, some of them N."""
        corners = 1.6 / np.sqrt(3) * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
        here, there = np.array([3, 3, 3]), np.array([9, 3, 3])
        positions = [here, *(corners + here), there, *(corners + there)]
        atoms = Atoms("PO4PO4", positions, cell=[12, 6, 6], pbc=True)
        atoms.symbols[nitrogen] = "N"
        return atoms

    found = levels.motifs([cell([1]), cell([]), cell([1, 2, 6]), cell([1, 2, 3, 7, 8])])
    assert list(found.motif) == ["lone", "pair", "pair", "lone", *["triple"] * 3, "pair", "pair"]
    assert list(found.structure) == [0, 2, 2, 2, 3, 3, 3, 3, 3]
    assert list(found.group) == [0, 1, 1, 2, 3, 3, 3, 4, 4] and list(found.atom[:4]) == [1, 1, 2, 6]
    bridge = Atoms("PNP", [[1, 3, 3], [2.4, 3.8, 3], [3.8, 3, 3]], cell=[12, 6, 6], pbc=True)
    loose = Atoms("PN", [[1, 3, 3], [5, 3, 3]], cell=[12, 6, 6], pbc=True)
    assert list(levels.motifs([bridge, loose]).motif) == ["bridge", "loose"]
    assert list(levels.motifs([cell([])]).columns) == ["structure", "atom", "motif", "group"]


@given(
    arrays(float, 6, elements=st.floats(-3, 3)),
    st.lists(st.integers(0, 3), min_size=6, max_size=6),
    st.floats(0, 2),
)
def test_coupled_levels(energies, groups, t):
    found, groups = levels.coupled(energies, groups, t), np.array(groups)
    for group in np.unique(groups):
        own, upper = energies[groups == group], found[groups == group]
        assert np.ptp(upper) < 1e-12 and upper[0] >= own.max() - 1e-9
        if len(own) == 1:
            assert upper[0] == own[0]
        if len(own) == 2:
            root = np.sqrt((own[0] - own[1]) ** 2 / 4 + t**2)
            np.testing.assert_allclose(upper, own.mean() + root, atol=1e-9)
    np.testing.assert_allclose(levels.coupled(energies + 1.5, groups, t), found + 1.5, atol=1e-9)
    np.testing.assert_allclose(levels.coupled(np.stack([energies] * 2), groups, t)[1], found, atol=1e-12)


def test_a_pair_has_one_level_and_it_is_never_below_that_of_an_atom():
    table = levels.nitrogen_levels(datasets.load("lipon").structures)
    alone = table[table.motif == "lone"]
    assert (alone.pair_level == alone.aligned).all() and (alone.pair_depth == alone.depth).all()
    pairs = table[table.motif == "pair"].groupby("group")
    assert len(pairs) == 22 and (pairs.size() == 2).all() and (pairs.pair_level.nunique() == 1).all()
    np.testing.assert_allclose(pairs.pair_level.first(), pairs.aligned.max())
    assert pairs.pair_depth.first().mean() > alone.depth.mean() + 1
    assert np.corrcoef(table.orbital, table.aligned)[0, 1] > 0.97


def test_the_smooth_edge_feels_disorder_and_not_nitrogen():
    data = datasets.load("lipon")
    edges, y = levels.band_edges(data.structures), levels.nitrogen_content(data.structures)
    x = np.column_stack([np.ones(len(y)), y, data.table.temperature / 1000])
    _, per_y, per_1000_k = np.linalg.lstsq(x, edges.smooth_edge, rcond=None)[0]
    assert abs(per_y) < 0.2 and 0.25 < per_1000_k < 0.45
    assert edges.smooth_edge.std() < 0.8 * edges.host_edge.std()


@pytest.mark.parametrize(
    "energies, groups, t, words",
    [
        ([1.0, 2.0, 3.0], [0, 0], 0.5, r"shape \(3,\) do not belong to 2 groups"),
        ([1.0, 2.0], [0, 0, 1], 0.5, "do not belong to 3 groups"),
        (1.0, [0], 0.5, "do not belong"),
        ([1.0, np.nan], [0, 1], 0.5, "not a finite number"),
        (np.ma.array([1.0, 2.0], mask=[0, 1]), [0, 0], 0.5, "masked"),
        ([1.0, 2.0], [0, np.nan], 0.5, "no group"),
        ([1.0, 2.0], [0, None], 0.5, "no group"),
        ([1.0, 2.0], [[0, 0]], 0.5, "vector"),
        *(([1.0, 2.0], [0, 0], t, "one finite number") for t in (np.nan, np.inf, None, "a", [0.5, 0.6])),
    ],
)
def test_levels_that_cannot_couple_are_said(energies, groups, t, words):
    with pytest.raises(ValueError, match=words):
        levels.coupled(energies, groups, t)


def no_key(key, where):
    return lambda atoms: getattr(atoms, where).pop(key)


def replaced(key, change, where="info"):
    def apply(atoms):
        getattr(atoms, where)[key] = change(getattr(atoms, where)[key])

    return apply


@pytest.mark.parametrize("function", [levels.band_edges, levels.nitrogen_levels])
@pytest.mark.parametrize(
    "change, words",
    [
        *((no_key(key, "info"), f"1 lacks {key}") for key in ("eps", "occ")),
        *((no_key(key, "arrays"), f"1 lacks {key}") for key in ("share", "potential")),
        (replaced("eps", lambda eps: eps[:-3]), "as many bands"),
        (replaced("share", lambda share: share[:, :-2], "arrays"), "as many bands"),
        (replaced("eps", lambda eps: eps * np.nan), "1: eps holds a value that is not a finite number"),
        (replaced("potential", lambda v: v * np.inf, "arrays"), "1: potential holds"),
        (replaced("eps", lambda eps: eps[::-1]), "must ascend"),
        (replaced("occ", lambda occ: 0 * occ + 2), "no empty band"),
        (replaced("occ", lambda occ: 0 * occ), "no occupied band"),
        (lambda atoms: atoms.symbols.__setitem__(atoms.symbols == "O", "S"), "1 holds no O"),
    ],
)
def test_results_that_are_missing_or_contradict_one_another_are_said(lipon, function, change, words):
    atoms = lipon.structures[6].copy()
    change(atoms)
    with pytest.raises(ValueError, match=words):
        function([lipon.structures[6], atoms])


def test_hosts_alone_have_tables_without_rows(lipon):
    hosts = [a for a in lipon.structures if "N" not in a.symbols][:2]
    doped = [a for a in lipon.structures if "N" in a.symbols][:2]
    assert list(levels.nitrogen_levels(hosts).columns) == list(levels.nitrogen_levels(doped).columns)
    assert len(levels.nitrogen_levels(hosts)) == 0
    empty, full = levels.motifs(hosts), levels.motifs(doped)
    assert len(empty) == 0 and (empty.dtypes.drop("motif") == full.dtypes.drop("motif")).all()


def test_values_of_other_sites_are_said(lipon):
    table = pd.DataFrame({"structure": [0, 0, 1], "symbol": ["O", "N", "N"]})
    with pytest.raises(ValueError, match="structure 1 has no O site"):
        levels.from_oxygen([1.0, 2.0, 3.0], table)
    with pytest.raises(ValueError, match=r"shape \(2,\) do not belong to 3 sites"):
        levels.from_oxygen([1.0, 2.0], table)
    with pytest.raises(ValueError, match="lacks the column n_nitrogen"):
        levels.host_zero(levels.band_edges(lipon.structures[:1]), pd.DataFrame({"a": [1]}))
