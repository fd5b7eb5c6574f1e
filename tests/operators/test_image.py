"""Natural-image operators against independent implementations: SciPy, Pillow, and matrices written out."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import torch
from PIL import Image
from torch import Tensor

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.operators import image
from mrirecon.operators.kernels import bicubic_matrix, gaussian_kernel
from mrirecon.operators.separable import Separable

DATA = Path(os.environ.get("MRIRECON_DATA", Path(__file__).parents[3] / "shared" / "data"))
KERNEL_SIZES = [(3, 3), (5, 3), (4, 4), (2, 5), (1, 6)]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photo(channels: int, height: int, width: int) -> Tensor:
    return torch.rand(channels, height, width, generator=rng(), dtype=torch.float64)


def space_of(x: Tensor) -> image.Space:
    channels, height, width = x.shape[-3:]
    return image.image_space(channels, height, width, dtype=x.dtype)


@pytest.mark.parametrize("size", KERNEL_SIZES)
@pytest.mark.parametrize(("boundary", "mode"), [("circular", "wrap"), ("symmetric", "reflect")])
def test_blur_is_scipys_convolution(size: tuple[int, int], boundary: image.Boundary, mode: str) -> None:
    x, kernel = photo(2, 11, 8), torch.rand(size, generator=rng(1), dtype=torch.float64)
    y = image.blur(space_of(x), kernel, boundary=boundary)(x)
    expected = [scipy.ndimage.convolve(c.numpy(), kernel.numpy(), mode=mode) for c in x]
    np.testing.assert_allclose(y.numpy(), np.stack(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", KERNEL_SIZES)
def test_valid_blur_is_scipys_convolution(size: tuple[int, int]) -> None:
    x, kernel = photo(2, 11, 8), torch.rand(size, generator=rng(1), dtype=torch.float64)
    y = image.blur(space_of(x), kernel, boundary="valid")(x)
    expected = np.stack([scipy.signal.convolve2d(c.numpy(), kernel.numpy(), mode="valid") for c in x])
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-12)


def test_gaussian_blur_is_scipys_filter() -> None:
    x = photo(1, 30, 26)
    for boundary, mode in (("circular", "wrap"), ("symmetric", "reflect")):
        y = image.gaussian_blur(space_of(x), 2.0, boundary=boundary, size=17)(x)
        expected = scipy.ndimage.gaussian_filter(x[0].numpy(), 2.0, mode=mode, truncate=4.0)
        np.testing.assert_allclose(y[0].numpy(), expected, rtol=1e-11, atol=1e-12)


def test_separable_and_general_blur_agree() -> None:
    x = photo(2, 12, 9)
    kernel = gaussian_kernel(1.2, size=7, dtype=torch.float64)
    general = image.blur(space_of(x), kernel, boundary="symmetric")
    separable = image.gaussian_blur(space_of(x), 1.2, size=7, boundary="symmetric")
    assert isinstance(separable, Separable)
    torch.testing.assert_close(general(x), separable(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_bicubic_is_pillows_in_the_interior(factor: int) -> None:
    """Pillow renormalises at the edges instead of mirroring; two output pixels from there it agrees."""
    x = photo(1, 12 * factor, 10 * factor)
    picture = Image.fromarray(x[0].numpy().astype(np.float32))
    expected = np.asarray(picture.resize((10, 12), Image.Resampling.BICUBIC))
    for boundary in ("symmetric", "circular"):
        y = image.bicubic_downsampling(space_of(x), factor, boundary=boundary)(x)
        np.testing.assert_allclose(y[0, 2:-2, 2:-2].numpy(), expected[2:-2, 2:-2], rtol=0, atol=1e-6)


def test_bicubic_keeps_constants_and_ramps() -> None:
    ramp = torch.arange(40, dtype=torch.float64).expand(1, 16, 40).contiguous()
    y = image.bicubic_downsampling(space_of(ramp), 4)(ramp)
    expected = torch.arange(10, dtype=torch.float64) * 4 + 1.5
    torch.testing.assert_close(y[0, 1, 2:-2], expected[2:-2], rtol=0, atol=1e-12)
    ones = torch.ones(1, 16, 40, dtype=torch.float64)
    for boundary in ("symmetric", "circular"):
        y = image.bicubic_downsampling(space_of(ones), 4, boundary=boundary)(ones)
        torch.testing.assert_close(y, torch.ones_like(y), rtol=0, atol=1e-12)


def test_circular_bicubic_is_its_matrices() -> None:
    """The FFT operator and the separable matrices are two ways to the same forward map and the same solves."""
    x = photo(2, 12, 16)
    matrices = [bicubic_matrix(n, 4, boundary="circular") for n in (12, 16)]
    by_matrix = Separable(matrices[0], matrices[1], space_of(x), 1e-3)
    by_fft = image.bicubic_downsampling(space_of(x), 4, boundary="circular")
    y = by_fft(x)
    torch.testing.assert_close(y, by_matrix(x), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(by_fft.pseudo_inverse(y), by_matrix.pseudo_inverse(y), rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(by_fft.solve_normal(x, 0.01), by_matrix.solve_normal(x, 0.01), rtol=1e-10, atol=1e-10)


def test_block_average_is_pooling() -> None:
    x = photo(3, 8, 12)
    expected = torch.nn.functional.avg_pool2d(x.unsqueeze(0), 4).squeeze(0)
    torch.testing.assert_close(image.block_average(space_of(x), 4)(x), expected)


def test_batched_kernels_are_each_items_own() -> None:
    x = photo(2, 8, 6).expand(3, 2, 8, 6)
    kernels = torch.rand(3, 1, 3, 3, generator=rng(2), dtype=torch.float64)
    for build in (image.blur, lambda s, k: image.blurred_downsampling(s, k, 2)):
        together, alone = build(space_of(x), kernels), [build(space_of(x), kernel) for kernel in kernels]
        expected = torch.stack([A(item) for A, item in zip(alone, x, strict=True)])
        torch.testing.assert_close(together(x), expected, rtol=1e-12, atol=1e-12)
        expected = torch.stack([A.solve_normal(item, 0.1) for A, item in zip(alone, x, strict=True)])
        torch.testing.assert_close(together.solve_normal(x, 0.1), expected, rtol=1e-9, atol=1e-9)


def test_blur_differentiates_with_respect_to_the_kernel() -> None:
    """Blind deconvolution: d/dk ||k * x||^2 / 2 by finite differences."""
    x = photo(1, 6, 6)
    kernel = torch.rand(3, 3, generator=rng(3), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda k: image.blur(space_of(x), k)(x), kernel)
    assert torch.autograd.gradcheck(lambda k: image.blur(space_of(x), k).solve_normal(x, 0.3), kernel)


def test_pseudo_inverse_cutoff_bounds_the_noise() -> None:
    """Frequencies under the cutoff are not inverted, so noise grows at most 1/cutoff times."""
    x = photo(1, 32, 32)
    noise = torch.randn(1, 32, 32, generator=rng(4), dtype=torch.float64)
    for boundary in ("circular", "symmetric"):
        A = image.gaussian_blur(space_of(x), 3.0, size=25, boundary=boundary)
        assert float(A.pseudo_inverse(noise).norm()) <= float(noise.norm()) / image.BLUR_CUTOFF
        exact = image.gaussian_blur(space_of(x), 3.0, size=25, boundary=boundary, cutoff=1e-12)
        assert float(exact.pseudo_inverse(noise).norm()) > 1e6 * float(noise.norm())


def test_downsampling_cutoff_is_of_singular_values() -> None:
    """Just below a singular value it is inverted, just above it is not."""
    space = image.image_space(1, 8, 8, dtype=torch.float64)
    kernel = gaussian_kernel(1.0, size=5, dtype=torch.float64)
    A = image.blurred_downsampling(space, kernel, 2, cutoff=0.0)
    y = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(1, 4, 2)  # the highest frequency along x
    relative = float(A.adjoint(y).norm() / y.norm() / torch.linalg.matrix_norm(_matrix(A), 2))
    kept = image.blurred_downsampling(space, kernel, 2, cutoff=0.99 * relative).pseudo_inverse(y)
    dropped = image.blurred_downsampling(space, kernel, 2, cutoff=1.01 * relative).pseudo_inverse(y)
    torch.testing.assert_close(A(kept), y, rtol=1e-10, atol=1e-10)
    assert float(dropped.norm()) < 1e-10


def _matrix(A: image.LinearOperator) -> Tensor:
    basis = torch.eye(A.domain.size, dtype=A.domain.dtype).reshape(-1, *A.domain.shape)
    return A(basis).reshape(A.domain.size, -1).T


def test_box_mask() -> None:
    mask = image.box_mask((10, 8), (4, 2))
    assert (~mask).sum() == 8
    assert not mask[3:7, 3:5].any()
    assert not image.box_mask((10, 8), (1, 1), start=(9, 7))[9, 7]
    with pytest.raises(ShapeError, match="inside the image"):
        image.box_mask((10, 8), (4, 2), start=(7, 0))


def test_random_mask() -> None:
    mask = image.random_mask((20, 15), missing=0.3, generator=rng())
    assert (~mask).sum() == 90
    assert torch.equal(mask, image.random_mask((20, 15), missing=0.3, generator=rng()))
    assert not torch.equal(mask, image.random_mask((20, 15), missing=0.3, generator=rng(1)))
    with pytest.raises(ConfigError, match="between 0 and 1"):
        image.random_mask((2, 2), missing=1.5, generator=rng())


def test_inpainting_pseudo_inverse_is_the_masked_image() -> None:
    x, mask = photo(3, 8, 6), image.random_mask((8, 6), missing=0.5, generator=rng())
    A = image.inpainting(space_of(x), mask)
    torch.testing.assert_close(A.pseudo_inverse(A(x)), x * mask)
    torch.testing.assert_close(A.keep_measured(torch.ones_like(x)), mask.to(x.dtype).expand_as(x))


def test_errors_say_what_to_do() -> None:
    space = image.image_space(3, 8, 6)
    with pytest.raises(ShapeError, match="must not exceed the image"):
        image.blur(space, torch.ones(9, 3))
    with pytest.raises(ShapeError, match="insert a channel axis"):
        image.blur(space, torch.ones(2, 3, 3))
    with pytest.raises(ShapeError, match="must be real"):
        image.blur(space, torch.ones(3, 3, dtype=torch.complex64))
    with pytest.raises(ConfigError, match="boundary"):
        image.blur(space, torch.ones(3, 3), boundary="periodic")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="boundary"):
        image.bicubic_downsampling(space, 2, boundary="valid")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="crop first"):
        image.block_average(space, 4)
    with pytest.raises(ShapeError, match="crop first"):
        image.bicubic_downsampling(space, 5)
    with pytest.raises(ShapeError, match="must be bool"):
        image.inpainting(space, torch.ones(8, 6))
    with pytest.raises(ShapeError, match="must broadcast"):
        image.inpainting(space, torch.ones(6, 8, dtype=torch.bool))


@pytest.mark.data
@pytest.mark.skipif(not (DATA / "images" / "kernels" / "Levin09.mat").exists(), reason="shared data not found")
@pytest.mark.parametrize("index", range(8))
def test_deblurring_a_photograph_with_measured_kernels(index: int) -> None:
    """The eight camera shakes of Levin et al. 2009: blurred as SciPy does, and restored by the closed form."""
    with h5py.File(DATA / "images" / "kernels" / "Levin09.mat") as file:
        kernel = torch.from_numpy(np.asarray(file[file["kernels"][index, 0]], dtype=np.float64).T.copy())
    kernel = kernel / kernel.sum()
    with Image.open(DATA / "images" / "Set5" / "butterfly.bmp") as picture:
        x = torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.float64).transpose(2, 0, 1) / 255)
    A = image.blur(space_of(x), kernel)
    y = A(x)
    expected = scipy.signal.fftconvolve(np.pad(x[1].numpy(), 40, mode="wrap"), kernel.numpy(), mode="same")[
        40:-40, 40:-40
    ]
    np.testing.assert_allclose(y[1].numpy(), expected, rtol=0, atol=1e-12)
    noisy = y + 0.01 * torch.randn(y.shape, generator=rng(), dtype=torch.float64)
    restored = A.regularised_inverse(noisy, 0.01)  # sigma^2 over the power of fine detail
    assert float((restored - x).square().mean()) < 0.5 * float((y - x).square().mean())
