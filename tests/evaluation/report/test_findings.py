"""What the report says agrees with the numbers it says it of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrirecon.errors import ConfigError
from mrirecon.evaluation.report.choices import ReportChoices, primary_column, report_choices
from mrirecon.evaluation.report.columns import ScoreColumn, Setting
from mrirecon.evaluation.report.data import ColumnFindings
from mrirecon.evaluation.report.findings import (
    about_subjects,
    comparisons,
    difference_curves,
    quality_curves,
    within_margin,
)
from mrirecon.evaluation.report.tables import comparison_table, margin_table, score_table, unreachable
from mrirecon.evaluation.statistics.interval import IntervalOptions
from mrirecon.evaluation.statistics.observations import Measure, Score
from mrirecon.metrics.presets import preset
from tests.evaluation.report.html_check import check

OPTIONS = IntervalOptions(n_resamples=500)
SSIM = preset("study")[2]
RATES = {"random R2": 1.9, "random R4": 3.6, "random R8": 6.4}
LOSS = {"a": 0.02, "b": 0.01, "c": 0.05}


def column(n_subjects: int = 8, *, dropped: tuple[tuple[str, str, str], ...] = ()) -> ScoreColumn:
    """Scores that fall with R, by method; `dropped` is (subject, method, setting) without a value."""
    rng = np.random.default_rng(3)
    rows = []
    for s in range(n_subjects):
        level = 0.02 * rng.standard_normal()
        for method, loss in LOSS.items():
            for setting, rate in RATES.items():
                value: float | None = 0.95 + level - loss * rate + 0.004 * rng.standard_normal()
                if (f"s{s}", method, setting) in dropped:
                    value = None
                rows.append(Score(f"s{s}", f"scan{s}", method, setting, value, "0"))
    settings = tuple(Setting(n, "random", float(n[-1]), r, r, r, n_subjects) for n, r in RATES.items())
    measure = Measure("SSIM", "higher")
    return ScoreColumn(SSIM, "whole", "random", "SSIM", measure, tuple(rows), settings, tuple(LOSS), ())


def test_curves_are_means_over_subjects() -> None:
    scores = column()
    for found in quality_curves(scores, OPTIONS):
        assert found.curve is not None
        for setting, mean in zip(found.curve.settings, found.curve.mean, strict=True):
            own = [r.value for r in scores.rows if (r.method, r.setting) == (found.method, setting)]
            assert mean == pytest.approx(np.mean(np.array(own, float)))
        assert found.curve.acceleration == (1.9, 3.6, 6.4)
        assert all(
            b is not None and b.low < m < b.high for b, m in zip(found.curve.bands, found.curve.mean, strict=True)
        )


def test_a_hole_leaves_the_subject_out_and_says_so() -> None:
    scores = column(dropped=(("s3", "b", "random R8"),))
    curves = {f.method: f.curve for f in quality_curves(scores, OPTIONS)}
    assert curves["b"] is not None
    assert "s3" not in curves["b"].subjects
    table = score_table(ColumnFindings(scores, quality_curves(scores, OPTIONS), None))
    words = " ".join(check(table.html).words)
    assert "n = 7" in words
    assert "b: 1 subject left out entirely: s3" in words


def test_a_setting_that_is_hardly_begun_does_not_spoil_the_others() -> None:
    scores = column(dropped=tuple((f"s{i}", "c", "random R8") for i in range(6)))
    found = quality_curves(scores, OPTIONS)[2]
    assert found.curve is not None
    assert found.curve.settings == ("random R2", "random R4")
    assert len(found.curve.subjects) == 8
    assert [s.name for s in found.left_out] == ["random R8"]
    words = " ".join(check(score_table(ColumnFindings(scores, (found,), None)).html).words)
    assert "too few" in words
    assert "fewer than half of its subjects have a score at random R8" in words


def test_a_method_without_scores_is_a_hole_with_a_reason() -> None:
    scores = column(dropped=tuple((f"s{i}", "a", s) for i in range(8) for s in RATES))
    found = quality_curves(scores, OPTIONS)[0]
    assert found.curve is None
    assert found.reason
    words = " ".join(check(score_table(ColumnFindings(scores, (found,), None)).html).words)
    assert words.count("no scores") == 3
    assert "not comparable" in comparison_table(ColumnFindings(scores, (), comparisons(scores, "b", OPTIONS))).html


def test_comparisons_are_one_family_and_start_with_the_effect() -> None:
    scores = column()
    family = comparisons(scores, "a", OPTIONS)
    assert family is not None
    assert {(c.first, c.second) for c in family.comparisons} == {("b", "a"), ("c", "a")}
    assert all(
        c.family_size == 6 and c.p_adjusted is not None and c.p_adjusted >= (c.p or 1) for c in family.comparisons
    )
    found = ColumnFindings(scores, (), family)
    page = check(comparison_table(found).html)
    assert page.wrong == []
    head = page.tables[0]
    assert head.index("mean difference") < head.index("d_z") < head.index("adjusted p")
    first = family.comparisons[0]
    assert f"+{first.mean_difference:.4f}"[:6] in head
    better = sum(d > 0 for d in first.differences)
    assert f"{better} of 8" in head


def test_tests_that_cannot_succeed_are_called_so() -> None:
    few = column(5)
    sentence = unreachable(ColumnFindings(few, (), comparisons(few, "a", OPTIONS)))
    assert "no corrected p-value can fall below 0.38" in sentence  # 6 tests x 2 / 2^5
    many = column(12)
    assert unreachable(ColumnFindings(many, (), comparisons(many, "a", OPTIONS))) == ""


def test_few_subjects_have_no_intervals() -> None:
    found = quality_curves(column(3), OPTIONS)
    assert all(b is None for f in found if f.curve for b in f.curve.bands)
    words = " ".join(check(score_table(ColumnFindings(column(3), found, None)).html).words)
    assert "no intervals" in words
    assert " to 0." not in words
    few = column(3)
    compared = check(comparison_table(ColumnFindings(few, (), comparisons(few, "a", OPTIONS))).html)
    assert "3 of 3" in compared.tables[0]
    assert "too few subjects" in compared.tables[0]
    assert not any(word in " ".join(compared.words) for word in ("d_z", "p =", "adjusted", "95 %", "1.00"))
    assert "not meaningful" in about_subjects(3)
    assert "one subject" in about_subjects(1)
    assert "pilot" in about_subjects(7)
    assert about_subjects(30) == ""


def test_differences_are_paired() -> None:
    scores = column()
    for found in difference_curves(scores, "a", OPTIONS):
        assert found.curve is not None
        value = {(r.subject, r.method, r.setting): r.value for r in scores.rows}
        for subject, row in zip(found.curve.subjects, found.curve.values, strict=True):
            for setting, difference in zip(found.curve.settings, row, strict=True):
                own, other = value[subject, found.method, setting], value[subject, "a", setting]
                assert own is not None
                assert other is not None
                assert difference == pytest.approx(own - other)


def test_the_largest_acceleration_against_todays_protocol() -> None:
    scores = column(12)
    today = [replace(r, setting="equispaced R2", method="a", value=0.9) for r in scores.rows[::9]]
    found = within_margin(
        scores,
        "a",
        rows=[*scores.rows, *today],
        baseline_setting="equispaced R2",
        margin=0.04,
        alpha=0.025,
        options=OPTIONS,
    )
    largest = {m.method: None if m.found is None else m.found.largest for m in found}
    # losses from 0.9 are about 0.05 - loss x R: method b stays within 0.04 at 6.4, a up to 3.6, c at 1.9 falls by 0.045
    assert largest["b"] == 6.4
    assert largest["a"] == 3.6
    assert largest["c"] is None
    page = check(margin_table(found, 0.025).html)
    assert page.wrong == []
    assert "6.4" in page.tables[0]
    assert "none" in page.tables[0]
    assert any(m.sample_size for m in found if m.method == "a")


def test_a_margin_with_few_subjects_is_not_answered() -> None:
    scores = column(3)
    found = within_margin(scores, "a", rows=scores.rows, baseline_setting="", margin=0.04, alpha=0.025, options=OPTIONS)
    assert check(margin_table(found, 0.025).html).tables[0].count("too few subjects") == 2


def test_choices_are_checked() -> None:
    assert report_choices({}) == ReportChoices()
    assert report_choices({"report": {"primary": "psnr", "margin": 0.5}}).margin == 0.5
    for wrong in ({"margin": 0.0}, {"alpha": 0.7}, {"primry": "ssim"}):
        with pytest.raises(ConfigError, match="report"):
            report_choices({"report": wrong})
    with pytest.raises(ConfigError, match="zero"):
        ReportChoices(baseline="zero").checked_baseline(("a", "b"))
    assert ReportChoices().checked_baseline(("a", "b")) == "a"
    assert primary_column((column(),), "") is not None
    assert primary_column((), "ssim") is None
    with pytest.raises(ConfigError, match="did not compute"):
        primary_column((column(),), "lpips")
