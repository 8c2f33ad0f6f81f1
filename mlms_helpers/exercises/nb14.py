"""Checks of notebook 14, beyond DFT."""

import json

import numpy as np

from mlms_helpers import datasets
from mlms_helpers.exercises import exercise, no_function, number


@exercise("14-constant")
def constant(answer):
    table = datasets.load("water_ccsdt").table
    off = 1000 * (table.b3lyp - table.ccsdt)
    bent, molecules = off[table.kind == "bent"], off[table.system == "monomer"]
    right = np.std(bent)
    if number(answer, np.sqrt(np.mean((bent - molecules.mean()) ** 2)), 0.05, "", "meV") is None:
        return "That takes off the constant of all molecules: take the mean of the bent ones."
    if number(answer, np.std(molecules), 0.05, "", "meV") is None:
        return "That is B3LYP's own error for all molecules; the bent ones are asked for."
    if number(answer, np.mean(np.abs(bent - bent.mean())), 0.05, "", "meV") is None:
        return "That is the mean size of the errors. Square, take the mean, then the root."
    return number(
        answer,
        right,
        0.05,
        "Rows with kind `bent`, B3LYP minus CCSD(T), minus its mean there; root of the mean square.",
        "meV",
    )


@exercise("14-uses")
def uses(answer):
    seconds = json.loads((datasets.folder() / "water_ccsdt" / "times.json").read_text())["dimer"]
    better, cheap = seconds["ccsdt"], seconds["pbe"]
    right = (2000 * better - 50 * (better + cheap)) / cheap
    if number(answer, (2000 - 50) * better / cheap, 1, "") is None:
        return "A label of the correction costs one PBE, too."
    if number(answer, (2000 - 50) * better / (better + cheap), 1, "") is None:
        return "At a later use CCSD(T) is not computed any more: only PBE."
    return number(
        answer, right, 1, "The labels of both in seconds; their difference, over the seconds of one PBE."
    )


@exercise("14-kernel")
def kernel(answer):
    if fault := no_function(answer, "x, y and length", "kernel"):
        return fault
    one = np.random.default_rng(0).normal(size=(5, 3))
    x = np.stack([one, one[:, [1, 0, 2]]], axis=1)
    y, length = x[:4], 0.8
    told = np.asarray(answer(x.copy(), y.copy(), length), float)
    if told.shape != (5, 4):
        return f"It should return one number for each pair of molecules, [5, 4] here, not {told.shape}."
    every = np.exp(-((x[:, None, :1] - y[None]) ** 2).sum(axis=-1) / (2 * length**2))
    if np.allclose(told, every[..., 0]):
        return "That compares one order only: average over both rows of y."
    if np.allclose(told, every.sum(axis=-1)):
        return "That is the sum over the orders: take their mean."
    if not np.allclose(told, every.mean(axis=-1)):
        return "Each row of y gives exp(-d^2 / (2 length^2)); the mean of these, not of the distances."
    return None
