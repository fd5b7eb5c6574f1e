"""The AUROC against scikit-learn and the normal closed form; its interval against repeated draws."""

import math

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from mrirecon.errors import ConfigError
from mrirecon.evaluation.statistics.separation import auroc, auroc_interval


def test_it_is_the_area_of_an_independent_implementation_with_ties():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 6, 40), rng.integers(2, 9, 25)
    expected = roc_auc_score(np.r_[np.zeros(40), np.ones(25)], np.r_[a, b])
    assert auroc(a, b) == pytest.approx(expected, abs=1e-12)
    assert auroc(b, a) == pytest.approx(1 - expected, abs=1e-12)
    assert auroc([1, 2], [3, 4]) == 1.0
    assert auroc([1.0], [1.0]) == 0.5


def test_it_is_the_closed_form_of_normal_distributions():
    rng = np.random.default_rng(2)
    assert auroc(rng.normal(0, 1, 20000), rng.normal(1, 1, 20000)) == pytest.approx(
        norm.cdf(1 / math.sqrt(2)), abs=0.01
    )


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng, truth = np.random.default_rng(3), norm.cdf(1 / math.sqrt(2))
    inside = 0
    for seed in range(60):
        low, high = auroc_interval(rng.normal(0, 1, 40), rng.normal(1, 1, 30), seed=seed, n_resamples=100)
        inside += low <= truth <= high
    assert 50 <= inside <= 60
    assert auroc_interval([1, 2, 3], [3, 4], seed=5) == auroc_interval([1, 2, 3], [3, 4], seed=5)


@pytest.mark.parametrize(("a", "b"), [([], [1.0]), ([1.0], []), ([math.nan], [1.0])])
def test_empty_groups_and_numbers_that_are_none_are_refused(a, b):
    with pytest.raises(ConfigError, match="finite scores in both groups"):
        auroc(a, b)
