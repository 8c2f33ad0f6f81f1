"""Checks of notebook 08, extensive or intensive."""

import numpy as np

from mlms_helpers import datasets
from mlms_helpers.exercises import exercise, no_function, number

# True where a property doubles with the system.
DOUBLES = {
    "volume": True,
    "density": False,
    "band gap": False,
    "heat capacity of the cell": True,
    "melting temperature": False,
    "number of valence electrons": True,
    "bulk modulus": False,
}


@exercise("08-extensive")
def extensive(answer):
    answer = {answer} if isinstance(answer, str) else set(answer)
    if unknown := sorted(map(str, answer - set(DOUBLES))):
        return f"{unknown[0]!r} is none of the seven."
    for name in sorted(answer):
        if not DOUBLES[name]:
            return f"Put two equal pieces of the material together: is the {name} of both twice as large?"
    if answer != {name for name, doubles in DOUBLES.items() if doubles}:
        return "These are extensive, but there are more."
    return None


@exercise("08-line")
def line(answer):
    table = datasets.load("chains").table
    chosen = table[(table.series == "polyene") & (table.form == "trans") & (table.temperature == 0)]
    gap = (chosen.lumo - chosen.homo).to_numpy()
    n = chosen.n_carbon.to_numpy()
    known = (n >= 4) & (n <= 8)
    right = np.polyval(np.polyfit(1 / n[known], gap[known], 1), 1 / 20)
    in_n = np.polyval(np.polyfit(n[known], gap[known], 1), 20)
    if number(answer, in_n, 0.005, "", "eV") is None:
        return "That is a line against N. Draw it against 1/N."
    if number(answer, gap[n == 20][0], 0.005, "", "eV") is None:
        return "That is the value of DFT; the line's prediction is asked for."
    return number(
        answer, right, 0.005, "Three molecules: 4, 6 and 8 C atoms, trans, temperature 0. x is 1/N.", "eV"
    )


@exercise("08-softmin")
def softmin(answer):
    if fault := no_function(answer, "values, mask and sharpness", "softmin"):
        return fault
    values = np.array([[3.0, 1.0, 2.0, -50.0], [4.0, 6.0, 0.0, 0.0]])
    mask = np.array([[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
    told = np.asarray(answer(values.copy(), mask.copy(), 0.0), float)
    if told.shape != (2,):
        return f"It should return one number a structure, [2] here, not the shape {told.shape}."
    if np.allclose(told, values.mean(axis=1)):
        return "At sharpness 0 the padding was averaged, too. Where does the mask come in?"
    if not np.allclose(told, [2.0, 5.0]):
        return "At sharpness 0 it must be the mean over the atoms."
    weights = np.exp(-values) * mask
    expected = (values * weights).sum(axis=1) / weights.sum(axis=1)
    told = np.asarray(answer(values.copy(), mask.copy(), 1.0), float)
    if not np.allclose(told, expected):
        larger = np.exp(values) * mask
        if np.allclose(told, (values * larger).sum(axis=1) / larger.sum(axis=1)):
            return "That prefers the largest value. Mind the sign in exp(-sharpness * value)."
        return "At sharpness 1 the weights should be exp(-value) of the atoms, divided by their sum."
    with np.errstate(all="ignore"):
        told = np.asarray(answer(values - 500.0, mask.copy(), 50.0), float)
    if not np.allclose(told, [-499.0, -496.0]):
        return (
            "With large numbers something overflows. Subtract the smallest value of the atoms first: "
            "the weights do not change."
        )
    return None
