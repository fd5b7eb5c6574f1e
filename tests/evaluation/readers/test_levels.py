"""Brightness: one rule, found again under noise and scale; nothing of it differs between the series of a scan."""

from __future__ import annotations

import numpy as np
import pytest

from mrirecon.errors import ShapeError
from mrirecon.evaluation.readers.levels import input_levels
from mrirecon.evaluation.readers.options import ReaderOptions

RNG = np.random.default_rng(0)
OBJECT = np.zeros((2, 40, 40), dtype=np.float32)
OBJECT[:, 8:32, 8:32] = 1e-5 * (1 + RNG.integers(0, 2, (2, 24, 24)))  # two tissues: the median lies between modes


def noisy(scale: float, noise: float) -> np.ndarray:
    parts = RNG.standard_normal((2, *OBJECT.shape)) * noise * 1e-5
    return (scale * np.hypot(OBJECT + parts[0], parts[1])).astype(np.float32)


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.3])
@pytest.mark.parametrize("scale", [0.2, 1.0, 7.0])
def test_a_scale_is_found_again(scale: float, noise: float) -> None:
    image = noisy(scale, noise)
    levels = input_levels([("a", image)], reference=OBJECT, options=ReaderOptions())
    shown, factor = levels.shown(image)
    assert factor == pytest.approx(1 / scale, rel=0.03)
    np.testing.assert_allclose(shown[levels.tissue], image[levels.tissue] * np.float32(factor), rtol=1e-6)
    untouched, one = input_levels([("a", image)], reference=OBJECT, options=ReaderOptions(levels="common")).shown(image)
    assert one == 1.0
    np.testing.assert_array_equal(untouched[levels.tissue], image[levels.tissue])


def test_air_that_one_series_blackens_is_black_in_all_but_holes_in_tissue_stay() -> None:
    full, masked = noisy(1, 0.1), noisy(1, 0.1)
    masked[:, :6] = 0
    masked[:, 20, 20] = 0
    volumes = [("full", full), ("masked", masked)]
    levels = input_levels(volumes, reference=OBJECT, options=ReaderOptions())
    one, two = (levels.shown(v)[0] for _, v in volumes)
    assert (one[:, :6] == 0).all()
    assert (one[:, 6:8] > 0).all()
    assert (one[:, 20, 20] > 0).all()
    assert (two[:, 20, 20] == 0).all(), "a hole in the object is a defect, and is shown"
    kept = input_levels(volumes, reference=OBJECT, options=ReaderOptions(same_background=False))
    assert (kept.shown(full)[0] > 0).all()


def test_without_reference_the_median_of_the_series_guides() -> None:
    volumes = [("a", noisy(1, 0.05)), ("b", noisy(2, 0.05)), ("c", noisy(3, 0.05))]
    levels = input_levels(volumes, reference=None, options=ReaderOptions())
    assert [levels.shown(v)[1] for _, v in volumes] == pytest.approx([2, 1, 2 / 3], rel=0.03)


def test_a_black_image_stays_black() -> None:
    black = np.zeros_like(OBJECT)
    levels = input_levels([("a", black)], reference=OBJECT, options=ReaderOptions())
    assert levels.shown(black)[1] == 1.0
    nothing = input_levels([("a", black)], reference=None, options=ReaderOptions())
    assert not nothing.shown(black)[0].any()


def test_volumes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"cs has shape \(2, 40, 39\), the other series of its scan \(2, 40, 40\)"):
        input_levels([("cs", OBJECT[..., 1:])], reference=OBJECT, options=ReaderOptions())
    for bad in (np.full_like(OBJECT, np.nan), -OBJECT):
        with pytest.raises(ShapeError, match="cs holds negative, infinite or undefined"):
            input_levels([("cs", bad)], reference=OBJECT, options=ReaderOptions())
