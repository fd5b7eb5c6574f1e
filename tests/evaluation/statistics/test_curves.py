"""Curves over acceleration: values, bands, subjects in common, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from mrirecon.errors import ConfigError
from mrirecon.evaluation.statistics.bootstrap import confidence_of_mean
from mrirecon.evaluation.statistics.curves import difference_curve, quality_curve
from mrirecon.evaluation.statistics.observations import Measure, NothingPairedError, Score
from tests.evaluation.statistics.rows import PSNR, one_slice_each

ACCELERATION = {"R8": 6.4, "R2": 1.9, "R4": 3.6}


def scores(n: int = 6) -> list[Score]:
    rng = np.random.default_rng(0)
    found = []
    for setting, r in ACCELERATION.items():
        for method, slope in (("new", 1.0), ("old", 1.5)):
            found += one_slice_each({method: (40 - slope * r + rng.normal(0, 1, n)).tolist()}, setting)
    return found


def test_scores_are_ordered_by_acceleration() -> None:
    found = quality_curve(scores(), PSNR, method="new", acceleration=ACCELERATION)
    assert found.settings == ("R2", "R4", "R8")
    assert found.acceleration == (1.9, 3.6, 6.4)
    by_name = {(s.subject, s.setting): s.value for s in scores() if s.method == "new"}
    assert found.values[2] == tuple(by_name["s2", setting] for setting in found.settings)
    assert found.mean == pytest.approx(found.array().mean(axis=0))
    assert found.bands[1] == confidence_of_mean(found.array()[:, 1]).interval()
    text = found.sentence()
    assert text.startswith("Mean PSNR of new over 6 subjects and 6 slices: 3")
    assert text.count("95 % CI") == 3
    assert "at R = 6.4." in text


def test_intervals_of_scores_end_at_their_range_and_those_of_differences_do_not() -> None:
    settings = {"R2": 1.9}
    rows = one_slice_each({"new": [0.99, 0.98, 0.9, 0.99, 0.6], "old": [0.01, 0.0, 0.02, 0.3, 0.0]}, "R2")
    ssim = Measure("SSIM", "higher", lowest=0.0, highest=1.0)
    free = Measure("SSIM", "higher")
    for method, end, other, limit in (("new", "high", "low", 1.0), ("old", "low", "high", 0.0)):
        (band,) = quality_curve(rows, ssim, method=method, acceleration=settings).bands
        (wide,) = quality_curve(rows, free, method=method, acceleration=settings).bands
        assert band is not None
        assert wide is not None
        assert getattr(band, end) == limit
        assert getattr(band, other) == getattr(wide, other)
        assert abs(getattr(wide, end) - 0.5) > 0.5
    (band,) = difference_curve(rows, ssim, method="new", reference="old", acceleration=settings).bands
    assert band is not None
    assert band.high > 1.0


def test_differences_are_paired() -> None:
    moving = difference_curve(scores(), PSNR, method="new", reference="old", acceleration=ACCELERATION)
    new = quality_curve(scores(), PSNR, method="new", acceleration=ACCELERATION).array()
    old = quality_curve(scores(), PSNR, method="old", acceleration=ACCELERATION).array()
    assert moving.array() == pytest.approx(new - old)
    fixed = difference_curve(
        scores(), PSNR, method="new", reference="old", acceleration=ACCELERATION, reference_setting="R2"
    )
    assert fixed.array() == pytest.approx(new - old[:, :1])
    assert "of new minus old at R2 over" in fixed.sentence()
    own = difference_curve(
        scores(), PSNR, method="new", reference="new", acceleration=ACCELERATION, reference_setting="R2"
    )
    assert own.array() == pytest.approx(new - new[:, :1])
    assert own.bands[0] is None
    assert own.bands[1] is not None


def test_the_same_subjects_are_in_every_point() -> None:
    gapped = [s for s in scores(7) if (s.subject, s.setting, s.method) != ("s3", "R8", "new")]
    found = difference_curve(gapped, PSNR, method="new", reference="old", acceleration=ACCELERATION)
    assert "s3" not in found.subjects
    assert len(found.subjects) == 6
    assert [(m.subject, m.setting, m.method) for m in found.missing] == [("s3", "R8", "new")]
    assert "1 subject left out entirely: s3." in found.sentence()


def test_few_subjects_have_lines_but_no_band() -> None:
    found = quality_curve(scores(3), PSNR, method="new", acceleration=ACCELERATION)
    assert found.bands == (None, None, None)
    assert found.remarks == ("no interval: it needs at least 5 subjects, got 3",)
    assert len(found.values) == 3


def test_impossible_arguments() -> None:
    for bad, words in (({}, "no setting"), ({"R2": 0.0}, "positive"), ({"R2": 2.0, "R4": 2.0}, "same R of 2.0")):
        with pytest.raises(ConfigError, match=words):
            quality_curve(scores(), PSNR, method="new", acceleration=bad)
    with pytest.raises(NothingPairedError, match="'R16'"):
        quality_curve(scores(), PSNR, method="new", acceleration={**ACCELERATION, "R16": 12.0})
    with pytest.raises(ConfigError, match="`reference_setting`"):
        difference_curve(scores(), PSNR, method="new", reference="new", acceleration=ACCELERATION)
