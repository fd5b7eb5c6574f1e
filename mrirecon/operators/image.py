"""Forward operators of natural-image restoration: blur, super-resolution, inpainting, denoising.

Images are (*batch, channel, y, x); every channel is degraded alike and by itself. Each builder returns an operator
with exact adjoint and, but for general kernels at a non-periodic boundary, closed-form solves.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.linalg.space import Space
from mrirecon.operators.base import LinearOperator
from mrirecon.operators.coisometry import BlockAverage, Crop
from mrirecon.operators.convolution import CircularConvolution, transfer_function
from mrirecon.operators.downsampling import CircularDownsampling
from mrirecon.operators.elementary import Diagonal, Identity, sampling
from mrirecon.operators.extension import Extension
from mrirecon.operators.kernels import bicubic_matrix, convolution_matrix, gaussian_weights
from mrirecon.operators.separable import Separable

Boundary = Literal["circular", "symmetric", "valid"]

# Below 3 % of the largest singular value, noise is amplified more than 33 times: the customary limit for blur.
BLUR_CUTOFF = 0.03


def image_space(channels: int, height: int, width: int, *, dtype: torch.dtype = torch.float32) -> Space:
    """The space of images with axes (channel, y, x)."""
    return Space(("channel", "y", "x"), (channels, height, width), dtype)


def blur(
    space: Space, kernel: Tensor, *, boundary: Boundary = "circular", cutoff: float = BLUR_CUTOFF
) -> LinearOperator:
    """Convolution with any kernel.

    Parameters
    ----------
    space
        The images.
    kernel
        Shape (height, width) or (*batch, channel or 1, height, width); origin at ``height // 2, width // 2``.
    boundary
        "circular": periodic, solved in closed form by FFT. "symmetric": mirrored at the edges, output as large as the
        input. "valid": only pixels whose whole neighbourhood is in the image. The last two solve by conjugate
        gradients.
    cutoff
        Singular values at most this fraction of the largest count as zero in the closed-form pseudo-inverse.

    Raises
    ------
    ShapeError
        If the kernel does not fit the images.
    ConfigError
        If `boundary` is unknown.
    """
    height, width = kernel.shape[-2:]
    above, below = height - 1 - height // 2, height // 2  # a convolution looks the other way round
    left, right = width - 1 - width // 2, width // 2
    if boundary == "circular":
        return CircularConvolution(transfer_function(kernel, space), space, cutoff)
    if boundary == "symmetric":
        extension = Extension(space, (above, below, left, right))
        padded = extension.codomain
        crop = Crop(padded, (above, left), (space.shape[-2], space.shape[-1]))
        return crop @ (CircularConvolution(transfer_function(kernel, padded), padded, cutoff) @ extension)
    if boundary == "valid":
        convolution = CircularConvolution(transfer_function(kernel, space), space, cutoff)
        size = (space.shape[-2] - height + 1, space.shape[-1] - width + 1)
        return Crop(space, (above, left), size) @ convolution
    raise ConfigError(f"boundary must be 'circular', 'symmetric' or 'valid', got {boundary!r}")


def gaussian_blur(
    space: Space,
    std: float,
    *,
    size: int | None = None,
    boundary: Boundary = "circular",
    cutoff: float = BLUR_CUTOFF,
) -> LinearOperator:
    """Convolution with an isotropic Gaussian of standard deviation `std` pixels; see `blur`.

    At the "symmetric" boundary this operator is separable and solves in closed form too. `size` is the edge length of
    the kernel; the customary benchmark is ``std=3, size=61``.
    """
    weights = gaussian_weights(std, size=size, dtype=space.real_dtype)
    if boundary == "symmetric":
        matrices = [convolution_matrix(weights, n) for n in space.shape[-2:]]
        return Separable(matrices[0], matrices[1], space, cutoff)
    return blur(space, torch.outer(weights, weights), boundary=boundary, cutoff=cutoff)


def block_average(space: Space, factor: int) -> BlockAverage:
    """Downsampling by the mean over blocks of factor x factor pixels."""
    return BlockAverage(space, factor)


def bicubic_downsampling(
    space: Space, factor: int, *, boundary: Literal["circular", "symmetric"] = "symmetric", cutoff: float = 1e-3
) -> LinearOperator:
    """Antialiased bicubic downsampling (a = -0.5, 4 x factor taps), as imaging programs do it; closed form.

    The boundary is mirrored ("symmetric", by two small singular value decompositions) or periodic ("circular", by
    FFT). See `kernels.bicubic_matrix`.
    """
    if boundary not in ("circular", "symmetric"):
        raise ConfigError(f"boundary must be 'circular' or 'symmetric', got {boundary!r}")
    matrices = [bicubic_matrix(n, factor, boundary=boundary).to(space.real_dtype) for n in space.shape[-2:]]
    if boundary == "symmetric":
        return Separable(matrices[0], matrices[1], space, cutoff)
    rows = [matrix[0].flip(0).roll(1) for matrix in matrices]  # convolution is correlation with the mirrored row
    kernel = torch.outer(rows[0], rows[1])
    return CircularDownsampling(transfer_function(kernel, space, origin=(0, 0)), space, factor, cutoff)


def blurred_downsampling(
    space: Space, kernel: Tensor, factor: int, *, cutoff: float = BLUR_CUTOFF
) -> CircularDownsampling:
    """Periodic convolution with any kernel, then every `factor`-th pixel; closed form."""
    return CircularDownsampling(transfer_function(kernel, space), space, factor, cutoff)


def inpainting(space: Space, mask: Tensor) -> Diagonal:
    """Keep the pixels where the Boolean `mask` is true, zero elsewhere; closed form.

    `mask` is (y, x), or (*batch, channel or 1, y, x).
    """
    return sampling(mask, space)


def denoising(space: Space) -> Identity:
    """Nothing but the noise."""
    return Identity(space)


def box_mask(size: tuple[int, int], box: tuple[int, int], *, start: tuple[int, int] | None = None) -> Tensor:
    """Bool (y, x), false inside a box of the given height and width, centred unless `start` names its corner."""
    top, left = ((n - m) // 2 for n, m in zip(size, box, strict=True)) if start is None else start
    if top < 0 or left < 0 or top + box[0] > size[0] or left + box[1] > size[1]:
        raise ShapeError(f"the box must lie inside the image {size}, got size {box} at {(top, left)}")
    mask = torch.ones(size, dtype=torch.bool)
    mask[top : top + box[0], left : left + box[1]] = False
    return mask


def random_mask(size: tuple[int, int], *, missing: float, generator: torch.Generator) -> Tensor:
    """Bool (y, x) with exactly the fraction `missing` of pixels, rounded, false at random places."""
    if not 0 <= missing <= 1:
        raise ConfigError(f"the fraction of missing pixels must be between 0 and 1, got {missing}")
    n = size[0] * size[1]
    order = torch.randperm(n, generator=generator, device=generator.device)
    return (order >= round(missing * n)).reshape(size)
