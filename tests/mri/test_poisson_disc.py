"""Poisson-disc sampling: exact count, guaranteed distances, falling density."""

import hashlib

import numpy as np
import pytest
from scipy.spatial import cKDTree

from mrirecon.mri.poisson_disc import poisson_disc


def centre(shape, size):
    return tuple(slice(n // 2 - size // 2, n // 2 - size // 2 + size) for n in shape)


@pytest.mark.parametrize("shape", [(320, 320), (96, 96), (64, 64), (230, 180), (51, 77)])
@pytest.mark.parametrize("acceleration", [2, 4, 8, 11.5])
@pytest.mark.parametrize("slope", [0.0, 1.0, 3.0])
def test_count_is_exact_and_the_centre_complete(shape, acceleration, slope):
    target = round(shape[0] * shape[1] / acceleration)
    block = centre(shape, 12)
    mask = poisson_disc(shape, block, target, slope, np.random.RandomState(3))
    assert mask.shape == shape
    assert int(mask.sum()) == target
    assert mask[block].all()


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.5])
def test_points_keep_their_distances(slope):
    """With radius r(p) = r0 (1 + slope rho), some r0 well above the grid spacing separates all pairs as claimed."""
    shape = (160, 160)
    mask = poisson_disc(shape, centre(shape, 0), round(160 * 160 / 12), slope, np.random.RandomState(0))
    points = np.argwhere(mask)
    growth = 1 + slope * np.hypot(*((points - 80) / 80).T)
    pairs = cKDTree(points).query_pairs(8.0, output_type="ndarray")
    distance = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    separation = (distance / np.minimum(growth[pairs[:, 0]], growth[pairs[:, 1]])).min()
    # random points of the same number would come closer: the mean spacing sqrt(12) over the mean growth
    assert separation > 0.6 * np.sqrt(12) / (1 + slope * 0.77)


def test_density_falls_with_the_slope_and_is_uniform_without():
    shape = (240, 240)
    radius = np.hypot(*np.meshgrid(np.arange(240) - 120, np.arange(240) - 120))
    inner, outer = radius < 40, (radius > 90) & (radius < 115)

    def ratio(slope):
        mask = poisson_disc(shape, centre(shape, 0), 240 * 240 // 8, slope, np.random.RandomState(1))
        return mask[inner].mean() / mask[outer].mean()

    assert ratio(0.0) == pytest.approx(1.0, abs=0.1)
    assert 1.5 < ratio(1.0) < ratio(2.0)


def test_seed_decides_and_the_stream_is_frozen():
    def draw(seed):
        return poisson_disc((64, 48), centre((64, 48), 8), 512, 1.0, np.random.RandomState(seed))

    np.testing.assert_array_equal(draw(5), draw(5))
    assert (draw(5) != draw(6)).any()
    digest = hashlib.sha256(np.packbits(draw(5)).tobytes()).hexdigest()
    assert digest.startswith("39ab31c15ecc"), "masks of old cards would change: raise GENERATOR_VERSION"


def test_extremes():
    shape = (16, 16)
    rng = np.random.RandomState(0)
    assert poisson_disc(shape, centre(shape, 4), 256, 1.0, rng).all()
    only_centre = poisson_disc(shape, centre(shape, 4), 16, 1.0, rng)
    assert only_centre[centre(shape, 4)].all()
    assert int(only_centre.sum()) == 16
    assert int(poisson_disc((1, 40), centre((1, 40), 1), 10, 0.0, rng).sum()) == 10
