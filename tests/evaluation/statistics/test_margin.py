"""Non-inferiority and equivalence: verdicts, the t test as oracle, errors by simulation, sentences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mrirecon.errors import ConfigError
from mrirecon.evaluation.statistics.interval import IntervalOptions
from mrirecon.evaluation.statistics.margin import MarginTest, equivalence, judge, non_inferiority
from mrirecon.evaluation.statistics.observations import Score
from tests.evaluation.statistics.rows import NMSE, PSNR, one_slice_each

STUDENT = IntervalOptions("t")
NEW = [31.0, 30.1, 33.2, 29.6, 35.0, 32.7, 31.3, 30.9]
REFERENCE = [31.2, 30.0, 33.5, 29.9, 34.8, 33.1, 31.2, 31.3]


def margin_test(margin: float, *, shift: float = 0.0, **changes: object) -> MarginTest:
    scores = one_slice_each({"new": [v + shift for v in NEW], "old": REFERENCE})
    made = {"new": "new", "reference": "old", "setting": "R4", "margin": margin, **changes}
    measure = made.pop("measure", PSNR)
    return non_inferiority(scores, measure, **made)  # type: ignore[arg-type]


def test_verdicts_follow_the_limits() -> None:
    differences = np.subtract(NEW, REFERENCE)
    low, high = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert low < 0 < -low + high
    assert margin_test(-low + 0.01, options=STUDENT).verdict == "non-inferior"
    assert margin_test(-low - 0.01, options=STUDENT).verdict == "inconclusive"
    assert margin_test(0.5, shift=-low + 0.01, options=STUDENT).verdict == "superior"
    assert margin_test(0.5, shift=-high - 0.51, options=STUDENT).verdict == "inferior"
    worse = margin_test(2.0, shift=-high - 0.01, options=STUDENT)
    assert worse.verdict == "non-inferior"
    assert "The difference is a loss, though smaller than the margin." in worse.sentence()


def test_the_p_value_is_the_t_tests_and_agrees_with_the_interval() -> None:
    differences = np.subtract(NEW, REFERENCE)
    found = margin_test(0.3, options=STUDENT)
    assert found.p == pytest.approx(stats.ttest_1samp(differences, -0.3, alternative="greater").pvalue)
    for margin in np.linspace(0.05, 0.6, 23):
        for method in ("studentised", "bca", "percentile"):
            found = margin_test(float(margin), options=IntervalOptions(method, n_resamples=999))  # type: ignore[arg-type]
            assert found.p is not None
            assert (found.p < 0.025) == (found.verdict == "non-inferior") or abs(found.p - 0.025) < 0.002


def test_lower_is_better_mirrors() -> None:
    higher, lower = margin_test(0.3), margin_test(0.3, measure=NMSE)
    assert higher.interval is not None
    assert lower.interval is not None
    assert lower.mean_difference == higher.mean_difference
    assert (lower.interval.low, lower.interval.high) == pytest.approx(
        (higher.interval.low, higher.interval.high), abs=0.03
    )
    assert lower.interval.low < lower.interval.high
    differences = np.subtract(NEW, REFERENCE)
    student = margin_test(0.3, measure=NMSE, options=STUDENT)
    assert student.p == pytest.approx(stats.ttest_1samp(differences, 0.3, alternative="less").pvalue)


def test_equivalence_is_two_one_sided_tests() -> None:
    scores = one_slice_each({"new": NEW, "old": REFERENCE})
    made = {"new": "new", "reference": "old", "setting": "R4", "options": STUDENT}
    found = equivalence(scores, PSNR, margin=0.4, **made)  # type: ignore[arg-type]
    assert found.verdict == "equivalent"
    assert found.interval is not None
    assert found.interval.level == pytest.approx(0.9)
    assert equivalence(scores, PSNR, margin=0.2, **made).verdict == "inconclusive"  # type: ignore[arg-type]
    far = one_slice_each({"new": [v + 5 for v in NEW], "old": REFERENCE})
    assert equivalence(far, PSNR, margin=1, **made).verdict == "not equivalent"  # type: ignore[arg-type]
    ttost = pytest.importorskip("statsmodels.stats.weightstats").ttost_paired
    assert found.p == pytest.approx(ttost(np.array(NEW), np.array(REFERENCE), -0.4, 0.4)[0])


def test_the_reference_may_have_another_setting() -> None:
    scores = one_slice_each({"new": NEW}, "R8") + one_slice_each({"old": REFERENCE, "new": [0.0] * 8}, "R2")
    found = non_inferiority(
        scores, PSNR, new="new", reference="old", setting="R8", reference_setting="R2", margin=0.4, options=STUDENT
    )
    assert found.verdict == "non-inferior"
    text = found.sentence()
    assert text.startswith(
        "new at R8 was non-inferior to old at R2 in PSNR (higher is better) within a margin of 0.4 dB: mean "
        "difference -0.150 dB (95 % CI -0.355 to 0.055, Student t; 8 subjects, 8 slices; one-sided p = 0.012 at alpha "
    )


@pytest.mark.parametrize(("method", "n"), [("studentised", 10), ("t", 10), ("auto", 5)])
def test_error_at_the_border_is_alpha(method: str, n: int) -> None:
    rng = np.random.default_rng(7)
    trials, found = 400, []
    for i in range(trials):
        options = IntervalOptions(method, n_resamples=499, seed=i)  # type: ignore[arg-type]
        differences = rng.normal(-0.5, 1.0, n)
        found.append(
            judge(differences, PSNR, margin=0.5, alpha=0.05, goal="non-inferiority", options=options).verdict
            in ("non-inferior", "superior")
        )
    assert np.mean(found) == pytest.approx(0.05, abs=3.3 * np.sqrt(0.05 * 0.95 / trials))


def test_too_few_subjects_are_not_tested() -> None:
    scores = [Score("s", "0", m, "R4", 30.0) for m in ("new", "old")]
    found = non_inferiority(scores, PSNR, new="new", reference="old", setting="R4", margin=1)
    assert found.verdict == "not tested"
    assert found.p is found.interval is None
    assert "could not be tested against old" in found.sentence()
    assert "No interval: it needs at least 5 subjects, got 1." in found.sentence()


def test_impossible_arguments() -> None:
    for margin in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="`margin` must be a positive number in the unit of PSNR"):
            margin_test(margin)
    with pytest.raises(ConfigError, match="`alpha` is one-sided"):
        margin_test(1.0, alpha=0.5)
