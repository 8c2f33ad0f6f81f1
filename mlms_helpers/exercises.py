"""Checks of a reader's answer, with a hint when it is wrong.

A check is a function of the answer that returns None when it is right, or a hint: one or two sentences
that help without giving the answer away.  `check("05-width", answer)` calls the one of that name.
"""

import functools
from numbers import Real

import numpy as np

from mlms_helpers import datasets, evaluation, levels, statistics

CHECKS = {}


def check(name, answer):
    """Say whether an answer is right, and give a hint if not.

    name: of the exercise, as the notebook says.   answer: what the exercise asks for; `...` means
    that nothing has been filled in yet.

    Prints one line; an answer of the wrong kind gets a sentence, never a traceback.
    """
    if name not in CHECKS:
        print(f"There is no exercise {name!r}. There are: {', '.join(sorted(CHECKS))}.")
        return
    if answer is ...:
        print("Not answered yet: put your answer in place of the three dots and run the cell again.")
        return
    try:
        hint = CHECKS[name](answer)
    except Exception as problem:
        hint = f"The check could not use this answer ({type(problem).__name__}: {problem}). Is it of the kind asked for?"
    print("Right." if hint is None else f"Not yet. {hint}")


def exercise(name):
    """Decorator that enters a function into the checks under a name."""
    def enter(function):
        CHECKS[name] = function
        return function
    return enter


def number(answer, right, tolerance, hint, unit=""):
    """The commonest check: a number within a tolerance of the right one.

    Returns None or a hint: for something that is no number, for a wrong sign, else the given one.
    """
    if not isinstance(answer, Real):
        return f"The answer should be one number{f' in {unit}' if unit else ''}, not {type(answer).__name__}."
    if abs(answer - right) <= tolerance:
        return None
    if abs(answer + right) <= tolerance:
        return "The size is right, the sign is not."
    return hint


# --- 00

@exercise("00-lithium")
def _(answer):
    return number(answer, 28, 0, "In the legend of the 3-D view the number of atoms stands behind each symbol.")


@exercise("00-y")
def _(answer):
    y, lithium = answer
    if (hint := number(y, 5 / 8, 1e-6, "y counts the N atoms for each formula unit, and each formula unit has one P.")):
        return hint
    return number(lithium, 29, 1e-6, "Each formula unit holds 3 + y Li atoms, and there are eight of them.")


# --- 01

@functools.cache
def _nitrogen_sites():
    """Level and family of every N atom of the shipped data, and how many configurations there are."""
    lipon = datasets.load("lipon")
    return levels.nitrogen_levels(lipon.structures), len(lipon.structures)


@exercise("01-slope")
def _(answer):
    return number(answer, 0.45, 0.005, "Subtract the means first: the Madelung energies become -2, 0 and 2 eV. Then multiply, add, and "
                                       "divide by the sum of their squares.")


@exercise("01-break-even")
def _(answer):
    right = _nitrogen_sites()[1] + 1
    if isinstance(answer, Real) and abs(answer - right) == 1:
        return "Very close. At which n are both ways equally expensive?"
    return number(answer, right, 0, "Write both costs down, in calculations: which one grows with n?")


@exercise("01-local")
def _(answer):
    sites, _ = _nitrogen_sites()
    x = np.asarray(answer, float)
    if x.shape != (len(sites),) or not np.isfinite(x).all():
        return f"The answer should be {len(sites)} finite numbers, one for each row of `sites`; this one has the shape {x.shape}."
    if abs(np.corrcoef(x, sites.aligned)[0, 1]) > 0.97:
        return "This follows the level too well to come from the positions alone. Is there DFT in it?"
    models = {"line": evaluation.line_baseline(x, sites.aligned), "mean": evaluation.mean_baseline(sites.aligned)}
    error = evaluation.summary(evaluation.cross_validate(models, sites, "aligned", by="family")).RMSE
    if error["line"] > 0.85 * error["mean"]:
        return (f"On families kept apart its line has an RMSE of {error['line']:.2f} eV, and the mean alone has {error['mean']:.2f} eV. Let each "
                "term fade out towards the cutoff: descriptors.cutoff_function.")
    return None


