"""Partial Fourier: detection, and completion of a phantom with smooth phase against zero filling and BART."""

import shutil
import subprocess

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.linalg.fft import fft, ifft
from mrirecon.mri.masks import sampling_mask
from mrirecon.mri.partial_fourier import acquired_fraction, homodyne, partial_fourier, pocs


def phantom(ny=96, nx=80, phase_scale=1.0):
    """Ellipses, averaged from a four times finer grid, with a smooth phase of several radians."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 4 * ny), torch.linspace(-1, 1, 4 * nx), indexing="ij")
    body = ((x / 0.7) ** 2 + (y / 0.9) ** 2 < 1).float() - 0.6 * (((x - 0.2) / 0.2) ** 2 + (y / 0.4) ** 2 < 1).float()
    body = body + 0.8 * (((x + 0.3) / 0.1) ** 2 + ((y - 0.3) / 0.05) ** 2 < 1).float()
    magnitude = torch.nn.functional.avg_pool2d(body[None], 4)[0]
    y, x = torch.meshgrid(torch.linspace(-1, 1, ny), torch.linspace(-1, 1, nx), indexing="ij")
    phase = phase_scale * (2 * x - 1.5 * y + 1.2 * x * y + 0.8 * torch.sin(2 * y))
    return magnitude * torch.exp(1j * phase)


def coils(n=4, ny=96, nx=80):
    y, x = torch.meshgrid(torch.linspace(-1, 1, ny), torch.linspace(-1, 1, nx), indexing="ij")
    angles = torch.arange(n) * 2 * torch.pi / n
    return torch.stack(
        [
            torch.exp(-((x - torch.cos(a)) ** 2 + (y - torch.sin(a)) ** 2) / 2) * torch.exp(0.3j * (x * a))
            for a in angles
        ]
    )


def partial_mask(n, fraction, side, axis):
    mask = torch.ones(n, dtype=torch.bool)
    missing = n - round(n * fraction)
    mask[slice(0, missing) if side == "low" else slice(n - missing, n)] = False
    return mask.unsqueeze(1 if axis == -2 else 0)


def error(kspace, image):
    return float((ifft(kspace, (-2, -1)) - image).norm() / image.norm())


CASES = pytest.mark.parametrize(
    ("fraction", "side", "axis"),
    [(5 / 8, "low", -2), (6 / 8, "high", -2), (6 / 8, "low", -1), (7 / 8, "high", -1), (9 / 16, "low", -2)],
)


@pytest.mark.parametrize("n", [64, 65])
@CASES
def test_detection(n, fraction, side, axis):
    mask = partial_mask(n, fraction, side, axis)
    (found,) = partial_fourier(mask)
    assert (found.axis, found.missing) == (axis, side)
    acquired = int(mask.sum())
    assert found.stop - found.start == acquired
    assert found.fraction == pytest.approx(fraction, abs=0.51 / n)
    assert acquired_fraction(mask)[axis] == acquired / n
    assert acquired_fraction(mask)[-3 - axis] == 1.0


@pytest.mark.parametrize("kind", ["equispaced", "equispaced-fraction", "random", "gaussian", "magic", "poisson-disc"])
@pytest.mark.parametrize("acceleration", [2, 4, 8])
def test_undersampling_is_not_taken_for_partial_fourier(kind, acceleration):
    axis = "yx" if kind == "poisson-disc" else "x"
    for seed in range(20):
        mask = sampling_mask(
            kind, (64, 128), acceleration=acceleration, phase_encoding_axis=axis, seed=seed, centre_lines=8
        ).mask
        assert partial_fourier(mask) == ()


def test_undersampling_with_partial_fourier():
    mask = torch.zeros(128, 1, dtype=torch.bool)
    mask[32::3] = mask[52:76] = True
    (found,) = partial_fourier(mask)
    assert (found.axis, found.missing, found.start, found.stop) == (-2, "low", 32, 128)


def test_symmetric_zero_padding_is_not_partial_fourier():
    mask = torch.zeros(1, 368, dtype=torch.bool)
    mask[:, 24:345] = True
    assert partial_fourier(mask) == ()
    assert acquired_fraction(mask) == (1.0, 321 / 368)


def test_zero_padding_with_partial_fourier_counts_the_mirrored_interval():
    mask = torch.zeros(1, 256, dtype=torch.bool)
    mask[:, 96:192] = True  # 32 below the origin, 63 above, 64 zeros at either end
    (found,) = partial_fourier(mask)
    assert found.fraction == pytest.approx(96 / 128)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**20))
def test_any_mask_can_be_analysed(n, seed):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(n, 3, generator=generator) < torch.rand(1, generator=generator)
    fractions = acquired_fraction(mask)
    assert all(0 <= f <= 1 for f in fractions)
    assert all(0 < part.fraction <= 1 for part in partial_fourier(mask))


@CASES
def test_homodyne_and_pocs_beat_zero_filling(fraction, side, axis):
    image = phantom()
    mask = partial_mask(image.shape[axis], fraction, side, axis)
    kspace = fft(image, (-2, -1)) * mask
    zero_filled = error(kspace, image)
    assert error(homodyne(kspace, mask), image) < 0.6 * zero_filled
    assert error(pocs(kspace, mask), image) < (0.25 if fraction > 0.6 else 0.4) * zero_filled


@CASES
def test_coil_images_are_completed_too(fraction, side, axis):
    images = coils() * phantom()
    mask = partial_mask(images.shape[axis], fraction, side, axis)
    kspace = fft(images, (-2, -1)) * mask
    zero_filled = error(kspace, images)
    assert error(homodyne(kspace, mask), images) < 0.7 * zero_filled
    assert error(pocs(kspace, mask), images) < 0.5 * zero_filled
    torch.testing.assert_close(pocs(kspace, mask)[2], pocs(kspace[2], mask))
    torch.testing.assert_close(homodyne(kspace[None], mask)[0, 1], homodyne(kspace[1], mask))


def test_noise_is_not_amplified():
    image = phantom()
    mask = partial_mask(96, 6 / 8, "low", -2)
    noise = 0.02 * torch.randn(96, 80, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    kspace = (fft(image, (-2, -1)) + noise) * mask
    full = float(noise.norm() / image.norm())
    assert error(pocs(kspace, mask), image) < 1.15 * full
    assert error(homodyne(kspace, mask), image) < 1.25 * full


@pytest.mark.parametrize("n", [64, 65])
@pytest.mark.parametrize("side", ["low", "high"])
def test_homodyne_of_a_real_image_is_exact(n, side):
    """Conjugate symmetry holds exactly, so every missing line is known; for even n but the Nyquist line."""
    image = phantom(n, 40, phase_scale=0.0).to(torch.complex128)
    mask = partial_mask(n, 0.7, side, -2)
    full = fft(image, (-2, -1))
    if n % 2 == 0:
        full[0] = 0
        image = ifft(full, (-2, -1)).real + 0j
        full = fft(image, (-2, -1))
    completed = ifft(homodyne(full * mask, mask), (-2, -1))
    # the phase estimate is 0 or pi where the truncated centre rings below zero; the real part is not affected
    torch.testing.assert_close(completed.real, image.real, atol=1e-6, rtol=0)


@CASES
def test_pocs_keeps_the_acquired_samples(fraction, side, axis):
    generator = torch.Generator().manual_seed(0)
    kspace = torch.randn(2, 96, 80, dtype=torch.complex64, generator=generator)
    mask = partial_mask(kspace.shape[axis], fraction, side, axis)
    out = pocs(kspace * mask, mask)
    acquired = mask.expand(2, 96, 80)
    assert torch.equal(out[acquired], kspace[acquired])
    assert bool((out[~acquired] != 0).any())


def test_samples_outside_the_acquired_interval_are_not_used():
    image = phantom()
    mask = partial_mask(96, 5 / 8, "low", -2)
    full = fft(image, (-2, -1))
    torch.testing.assert_close(pocs(full, mask), pocs(full * mask, mask))
    torch.testing.assert_close(homodyne(full, mask), homodyne(full * mask, mask))


@pytest.mark.parametrize("mask", [torch.ones(1, 1), torch.ones(96, 1), torch.ones(96, 80)])
def test_full_data_are_returned_unchanged(mask):
    kspace = fft(phantom(), (-2, -1))
    assert homodyne(kspace, mask.bool()) is kspace
    assert pocs(kspace, mask.bool()) is kspace


def test_two_asymmetric_axes():
    image = phantom(phase_scale=0.5)
    mask = partial_mask(96, 6 / 8, "low", -2) & partial_mask(80, 7 / 8, "high", -1)
    kspace = fft(image, (-2, -1)) * mask
    out = pocs(kspace, mask)
    assert torch.equal(out[mask], kspace[mask])
    assert error(out, image) < 0.5 * error(kspace, image)
    with pytest.raises(ConfigError, match="use pocs"):
        homodyne(kspace, mask)


@pytest.mark.skipif(shutil.which("bart") is None, reason="BART is not installed")
def test_homodyne_is_as_good_as_barts(tmp_path):
    image = phantom(96, 80)
    mask = partial_mask(96, 6 / 8, "high", -2)
    kspace = fft(image, (-2, -1)) * mask
    array = kspace.numpy()
    (tmp_path / "in.hdr").write_text(f"# Dimensions\n{array.shape[0]} {array.shape[1]}\n")
    array.T.astype(np.complex64).tofile(tmp_path / "in.cfl")
    subprocess.run(["bart", "homodyne", "0", "0.75", "in", "out"], cwd=tmp_path, check=True, capture_output=True)
    theirs = np.fromfile(tmp_path / "out.cfl", np.complex64).reshape(80, 96).T
    truth = image.abs().numpy()
    their_error = np.linalg.norm(np.abs(theirs) - truth) / np.linalg.norm(truth)
    ours = ifft(homodyne(kspace, mask), (-2, -1)).abs().numpy()
    our_error = np.linalg.norm(ours - truth) / np.linalg.norm(truth)
    zero_filled = np.linalg.norm(np.abs(ifft(kspace, (-2, -1)).numpy()) - truth) / np.linalg.norm(truth)
    assert their_error < zero_filled  # the oracle understood the input
    assert our_error < 1.1 * their_error


@pytest.mark.parametrize("method", [homodyne, pocs])
def test_errors(method):
    with pytest.raises(ShapeError, match="complex"):
        method(torch.zeros(8, 8), torch.ones(8, 1, dtype=torch.bool))
    with pytest.raises(ShapeError, match="ky=8 or 1"):
        method(torch.zeros(8, 8, dtype=torch.complex64), torch.ones(7, 1, dtype=torch.bool))


def test_no_iterations():
    with pytest.raises(ConfigError, match=r"partial_fourier\.n_iterations"):
        pocs(torch.zeros(8, 8, dtype=torch.complex64), torch.ones(8, 1, dtype=torch.bool), n_iterations=0)


def test_three_dimensional_mask():
    with pytest.raises(ShapeError, match="one kz plane"):
        acquired_fraction(torch.ones(2, 8, 8, dtype=torch.bool))
