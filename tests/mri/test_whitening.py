"""Whitening with known covariances, dead and dependent channels, and noise taken from the edges of k-space."""

import pytest
import torch

from mrirecon.errors import ShapeError
from mrirecon.linalg.fft import fft
from mrirecon.mri.coils import apply_coil_matrix
from mrirecon.mri.whitening import noise_covariance, noise_from_edges, whitening_matrix


def unit_noise(*shape, seed=0):
    """Unit standard deviation per real component."""
    pairs = torch.randn(*shape, 2, generator=torch.Generator().manual_seed(seed))
    return torch.view_as_complex(pairs)


def colouring(n_coils, seed=1):
    """A mixing matrix with channel gains over two decades."""
    mix = torch.eye(n_coils, dtype=torch.complex64) + 0.3 * unit_noise(n_coils, n_coils, seed=seed)
    return mix * torch.logspace(-1, 1, n_coils)[:, None]


def test_covariance_of_known_noise():
    mix = colouring(4)
    covariance = noise_covariance(mix @ unit_noise(4, 200_000))
    expected = (2 * mix @ mix.mH).to(torch.complex128)
    scale = expected.diagonal().real.sqrt()
    error = (covariance - expected).abs() / torch.outer(scale, scale)
    assert float(error.max()) < 0.01


def test_whitening_from_the_exact_covariance_gives_twice_the_identity():
    mix = colouring(8).to(torch.complex128)
    covariance = 2 * mix @ mix.mH
    w = whitening_matrix(covariance).to(torch.complex128)
    torch.testing.assert_close(w @ covariance @ w.mH, 2 * torch.eye(8, dtype=torch.complex128), atol=1e-4, rtol=0)
    assert bool((w.triu(1) == 0).all())


def test_real_and_imaginary_parts_get_unit_variance():
    mix = colouring(6)
    w = whitening_matrix(noise_covariance(mix @ unit_noise(6, 20_000, seed=2)))
    imaging = (mix @ unit_noise(6, 40_000, seed=3)).reshape(6, 200, 200)
    white = apply_coil_matrix(w, imaging).flatten(1)
    parts = torch.cat([white.real, white.imag])  # all 12 real components must be uncorrelated with unit variance
    covariance = parts @ parts.mT / parts.shape[1]
    torch.testing.assert_close(covariance, torch.eye(12), atol=0.04, rtol=0)


def test_bandwidth_ratio_scales_the_variance():
    noise = colouring(3) @ unit_noise(3, 1000)
    torch.testing.assert_close(noise_covariance(noise, bandwidth_ratio=4.0), 4 * noise_covariance(noise))
    torch.testing.assert_close(
        whitening_matrix(noise_covariance(noise, bandwidth_ratio=4.0)), 0.5 * whitening_matrix(noise_covariance(noise))
    )


def test_channels_of_very_different_gain_are_not_called_dead():
    gains = torch.tensor([1e-3, 1.0, 1e-4, 1.0])
    w = whitening_matrix(noise_covariance(gains[:, None] * unit_noise(4, 1000)))
    assert bool(torch.isfinite(torch.view_as_real(w)).all())


def test_tiny_units_survive():
    """Raw data of some scanners are of order 1e-8."""
    w = whitening_matrix(noise_covariance(1e-8 * unit_noise(4, 5000)))
    white = apply_coil_matrix(w, 1e-8 * unit_noise(4, 50, 50, seed=5))
    assert float(white.real.std()) == pytest.approx(1.0, abs=0.05)


def test_dead_channel_is_named():
    noise = unit_noise(5, 1000)
    noise[3] = 0
    with pytest.raises(ShapeError, match=r"channels \[3\] carry no noise"):
        whitening_matrix(noise_covariance(noise))


def test_copied_channel_is_named():
    noise = unit_noise(5, 1000)
    noise[4] = 2 * noise[1]
    with pytest.raises(ShapeError, match=r"channels \[1, 4\] is linearly dependent"):
        whitening_matrix(noise_covariance(noise))


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        (unit_noise(8, 7), "at least as many samples as its 8 coils, got 7"),
        (unit_noise(8, 7, 7), "flatten the readouts"),
        (torch.zeros(4, 100), "complex"),
        (torch.full((2, 10), complex("nan")), "finite"),
    ],
)
def test_unusable_noise(noise, words):
    with pytest.raises(ShapeError, match=words):
        noise_covariance(noise)


def test_unusable_covariance():
    with pytest.raises(ShapeError, match="Hermitian"):
        whitening_matrix(torch.tensor([[1.0, 0.5], [0.0, 1.0]]))
    with pytest.raises(ShapeError, match="bandwidth_ratio"):
        noise_covariance(unit_noise(2, 10), bandwidth_ratio=0.0)


def phantom_kspace(size=256, n_coils=4):
    """Ellipses under smooth coils; brightness 1 and k-space by FFT of a supersampled, box-averaged object."""
    fine = 4 * size
    y, x = torch.meshgrid(torch.linspace(-1, 1, fine), torch.linspace(-1, 1, fine), indexing="ij")
    body = ((x / 0.7) ** 2 + (y / 0.9) ** 2 < 1).float() - 0.6 * (((x - 0.2) / 0.2) ** 2 + (y / 0.4) ** 2 < 1).float()
    image = torch.nn.functional.avg_pool2d(body[None], 4)[0]
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    angles = torch.arange(n_coils) * 2 * torch.pi / n_coils
    coils = torch.stack(
        [torch.exp(-((x - torch.cos(a)) ** 2 + (y - torch.sin(a)) ** 2) / 2) * torch.exp(1j * (x * a)) for a in angles]
    )
    return fft(coils * image, (-2, -1))


