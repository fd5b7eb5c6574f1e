"""Comparisons of two methods: figures by hand and by scipy, sentences, and what is refused in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from mrirecon.evaluation.statistics.bootstrap import confidence_of_mean
from mrirecon.evaluation.statistics.interval import IntervalOptions
from mrirecon.evaluation.statistics.observations import NothingPairedError, Score
from mrirecon.evaluation.statistics.paired import PairedComparison, compare_methods
from tests.evaluation.statistics.rows import NMSE, PSNR, one_slice_each

FIRST = [33.1, 30.4, 35.0, 31.2, 36.8, 34.4, 32.0, 33.3]
SECOND = [31.9, 30.6, 33.2, 30.0, 34.1, 33.4, 31.1, 31.5]


def comparison(first: list[float | None], second: list[float | None], **changes: object) -> PairedComparison:
    made = {"first": "unfolded", "second": "varnet", "setting": "R4", "measure": PSNR, **changes}
    measure = made.pop("measure")
    scores = one_slice_each({"unfolded": first, "varnet": second})
    return compare_methods(scores, measure, **made)  # type: ignore[arg-type]


def test_figures() -> None:
    found = comparison(FIRST, SECOND)
    differences = np.subtract(FIRST, SECOND)
    assert found.differences == pytest.approx(differences)
    assert found.mean_first - found.mean_second == pytest.approx(found.mean_difference)
    assert found.sd_difference == pytest.approx(differences.std(ddof=1))
    assert found.interval == confidence_of_mean(found.differences).interval()
    assert found.effect is not None
    assert found.effect.d_z == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert found.p == pytest.approx(stats.wilcoxon(differences.round(6), method=stats.PermutationMethod()).pvalue)
    assert (found.n_subjects, found.n_slices, found.favours) == (8, 8, "unfolded")


def test_sentence_has_effect_before_p() -> None:
    text = comparison(FIRST, SECOND).sentence()
    assert text.startswith(
        "PSNR of unfolded was 1.30 dB higher than that of varnet at R4 (better for unfolded; 95 % CI"
    )
    places = [text.index(w) for w in ("95 % CI", "8 subjects, 8 slices", "d_z", "rank-biserial", "Wilcoxon")]
    assert places == sorted(places)
    assert "Student t; 8 subjects" in text


def test_nothing_is_called_better_within_the_interval() -> None:
    text = comparison([30.0, 31.0, 32.0, 33.0, 34.0, 35.0], [30.5, 30.2, 32.4, 32.1, 34.6, 34.9]).sentence()
    assert "at R4 (the interval includes no difference; 95 % CI -" in text
    assert "better" not in text


def test_lower_is_better_where_it_is() -> None:
    found = comparison(FIRST, SECOND, measure=NMSE)
    assert found.favours == "varnet"
    assert "higher than that of varnet at R4 (better for varnet" in found.sentence()
    swapped = comparison(SECOND, FIRST, measure=NMSE)
    assert swapped.favours == "unfolded"
    assert "lower than" in swapped.sentence()


def test_swapping_the_methods_mirrors_everything() -> None:
    one = comparison(FIRST, SECOND)
    scores = one_slice_each({"unfolded": FIRST, "varnet": SECOND})
    other = compare_methods(scores, PSNR, first="varnet", second="unfolded", setting="R4")
    assert other.mean_difference == pytest.approx(-one.mean_difference)
    assert one.interval is not None
    assert other.interval is not None
    assert (other.interval.low, other.interval.high) == pytest.approx((-one.interval.high, -one.interval.low), abs=0.03)
    assert other.p == pytest.approx(one.p)
    assert other.ranks is not None
    assert one.ranks is not None
    assert other.ranks.rank_biserial == pytest.approx(-one.ranks.rank_biserial)


def test_one_subject_gets_its_difference_and_nothing_else() -> None:
    found = comparison([33.0], [31.5])
    assert found.mean_difference == 1.5
    assert found.interval is found.effect is found.ranks is found.p is found.sd_difference is None
    text = found.sentence()
    assert "1 subject, 1 slice" in text
    assert "No interval: it needs at least 5 subjects, got 1" in text
    assert "One subject says nothing about others" in text
    assert "p =" not in text
    assert "(mean better for unfolded; 1 subject" in text


def test_few_subjects_are_told_what_the_test_cannot_do() -> None:
    found = comparison(FIRST[:3], [v - 1 - i for i, v in enumerate(FIRST[:3])])
    assert found.interval is None
    assert found.p == pytest.approx(0.25)
    assert "the two-sided test cannot give less than p = 0.25" in found.sentence()
    student = comparison(FIRST[:3], SECOND[:3], options=IntervalOptions("t"))
    low, high = stats.ttest_rel(FIRST[:3], SECOND[:3]).confidence_interval()
    assert student.interval is not None
    assert (student.interval.low, student.interval.high) == pytest.approx((low, high))


def test_equal_methods() -> None:
    found = comparison(FIRST, list(FIRST))
    assert found.favours == ""
    assert found.interval is found.effect is found.p is None
    assert "no difference" in found.sentence()
    assert "All differences are zero: no test." in found.sentence()


def test_ties_and_missing_pairs_are_told() -> None:
    gapped: list[float | None] = [*SECOND[:-2], None, float("nan")]
    found = comparison([v + 1 if i < 2 else v for i, v in enumerate(FIRST)], gapped)
    assert found.n_subjects == 6
    assert [m.subject for m in found.missing] == ["s6", "s7"]
    assert "2 subjects left out entirely: s6, s7." in found.sentence()
    tied = comparison([1.0, 2.0, 3.0, 4.0, 5.0, 7.0], [0.0, 1.0, 2.0, 3.0, 5.0, 5.0])
    assert "Tied differences: 4" in tied.sentence()
    assert "Differences of zero: 1" in tied.sentence()
    with pytest.raises(NothingPairedError):
        comparison([1.0, None], [None, 1.0])


def test_many_slices_do_not_make_many_subjects() -> None:
    """Intervals from slices as if independent would be shorter by the root of the number of slices."""
    rng = np.random.default_rng(0)
    scores = []
    for subject, gain in enumerate(rng.normal(0.5, 1.0, 8)):
        for i in range(30):
            level = rng.normal(30, 1)
            scores.append(Score(f"s{subject}", str(i), "a", "R4", level + gain + rng.normal(0, 0.1)))
            scores.append(Score(f"s{subject}", str(i), "b", "R4", level))
    found = compare_methods(scores, PSNR, first="a", second="b", setting="R4", options=IntervalOptions("t"))
    assert found.n_slices == 240
    assert found.interval is not None
    sd = np.std(found.differences, ddof=1)
    assert found.interval.high - found.interval.low == pytest.approx(2 * stats.t.ppf(0.975, 7) * sd / np.sqrt(8))


def test_adjusted_p_is_printed() -> None:
    found = replace(comparison(FIRST, SECOND), p_adjusted=0.0421, adjustment="Holm", family_size=6)
    assert "adjusted p = 0.042, Holm over 6 comparisons" in found.sentence()
