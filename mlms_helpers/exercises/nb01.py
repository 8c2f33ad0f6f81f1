"""Checks of notebook 01, the loop."""

import functools
from numbers import Real

import numpy as np

from mlms_helpers import datasets, evaluation, levels
from mlms_helpers.exercises import exercise, number


@functools.cache
def _nitrogen():
    """The N atoms of the shipped data: their levels, and what DFT says of each, which is no descriptor."""
    structures = datasets.load("lipon").structures
    sites = levels.nitrogen_levels(structures)
    every = levels.sites(structures)
    potential = levels.from_oxygen(levels.site_potentials(structures, None), every)
    from_dft = {name: sites[name] for name in ("aligned", "depth", "centroid")}
    return sites, {**from_dft, "potential": potential[every.symbol == "N"]}


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
    sites, from_dft = _nitrogen()
    x = np.asarray(answer, float)
    if x.shape != (len(sites),):
        return (
            f"The answer should be {len(sites)} numbers, one per row of `sites`, and not of shape {x.shape}."
        )
    if not np.isfinite(x).all():
        return (
            f"{(~np.isfinite(x)).sum()} of the {len(x)} numbers are infinite or not a number. "
            "Has a distance been zero?"
        )
    if np.ptp(x) < 1e-9:
        return "All numbers are the same. Which ions are near differs from site to site."
    for name, values in from_dft.items():
        if abs(np.corrcoef(x, values)[0, 1]) > 0.97:
            return f"This follows `{name}` too well to come from the positions alone. Is there DFT in it?"
    models = {
        "line": evaluation.line_baseline(x, sites.aligned),
        "mean": evaluation.mean_baseline(sites.aligned),
    }
    error = evaluation.summary(evaluation.cross_validate(models, sites, "aligned", by="family")).RMSE
    if error["line"] > 0.85 * error["mean"]:
        return (
            f"On families kept apart its line has an RMSE of {error['line']:.2f} eV, and the mean alone has "
            f"{error['mean']:.2f} eV. What happens to the sum when an ion just leaves the sphere?"
        )
    return None
