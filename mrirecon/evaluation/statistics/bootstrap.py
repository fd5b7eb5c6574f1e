"""Confidence limits by resampling subjects: studentised, bias-corrected and accelerated, percentile; and Student's t.

A `ConfidenceDistribution` holds all limits of one estimate: an interval is two of its limits, the p-value of a
one-sided hypothesis is its inverse, so that an interval and a test from the same one never contradict each other.

References
----------
.. [1] B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap, Chapman & Hall, 1993, chapters 12-14
.. [2] B. Efron, Better bootstrap confidence intervals, JASA 82, 1987, 10.1080/01621459.1987.10478410
.. [3] P. Hall, Theoretical comparison of bootstrap confidence intervals, Ann. Statist. 16, 1988,
   10.1214/aos/1176350933
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from mrirecon.errors import ConfigError
from mrirecon.evaluation.statistics.interval import Interval, IntervalOptions, NoIntervalError
from mrirecon.evaluation.statistics.wording import percent

Array: TypeAlias = NDArray[np.float64]
Statistic: TypeAlias = Callable[[Array], Array]
"""Weights of the subjects (resample, subject) to the value of the statistic (resample,)."""

FEWEST_SUBJECTS = 5
"""Below it resamples repeat each other: 4 subjects have 35 different ones, 5 have 126."""

BLOCK = 1_000_000
"""Weights that are held at a time."""

UNDEFINED_SHARE = 0.01
"""Share of resamples in which the statistic may be undefined before there is no interval."""


@dataclass(frozen=True, eq=False)
class ConfidenceDistribution(ABC):
    """All one-sided confidence limits of an estimate."""

    estimate: float
    options: IntervalOptions

    @abstractmethod
    def limit(self, probability: float) -> float:
        """The value below which the parameter lies with this confidence; increases with `probability`."""

    @abstractmethod
    def tail(self, value: float) -> float:
        """Confidence that the parameter lies below `value`: the p-value of "it is at most `value`"."""

    def interval(self) -> Interval:
        """Equal-tailed two-sided interval at the level of the options."""
        rest = (1 - self.options.level) / 2
        return Interval(
            self.limit(rest), self.limit(1 - rest), self.options.level, self.options.method, *self._counts()
        )

    def _counts(self) -> tuple[int, int]:
        return 0, 0


@dataclass(frozen=True, eq=False)
class _Student(ConfidenceDistribution):
    error: float
    degrees: int

    def limit(self, probability: float) -> float:
        return float(self.estimate + self.error * stats.t.ppf(probability, self.degrees))

    def tail(self, value: float) -> float:
        return float(stats.t.sf((self.estimate - value) / self.error, self.degrees))


@dataclass(frozen=True, eq=False)
class _Resampled(ConfidenceDistribution):
    """Sorted replicates of the estimate, or of its pivot."""

    replicates: Array
    n_undefined: int

    def _counts(self) -> tuple[int, int]:
        return self.replicates.size, self.n_undefined

    def _quantile(self, probability: float) -> float:
        """The (n + 1) p-th of the n replicates, interpolated; extremes beyond the first and the last."""
        position = min(max(probability * (self.replicates.size + 1) - 1, 0.0), self.replicates.size - 1.0)
        low, share = int(position), position - int(position)
        below, above = self.replicates[low], self.replicates[min(low + 1, self.replicates.size - 1)]
        return float(below if below == above or share == 0 else below + share * (above - below))

    def _share_below(self, value: float) -> float:
        """Position among the replicates, ties counted half, never 0 or 1."""
        below = np.searchsorted(self.replicates, value, side="left")
        equal = np.searchsorted(self.replicates, value, side="right") - below
        n = self.replicates.size
        return float(np.clip((below + 0.5 * equal) / n, 1 / (n + 1), n / (n + 1)))


@dataclass(frozen=True, eq=False)
class _Studentised(_Resampled):
    error: float

    def limit(self, probability: float) -> float:
        return self.estimate - self.error * self._quantile(1 - probability)

    def tail(self, value: float) -> float:
        return 1 - self._share_below((self.estimate - value) / self.error)


@dataclass(frozen=True, eq=False)
class _Accelerated(_Resampled):
    """BCa; with no bias and no acceleration it is the percentile method."""

    bias: float
    acceleration: float

    def limit(self, probability: float) -> float:
        shifted = self.bias + float(stats.norm.ppf(probability))
        shrink = 1 - self.acceleration * shifted
        if shrink <= 0:
            return float(self.replicates[-1 if shifted > 0 else 0])
        return self._quantile(float(stats.norm.cdf(self.bias + shifted / shrink)))

    def tail(self, value: float) -> float:
        away = float(stats.norm.ppf(self._share_below(value))) - self.bias
        shrink = 1 + self.acceleration * away
        if shrink <= 0:
            return 0.0 if away < 0 else 1.0
        return float(stats.norm.cdf(away / shrink - self.bias))


def subject_weights(n_subjects: int, *, n_resamples: int, seed: int) -> Iterator[Array]:
    """How often each subject is drawn in each resample: blocks of (resample, subject), rows sum to `n_subjects`."""
    rng = np.random.default_rng(seed)
    block = max(1, BLOCK // n_subjects)
    for done in range(0, n_resamples, block):
        drawn = rng.multinomial(n_subjects, np.full(n_subjects, 1 / n_subjects), size=min(block, n_resamples - done))
        yield drawn.astype(np.float64)


def _replicates(statistic: Statistic, n_subjects: int, options: IntervalOptions) -> Array:
    blocks = subject_weights(n_subjects, n_resamples=options.n_resamples, seed=options.seed)
    return np.concatenate([statistic(weights) for weights in blocks])


def _left_out(statistic: Statistic, n_subjects: int) -> Array:
    """The statistic without each of the subjects in turn."""
    block = max(1, BLOCK // n_subjects)
    everyone = np.arange(n_subjects)
    return np.concatenate(
        [statistic((everyone[i : i + block, None] != everyone).astype(np.float64)) for i in range(0, n_subjects, block)]
    )


def confidence_of_mean(values: ArrayLike, options: IntervalOptions = IntervalOptions()) -> ConfidenceDistribution:
    """Confidence limits of the mean over subjects.

    Parameters
    ----------
    values
        One per subject.

    Raises
    ------
    NoIntervalError
        With fewer than `FEWEST_SUBJECTS` subjects (two for Student's t), or if all values are equal.

    Notes
    -----
    The studentised bootstrap is second-order correct [3]_. Of nominal 95 % intervals of the mean of 5, 8, 12 and 20
    normal values, it covered 96, 96, 94, 94 % in simulation (600 each), Student's t 96, 96, 95, 94 %, BCa 86, 90, 90,
    92 %; of exponential ones 95, 93, 94, 93 %, 91, 88, 89, 90 % and 82, 84, 88, 90 %. What the studentised bootstrap
    gains for skewed values it pays for in length, see `ENOUGH_TO_RESAMPLE`. `few_subjects` says so in words.
    """
    data = np.asarray(values, dtype=np.float64)
    mean, n = float(data.mean()) if data.size else 0.0, data.size
    _check_subjects(n, 2 if options.method == "t" else FEWEST_SUBJECTS)
    options = replace(options, method=options.method_for(n))
    error = float(data.std(ddof=1)) / np.sqrt(n)
    if not error > 1e-12 * np.abs(data).max():
        raise NoIntervalError("all subjects have the same value, so there is no spread to make an interval from")
    if options.method == "t":
        return _Student(mean, options, error, n - 1)
    if options.method != "studentised":
        return confidence_of(lambda w: w @ data / w.sum(axis=1), n, options)
    centred = data - mean

    def pivot(weights: Array) -> Array:
        shift = weights @ centred / n
        variance = np.maximum(weights @ centred**2 / n - shift**2, 0) / (n - 1)
        same = variance <= 1e-20 * error**2  # one subject in all draws: the pivot is infinite, on its proper side
        pivots = shift / np.sqrt(np.where(same, 1.0, variance))
        pivots[same & (shift != 0)] = np.copysign(np.inf, shift[same & (shift != 0)])
        return np.asarray(pivots)

    return _Studentised(mean, options, np.sort(_replicates(pivot, n, options)), 0, error)


def confidence_of(
    statistic: Statistic, n_subjects: int, options: IntervalOptions = IntervalOptions(method="bca")
) -> ConfidenceDistribution:
    """Confidence limits of any statistic of weighted subjects, by BCa or percentiles.

    Parameters
    ----------
    statistic
        Value for each row of weights; a weight of 2 means that the subject is there twice, 0 that it is not. NaN where
        it does not exist.

    Raises
    ------
    NoIntervalError
        With fewer than `FEWEST_SUBJECTS` subjects, if the statistic is the same in all resamples, lies outside all of
        them, or does not exist in more than `UNDEFINED_SHARE` of them.
    ConfigError
        If the options ask for a method that needs a standard error.
    """
    if options.method not in ("bca", "percentile"):
        raise ConfigError(
            f"an interval of this statistic is made by 'bca' or 'percentile', got {options.method!r}; the other "
            "methods are for means"
        )
    _check_subjects(n_subjects, FEWEST_SUBJECTS)
    estimate = float(statistic(np.ones((1, n_subjects)))[0])
    replicates = _replicates(statistic, n_subjects, options)
    defined = np.isfinite(replicates)
    n_undefined = int(replicates.size - defined.sum())
    if not np.isfinite(estimate) or n_undefined > UNDEFINED_SHARE * replicates.size:
        raise NoIntervalError(f"the figure does not exist in {percent(n_undefined / replicates.size)} of the resamples")
    replicates = np.sort(replicates[defined])
    if replicates[-1] - replicates[0] <= 1e-12 * max(1.0, abs(estimate)):
        raise NoIntervalError("the figure is the same whichever subjects are drawn, so no interval can be made")
    found = _Accelerated(estimate, options, replicates, n_undefined, 0.0, 0.0)
    if options.method == "percentile":
        return found
    bias = float(stats.norm.ppf(found._share_below(estimate)))
    left_out = _left_out(statistic, n_subjects)
    if not np.isfinite(left_out).all():
        raise NoIntervalError("the figure does not exist without one of the subjects; use the percentile method")
    influence = left_out.mean() - left_out
    scale = float((influence**2).sum())
    acceleration = float((influence**3).sum()) / (6 * scale**1.5) if scale > 0 else 0.0
    return _Accelerated(estimate, options, replicates, n_undefined, bias, acceleration)


def interval_or_remark(make: Callable[[], ConfidenceDistribution]) -> tuple[Interval | None, tuple[str, ...]]:
    """The interval, or None and the reason in words."""
    try:
        return make().interval(), ()
    except NoIntervalError as error:
        return None, (f"no interval: {error}",)


def pointwise_limits(
    statistics: Sequence[Callable[[], ConfidenceDistribution]],
) -> tuple[tuple[Interval | None, ...], tuple[str, ...]]:
    """An interval per statistic, with the reasons for those that have none, each once."""
    found = [interval_or_remark(make) for make in statistics]
    return tuple(i for i, _ in found), tuple(dict.fromkeys(r for _, remarks in found for r in remarks))


def _check_subjects(n: int, fewest: int) -> None:
    if n < fewest:
        raise NoIntervalError(f"it needs at least {fewest} subjects, got {n}")
