"""Which label next: the race is fair, and the choices choose what they say."""

import numpy as np
import pytest

from mlms_helpers import selection


def run(choose, judge=len, **settings):
    return selection.race(
        range(10), choose, lambda known: [judge(known)], **{"start": 2, "batch": 3, "budget": 9, **settings}
    )


def test_everyone_spends_the_same_labels_and_trains_anew():
    seen = []
    found = run(selection.random, lambda known: seen.append(list(known)) or len(known))
    assert found[:, 0].tolist() == found[:, 1].tolist() == [2, 5, 8, 9]  # the last batch is cut
    assert seen[-1] == list(range(9))  # chance takes them in the order of the shuffled pool


def test_the_farthest_point_is_taken_and_then_counts():
    choose = selection.farthest(np.array([[0.0], [1.0], [9.0], [10.0], [5.0]]))
    assert choose([0], [1, 2, 3, 4], 3) == [3, 4, 1]


def test_the_largest_score_is_taken():
    choose = selection.most(lambda known, rest: np.array([float(k % 4) for k in rest]))
    assert choose([], [4, 3, 6, 7], 2) == [3, 7]


def test_labels_saved():
    labels = [10, 20, 30, 40]
    base = np.array([[4, 3, 2, 1.0], [4, 3, 2, 1.2]])
    fast = np.array([[4, 1.6, 0.6, 0.5], [4, 1.6, 0.6, 0.5]])
    found = selection.labels_saved(labels, fast, base)
    assert found["share"] == pytest.approx((20 + 10 * 0.5 / 1.0) / 40)
    assert found["low"] <= found["share"] <= found["high"] < 1
    assert selection.labels_saved(labels, base + 1, base)["share"] == np.inf
    assert selection.labels_saved(labels, base, base)["share"] == 1.0
    assert selection.labels_saved(labels, base - 4, base)["share"] == 0.25


def test_the_rule_stops_where_disagreement_no_longer_falls():
    assert selection.stop([8, 4, 2, 1, 1, 1, 1]) == 6
    assert selection.stop([8, 4, 2, 1]) is None
    assert selection.stop([1, 1, 1, 1], rounds=2) == 2


def test_what_cannot_be_a_race_gets_a_sentence():
    with pytest.raises(ValueError, match="ascend"):
        run(selection.random, budget=11)
    with pytest.raises(ValueError, match="without a label"):
        run(lambda known, rest, n: known[:n])
    with pytest.raises(ValueError, match="two seeds"):
        selection.labels_saved([1, 2], [[1.0, 2.0]], [[1.0, 2.0]])
