"""Likeness after a fit of brightness, against planted shading and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from mrirecon.errors import ShapeError
from mrirecon.evaluation.agreement.similarity import fitted_correlation, foreground

RNG = np.random.default_rng(3)
IMAGE = RNG.random((6, 20, 24)).astype(np.float32) + 0.5
WHOLE = np.ones(IMAGE.shape, bool)


def test_order_zero_is_the_plain_correlation() -> None:
    other = IMAGE + 0.2 * RNG.standard_normal(IMAGE.shape).astype(np.float32)
    expected = np.corrcoef(IMAGE.ravel(), other.ravel())[0, 1]
    assert fitted_correlation(IMAGE, other, mask=WHOLE, shading_order=0) == pytest.approx(expected, abs=1e-6)


def test_shading_of_the_fitted_order_does_not_count() -> None:
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in IMAGE.shape), indexing="ij")
    shaded = (IMAGE * (3 + 1.5 * x - y * z + 0.8 * y**2) + 7).astype(np.float32)
    assert fitted_correlation(IMAGE, shaded, mask=WHOLE, shading_order=0) < 0.7
    assert fitted_correlation(IMAGE, shaded, mask=WHOLE, shading_order=1) < 0.98
    assert fitted_correlation(IMAGE, shaded, mask=WHOLE, shading_order=2) == pytest.approx(1, abs=1e-5)


def test_inverted_contrast_and_unrelated_pictures_are_not_alike() -> None:
    assert fitted_correlation(IMAGE, 4 - IMAGE, mask=WHOLE, shading_order=2) == pytest.approx(-1, abs=1e-5)
    other = RNG.random(IMAGE.shape).astype(np.float32)
    assert abs(fitted_correlation(IMAGE, other, mask=WHOLE, shading_order=2)) < 0.15
    assert fitted_correlation(IMAGE, np.ones_like(IMAGE), mask=WHOLE, shading_order=2) == 0


def test_a_single_slice_and_wrong_shapes() -> None:
    one = IMAGE[:1]
    assert fitted_correlation(one, 2 * one, mask=WHOLE[:1], shading_order=2) == pytest.approx(1, abs=1e-6)
    with pytest.raises(ShapeError, match="agree"):
        fitted_correlation(one, IMAGE, mask=WHOLE, shading_order=0)


def test_the_foreground_is_that_of_either() -> None:
    a, b = np.zeros((1, 20, 20), np.float32), np.zeros((1, 20, 20), np.float32)
    a[0, 5:10, 5:10] = 1
    b[0, 8:14, 8:14] = 100
    mask = foreground(a, b)
    assert int(mask.sum()) == 25 + 36 - 4
