"""Point spread functions: normalisation, centre, reproducibility, and what `intensity` does."""

from __future__ import annotations

import pytest
import scipy.ndimage
import torch

from mrirecon.errors import ConfigError
from mrirecon.operators.kernels import bicubic_matrix, disc_kernel, gaussian_kernel, motion_kernel


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def moments(kernel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Centre of mass and covariance."""
    size = kernel.shape[0]
    grid = torch.stack(torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij"), -1).to(kernel.dtype)
    mean = (kernel[..., None] * grid).sum((0, 1))
    offset = grid - mean
    return mean, torch.einsum("ij,ijk,ijl->kl", kernel, offset, offset)


def test_gaussian_kernel_is_a_filtered_impulse() -> None:
    kernel = gaussian_kernel(3.0, size=61, dtype=torch.float64)
    impulse = torch.zeros(61, 61, dtype=torch.float64)
    impulse[30, 30] = 1
    expected = torch.from_numpy(scipy.ndimage.gaussian_filter(impulse.numpy(), 3.0, truncate=10.0))
    torch.testing.assert_close(kernel, expected, rtol=1e-10, atol=1e-15)


def test_gaussian_kernel_has_its_variance_and_default_size() -> None:
    kernel = gaussian_kernel(2.0, dtype=torch.float64)
    assert kernel.shape == (17, 17)
    mean, covariance = moments(gaussian_kernel(2.0, size=41, dtype=torch.float64))
    torch.testing.assert_close(mean, torch.full((2,), 20.0, dtype=torch.float64))
    torch.testing.assert_close(covariance, 4 * torch.eye(2, dtype=torch.float64), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("size", [3, 8, 15, 61])
@pytest.mark.parametrize("intensity", [0.0, 0.5, 1.0])
def test_motion_kernel_is_centred_and_normalised(size: int, intensity: float) -> None:
    for seed in range(5):
        kernel = motion_kernel(size, intensity=intensity, generator=rng(seed), dtype=torch.float64)
        assert kernel.shape == (size, size)
        assert float(kernel.min()) >= 0
        assert float(kernel.sum()) == pytest.approx(1)
        torch.testing.assert_close(moments(kernel)[0], torch.full((2,), float(size // 2), dtype=torch.float64))


@pytest.mark.parametrize("radius", [1.0, 2.5, 5.0, 7.3])
def test_disc_kernel_is_a_disc(radius: float) -> None:
    kernel = disc_kernel(radius, dtype=torch.float64)
    size = kernel.shape[0]
    assert kernel.shape == (size, size)
    assert size % 2 == 1
    assert size - 2 < 2 * radius <= size
    assert float(kernel.sum()) == pytest.approx(1)
    torch.testing.assert_close(kernel, kernel.flip(0))
    torch.testing.assert_close(kernel, kernel.mT)
    axis = torch.arange(size, dtype=torch.float64) - size // 2
    variance = float((kernel.sum(0) * axis.square()).sum()) - 1 / 12  # Sheppard: pixels add theirs
    if radius > 4:  # where the density hardly changes within a pixel
        assert variance == pytest.approx(radius**2 / 4, rel=0.02)
    assert float(kernel.max()) == pytest.approx(1 / (torch.pi * radius**2), rel=0.02)
    assert disc_kernel(0.5).tolist() == [[1.0]]


def test_motion_kernel_is_reproducible() -> None:
    first, second = (motion_kernel(31, intensity=0.5, generator=rng(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, motion_kernel(31, intensity=0.5, generator=rng(4)))


def test_intensity_bends_the_path() -> None:
    """A straight line has no width (but for the bilinear deposit); a tangle is about as wide as long."""

    def mean_aspect(intensity: float) -> float:
        ratios = []
        for seed in range(40):
            kernel = motion_kernel(41, intensity=intensity, generator=rng(seed), dtype=torch.float64)
            values = torch.linalg.eigvalsh(moments(kernel)[1])
            ratios.append(float(values[0] / values[1]))
        return sum(ratios) / len(ratios)

    straight, bent, tangled = mean_aspect(0.0), mean_aspect(0.3), mean_aspect(1.0)
    assert straight < 0.01
    assert 2 * straight < bent < tangled


@pytest.mark.parametrize("boundary", ["circular", "symmetric"])
@pytest.mark.parametrize(("n", "factor"), [(12, 4), (4, 4), (9, 3), (8, 2), (5, 1)])
def test_bicubic_matrix_rows_sum_to_one_and_mirror(n: int, factor: int, boundary: str) -> None:
    matrix = bicubic_matrix(n, factor, boundary=boundary)
    torch.testing.assert_close(matrix.sum(1), torch.ones(n // factor, dtype=torch.float64))
    torch.testing.assert_close(matrix, matrix.flip(0, 1))
    if factor == 1:
        torch.testing.assert_close(matrix, torch.eye(n, dtype=torch.float64))


def test_impossible_requests_raise() -> None:
    with pytest.raises(ConfigError, match="positive"):
        gaussian_kernel(0.0)
    with pytest.raises(ConfigError, match="intensity"):
        motion_kernel(31, intensity=1.5, generator=rng())
    with pytest.raises(ConfigError, match=r"at least 0\.5"):
        disc_kernel(0.4)
