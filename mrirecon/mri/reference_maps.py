"""Sensitivity maps measured with a second scan through a coil that sees the whole object evenly."""

from __future__ import annotations

import torch
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.linalg.fft import fft, ifft


def measured_maps(coil_images: Tensor, reference_images: Tensor, *, smoothing: float = 3.0) -> Tensor:
    """Maps from array-coil and body-coil images of the same slice.

    The reference channels are combined to one image b by their dominant local phase; then every map is the local
    least-squares ratio S_c = <b, I_c> / <b, b> over a Gaussian neighbourhood, scaled to unit root-sum-of-squares.

    Parameters
    ----------
    coil_images
        Array-coil images, shape (coil, y, x), complex.
    reference_images
        Body-coil images of the same grid, shape (channel, y, x), complex.
    smoothing
        Standard deviation of the neighbourhood in voxels.

    Returns
    -------
        Maps (coil, y, x), complex64. Outside the object they continue whatever the noise says there; multiply by a
        support when that matters.

    Raises
    ------
    ShapeError
        If the two grids differ.

    References
    ----------
    .. [1] Pruessmann et al., SENSE: sensitivity encoding for fast MRI, Magn Reson Med 42 (1999) 952-962.
    """
    if coil_images.shape[-2:] != reference_images.shape[-2:]:
        raise ShapeError(
            f"array-coil and reference images must have the same matrix, got {tuple(coil_images.shape)} and "
            f"{tuple(reference_images.shape)}; scan both with the same protocol"
        )
    gram = torch.einsum("cyx,dyx->cd", reference_images, reference_images.conj())
    weights = torch.linalg.eigh(gram).eigenvectors[:, -1].conj()
    reference = torch.einsum("c,cyx->yx", weights.to(reference_images.dtype), reference_images)
    cross = _smooth(coil_images * reference.conj(), smoothing)
    power = _smooth((reference.abs() ** 2).to(coil_images.dtype)[None], smoothing).real
    maps = cross / power.clamp_min(torch.finfo(torch.float32).tiny)
    size = torch.linalg.vector_norm(maps, dim=0, keepdim=True)
    return torch.where(size > 0, maps / size, 0)


def _smooth(x: Tensor, sigma: float) -> Tensor:
    """Circular Gaussian convolution over the last two axes, in the Fourier domain."""
    out = fft(x, (-2, -1))
    for axis in (-2, -1):
        n = x.shape[axis]
        frequency = (torch.arange(n, dtype=torch.float32, device=x.device) - n // 2) / n
        window = torch.exp(-2 * (torch.pi * sigma * frequency) ** 2)
        out = out * (window[:, None] if axis == -2 else window)
    return ifft(out, (-2, -1))
