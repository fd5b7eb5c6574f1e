"""Oversampling removal: the landmark stays, the values stay, the noise stays white."""

import numpy as np
import pytest
import torch

from mrirecon.errors import ShapeError
from mrirecon.linalg.fft import fft, ifft
from mrirecon.mri.oversampling import remove_readout_oversampling


@pytest.mark.parametrize(("m", "n"), [(16, 8), (16, 7), (15, 8), (15, 7), (9, 9), (16, 15), (12, 1)])
def test_landmark_at_the_origin_stays_at_the_origin_with_its_value(m, n):
    image = torch.zeros(2, 5, m, dtype=torch.complex64)
    image[:, 3, m // 2] = 2 - 1j
    cropped = ifft(remove_readout_oversampling(fft(image, (-2, -1)), n), (-2, -1))
    expected = torch.zeros(2, 5, n, dtype=torch.complex64)
    expected[:, 3, n // 2] = 2 - 1j
    torch.testing.assert_close(cropped, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("m", "n"), [(16, 8), (16, 7), (15, 8), (15, 7)])
def test_image_is_the_crop_by_numpy(m, n):
    """Independent transform: the uncentred matrix of the DFT, written out."""
    kspace = torch.randn(3, 4, m, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))

    def inverse(k, size):
        index = np.arange(size) - size // 2
        return k @ (np.exp(2j * np.pi * np.outer(index, index) / size) / np.sqrt(size)).T

    start = m // 2 - n // 2
    expected = inverse(kspace.numpy(), m)[..., start : start + n]
    got = inverse(remove_readout_oversampling(kspace, n).numpy(), n)
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_white_noise_stays_white_with_the_same_variance():
    noise = torch.randn(1, 200, 256, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    out = remove_readout_oversampling(noise, 128)
    assert float(out.abs().square().mean()) == pytest.approx(1.0, abs=0.02)
    neighbours = (out[..., 1:] * out[..., :-1].conj()).mean().abs()
    assert float(neighbours) < 0.02


def test_unsampled_lines_stay_zero_and_dtype_stays():
    kspace = torch.randn(2, 6, 8, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    kspace[:, ::2] = 0
    out = remove_readout_oversampling(kspace, 4)
    assert out.dtype == torch.complex64
    assert bool((out[:, ::2] == 0).all())


@pytest.mark.parametrize("size", [0, 9])
def test_impossible_size(size):
    with pytest.raises(ShapeError, match="between 1 and the readout length 8"):
        remove_readout_oversampling(torch.zeros(2, 6, 8, dtype=torch.complex64), size)


def test_real_input():
    with pytest.raises(ShapeError, match="complex"):
        remove_readout_oversampling(torch.zeros(2, 6, 8), 4)