# --- 02

def tampered_forces(structures):
    """Forces of all structures (list of [n_atoms, 3], eV/A), in which one component of one force has changed its sign."""
    forces = [atoms.get_forces().copy() for atoms in structures]
    number = _intruder(len(forces))
    atom, component = np.unravel_index(np.abs(forces[number]).argmax(), forces[number].shape)
    forces[number][atom, component] *= -1
    return forces


def _intruder(n):
    return int(np.random.default_rng(20261123).integers(n))


@exercise("02-gap")
def _(answer):
    first = datasets.load("lipon").structures[0]
    eps, occ = first.info["eps"], first.info["occ"]
    return number(answer, eps[occ < 1].min() - eps[occ > 1].max(), 0.02,
                  "info['occ'] says which of the energies in info['eps'] are filled (2) and which are empty (0).", "eV")


@exercise("02-zero")
def _(answer):
    depth, aligned = answer
    if abs(depth) > 0.01:
        return "The depth is a difference of two energies in eps. Does a site potential occur in it?"
    return number(aligned, -5.0, 0.01, "aligned is the level minus the mean potential at the O sites. What happens to the second?", "eV")


@exercise("02-intruder")
def _(answer):
    return number(answer, _intruder(_nitrogen_sites()[1]), 0, "Which law do the forces of a cell obey, all together?")


# --- 03

def _rewritten(atoms):
    """The same crystal written in five other ways, by what was done to it."""
    turned, shifted, recut = (atoms.copy() for _ in range(3))
    turned.rotate(37, (2, 1, 1), rotate_cell=True)
    shifted.translate((0.31, -0.77, 1.3))
    a, b, c = atoms.cell
    recut.set_cell([a, b + a, c])
    recut.wrap()
    order = np.random.default_rng(5).permutation(len(atoms))
    return {"is turned": turned, "is shifted": shifted, "has its atoms in another order": atoms[order],
            "is cut into a cell with other lattice vectors": recut, "is written with a doubled cell": atoms.repeat((1, 1, 2))}


@exercise("03-one-neighbour")
def _(answer):
    return number(answer, 0.5, 1e-3, "The Gaussian is 1 at its centre. What does the cutoff function give half the cutoff away?")


@exercise("03-count")
def _(answer):
    if answer == 6 * 5 + 12 * 10:
        return "Almost: a pair of two like species (O with O) is a pair too."
    if answer == 6 * 5 + 12 * 25:
        return "Almost: Li-O and O-Li are the same pair."
    return number(answer, 6 * 5 + 12 * 15, 0, "Count the species first, then list the pairs: Li-Li, Li-Ni, ...")


@exercise("03-body-order")
def _(answer):
    if answer == 2:
        return "Body order 2 is a sum over single neighbours. Have the two rings different distances from C?"
    if answer == 3:
        return ("Body order 3 looks at two neighbours at once, and the angles of all pairs are the same. "
                "(If you mean three neighbours: the atom itself counts, too.)")
    return number(answer, 4, 0, "Compare rows 0 and 5, the two C atoms, at each order, and take the first that differs by more than rounding.")


