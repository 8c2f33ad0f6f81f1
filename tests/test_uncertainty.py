"""Error bars: what judges them, what mends them, and ways to them."""

import numpy as np
import pytest

from mlms_helpers import uncertainty


@pytest.fixture(scope="module")
def honest():
    """Residuals drawn from the very error bars that are stated, 50 families of 40."""
    rng = np.random.default_rng(0)
    sigma = np.exp(rng.normal(-1, 0.5, 2000))
    return rng.normal(0, sigma), sigma, np.repeat(np.arange(50), 40)


@pytest.fixture(scope="module")
def noisy():
    """A line with noise that grows from 0.05 to 0.5, in 60 families of five samples, and new samples."""
    rng = np.random.default_rng(1)

    def draw(n):
        x = rng.uniform(-1, 1, (n, 2))
        noise = 0.05 * 10 ** ((x[:, 0] + 1) / 2)
        return x, 5 + 2 * x[:, 1] + rng.normal(0, noise), noise

    return draw(300), np.repeat(np.arange(60), 5), draw(500)


def test_honest_error_bars_are_found_honest(honest):
    found = uncertainty.judge(*honest[:2])
    assert found["r-statistic"] == pytest.approx(1, abs=0.05) == found["mean z2"] ** 0.5
    assert found["slope"] == pytest.approx(1, abs=0.1)
    assert found["intercept"] == pytest.approx(0, abs=0.03)
    assert found["coverage"] == pytest.approx(0.9, abs=0.02)
    assert found["sharpness"] == pytest.approx(honest[1].mean())


def test_each_number_sees_its_own_fault(honest):
    residual, sigma, _ = honest
    short = uncertainty.judge(residual, sigma / 2)
    assert short["r-statistic"] == pytest.approx(2, abs=0.1) and short["coverage"] < 0.7
    biased = uncertainty.judge(residual + sigma, sigma)
    assert biased["r-statistic"] < 1.1 and biased["mean z2"] > 1.8
    shuffled = uncertainty.judge(residual, np.random.default_rng(2).permutation(sigma))
    assert abs(shuffled["slope"]) < 0.3
    assert np.isnan(uncertainty.judge(residual, np.full(len(residual), 0.4))["slope"])


def test_bins_hold_all_samples_in_order(honest):
    table = uncertainty.binned(*honest[:2], bins=7)
    assert table.samples.sum() == 2000 and table.stated.is_monotonic_increasing
    assert len(uncertainty.binned([1.0, 2.0], [1.0, 1.0], bins=8)) == 2


def test_the_interval_is_wider_where_families_count(honest):
    residual, sigma, family = honest
    table = uncertainty.interval(residual, sigma, family, n=60)
    assert ((table.low <= table.value) & (table.value <= table.high)).all()
    one_for_all = np.repeat(np.random.default_rng(3).normal(size=50), 40) * sigma
    apart, whole = (
        uncertainty.interval(one_for_all, sigma, groups, n=60).loc["RMSE"]
        for groups in (np.arange(2000), family)
    )
    assert whole.high - whole.low > 3 * (apart.high - apart.low)


def test_recalibration_finds_what_was_done_to_the_bars(honest):
    residual, sigma, _ = honest
    rng = np.random.default_rng(4)
    floor, factor = uncertainty.recalibrate(residual + rng.normal(0, 0.3, 2000), sigma / 3)
    assert floor == pytest.approx(0.3, abs=0.03) and factor == pytest.approx(3, abs=0.3)
    floor, factor = uncertainty.recalibrate(rng.normal(0, 0.2, 2000), sigma)
    assert floor == pytest.approx(0.2, abs=0.02) and factor < 0.2  # sigma says nothing
    assert np.allclose(uncertainty.widened([3.0, 0.0], (4.0, 1.0)), [5.0, 4.0])
    in_mev = uncertainty.recalibrate(1000 * residual, sigma)
    assert np.allclose(in_mev[1], 1000 * uncertainty.recalibrate(residual, sigma)[1], rtol=1e-3)
    assert uncertainty.recalibrate([0.0, 0.0], [1.0, 1.0]) == (0.0, 0.0)


def test_a_conformal_interval_covers_whatever_the_distribution():
    rng = np.random.default_rng(5)
    score, new = np.abs(rng.standard_cauchy((2, 4000)))
    assert np.mean(new <= uncertainty.conformal(score, np.arange(4000))) == pytest.approx(0.9, abs=0.02)
    assert uncertainty.conformal([1.0, 2.0, 3.0], [0, 1, 2]) == 3.0  # three families promise no 90 %
    with pytest.raises(ValueError, match="between 0 and 1"):
        uncertainty.conformal(score, np.arange(4000), level=90)


@pytest.mark.parametrize("way", ["lines, bootstrap", "Gaussian process"])
def test_of_training_samples_it_is_told_without_their_family(noisy, way):
    (x, y, _), family, (new, true, _) = noisy
    strange = y + 10 * (family == 7)  # a family that nobody could foresee
    bars = uncertainty.WAYS[way](x, strange, family, new, 0)
    assert np.all(np.abs(bars.held_mean - strange)[family == 7] > 9)
    assert np.sqrt(np.mean((bars.mean - true) ** 2)) < 0.6
    assert np.isfinite(bars.held_sigma).all() and (bars.sigma > 0).all()


def test_a_mean_variance_network_finds_where_the_noise_is(noisy):
    (x, y, _), family, (new, true, noise) = noisy
    bars = uncertainty.mean_and_variance(x, y, family, new, 0, members=4)
    assert np.corrcoef(np.log(bars.sigma), np.log(noise))[0, 1] > 0.9
    found = uncertainty.judge(bars.mean - true, bars.sigma)
    assert found["r-statistic"] < 1.2 and 0.7 < found["slope"] < 1.3


def test_a_kind_gets_bars_of_its_own():
    rng = np.random.default_rng(6)
    kinds, family = np.repeat(["good", "bad", "rare"], [300, 300, 4]), np.repeat(np.arange(302), 2)
    y = rng.normal(0, np.where(kinds == "bad", 0.5, 0.1))
    ones = np.ones(len(y))
    bars = uncertainty.Bars(np.zeros(3), np.ones(3), 0 * ones, ones)
    sigma = uncertainty.by_kind(bars, y, family, kinds, ["good", "bad", "rare"])
    assert np.allclose(sigma[:2], [0.1, 0.5], rtol=0.15) and 0.2 < sigma[2] < 0.5


def test_what_is_no_error_bar_gets_a_sentence():
    for residual, sigma in (([1.0], [0.0]), ([np.nan], [1.0])):
        with pytest.raises(ValueError, match="above 0"):
            uncertainty.judge(residual, sigma)
    with pytest.raises(ValueError, match="one length"):
        uncertainty.binned([1.0, 2.0], [1.0])
