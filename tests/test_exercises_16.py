"""Checks of notebook 16."""

import numpy as np
import pytest

from mlms_helpers import datasets, levels


def test_sharing(said):
    alone = (1 - 0.25 / 4) ** 3
    assert said("16-sharing", 1 - alone) == "Right.\n"
    assert said("16-sharing", 0.18) == "Right.\n"
    assert "alone on their P" in said("16-sharing", alone)
    assert "three corners" in said("16-sharing", 0.25)


def deep_levels(y, limit, factor=1.0):
    """Lone: a hundredth at each y; paired: a tenth of y."""
    return np.full((3, len(y)), 0.01), np.tile(0.1 * y, (3, 1))


def test_limit(said):
    assert said("16-limit", 0.1, deep_levels=deep_levels) == "Right.\n"
    assert "lone N count" in said("16-limit", 0.2, deep_levels=deep_levels)
    assert "add them" in said("16-limit", 0.4, deep_levels=deep_levels)
    assert "one number" in said("16-limit", [0.1], deep_levels=deep_levels)


@pytest.fixture(scope="module")
def crystal():
    lipon = datasets.load("lipon")
    return lipon.structures[int(lipon.table.index[lipon.table.n_nitrogen == 4][0])]


def test_arrangement(said, crystal):
    """Right is what has four N, alone on their P and 4 A apart; every other answer gets its sentence."""
    distance = crystal.get_all_distances(mic=True)
    anions = np.flatnonzero(np.isin(crystal.symbols, ["O", "N"]))
    owner = {
        int(p): anions[np.argsort(distance[p, anions])[:4]] for p in np.flatnonzero(crystal.symbols == "P")
    }
    p, *others = owner
    # an anion of each P, each far from those before
    safe = []
    for corners in owner.values():
        far = [int(a) for a in corners if all(distance[a, b] > 4 for b in safe)]
        safe += far[: 1 if len(safe) < 4 else 0]
    assert said("16-arrangement", safe, crystal=crystal) == "Right.\n"
    assert said("16-arrangement", np.array(safe), crystal=crystal) == "Right.\n"
    pair = [int(a) for a in owner[p][:2]]
    rest = [int(owner[q][0]) for q in others[:2]]
    assert "share a P" in said("16-arrangement", pair + rest, crystal=crystal)
    near = min(
        ((distance[a, b], int(a), int(b)) for a in owner[p] for q in others for b in owner[q]),
    )
    assert near[0] < 4
    apart = [a for a in safe if a not in near[1:]]
    copy = crystal.copy()
    copy.symbols[anions] = "O"
    two_far = next(
        [int(a), int(b)]
        for a in apart
        for b in anions
        if len({int(a), int(b), *near[1:]}) == 4 and lone_only(copy, [int(a), int(b), *near[1:]])
    )
    assert "apart" in said("16-arrangement", [*near[1:], *two_far], crystal=crystal)
    assert "named twice" in said("16-arrangement", [safe[0]] * 4, crystal=crystal)
    assert "four whole numbers" in said("16-arrangement", safe[:3], crystal=crystal)
    assert "numbered from 0" in said("16-arrangement", [*safe[:3], 999], crystal=crystal)
    assert f"Atom {p} is P" in said("16-arrangement", [*safe[:3], p], crystal=crystal)


def lone_only(atoms, chosen):
    """Whether N at these places would be alone on their P."""
    copy = atoms.copy()
    copy.symbols[chosen] = "N"
    return (levels.motifs([copy]).motif == "lone").all()