@exercise("03-own-descriptor")
def _(answer):
    if not callable(answer):
        return f"The answer should be a function of one structure, not {type(answer).__name__}: write `mine`, without brackets."
    atoms = next(a for a in datasets.load("lipon").structures if "N" in a.symbols)
    before = np.atleast_1d(np.asarray(answer(atoms.copy()), float))
    if not np.isfinite(before).all() or before.size == 0:
        return "It returns no number, or one that is not finite."
    size = np.abs(before).max() + 1e-12
    for what, other in _rewritten(atoms).items():
        after = np.atleast_1d(np.asarray(answer(other), float))
        if after.shape != before.shape:
            return f"Its length changes, from {before.size} to {after.size}, when the crystal {what}."
        if np.abs(after - before).max() > 1e-6 * size:
            return f"It changes when the crystal {what}. Which step of your function takes notice of that?"
    swapped, moved = atoms.copy(), atoms.copy()
    a, b = np.flatnonzero(atoms.symbols == "N")[0], np.flatnonzero(atoms.symbols == "Li")[0]
    swapped.numbers[[a, b]] = swapped.numbers[[b, a]]
    moved.rattle(0.1, seed=3)
    for what, other in (("an N and a Li change places", swapped), ("all atoms move a little", moved)):
        if np.abs(np.asarray(answer(other), float) - before).max() < 1e-6 * size:
            return f"It is blind: it does not change when {what}."
    return None


# --- 04

@exercise("04-share")
def _(answer):
    if isinstance(answer, Real) and abs(answer - 0.64) < 1e-6:
        return "That is the share of one column's variance that the other explains. Here the question is about a direction between the two."
    return number(answer, 0.9, 1e-3, "Write down the covariance matrix of the two, two by two. What are its eigenvalues, and what is their sum?")


@exercise("04-believe")
def _(answer):
    answer = {str(letter).lower() for letter in answer}
    if answer - set("abcde"):
        return f"{sorted(answer - set('abcde'))[0]!r} is none of the letters a to e."
    wrong = {"b": "On a UMAP distances between islands are not kept: far only means not near.",
             "c": "Noise has gaps, too: see the islands above. Does the gap stay with other seeds and more neighbours?",
             "d": "UMAP gives dense and thin groups much the same density, so the size of an island counts its points rather than its spread."}
    for letter in sorted(answer & set(wrong)):
        return f"{letter}: {wrong[letter]}"
    if len(answer) < 2:
        return "There is one more. Which of the five are about neighbours, and about the random steps?"
    return None


@exercise("04-kept")
def _(answer):
    from mlms_helpers import maps
    if not callable(answer):
        return f"The answer should be a function of x, xy and k, not {type(answer).__name__}: write `kept`, without brackets."
    x = np.random.default_rng(4).normal(size=(60, 5))
    if abs(answer(x.copy(), x.copy(), 7) - 1) > 1e-9:
        return "The same points twice must give 1."
    found, right = float(answer(x.copy(), x[:, :2].copy(), 7)), maps.neighbours_kept(x, x[:, :2], 7)
    if abs(found - right) < 1e-9:
        return None
    if abs(found - (1 + 6 * maps.neighbours_kept(x, x[:, :2], 6)) / 7) < 1e-9:
        return "Each point counts itself as a neighbour. Put infinity where the distance is to itself."
    if abs(found - 7 * right) < 1e-9:
        return "That is the mean number of neighbours kept. A share is asked for."
    return "For one point: list its k nearest in x, list its k nearest in xy. How many are in both lists?"


# --- 05

@exercise("05-step")
def _(answer):
    if isinstance(answer, Real) and abs(answer - 0.6) < 1e-6:
        return "That is the bias b after the step, or w without the factor u of the chain rule."
    return number(answer, 1.2, 1e-3, "The error is wu + b - v = -3. The slope with respect to w is 2 * error * u.")


@exercise("05-weights")
def _(answer):
    right = 45 * 32 + 33 * 32 + 33
    if answer == right - 65:
        return "Very close: each neuron also has a bias."
    return number(answer, right, 0, "Go from layer to layer: a layer of m neurons that see n numbers has (n + 1) * m weights.")


