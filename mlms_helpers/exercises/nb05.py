"""Checks of notebook 05, training."""

from numbers import Real

import numpy as np

from mlms_helpers.exercises import exercise, number

# of exercise 05-rein: the settings of the network that is to be held, and between which values they may lie
LOOSE = {"learning_rate": 3e-3, "epochs": 250, "weight_decay": 0.0, "width": 64, "depth": 2}
LIMITS = {
    "learning_rate": (1e-6, 1),
    "epochs": (1, 1000),
    "weight_decay": (0, 100),
    "width": (1, 256),
    "depth": (1, 4),
}
WHOLE = ("epochs", "width", "depth")


@exercise("05-step")
def step(answer):
    if isinstance(answer, Real) and abs(answer - 0.6) < 1e-6:
        return "That is the bias b after the step, or w without the factor u of the chain rule."
    hint = "The error is wu + b - v = -3. The slope with respect to w is 2 * error * u."
    return number(answer, 1.2, 1e-3, hint)


@exercise("05-weights")
def weights(answer):
    right = 45 * 32 + 33 * 32 + 33
    if answer == right - 65:
        return "Very close: each neuron also has a bias."
    hint = "Go from layer to layer: a layer of m neurons that see n numbers has (n + 1) * m weights."
    return number(answer, right, 0, hint)


@exercise("05-rein")
def rein(answer, **problem):
    """problem: of the notebook, x, y and the rows train (for the scales), rows (five families), val."""
    if not isinstance(answer, dict) or not answer:
        return (
            f"The answer should be a dictionary with some of {', '.join(LIMITS)}, such as {{'epochs': 240}}."
        )
    for name, value in answer.items():
        if name not in LIMITS:
            return f"{name!r} is no setting here; there are {', '.join(LIMITS)}."
        low, high = LIMITS[name]
        whole = "whole " if name in WHOLE else ""
        if not isinstance(value, Real) or not low <= value <= high or (whole and value != int(value)):
            return f"{name} should be a {whole}number from {low:g} to {high:g}."
    if set(problem) != {"x", "y", "train", "rows", "val"}:
        return (
            "Give the check what the network learns from: "
            'exercises.check("05-rein", answer, x=x, y=y, train=train, rows=rows, val=val).'
        )
    answer = {name: int(value) if name in WHOLE else value for name, value in answer.items()}
    before, after = (_validation_error({**LOOSE, **settings}, **problem) for settings in ({}, answer))
    if after > 0.9 * before:
        return (
            f"Its validation error is {after:.3f} eV (mean over three seeds), and that of the loose network "
            f"{before:.3f} eV: it should be below {0.9 * before:.3f} eV. "
            f"What do the two figures above suggest?"
        )
    return None


def _validation_error(settings, x, y, train, rows, val):
    """Validation error (eV) of a network trained on the rows: mean over three seeds."""
    from mlms_helpers import models, training

    settings = dict(settings)
    size = {"width": settings.pop("width"), "hidden_layers": settings.pop("depth")}
    errors = []
    for seed in range(3):
        net = models.mlp(x[train], y[train], seed=seed, **size)
        validation = (x[val], y[val])
        history = training.fit(
            net, x[rows], y[rows], validation=validation, batch_size=64, seed=seed, **settings
        )
        errors.append(history.val_loss[-1])
    return float(np.mean(errors))
