"""Checks of notebook 06, honest errors."""

import numpy as np

from mlms_helpers import datasets, statistics
from mlms_helpers.exercises import exercise, no_function, number


@exercise("06-safe-splits")
def safe_splits(answer):
    columns = {"config", "family", "snapshot", "phase", "n_nitrogen", "temperature"}
    answer = {answer} if isinstance(answer, str) else set(answer)
    if answer - columns:
        return f"There is no such column among the six: {', '.join(sorted(map(str, answer - columns)))}."
    table = datasets.load("lipon").table
    families = table[table.n_nitrogen > 0].groupby("family")
    safe = {c for c in columns if (families[c].nunique() == 1).all()}
    if answer - safe:
        return (
            f"With by={sorted(answer - safe)[0]!r} one family can fall on both sides: it has several values "
            f"of it."
        )
    if safe - answer:
        return "These are safe, but there are more. Which columns have only one value in each family?"
    return None


@exercise("06-paired")
def paired(answer):
    if fault := no_function(answer, "a, b and groups", "paired"):
        return fault
    rng = np.random.default_rng(6)
    groups = np.repeat(np.arange(30), 4)
    b = np.repeat(rng.normal(size=30), 4) + 0.3 * rng.normal(size=120)  # errors of one group are alike
    low, high = (float(v) for v in answer(b.copy(), b.copy(), groups))
    if abs(low) + abs(high) > 1e-9:
        return "Two equal models must give the interval 0 to 0. Do both get the same draw?"
    low, high = (float(v) for v in answer(1.5 * b, b, groups))
    if low > high or high < 0:
        return (
            "Model a has larger residuals here, so RMSE(a) - RMSE(b) is positive, and the lower end comes "
            "first."
        )
    if high - low < 0.75 * 0.21:
        return "The interval is too narrow. Are whole groups drawn, and not single rows?"
    if high - low > 1.3 * 0.21:
        return "The interval is too wide. Do both models get the same draw, and is it the 95 % interval?"
    return None


@exercise("06-claim")
def claim(answer):
    right = statistics.seeds_needed(0.02, 0.02, 0.02, power=0.9)
    if answer == statistics.seeds_needed(0.02, 0.02, 0.02):
        return "That is enough for a power of 80 %; 90 % is asked for."
    hint = "statistics.seeds_needed takes the true difference, both spreads and the power wanted."
    return number(answer, right, 0, hint)
