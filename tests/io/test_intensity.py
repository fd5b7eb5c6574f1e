from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from mrirecon.io.intensity import Intensity, series_intensity
from tests.io.phantom_series import make_phantom


def intensity_of(image: NDArray[np.float64]) -> Intensity:
    series = make_phantom(shape=(4, 20, 24)).series
    return series_intensity(dataclasses.replace(series, image=image.astype(np.float32)))


@pytest.mark.parametrize("unit", [1e-30, 1e-5, 1.0, 1e9])
def test_maximum_becomes_4095_whatever_the_unit(unit: float) -> None:
    image = np.random.default_rng(0).uniform(0, 1, (5, 40, 40)) * unit
    found = intensity_of(image)
    stored = found.store(image.astype(np.float32))
    assert stored.max() == 4095
    assert found.n_clipped == 0
    assert np.abs(stored / found.factor - image).max() <= 0.501 / found.factor


def test_a_spike_neither_takes_the_range_nor_is_lost() -> None:
    image = np.random.default_rng(0).uniform(0, 1, (5, 40, 40))
    image[2, 3, 4] = 10.0
    found = intensity_of(image)
    stored = found.store(image.astype(np.float32))
    assert np.percentile(stored, 99) > 1900
    assert stored[2, 3, 4] == np.rint(np.float32(10.0) * found.factor) > 4095
    assert found.n_clipped == 0


def test_clipped_voxels_are_counted() -> None:
    image = np.random.default_rng(0).uniform(0, 1, (5, 40, 40))
    image[2, 3, 4:7] = 1e4
    found = intensity_of(image)
    assert found.n_clipped == 3
    assert (found.store(image.astype(np.float32))[2, 3, 4:7] == 32767).all()


def test_window_spans_the_foreground_and_matches_the_standard_function() -> None:
    rng = np.random.default_rng(0)
    image = np.abs(rng.normal(0, 0.01, (6, 64, 64)))
    image[:, 16:48, 16:48] = rng.uniform(0.2, 1.0, (6, 32, 32))
    found = intensity_of(image)
    assert found.high == pytest.approx(0.996 * 4095, abs=15)
    assert 0 < found.low <= found.high / 10
    centre, width = found.window
    stored = np.arange(0, 4200, dtype=float)
    # PS3.3 C.11.2.1.2.1, linear
    shown = np.clip(((stored - (centre - 0.5)) / (width - 1) + 0.5) * 255, 0, 255)
    ours = np.clip((stored - found.low) / (found.high - found.low), 0, 1) * 255
    np.testing.assert_allclose(shown, ours, atol=1e-9)


def test_uniform_object_is_not_turned_into_noise() -> None:
    image = np.random.default_rng(0).normal(1.0, 0.005, (4, 30, 30))
    found = intensity_of(image)
    assert found.grey(image.astype(np.float32)).std() < 3


def test_empty_image_has_a_legal_window() -> None:
    found = intensity_of(np.zeros((2, 4, 4)))
    assert (found.factor, found.window[1], found.n_clipped) == (1.0, 1.0, 0)
    assert not found.grey(np.zeros((4, 4), np.float32)).any()


def test_factor_does_not_depend_on_the_slice() -> None:
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 1, (6, 32, 32)) * np.arange(1, 7)[:, None, None]
    stored = intensity_of(image).store(image.astype(np.float32)).astype(float)
    ratio = stored.mean((1, 2)) / image.mean((1, 2))
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)
