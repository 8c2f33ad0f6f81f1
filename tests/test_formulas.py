"""Formulas with units: values and names by hand, and what may not be added."""

import numpy as np
import pandas as pd
import pytest

from mlms_helpers import formulas

TABLE = pd.DataFrame(
    {
        "E": [1.0, 2.0, 4.0, 1.0],
        "F": [3.0, 1.0, -1.0, 2.0],
        "r": [1.0, 2.0, 3.0, 3.0],
        "s": [0.5, 0.7, 2.0, 1.0],
        "n": [1.0, 2.0, 1.0, 5.0],
    }
)
UNITS = {"E": "eV", "F": "eV", "r": "A", "s": "A", "n": ""}


@pytest.fixture
def f():
    return formulas.quantities(TABLE, UNITS)


def as_dict(f):
    """{name: (unit, values)}."""
    return {name: (f.unit(k), f.values[:, k].tolist()) for k, name in enumerate(f.names)}


def test_only_like_units_are_added(f):
    assert as_dict(formulas.sums(f)) == {
        "(E + F)": ("eV", [4.0, 3.0, 3.0, 3.0]),
        "(r + s)": ("A", [1.5, 2.7, 5.0, 4.0]),
    }
    assert as_dict(formulas.differences(f)) == {
        "|E - F|": ("eV", [2.0, 1.0, 5.0, 1.0]),
        "|r - s|": ("A", [0.5, 1.3, 1.0, 2.0]),
    }


def test_two_lists_are_combined_one_by_one():
    a, b = (formulas.quantities(TABLE, {name: UNITS[name]}) for name in "rs")
    assert formulas.sums(a, b).names == ["(r + s)"]
    assert formulas.sums(a, formulas.quantities(TABLE, {"E": "eV"})).names == []


def test_products_and_powers(f):
    r = formulas.quantities(TABLE, {"r": "A", "s": "A"})
    found = as_dict(formulas.products(r))
    assert found["r s"] == ("A^2", [0.5, 1.4, 6.0, 3.0]) and list(found) == ["r r", "r s", "s s"]
    assert as_dict(formulas.powers(formulas.sums(r), 3))["(r + s)^3"][0] == "A^3"
    assert formulas.powers(formulas.products(r), 2).names[1] == "(r s)^2"
    np.testing.assert_allclose(formulas.powers(r, 2).values, r.values**2)


def test_ratios_name_and_unit_and_no_zero_below(f):
    below = formulas.powers(formulas.sums(formulas.quantities(TABLE, {"r": "A", "s": "A"})), 2)
    found = as_dict(formulas.ratios(f, below))
    assert found["E / (r + s)^2"][0] == "eV/A^2" and found["n / (r + s)^2"][0] == "1/A^2"
    assert found["r / (r + s)^2"] == ("1/A", pytest.approx([1 / 2.25, 2 / 7.29, 3 / 25, 3 / 16]))
    names = formulas.ratios(f, f).names
    assert "E / r" in names and not [name for name in names if name.endswith("/ F")]  # F changes its sign
    assert formulas.ratios(f, formulas.products(f)).names[-1] == "n / (n n)"


def test_exponentials_are_numbers(f):
    assert as_dict(formulas.exponentials(f))["exp(r)"] == ("", pytest.approx(np.exp(TABLE.r).tolist()))


def test_join_leaves_out_what_says_nothing_new(f):
    twice = f._replace(names=[f"{name}'" for name in f.names], values=3 - 2 * f.values)
    constant = formulas.Formulas(
        ["one", "none"], np.array([[1.0, 0], [1, np.inf], [1, 2], [1, 3]]), np.zeros((2, 2), int)
    )
    joined = formulas.join(f, twice, constant, formulas.sums(f))
    assert joined.names == ["E", "F", "r", "s", "n", "(E + F)", "(r + s)"]
    np.testing.assert_array_equal(joined.values[:, 2], TABLE.r)
    assert joined.unit(6) == "A"


def test_what_is_no_quantity_gets_a_sentence():
    with pytest.raises(ValueError, match="unit 'Ha'"):
        formulas.quantities(TABLE, {"E": "Ha"})
    with pytest.raises(ValueError, match="no column 'x'"):
        formulas.quantities(TABLE, {"x": "eV"})
    with pytest.raises(ValueError, match="column 'E' of finite"):
        formulas.quantities(TABLE.assign(E=np.nan), {"E": "eV"})


def test_candidates_of_compounds_keep_the_rules():
    rng = np.random.default_rng(0)
    names = [f"{name}_{side}" for name in ("IP", "r_s", "r_p") for side in "AB"]
    table = pd.DataFrame(rng.uniform(1, 2, (20, 6)), columns=names)
    found = formulas.over_bond_lengths(table, energies=["IP"], radii=["r_s", "r_p"], highest=2)
    energy, length = found.units.T
    assert set(energy) == {0, 1} and length.max() == 0 and length.min() == -2
    assert len(set(found.names)) == len(found.names) == found.values.shape[1]
    assert (
        "r_p_A / (r_s_A + r_p_B)" in found.names
        and "r_p_B |r_s_A - r_p_B| / (r_s_A + r_s_B)^2" in found.names
    )
    assert "IP_A / (r_s_A + r_s_B)^2" in found.names and not any(
        "(r_s_A + r_p_A)^2" in n for n in found.names
    )
    # twice the size: lengths over bond lengths stay, the others fall
    twice = formulas.over_bond_lengths(
        table * [1, 1, 2, 2, 2, 2], energies=["IP"], radii=["r_s", "r_p"], highest=2
    )
    assert twice.names == found.names
    np.testing.assert_allclose(twice.values, found.values * 2.0**length)
    fewer = formulas.over_bond_lengths(table, energies=[], radii=["r_s"], products_too=False)
    assert set(fewer.names) < set(formulas.over_bond_lengths(table, energies=["IP"], radii=["r_s"]).names)
