"""Checks of notebook 15: what is right passes, and each usual mistake gets its own hint."""

import functools

import ase
import numpy as np
import pytest

from mlms_helpers import datasets, hole_traps

STRUCTURES = datasets.load("lipon").structures
START = [a for a in STRUCTURES if a.info["n_nitrogen"] == 1][-1]
N = int(np.flatnonzero(START.symbols == "N")[0])


@functools.cache
def model():
    return hole_traps.train(STRUCTURES)


def start():
    return ase.Atoms(START.symbols, positions=START.positions, cell=START.cell, pbc=True)


def nearest(symbol, number=0):
    others = np.array([i for i in np.flatnonzero(START.symbols == symbol) if i != N])
    return int(others[START.get_distances(N, others, mic=True).argsort()[number]])


def moved(atom, by):
    copy = start()
    copy.set_distance(N, atom, copy.get_distance(N, atom, mic=True) + by, fix=0, mic=True)
    return copy


def shallower():
    tried = [moved(nearest("Li", number), -step) for number in range(10) for step in (0.2, 0.4, 0.6, 0.8)]
    found = hole_traps.predict(model(), tried)
    return tried[found.depth.where(found.in_domain.astype(bool)).idxmin()]


@pytest.mark.parametrize(
    "name, answer, words",
    [
        ("15-coulomb", 1.44, "Right"),
        ("15-coulomb", 1.4, "Right"),
        ("15-coulomb", 1440, "1,000 times too large"),
        ("15-coulomb", -1.44, "sign"),
        ("15-coulomb", 7.2, "Final minus initial"),
        ("15-pair", 1.926, "Right"),
        ("15-pair", 1.9, "Right"),
        ("15-pair", 1926, "1,000 times too large"),
        ("15-pair", 0.674, "lower"),
        ("15-pair", 1.85, "equal levels"),
        ("15-pair", 2.114, "not all of it"),
        ("15-pair", 1.3, "The mean of"),
        ("15-probability", 0.159, "Right"),
        ("15-probability", 16, "a part of one"),
        ("15-probability", 0.841, "shallower"),
        ("15-probability", 0.317, "both tails"),
        ("15-probability", 0.5, "one standard deviation"),
    ],
)
def test_numbers(said, name, answer, words):
    assert words in said(name, answer)


def test_a_shallower_trap(said):
    assert said("15-shallower", shallower(), model=model()) == "Right.\n"


def two_moved():
    atoms = moved(nearest("Li"), 0.1)
    atoms.positions[nearest("Li", 5)] += 0.1
    return atoms


def far_too_near():
    return moved(nearest("Li"), 0.9 - START.get_distance(N, nearest("Li"), mic=True))


@pytest.mark.parametrize(
    "answer, words",
    [
        (start, "Nothing has moved"),
        (two_moved, "More than one"),
        (lambda: moved(nearest("P"), 0.05), "A P atom has moved"),
        (lambda: moved(nearest("Li"), 0.15), "positive charge"),
        (far_too_near, "unlike the training set"),
        (lambda: 0.3, "a structure"),
        (lambda: START[1:], "not neutral"),
    ],
)
def test_mistakes_get_hints(said, answer, words):
    assert words in said("15-shallower", answer(), model=model())
