"""Limits against scipy, closed forms and complete enumeration; coverage by simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from mrirecon.errors import ConfigError
from mrirecon.evaluation.statistics import bootstrap
from mrirecon.evaluation.statistics.bootstrap import (
    confidence_of,
    confidence_of_mean,
    interval_or_remark,
    subject_weights,
)
from mrirecon.evaluation.statistics.interval import (
    Interval,
    IntervalMethod,
    IntervalOptions,
    NoIntervalError,
    few_subjects,
)

DATA = np.array([0.3, 1.1, -0.4, 2.0, 0.9, 0.2, 3.1, 0.8])
Floats = NDArray[np.float64]


def mean(weights: Floats) -> Floats:
    return weights @ DATA / weights.sum(axis=1)


X = np.random.default_rng(9).gamma(2.0, 1.0, 25)
Y = X + np.random.default_rng(8).normal(0.0, 1.0, 25)


def correlation(weights: Floats) -> Floats:
    x, y = X, Y
    w = weights / weights.sum(axis=1, keepdims=True)
    a, b = x - (w @ x)[:, None], y - (w @ y)[:, None]
    return (w * a * b).sum(1) / np.sqrt((w * a**2).sum(1) * (w * b**2).sum(1))


@pytest.mark.parametrize("method", ["bca", "percentile"])
@pytest.mark.parametrize("skewed", [False, True])
def test_agrees_with_scipy(method: str, skewed: bool) -> None:
    options = IntervalOptions(method, n_resamples=10_000, seed=3)  # type: ignore[arg-type]
    if skewed:
        samples = (X, Y)
        made = confidence_of(correlation, 25, options)
    else:
        samples = (DATA,)
        made = confidence_of_mean(DATA, options)
    peer = stats.bootstrap(
        samples,
        (lambda x, y, axis: stats.pearsonr(x, y, axis=axis).statistic) if skewed else np.mean,
        paired=skewed,
        vectorized=True,
        n_resamples=10_000,
        method={"bca": "BCa"}.get(method, method),
        rng=np.random.default_rng(4),
    ).confidence_interval
    found = made.interval()
    width = peer.high - peer.low
    assert found.low == pytest.approx(peer.low, abs=0.04 * width)
    assert found.high == pytest.approx(peer.high, abs=0.04 * width)


def test_student_is_scipys_interval_and_test() -> None:
    made = confidence_of_mean(DATA, IntervalOptions("t", level=0.9))
    peer = stats.ttest_1samp(DATA, 0.0)
    low, high = peer.confidence_interval(0.9)
    assert (made.interval().low, made.interval().high) == pytest.approx((low, high))
    assert made.tail(0.25) == pytest.approx(stats.ttest_1samp(DATA, 0.25, alternative="greater").pvalue)


def test_studentised_limits_are_those_of_all_resamples() -> None:
    data = DATA[:5]
    drawn = data[np.array(list(product(range(5), repeat=5)))]
    error = data.std(ddof=1) / np.sqrt(5)
    spread = drawn.std(axis=1, ddof=1)
    shift = drawn.mean(axis=1) - data.mean()
    pivots = np.divide(
        shift, spread / np.sqrt(5), out=np.copysign(np.full(shift.shape, np.inf), shift), where=spread > 0
    )
    exact = [data.mean() - error * q for q in np.quantile(pivots[np.isfinite(pivots)], [0.95, 0.05])]
    found = confidence_of_mean(data, IntervalOptions("studentised", level=0.9, n_resamples=40_000)).interval()
    assert (found.low, found.high) == pytest.approx(exact, abs=0.03 * (exact[1] - exact[0]))


@pytest.mark.parametrize("method", ["studentised", "bca", "percentile", "t"])
def test_tail_is_the_inverse_of_limit_and_limits_move_with_the_data(method: str) -> None:
    options = IntervalOptions(method)  # type: ignore[arg-type]
    made = confidence_of_mean(DATA, options)
    for probability in (0.01, 0.1, 0.5, 0.9, 0.99):
        assert made.tail(made.limit(probability)) == pytest.approx(probability, abs=0.004)
    moved = confidence_of_mean(5 - 2 * DATA, options)
    assert moved.limit(0.1) == pytest.approx(5 - 2 * made.limit(0.9), abs=0.08)
    again = confidence_of_mean(DATA, options)
    assert again.interval() == made.interval()
    assert 0 < made.tail(-100.0) < 0.001 < 0.999 < made.tail(100.0) < 1 or method == "t"


def test_bca_transforms_with_the_statistic() -> None:
    options = IntervalOptions("bca", n_resamples=999)
    plain = confidence_of(mean, 8, options).interval()
    cubed = confidence_of(lambda w: np.exp(3 * mean(w)), 8, options).interval()
    assert np.log(cubed.low) / 3 == pytest.approx(plain.low, abs=0.1)
    percentile = IntervalOptions("percentile", n_resamples=999)
    plain = confidence_of(mean, 8, percentile).interval()
    cubed = confidence_of(lambda w: np.exp(3 * mean(w)), 8, percentile).interval()
    assert np.log(cubed.high) / 3 == pytest.approx(plain.high, abs=1e-9)


def test_weights_draw_subjects_with_replacement() -> None:
    weights = np.concatenate(list(subject_weights(6, n_resamples=5000, seed=0)))
    assert weights.shape == (5000, 6)
    assert (weights.sum(axis=1) == 6).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(6), abs=0.06)
    assert weights.var(axis=0) == pytest.approx(np.full(6, 5 / 6), abs=0.08)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [IntervalOptions(m, n_resamples=999) for m in ("studentised", "bca")]
    whole = [confidence_of_mean(DATA, options).interval() for options in made]
    monkeypatch.setattr(bootstrap, "BLOCK", 40)
    split = [confidence_of_mean(DATA, options).interval() for options in made]
    assert [v for i in split for v in (i.low, i.high)] == pytest.approx([v for i in whole for v in (i.low, i.high)])


@pytest.mark.parametrize(("method", "n"), [("studentised", 7), ("auto", 5), ("auto", 12)])
def test_coverage_of_the_interval_of_few_subjects(method: IntervalMethod, n: int) -> None:
    rng = np.random.default_rng(5)
    inside = []
    for i in range(300):
        options = IntervalOptions(method, n_resamples=499, seed=i)
        found = confidence_of_mean(rng.normal(1.0, 2.0, n), options).interval()
        inside.append(found.low <= 1.0 <= found.high)
    assert np.mean(inside) == pytest.approx(0.95, abs=3.3 * np.sqrt(0.95 * 0.05 / 300))


@pytest.mark.parametrize("n", [5, 7, 9])
def test_intervals_of_few_bounded_scores_cover_and_do_not_run_away(n: int) -> None:
    """Scores between 0 and 1 with a tail to the left, as of SSIM; resampled, their intervals leave the range."""
    rng = np.random.default_rng(n)
    made: dict[str, list[Interval]] = {"auto": [], "studentised": []}
    for i in range(300):
        scores = rng.beta(9, 1, n)
        for method in ("auto", "studentised"):
            options = IntervalOptions(method, n_resamples=499, seed=i)
            made[method].append(confidence_of_mean(scores, options).interval())
    chosen = made["auto"]
    covered = np.mean([i.low <= 0.9 <= i.high for i in chosen])
    assert covered == np.mean([i.within(0, 1).low <= 0.9 <= i.within(0, 1).high for i in chosen])
    assert covered >= 0.91 - 3.3 * np.sqrt(0.91 * 0.09 / 300)  # what Student's t promises of such a tail
    assert all(i.low > 0 for i in chosen)
    longest = {m: np.quantile([i.high - i.low for i in made[m]], 0.95) for m in made}
    assert longest["auto"] < 0.8 * longest["studentised"]


def test_the_method_follows_the_number_of_subjects() -> None:
    assert [confidence_of_mean(np.arange(n) ** 1.5).interval().method for n in (5, 9, 10)] == ["t", "t", "studentised"]
    with pytest.raises(NoIntervalError, match="at least 5 subjects, got 4"):
        confidence_of_mean([1.0, 2.0, 3.0, 5.0])


def test_refusals_say_why() -> None:
    with pytest.raises(NoIntervalError, match="at least 5 subjects, got 1"):
        confidence_of_mean([1.0])
    with pytest.raises(NoIntervalError, match="got 0"):
        confidence_of_mean([])
    with pytest.raises(NoIntervalError, match="same value"):
        confidence_of_mean([0.1] * 6)
    with pytest.raises(NoIntervalError, match="same whichever"):
        confidence_of(lambda w: np.ones(len(w)), 6)
    with pytest.raises(NoIntervalError, match=r"does not exist in .* of the resamples"):
        confidence_of(lambda w: np.where(w[:, 0] > 0, w[:, 1], np.nan), 6)
    with pytest.raises(ConfigError, match="'bca' or 'percentile', got 't'"):
        confidence_of(mean, 8, IntervalOptions("t"))
    with pytest.raises(ConfigError, match="'bca' or 'percentile', got 'auto'"):
        confidence_of(mean, 8, IntervalOptions())
    for bad in ({"method": "basic"}, {"level": 95.0}, {"n_resamples": 10}):
        with pytest.raises(ConfigError, match=next(iter(bad))):
            IntervalOptions(**bad)  # type: ignore[arg-type]
    interval, remarks = interval_or_remark(lambda: confidence_of_mean([1.0, 2.0]))
    assert interval is None
    assert remarks == ("no interval: it needs at least 5 subjects, got 2",)


def test_undefined_resamples_are_counted() -> None:
    made = confidence_of(
        lambda w: np.where((w[:, :2] == 0).all(axis=1) & (w[:, 2] > 3), np.nan, mean(w)),
        8,
        IntervalOptions("percentile"),
    )
    assert 0 < made.interval().n_undefined < 100


def test_short_intervals_are_announced() -> None:
    interval = Interval(0.0, 1.0, 0.95, "bca", 999)
    assert "too short; here 8" in few_subjects(8, interval)[0]
    assert few_subjects(20, interval) == few_subjects(8, None) == ()
    assert few_subjects(8, Interval(0.0, 1.0, 0.95, "studentised", 999)) == ()