@functools.cache
def _site_problem():
    """The learning problem of notebook 05, on five of its training families: x, y, training and validation rows."""
    from mlms_helpers import hole_traps, levels
    structures = datasets.load("lipon").structures
    x, sites = hole_traps.site_features(structures)
    y = levels.from_oxygen(levels.site_potentials(structures), sites)
    sites["family"] = np.array([a.info["family"] for a in structures])[sites.structure]
    train, val, _ = evaluation.split(sites, by="family", test=0.2, validation=0.25)
    nitrogen = (sites.symbol == "N").to_numpy()
    y = y - y[train][nitrogen[train]].mean() * nitrogen
    families = np.random.default_rng(0).permutation(np.unique(sites.family.iloc[train]))
    five = train[sites.family.iloc[train].isin(families[:5])]
    return x[:, x[train].std(axis=0) > 1e-3], y, train, five, val


@functools.cache
def _site_error(width=64, depth=2, **settings):
    """Validation error (eV) of a network of notebook 05 trained on five families: mean over three seeds."""
    from mlms_helpers import models, training
    x, y, train, five, val = _site_problem()
    settings = {"learning_rate": 3e-3, "epochs": 250, "weight_decay": 0.0, **settings}
    errors = []
    for seed in range(3):
        net = models.mlp(x[train], y[train], width=width, hidden_layers=depth, seed=seed)
        errors.append(training.fit(net, x[five], y[five], validation=(x[val], y[val]), batch_size=64, seed=seed, **settings).val_loss[-1])
    return float(np.mean(errors))


@exercise("05-rein")
def _(answer):
    known = {"learning_rate": (1e-6, 1), "epochs": (1, 1000), "weight_decay": (0, 100), "width": (1, 256), "depth": (1, 4)}
    if not isinstance(answer, dict) or not answer:
        return f"The answer should be a dictionary with some of {', '.join(known)}, such as {{'epochs': 240}}."
    for name, value in answer.items():
        if name not in known:
            return f"{name!r} is no setting here; there are {', '.join(known)}."
        low, high = known[name]
        whole = name in ("epochs", "width", "depth")
        if not isinstance(value, Real) or not low <= value <= high or (whole and value != int(value)):
            return f"{name} should be a {'whole ' if whole else ''}number from {low:g} to {high:g}."
    before, after = _site_error(), _site_error(**{k: int(v) if k in ("epochs", "width", "depth") else v for k, v in answer.items()})
    if after > 0.9 * before:
        return (f"Its validation error is {after:.3f} eV (mean over three seeds), and that of the loose network {before:.3f} eV: it should be below "
                f"{0.9 * before:.3f} eV. What do the two figures above suggest?")
    return None


# --- 06

@exercise("06-test-size")
def _(answer):
    return number(answer, 50, 0.5, "The relative standard error of an RMSE is 1/sqrt(2 n). Set it to 0.1.")


@exercise("06-safe-splits")
def _(answer):
    columns = {"config", "family", "snapshot", "phase", "n_nitrogen", "temperature"}
    answer = {answer} if isinstance(answer, str) else set(answer)
    if answer - columns:
        return f"There is no such column among the six: {', '.join(sorted(map(str, answer - columns)))}."
    sites, _ = _nitrogen_sites()
    safe = {c for c in columns if (sites.groupby("family")[c].nunique() == 1).all()}
    if answer - safe:
        return f"With by={sorted(answer - safe)[0]!r} one family can fall on both sides: it has several values of it."
    if safe - answer:
        return "These are safe, but there are more. Which columns have only one value in each family?"
    return None


@exercise("06-paired")
def _(answer):
    if not callable(answer):
        return f"The answer should be a function of a, b and groups, not {type(answer).__name__}: write `paired`, without brackets."
    rng = np.random.default_rng(6)
    groups = np.repeat(np.arange(30), 4)
    b = np.repeat(rng.normal(size=30), 4) + 0.3 * rng.normal(size=120)      # errors of one group are alike
    low, high = (float(v) for v in answer(b.copy(), b.copy(), groups))
    if abs(low) + abs(high) > 1e-9:
        return "Two equal models must give the interval 0 to 0. Do both get the same draw?"
    low, high = (float(v) for v in answer(1.5 * b, b, groups))
    if low > high or high < 0:
        return "Model a has larger residuals here, so RMSE(a) - RMSE(b) is positive, and the lower end comes first."
    if high - low < 0.75 * 0.21:
        return "The interval is too narrow. Are whole groups drawn, and not single rows?"
    if high - low > 1.3 * 0.21:
        return "The interval is too wide. Do both models get the same draw, and is it the 95 % interval?"
    return None


