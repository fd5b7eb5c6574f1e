"""Identity, diagonal, sampling and Fourier: what the property suite does not say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mrirecon.errors import ShapeError
from mrirecon.linalg.space import Space
from mrirecon.operators.coisometry import Crop
from mrirecon.operators.elementary import Diagonal, Fourier, sampling
from mrirecon.operators.extension import Extension

SPACE = Space(("coil", "y", "x"), (3, 6, 5), torch.complex64)
REAL = Space(("channel", "y", "x"), (1, 3, 4), torch.float32)


def test_fourier_is_numpys_centred_orthonormal_transform() -> None:
    x = SPACE.randn(generator=torch.Generator().manual_seed(0))
    F = Fourier(SPACE)
    shifted = np.fft.ifftshift(x.numpy(), axes=(-2, -1))
    expected = np.fft.fftshift(np.fft.fft2(shifted, norm="ortho"), axes=(-2, -1))
    np.testing.assert_allclose(F(x).numpy(), expected, atol=1e-5)
    assert F.codomain.axes == ("coil", "ky", "kx")
    assert Fourier(SPACE, ("x",)).codomain.axes == ("coil", "y", "kx")


def test_fourier_needs_a_complex_space_with_its_axes() -> None:
    with pytest.raises(ShapeError, match="complex space"):
        Fourier(REAL)
    with pytest.raises(ShapeError, match="axes"):
        Fourier(SPACE, ("z",))


def test_mask_broadcasts_along_either_axis_and_with_batches() -> None:
    x = torch.ones(2, 3, 6, 5, dtype=torch.complex64)
    columns = torch.tensor([True, False, True, False, True])
    assert sampling(columns, SPACE)(x).real.sum() == 2 * 3 * 6 * 3
    rows = torch.tensor([True, False, False, False, False, True]).unsqueeze(-1)
    assert sampling(rows, SPACE)(x).real.sum() == 2 * 3 * 2 * 5
    per_item = torch.stack([columns, ~columns]).reshape(2, 1, 1, 5)
    torch.testing.assert_close(sampling(per_item, SPACE)(x).real.sum((1, 2, 3)), torch.tensor([54.0, 36.0]))


def test_diagonal_rejects_what_does_not_fit() -> None:
    with pytest.raises(ShapeError, match="must broadcast"):
        Diagonal(torch.ones(4, 3), REAL)
    with pytest.raises(ShapeError, match="real floating-point"):
        Diagonal(torch.ones(3, 4, dtype=torch.complex64), REAL)
    with pytest.raises(ShapeError, match="`sampling`"):
        Diagonal(torch.ones(3, 4, dtype=torch.bool), REAL)
    with pytest.raises(ShapeError, match="compare with 0"):
        sampling(torch.ones(3, 4), REAL)


def test_diagonal_cutoff() -> None:
    D = Diagonal(torch.tensor([1.0, 1e-3, 1e-8, 0.0]), REAL, cutoff=1e-6)
    expected = torch.tensor([1.0, 1e3, 0.0, 0.0]).expand(1, 3, 4)
    torch.testing.assert_close(D.pseudo_inverse(torch.ones(1, 3, 4)), expected)


def test_zero_weight_leaves_out_what_is_not_measured() -> None:
    """rho = 0 gives the pseudo-inverse, not infinity, in values and gradients."""
    D = Diagonal(torch.tensor([2.0, 0.0, 1.0, 0.0]), REAL)
    b = torch.ones(1, 3, 4, requires_grad=True)
    x = D.solve_normal(b, 0.0)
    torch.testing.assert_close(x, torch.tensor([0.25, 0.0, 1.0, 0.0]).expand(1, 3, 4))
    (gradient,) = torch.autograd.grad(x.sum(), b)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("mode", ["symmetric", "reflect", "edge"])
def test_extension_is_numpys_pad(mode: str) -> None:
    x = torch.arange(12.0).reshape(1, 3, 4)
    y = Extension(REAL, (2, 1, 0, 3), mode)(x)  # type: ignore[arg-type]
    np.testing.assert_array_equal(y.numpy(), np.pad(x.numpy(), ((0, 0), (2, 1), (0, 3)), mode=mode))  # type: ignore[call-overload]
    with pytest.raises(ShapeError, match="negative"):
        Extension(REAL, (-1, 0, 0, 0))


def test_crop_stays_inside() -> None:
    x = torch.arange(12.0).reshape(1, 3, 4)
    torch.testing.assert_close(Crop(REAL, (1, 2), (2, 1))(x), torch.tensor([[[6.0], [10.0]]]))
    with pytest.raises(ShapeError, match="inside"):
        Crop(REAL, (1, 2), (2, 3))
