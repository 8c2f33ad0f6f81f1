"""Which calculation next?  Choice of what is labelled, and the race between ways to choose.

A *choice* is a function `choose(known, rest, n) -> n of rest`: numbers of samples of one pool, those that
have a label and those that do not.  In a race each choice starts from the same labels, spends the same
number, and every model is trained from scratch.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.spatial.distance import cdist

from mlms_helpers.statistics import unmasked, whole

Choice = Callable[[list[int], list[int], int], Sequence[int]]


def race(
    order: Sequence[int],
    choose: Choice,
    judge: Callable[[list[int]], Sequence[float]],
    *,
    start: int,
    batch: int,
    budget: int,
) -> np.ndarray:
    """Label, train, choose, and again, until the budget is spent.

    order: numbers of the samples of the pool, shuffled; the first `start` are labelled at the beginning, and
        `rest` is handed to `choose` in this order.
    choose: what is labelled next, `batch` at a time; see the top of the module.
    judge: called with the labelled numbers; trains anew on them and returns errors on a test set.
    start, batch, budget: numbers of labels.

    Returns float64 [n_rounds, 1 + n_errors]: number of labels, and what `judge` says.
    Raises ValueError for a budget that the pool does not hold, and a choice of something else than `rest`.
    """
    start, batch, budget = (whole(k, v) for k, v in (("start", start), ("batch", batch), ("budget", budget)))
    order = [int(k) for k in order]
    if not start <= budget <= len(order) or len(set(order)) < len(order):
        raise ValueError(
            f"start ({start}), budget ({budget}) and the pool ({len(order)} different samples) must ascend"
        )
    known, rows = order[:start], []
    while True:
        rows.append([len(known), *judge(known)])
        n = min(batch, budget - len(known))
        if n == 0:
            return np.array(rows, float)
        taken = set(known)
        rest = [k for k in order if k not in taken]
        new = [int(k) for k in choose(known, rest, n)]
        if len(set(new)) != n or not set(new) <= set(rest):
            raise ValueError(f"the choice must be {n} different samples without a label, not {new}")
        known = known + new


def random(known: list[int], rest: list[int], n: int) -> list[int]:
    """The choice by chance: the next ones in the shuffled order of the pool."""
    return rest[:n]


def farthest(x: np.ndarray) -> Choice:
    """The choice of what is least like all that has a label, one after the other.

    x: [n_pool, n_features], in units in which distances mean something.

    T. F. Gonzalez, Theor. Comput. Sci. 38, 293 (1985).
    """
    x = unmasked("x", x)

    def choose(known, rest, n):
        rest, new = np.asarray(rest), []
        distance = cdist(x[rest], x[known]).min(axis=1)
        for _ in range(n):
            k = int(distance.argmax())
            new.append(rest[k])
            distance = np.minimum(distance, cdist(x[rest], x[rest[k]][None])[:, 0])
            distance[k] = -1.0
        return new

    return choose


def most(score: Callable[[list[int], list[int]], np.ndarray]) -> Choice:
    """The choice of the largest score, such as the disagreement of a committee.

    score: called with (known, rest); returns [n_rest].  Ties: the first in the order of the pool.

    H. S. Seung, M. Opper and H. Sompolinsky, COLT (1992) (query by committee).
    """

    def choose(known, rest, n):
        return [rest[k] for k in np.argsort(-np.asarray(score(known, rest)), kind="stable")[:n]]

    return choose


def labels_saved(
    labels: Sequence[float], other: np.ndarray, base: np.ndarray, *, n: int = 2000, seed: int = 0
) -> dict[str, float]:
    """With what share of the labels does one choice reach the final error of another?

    labels: [n_rounds], numbers of labels.
    other, base: [n_seeds, n_rounds], errors of the two; seed k of both has the same test set and start.
    n: bootstrap draws of the seeds.
    seed: of the draws.

    Returns {"share", "low", "high"}: labels at which the mean error of `other`, on the straight lines between
    the rounds, first is that of `base` at its end, over the labels of `base`; with its 95 % interval.  Where
    it is not reached: infinity.
    Raises ValueError for shapes that differ and fewer than two seeds.
    """
    labels, other, base = (unmasked(k, v) for k, v in (("labels", labels), ("other", other), ("base", base)))
    if other.shape != base.shape or other.ndim != 2 or other.shape[1:] != labels.shape or len(other) < 2:
        raise ValueError(
            f"errors must be [n_seeds, n_rounds] for {len(labels)} rounds and two seeds or more, not "
            f"{other.shape} and {base.shape}"
        )

    def share(rows):
        curve, aim = other[rows].mean(axis=0), base[rows, -1].mean()
        reached = np.flatnonzero(curve <= aim)
        if not len(reached):
            return np.inf
        k = reached[0]
        part = (curve[k - 1] - aim) / (curve[k - 1] - curve[k]) if k else 1.0
        return float((labels[k - 1] + part * (labels[k] - labels[k - 1]) if k else labels[0]) / labels[-1])

    drawn = np.random.default_rng(seed).integers(len(other), size=(whole("n", n), len(other)))
    low, high = np.quantile([share(rows) for rows in drawn], [0.025, 0.975], method="nearest")
    return {"share": share(np.arange(len(other))), "low": float(low), "high": float(high)}


def stop(scores: Sequence[float], *, fall: float = 0.1, rounds: int = 3) -> int | None:
    """A stopping rule that needs no test set: the model has ceased to learn what it does not know.

    scores: [n_rounds], mean disagreement over what has no label yet, in any unit.
    fall: share by which it must fall within so many rounds.
    rounds: to wait.

    Returns the first round (0-based) at which the lowest score of the last `rounds` is not below (1 - fall)
    of the lowest before; None where that never comes.
    """
    scores, rounds = unmasked("scores", scores), whole("rounds", rounds)
    for k in range(rounds, len(scores)):
        if scores[k - rounds + 1 : k + 1].min() > (1 - fall) * scores[: k - rounds + 1].min():
            return k
    return None
