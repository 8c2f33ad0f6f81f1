"""Checks of notebook 01, the loop."""

import functools
from numbers import Real

import numpy as np

from mlms_helpers import datasets, evaluation, levels
from mlms_helpers.exercises import exercise, number


@functools.cache
def _nitrogen_levels():
    """Level and family of every N atom of the shipped data."""
    return levels.nitrogen_levels(datasets.load("lipon").structures)


@exercise("01-slope")
def slope(answer):
    hint = (
        "Subtract the means first: the Madelung energies become -2, 0 and 2 eV. Then multiply, add, and "
        "divide by the sum of their squares."
    )
    return number(answer, 0.45, 0.005, hint)


@exercise("01-break-even")
def break_even(answer):
    right = len(datasets.load("lipon").structures) + 1
    if isinstance(answer, Real) and abs(answer - right) == 1:
        return "Very close. At which n are both ways equally expensive?"
    return number(answer, right, 0, "Write both costs down, in calculations: which one grows with n?")


@exercise("01-local")
def local(answer):
    sites = _nitrogen_levels()
    x = np.asarray(answer, float)
    if x.shape != (len(sites),) or not np.isfinite(x).all():
        return (
            f"The answer should be {len(sites)} finite numbers, one for each row of `sites`; "
            f"this one has the shape {x.shape}."
        )
    if abs(np.corrcoef(x, sites.aligned)[0, 1]) > 0.97:
        return "This follows the level too well to come from the positions alone. Is there DFT in it?"
    models = {
        "line": evaluation.line_baseline(x, sites.aligned),
        "mean": evaluation.mean_baseline(sites.aligned),
    }
    error = evaluation.summary(evaluation.cross_validate(models, sites, "aligned", by="family")).RMSE
    if error["line"] > 0.85 * error["mean"]:
        return (
            f"On families kept apart its line has an RMSE of {error['line']:.2f} eV, and the mean alone has "
            f"{error['mean']:.2f} eV. Let each term fade out towards the cutoff: descriptors.cutoff_function."
        )
    return None
