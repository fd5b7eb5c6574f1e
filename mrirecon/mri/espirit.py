"""ESPIRiT: coil sensitivities as eigenvectors of what the calibration region allows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.mri.coils import coil_gram, compression_matrix
from mrirecon.mri.eigenmaps import fix_phase, leading_eigenvectors, rows_per_block
from mrirecon.mri.low_resolution import calibration_region, harmonics, windowed


@dataclass(frozen=True)
class EspiritResult:
    """Maps and how well the calibration data support them.

    `maps` has shape (*batch, set, coil, y, x) and the dtype of the k-space: unit root-sum-of-squares per set where its
    eigenvalue reaches the crop, zero elsewhere. `eigenvalues`, shape (*batch, set, y, x), real, are near one where the
    data lie in the span of the maps; converged where they reach the crop, lower bounds elsewhere.
    """

    maps: Tensor
    eigenvalues: Tensor


def espirit(
    kspace: Tensor,
    *,
    calibration: tuple[int, int] | None = (24, 24),
    kernel: tuple[int, int] = (6, 6),
    n_maps: int = 1,
    threshold: float = 1e-3,
    crop: float = 0.8,
    shape: tuple[int, int] | None = None,
    max_iterations: int = 30,
) -> EspiritResult:
    """Estimate coil sensitivity maps from the fully sampled centre of k-space by ESPIRiT [1]_.

    All patches of the calibration region, of the size of the kernel, form a matrix; its dominant singular vectors
    span what patches can be. Averaging the projections of all patches of a data set onto that span is a convolution
    that leaves consistent data unchanged, hence a product with one matrix per voxel, ``G(r) s(r) = s(r)``: the
    sensitivities are the eigenvectors of G(r) with eigenvalue one.

    Parameters
    ----------
    kspace
        Shape (*batch, coil, ky, kx), complex, whitened if the coils' noise differs. Only the calibration region is
        read; each batch item is calibrated on its own.
    calibration
        Size (ky, kx) of the fully sampled block about the origin; None if `kspace` is nothing but that block.
    kernel
        Size (ky, kx) of the patches.
    n_maps
        Sets of maps; two explain data whose object is larger than the field of view, so that it folds.
    threshold
        Singular vectors count as signal when their squared singular value exceeds this share of the largest one
        (BART's convention; sigpy's ``thresh`` is its square root).
    crop
        Maps are zero where their eigenvalue is less than this; 0 keeps them everywhere.
    shape
        Matrix (y, x) of the maps over the same field of view; that of `kspace` when omitted.
    max_iterations
        Upper bound on the orthogonal iterations per voxel.

    Returns
    -------
        `EspiritResult`.

    Raises
    ------
    ShapeError
        If `kspace` is not complex coil data, is not finite, or does not contain a fully sampled block of the size
        asked for; if the kernel does not fit the block, or there are fewer coils than map sets.
    ConfigError
        If `threshold`, `crop` or `max_iterations` is out of range.

    Notes
    -----
    Phase: every map is relative to the first principal component of the calibration data over the coils. That
    virtual coil's map is real and positive, as in BART; the phase of the component itself is fixed by making its
    largest coil weight real and positive, so that repeated runs and different devices agree.

    The matrices G are formed for a few image rows at a time and never stored, the iteration starts from the coil
    images at low resolution and goes on only in voxels that need it. The cost grows with the square of the number of
    coils: from about 20 coils on, compress to 8-16 virtual coils first (`mrirecon.mri.coils.compression_matrix`).
    Not differentiable.

    References
    ----------
    .. [1] Uecker et al., ESPIRiT: an eigenvalue approach to autocalibrating parallel MRI, Magn. Reson. Med. 71, 2014,
       doi:10.1002/mrm.24751.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> kspace = torch.randn(2, 4, 32, 48, dtype=torch.complex64, generator=generator)
    >>> espirit(kspace, calibration=(20, 20), n_maps=2).maps.shape
    torch.Size([2, 2, 4, 32, 48])
    """
    region = calibration_region(kspace, calibration)
    if not 1 <= n_maps <= kspace.shape[-3]:
        raise ShapeError(f"`n_maps` must be between 1 and the {kspace.shape[-3]} coils there are, got {n_maps}")
    if any(not 1 <= k <= c for k, c in zip(kernel, region.shape[-2:], strict=True)):
        raise ShapeError(
            f"`kernel` must be between (1, 1) and the calibration region {tuple(region.shape[-2:])}, got "
            f"{tuple(kernel)}; take a smaller kernel or more calibration lines"
        )
    if not 1e-6 <= threshold < 1:
        raise ConfigError(f"`threshold` must be from 1e-6 (single precision) to below 1, got {threshold}")
    if not 0 <= crop <= 1:
        raise ConfigError(f"`crop` must be between 0 and 1, got {crop}; 0 keeps the maps everywhere")
    if max_iterations < 1:
        raise ConfigError(f"`max_iterations` must be at least 1, got {max_iterations}")
    matrix = shape or (kspace.shape[-2], kspace.shape[-1])
    if any(n < 1 for n in matrix):
        raise ShapeError(f"`shape` must be two positive lengths (y, x), got {shape}")

    batch, n_coils = kspace.shape[:-3], kspace.shape[-3]
    maps = kspace.new_empty((*batch, n_maps, n_coils, *matrix))
    eigenvalues = torch.empty((*batch, n_maps, *matrix), dtype=kspace.real.dtype, device=kspace.device)
    with torch.no_grad():
        for data, out, values in zip(
            region.reshape(-1, *region.shape[-3:]),
            maps.view(-1, *maps.shape[-4:]),
            eigenvalues.view(-1, *eigenvalues.shape[-3:]),
            strict=True,
        ):
            lags = _projection_lags(data, kernel, threshold)
            _eigenvectors_of_lags(lags, data, crop, max_iterations, out, values)
    return EspiritResult(maps, eigenvalues)


def _projection_lags(data: Tensor, kernel: tuple[int, int], threshold: float) -> Tensor:
    """G as a convolution kernel: (coil, coil, 2 ky - 1, 2 kx - 1), zero lag in the middle.

    With q the left singular vectors of the patches, (G s)(k) = 1/K sum over the K patches that contain k of the
    projection q q^H applied to them; that sums the entries of q q^H by the difference of their positions.
    """
    n_coils, size = data.shape[0], math.prod(kernel)
    patches = data.unfold(1, kernel[0], 1).unfold(2, kernel[1], 1).permute(0, 3, 4, 1, 2).reshape(n_coils * size, -1)
    if patches.shape[0] <= patches.shape[1]:
        energy, vectors = torch.linalg.eigh(patches @ patches.mH)
        signal = vectors[:, energy > threshold * energy[-1]]
    else:
        energy, vectors = torch.linalg.eigh(patches.mH @ patches)
        kept = energy > threshold * energy[-1]
        signal = (patches @ vectors[:, kept]) / energy[kept].sqrt()
    projection = (signal @ signal.mH / size).reshape(n_coils, *kernel, n_coils, *kernel)
    height, width = kernel
    lags = data.new_zeros((n_coils, 2 * height - 1, 2 * width - 1, n_coils))
    # By slices rather than by index_add_, whose order of summation on a GPU changes from run to run.
    for y in range(height):
        for x in range(width):
            lags[:, height - 1 - y : 2 * height - 1 - y, width - 1 - x : 2 * width - 1 - x] += projection[..., y, x]
    return lags.permute(0, 3, 1, 2)


def _eigenvectors_of_lags(
    lags: Tensor, data: Tensor, crop: float, max_iterations: int, maps: Tensor, eigenvalues: Tensor
) -> None:
    """Fill `maps` (set, coil, y, x) and `eigenvalues` (set, y, x), a few image rows at a time."""
    n_maps, n_coils, height, width = maps.shape
    reference = compression_matrix(coil_gram(data), 1).to(data)
    # Two-dimensional transforms of the lags and of the low-resolution images, one axis at a time: over x at once ...
    lags_y, lags_x = (harmonics(n, m, data) for n, m in zip(lags.shape[-2:], (height, width), strict=True))
    data_y, data_x = (harmonics(n, m, data) for n, m in zip(data.shape[-2:], (height, width), strict=True))
    lags_over_y = lags.transpose(-1, -2).reshape(-1, lags.shape[-2])
    images_over_x = windowed(data) @ data_x
    others = [_generic_vector(n_coils, order, data) for order in range(1, n_maps)]
    rows = rows_per_block(n_coils, width, data.element_size(), data.device)
    for top in range(0, height, rows):
        block = slice(top, min(top + rows, height))
        # ... and over y for the rows of this block.
        partial = (lags_over_y @ lags_y[:, block]).unflatten(0, (-1, lags.shape[-1])).transpose(1, 2)
        matrices = (partial.reshape(-1, lags.shape[-1]) @ lags_x).reshape(n_coils, n_coils, -1)
        start = [(data_y[:, block].T @ images_over_x).reshape(n_coils, -1), *others]
        vectors, values = leading_eigenvectors(matrices, start, relevant=crop, max_iterations=max_iterations)
        for index, (vector, value) in enumerate(zip(vectors, values, strict=True)):
            kept = fix_phase(vector, reference) * (value >= crop)
            maps[index, :, block] = kept.reshape(n_coils, -1, width)
            eigenvalues[index, block] = value.reshape(-1, width)


def _generic_vector(n_coils: int, order: int, like: Tensor) -> Tensor:
    """Start vector (coil, 1) of a further set, the same in every voxel so that its map comes out smooth.

    Unit phasors with an irrational quadratic phase: fixed, and not orthogonal to anything that coils produce.
    """
    coil = torch.arange(n_coils, dtype=torch.float64, device=like.device)[:, None]
    angle = math.sqrt(2) * order * coil**2 + math.sqrt(3) * coil
    return torch.polar(torch.ones_like(angle), angle).to(like.dtype)
