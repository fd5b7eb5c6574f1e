"""Walsh's adaptive combination: coil sensitivities from the local covariance of coil images."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.mri.coils import coil_gram, compression_matrix
from mrirecon.mri.eigenmaps import fix_phase, leading_eigenvectors, rows_per_block
from mrirecon.mri.low_resolution import calibration_region, harmonics, windowed


def walsh(
    kspace: Tensor,
    *,
    calibration: tuple[int, int] | None = (24, 24),
    window: int = 9,
    threshold: float = 0.0,
    shape: tuple[int, int] | None = None,
    max_iterations: int = 30,
) -> Tensor:
    """Estimate coil sensitivity maps by Walsh's method [1]_ from coil images at low resolution.

    The map of a voxel is the leading eigenvector of ``R(r) = mean over a window about r of m m^H``, with m the vector
    of coil images from the Hann-windowed calibration region.

    Parameters
    ----------
    kspace
        Shape (*batch, coil, ky, kx), complex, whitened if the coils' noise differs. Only the calibration region is
        read; each batch item is calibrated on its own.
    calibration
        Size (ky, kx) of the fully sampled block about the origin; None for all of `kspace`.
    window
        Width of the square window in voxels of the maps, odd. Wider is smoother and less noisy.
    threshold
        Maps are zero where the root-sum-of-squares of the low-resolution images, averaged over the window, is below
        this share of its maximum. With 0, the default, maps have unit norm in every voxel, air included.
    shape
        Matrix (y, x) of the maps over the same field of view; that of `kspace` when omitted.
    max_iterations
        Upper bound on the power iterations per voxel.

    Returns
    -------
        Maps, shape (*batch, coil, y, x), dtype of `kspace`: unit root-sum-of-squares, phase relative to the first
        principal component of the calibration data as in `mrirecon.mri.espirit.espirit`.

    Raises
    ------
    ShapeError
        If `kspace` is not complex coil data, is not finite, or does not contain a fully sampled block of the size
        asked for.
    ConfigError
        If `window`, `threshold` or `max_iterations` is out of range.

    Notes
    -----
    There is no support as in ESPIRiT, no second set of maps where the object folds, and at the edge of the object the
    low-resolution images are blurred, so that the maps are less accurate there. Memory is bounded: a few image rows
    are done at a time.

    References
    ----------
    .. [1] Walsh, Gmitro and Marcellin, Adaptive reconstruction of phased array MR imagery, Magn. Reson. Med. 43, 2000,
       doi:10.1002/(SICI)1522-2594(200005)43:5<682::AID-MRM10>3.0.CO;2-G.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> kspace = torch.randn(4, 32, 48, dtype=torch.complex64, generator=generator)
    >>> walsh(kspace, calibration=(20, 20)).shape
    torch.Size([4, 32, 48])
    """
    region = calibration_region(kspace, calibration)
    if window < 1 or window % 2 == 0:
        raise ConfigError(f"`window` must be a positive odd number of voxels, got {window}")
    if not 0 <= threshold < 1:
        raise ConfigError(f"`threshold` must be from 0 to below 1, got {threshold}; 0 keeps the maps everywhere")
    if max_iterations < 1:
        raise ConfigError(f"`max_iterations` must be at least 1, got {max_iterations}")
    matrix = (kspace.shape[-2], kspace.shape[-1]) if shape is None else shape
    if any(n < 1 for n in matrix):
        raise ShapeError(f"`shape` must be two positive lengths (y, x), got {shape}")
    maps = kspace.new_empty((*kspace.shape[:-2], *matrix))
    with torch.no_grad():
        for data, out in zip(region.reshape(-1, *region.shape[-3:]), maps.view(-1, *maps.shape[-3:]), strict=True):
            _fill(data, window, threshold, max_iterations, out)
    return maps


def _fill(data: Tensor, window: int, threshold: float, max_iterations: int, maps: Tensor) -> None:
    """Fill `maps` (coil, y, x), a few image rows at a time, from calibration data (coil, ky, kx)."""
    n_coils, height, width = maps.shape
    reference = compression_matrix(coil_gram(data), 1).to(data)
    to_y, to_x = (harmonics(n, m, data) for n, m in zip(data.shape[-2:], (height, width), strict=True))
    images = to_y.T @ (windowed(data) @ to_x)
    images /= images.abs().max()
    margin = window // 2
    padded = pad(images, (margin, margin, margin, margin))
    rows = rows_per_block(n_coils, width, data.element_size(), data.device)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        near = padded[:, top : bottom + 2 * margin]
        covariance = _moving_sum(_moving_sum(near[:, None] * near.conj(), window, -2), window, -1).flatten(-2)
        trace = covariance.diagonal().real.sum(dim=-1)
        covariance = covariance / trace.clamp_min(torch.finfo(trace.dtype).tiny)
        start = images[:, top:bottom].reshape(n_coils, -1)
        (vectors,), _ = leading_eigenvectors(covariance, [start], max_iterations=max_iterations)
        maps[:, top:bottom] = fix_phase(vectors, reference).reshape(n_coils, -1, width)
    if threshold > 0:
        energy = images.abs().square().sum(dim=0, keepdim=True)
        energy = avg_pool2d(energy, window, stride=1, padding=margin, count_include_pad=False)
        maps *= energy >= threshold**2 * energy.max()


def _moving_sum(x: Tensor, width: int, axis: int) -> Tensor:
    """Sums of `width` neighbours along `axis`, where all exist, by doubling: about 2 log2(width) additions."""
    length = x.shape[axis] - width + 1
    total: Tensor | None = None
    covered, size = 0, 1
    while size <= width:
        if width & size:
            piece = x.narrow(axis, covered, length)
            total = piece if total is None else total + piece
            covered += size
        size *= 2
        if size <= width:
            n = x.shape[axis] - size // 2
            x = x.narrow(axis, 0, n) + x.narrow(axis, size // 2, n)
    return x if total is None else total
