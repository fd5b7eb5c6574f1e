"""Masks in their shortest form and partial-Fourier fractions."""

import numpy as np
import pytest

from mrirecon.io.extent import partial_fourier_fraction, shortest_mask


@pytest.mark.parametrize(
    ("n", "sampled", "fraction"),
    [
        (256, range(256), 1.0),
        (255, range(255), 1.0),
        (256, range(64, 256), 0.75),
        (256, range(192), 0.75),  # the other half
        (256, range(96, 256), 0.625),
        (256, range(0, 256, 4), 1.0),  # regular undersampling ends before the edge
        (256, range(3, 256, 4), 1.0),
        (256, range(64, 256, 2), 0.75),
        (256, range(32, 224), 1.0),  # lower resolution, not partial Fourier
        (256, range(64, 224), 160 / 192),  # both
        (1, range(1), 1.0),
        (8, range(0), 1.0),
    ],
)
def test_fraction_of_the_extent_that_symmetry_would_need(n, sampled, fraction):
    mask = np.isin(np.arange(n), list(sampled))
    assert partial_fourier_fraction(mask) == pytest.approx(fraction, abs=0.006)


def test_a_mask_loses_the_axes_along_which_it_is_constant():
    lines = np.array([True, False, True])[None, :, None]
    assert shortest_mask(np.broadcast_to(lines, (2, 3, 4))).shape == (1, 3, 1)
    mixed = np.ones((2, 3, 4), bool)
    mixed[1, 2, 3] = False
    np.testing.assert_array_equal(shortest_mask(mixed), mixed)
    assert shortest_mask(np.ones((2, 3, 4), bool)).shape == (1, 1, 1)