def noisy(kspace, mix, seed=0):
    return kspace + apply_coil_matrix(mix, unit_noise(*kspace.shape, seed=seed))


@pytest.mark.parametrize("sampling", ["full", "every fourth line", "along x", "two-dimensional"])
def test_noise_from_edges_estimates_a_known_covariance(sampling):
    """Sharp edges at an image signal-to-noise ratio of 30: some signal reaches even the corners of k-space."""
    signal = phantom_kspace(512)
    level = 0.03 * float(signal.abs().square().mean().sqrt())
    mix = level * (torch.eye(4, dtype=torch.complex64) + 0.3 * unit_noise(4, 4, seed=1))
    kspace = noisy(signal, mix)
    mask = torch.ones(512, 1, dtype=torch.bool)
    if sampling in ("every fourth line", "along x"):
        mask = torch.zeros(512, 1, dtype=torch.bool)
        mask[::4] = mask[244:268] = True
    if sampling == "along x":
        mask, kspace = mask.T, kspace.mT
    if sampling == "two-dimensional":
        mask = torch.rand(512, 512, generator=torch.Generator().manual_seed(2)) < 0.3
    covariance = noise_covariance(noise_from_edges(kspace * mask, mask))
    expected = (2 * mix @ mix.mH).to(torch.complex128)
    deviation, true = covariance.diagonal().real.sqrt(), expected.diagonal().real.sqrt()
    torch.testing.assert_close(deviation, true, rtol=0.10, atol=0)
    correlation = covariance / torch.outer(deviation, deviation)
    torch.testing.assert_close(correlation, expected / torch.outer(true, true), rtol=0, atol=0.2)


def test_noise_from_edges_looks_beside_the_object_when_the_phase_encoding_is_complete():
    """256 points are too few for the corners of k-space (14 % too high), but not beside the object."""
    signal = phantom_kspace(256).mT  # the phantom leaves 30 % of the field of view free along this axis
    level = 0.03 * float(signal.abs().square().mean().sqrt())
    kspace = signal + level * unit_noise(*signal.shape)
    samples = noise_from_edges(kspace, torch.ones(1, 1, dtype=torch.bool), phase_encoding_axis="y")
    assert float(samples.real.std()) == pytest.approx(level, rel=0.03)
    corners = noise_from_edges(kspace, torch.ones(1, 1, dtype=torch.bool))
    assert float(corners.real.std()) > 1.08 * level


def test_noise_from_edges_skips_the_zeros_of_an_asymmetric_echo():
    kspace = unit_noise(3, 128, 128)
    kspace[..., :40] = 0  # the mask does not know
    samples = noise_from_edges(kspace, torch.ones(128, 1, dtype=torch.bool))
    assert bool((samples != 0).any(dim=0).all())
    assert float(noise_covariance(samples).diagonal().real.mean()) == pytest.approx(2.0, rel=0.1)


def test_noise_from_edges_keeps_its_gain_with_partial_fourier():
    """Transforming along an axis that is partly zero must not lower the variance."""
    mask = torch.ones(128, 1, dtype=torch.bool)
    mask[:40] = False
    kspace = unit_noise(3, 128, 128) * mask
    kspace[:, 40:] += 5  # a point in the middle of the field of view: loud in every corner of k-space
    samples = noise_from_edges(kspace, mask)
    assert float(noise_covariance(samples).diagonal().real.mean()) == pytest.approx(2.0, rel=0.15)


def test_noise_from_edges_skips_symmetric_zero_padding():
    kspace = torch.zeros(3, 64, 64, dtype=torch.complex64)
    kspace[:, 12:52] = unit_noise(3, 40, 64)
    samples = noise_from_edges(kspace, torch.ones(1, 1, dtype=torch.bool))
    assert float(noise_covariance(samples).diagonal().real.mean()) == pytest.approx(2.0, rel=0.1)


def test_noise_from_edges_finds_the_region_without_signal():
    """An object that fills the field of view but is smooth: only the corners of k-space are free of it."""
    image = torch.rand(2, 16, 16, generator=torch.Generator().manual_seed(0)) + 1
    kspace = unit_noise(2, 128, 128)
    kspace[:, 56:72, 56:72] += 100 * fft(image + 0j, (-2, -1))
    samples = noise_from_edges(kspace, torch.ones(128, 1, dtype=torch.bool))
    assert float(noise_covariance(samples).diagonal().real.mean()) == pytest.approx(2.0, rel=0.1)


def test_noise_from_edges_pools_slices():
    kspace = unit_noise(6, 3, 32, 32)
    mask = torch.ones(32, 1, dtype=torch.bool)
    together = noise_from_edges(kspace, mask)
    assert together.shape[0] == 3
    assert together.shape[1] >= 6 * 0.04 * 32 * 32


@pytest.mark.parametrize(
    ("kspace", "mask", "words"),
    [
        (unit_noise(8, 8, 8), torch.ones(8, 8, dtype=torch.bool), "pass more slices"),
        (torch.zeros(2, 8, 8, dtype=torch.complex64), torch.ones(8, 8, dtype=torch.bool), "hold 0 acquired"),
        (unit_noise(2, 8, 8), torch.ones(7, 8, dtype=torch.bool), "ky=8 or 1"),
        (torch.zeros(2, 8, 8), torch.ones(8, 8, dtype=torch.bool), "complex"),
    ],
)
def test_noise_from_edges_errors(kspace, mask, words):
    with pytest.raises(ShapeError, match=words):
        noise_from_edges(kspace, mask)


def test_noise_from_edges_fraction_range():
    with pytest.raises(ShapeError, match="fraction"):
        noise_from_edges(unit_noise(2, 8, 8), torch.ones(8, 8, dtype=torch.bool), fraction=0.6)