@exercise("06-twenty-ideas")
def _(answer):
    if isinstance(answer, Real) and abs(answer - 1) < 0.02:
        return "Twenty times 0.05 counts a search with two false alarms twice. What is the probability that there is none?"
    if isinstance(answer, Real) and abs(answer - 0.95**20) < 0.01:
        return "That is the probability that none of them does."
    return number(answer, 1 - 0.95**20, 0.01, "One test stays silent with probability 0.95. And all twenty, when they are independent?")


@exercise("06-claim")
def _(answer):
    right = statistics.seeds_needed(0.02, 0.02, 0.02, power=0.9)
    if answer == statistics.seeds_needed(0.02, 0.02, 0.02):
        return "That is enough for a power of 80 %; 90 % is asked for."
    return number(answer, right, 0, "statistics.seeds_needed takes the true difference, both spreads and the power wanted.")


# --- 15

@functools.cache
def _hole_traps():
    """The model on the whole data set, as `hole_traps.train` makes it by default."""
    from mlms_helpers import hole_traps
    return hole_traps.train(datasets.load("lipon").structures)


@exercise("15-coulomb")
def _(answer):
    return number(answer, 14.399645 * (1 / 2.0 - 1 / 2.5), 0.02, "The energy of an electron in the field of the charge +e at the distance r is -14.4 eV A / r. Final minus initial.", "eV")


@exercise("15-probability")
def _(answer):
    if isinstance(answer, Real) and abs(answer - 0.841) < 0.01:
        return "That is the probability that it is shallower."
    if isinstance(answer, Real) and abs(answer - 0.317) < 0.01:
        return "That is both tails: deeper than 1.5 eV or shallower than 0.9 eV."
    return number(answer, 0.1587, 0.005, "1.5 eV is one standard deviation above 1.2 eV. How much of a Gaussian lies above that?")


@exercise("15-shallower")
def _(answer):
    from mlms_helpers import hole_traps
    if type(answer).__name__ != "Atoms":
        return f"The answer should be a structure (ase.Atoms), not {type(answer).__name__}."
    try:
        hole_traps.check(answer, "The model cannot treat this structure")
    except ValueError as fault:
        return str(fault)
    starts = [a for a in datasets.load("lipon").structures if a.get_chemical_formula() == answer.get_chemical_formula() and (a.numbers == answer.numbers).all()
              and np.abs(a.cell.array - answer.cell.array).max() < 1e-6]
    shifts = [np.linalg.norm((lambda d: d - np.round(d))(np.linalg.solve(a.cell.T, (answer.positions - a.positions).T).T) @ a.cell.array, axis=1) > 1e-3 for a in starts]
    near = [(a, moved) for a, moved in zip(starts, shifts) if moved.sum() <= 1]
    if not near:
        return "More than one atom has moved, or species or cell have changed. Start from one_n.copy() and move one Li."
    start, moved = near[0]
    if not moved.any():
        return "Nothing has moved yet."
    if answer.symbols[int(np.flatnonzero(moved)[0])] != "Li":
        return f"A {answer.symbols[int(np.flatnonzero(moved)[0])]} atom has moved. Move a Li."
    before, after = (hole_traps.predict(_hole_traps(), [a]) for a in (start, answer))
    if after.unlike.max() > 1:
        return f"The structure has become unlike the training set ({after.unlike.max():.2f}): a smaller step, or another Li."
    change = float(after.depth.max() - before.depth.max())
    if change > -0.15:
        return f"The depth changes by {change:+.2f} eV. A positive charge lowers the energy of electrons nearby: where should the Li go?"
    return None
