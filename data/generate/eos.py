"""Equations of state: lattice constants around the minimum of the energy, and the curve through them.  Needs
only numpy.
"""

import numpy as np

STEP = 1.015  # ratio of neighbouring lattice constants
REACH = 3  # points on either side of the lowest


def walk(energy, guess, longest=40):
    """The lowest of the lattice constants guess * STEP**i and its neighbours: walks downhill, then REACH
    points on either side.

    energy: function of the lattice constant.   Returns lattice constants, ascending, and their energies.
    Raises RuntimeError where `longest` points do not enclose a minimum.
    """
    found = {}
    lowest = 0
    while len(found) < longest:
        wanted = [i for reach in range(REACH + 1) for i in (lowest - reach, lowest + reach) if i not in found]
        if not wanted:
            steps = sorted(found)
            return guess * STEP ** np.array(steps), np.array([found[i] for i in steps])
        found[wanted[0]] = energy(guess * STEP ** wanted[0])
        lowest = min(found, key=found.get)
    raise RuntimeError(
        f"no minimum among {longest} lattice constants from {guess * STEP ** min(found):.2f} A "
        f"to {guess * STEP ** max(found):.2f} A"
    )


def birch_murnaghan(volumes, energies):
    """Third-order Birch-Murnaghan curve through the points, by least squares: it is a cubic polynomial in
    V**(-2/3).

    volumes: A^3.
    energies: eV.
    Returns volume and energy of the minimum, bulk modulus (eV/A^3), its derivative by pressure, and the root
    mean square distance of the points from the curve (eV).
    F. Birch, Phys. Rev. 71, 809 (1947).
    """
    scale = volumes.mean() ** (-2 / 3)
    curve = np.polynomial.Polynomial.fit(volumes ** (-2 / 3) / scale, energies, 3).convert()
    slope, bend = curve.deriv(), curve.deriv(2)
    minima = [root.real for root in slope.roots() if abs(root.imag) < 1e-9 and bend(root.real) > 0]
    x = min(minima, key=lambda root: abs(root - volumes[energies.argmin()] ** (-2 / 3) / scale))
    volume = (x * scale) ** -1.5
    modulus = 4 / 9 * x**2 * bend(x) / volume
    derivative = 4 + 2 / 3 * x * curve.deriv(3)(x) / bend(x)
    rms = np.sqrt(np.mean((curve(volumes ** (-2 / 3) / scale) - energies) ** 2))
    return volume, curve(x), modulus, derivative, rms
