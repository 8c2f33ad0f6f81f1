"""Boxes that the tests of descriptors put atoms into."""

import numpy as np


def skewed_box(rng, flattest=0.15, longest=8.0):
    """Strongly skewed lattice vectors [3, 3], 2.5 A to `longest`; volume at least `flattest` of that of a right-angled box."""
    while True:
        box = rng.normal(size=(3, 3)) * 2.5
        lengths = np.linalg.norm(box, axis=1)
        if abs(np.linalg.det(box)) > flattest * lengths.prod() and 2.5 < lengths.min() and lengths.max() < longest:
            return box
