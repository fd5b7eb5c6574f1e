"""Centred orthonormal transforms against NumPy, and crops that keep the origin."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mrirecon.linalg.fft import centre_slice, crop_or_pad, fft, ifft

SHAPES = [(4, 6), (5, 7), (4, 7), (1, 6), (2, 3, 4)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axes", [(-1,), (-2,), (-2, -1)])
def test_fft_is_numpys(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    for ours, theirs in ((fft, np.fft.fftn), (ifft, np.fft.ifftn)):
        expected = np.fft.fftshift(theirs(np.fft.ifftshift(x.numpy(), axes=axes), axes=axes, norm="ortho"), axes=axes)
        np.testing.assert_allclose(ours(x, axes).numpy(), expected, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(ifft(fft(x, axes), axes), x)
    torch.testing.assert_close(fft(x, axes).norm(), x.norm())


@pytest.mark.parametrize("shape", [(4, 6), (5, 7)])
def test_origin_and_sign(shape: tuple[int, int]) -> None:
    """An impulse at the origin is flat; one pixel beside it turns the phase by -2 pi k / n."""
    rows, columns = shape
    x = torch.zeros(shape, dtype=torch.complex128)
    x[rows // 2, columns // 2] = 1
    torch.testing.assert_close(fft(x, (-2, -1)), torch.full_like(x, (rows * columns) ** -0.5))
    k = torch.arange(columns, dtype=torch.float64) - columns // 2
    expected = torch.exp(-2j * torch.pi * k / columns).expand(shape) * (rows * columns) ** -0.5
    torch.testing.assert_close(fft(x.roll(1, -1), (-2, -1)), expected)


@pytest.mark.parametrize("n", [6, 7])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6])
def test_crops_and_pads_keep_the_origin(n: int, size: int) -> None:
    x = torch.zeros(n, 2)
    x[n // 2] = 1
    cropped = crop_or_pad(x, 0, size)
    assert cropped.shape == (size, 2)
    assert cropped[size // 2].eq(1).all()
    assert torch.equal(cropped, x[centre_slice(n, size)])
    restored = crop_or_pad(cropped, -2, n)
    assert torch.equal(restored, x)
    assert torch.equal(crop_or_pad(crop_or_pad(x, 0, n + size), 0, n), x)
