"""Partial Fourier: the missing side of k-space from conjugate symmetry."""

from __future__ import annotations

import torch
from torch import Tensor

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.linalg.fft import fft, ifft
from mrirecon.mri.asymmetry import PartialFourier, acquired_fraction, partial_fourier

__all__ = ["PartialFourier", "acquired_fraction", "homodyne", "partial_fourier", "pocs"]


def homodyne(kspace: Tensor, mask: Tensor) -> Tensor:
    """Complete k-space by homodyne detection: double the lines without partner, correct the phase, keep the real part.

    ``x = Re(exp(-i phi) F^H(W y)) exp(i phi)`` with phi the phase of the symmetric centre and the weight W, which is 2
    where the mirrored sample is missing, 0 where there is no data and 1 near the origin, with smooth transitions for
    which W(k) + W(-k) = 2.

    Parameters
    ----------
    kspace
        Shape (*batch, ky, kx) with any leading axes (coils, or one combined image), complex, complete inside the
        acquired interval: after parallel imaging, or of a scan without undersampling.
    mask
        Which samples were acquired, bool, shape (ky, kx), 1 along an axis where it is constant.

    Returns
    -------
        Complete k-space, shape and dtype of `kspace`; `kspace` itself if the sampling is symmetric. Acquired samples
        are changed; `pocs` keeps them.

    Raises
    ------
    ConfigError
        If both axes are asymmetric, for which homodyne detection is not defined.
    ShapeError
        If the shapes disagree or `kspace` is not complex.

    References
    ----------
    .. [1] Noll, Nishimura, Macovski, Homodyne detection in magnetic resonance imaging, IEEE Trans. Med. Imaging 10,
       1991, doi:10.1109/42.79473.
    """
    found = _checked(kspace, mask)
    if not found:
        return kspace
    if len(found) > 1:
        raise ConfigError(
            "partial_fourier.method homodyne completes one axis, but ky and kx were both acquired asymmetrically; "
            "use pocs"
        )
    phase = _phase(kspace, found)
    weighted = ifft(kspace * _homodyne_weight(found[0], kspace.device), (-2, -1))
    return fft((weighted * phase.conj()).real * phase, (-2, -1))


def pocs(kspace: Tensor, mask: Tensor, *, n_iterations: int = 15) -> Tensor:
    """Complete k-space by alternating between images with the phase of the symmetric centre and the acquired data.

    The image keeps its magnitude and gets the phase of the centre, then the acquired samples are put back; as in [1]_.

    Parameters
    ----------
    kspace
        Shape (*batch, ky, kx) with any leading axes (coils, or one combined image), complex, complete inside the
        acquired interval: after parallel imaging, or of a scan without undersampling.
    mask
        Which samples were acquired, bool, shape (ky, kx), 1 along an axis where it is constant.
    n_iterations
        How often either is imposed; a fixed number, five are within a tenth of the final error.

    Returns
    -------
        Complete k-space, shape and dtype of `kspace`, equal to it in the acquired interval; `kspace` itself if the
        sampling is symmetric. With two asymmetric axes the quarter whose mirror image is missing too stays poorly
        determined.

    Raises
    ------
    ConfigError
        If `n_iterations` is less than 1.
    ShapeError
        If the shapes disagree or `kspace` is not complex.

    Notes
    -----
    Something is gained only where the missing samples rise above the noise. For a measured knee whose outer k-space
    is noise, at 6/8, the magnitude differs from that of the full data by 8 % when zero-filled, 11 % after `pocs` and
    13 % after `homodyne`: the noise put in place of the missing noise is another.

    References
    ----------
    .. [1] Haacke, Lindskog, Lin, A fast, iterative, partial-Fourier technique capable of local phase recovery, J. Magn.
       Reson. 92, 1991, doi:10.1016/0022-2364(91)90253-P.
    """
    if n_iterations < 1:
        raise ConfigError(f"partial_fourier.n_iterations must be at least 1, got {n_iterations}")
    found = _checked(kspace, mask)
    if not found:
        return kspace
    phase = _phase(kspace, found)
    acquired = torch.ones(1, 1, dtype=torch.bool, device=kspace.device)
    for part in found:
        index = torch.arange(part.length, device=kspace.device)
        acquired = acquired & _along((index >= part.start) & (index < part.stop), part.axis)
    estimate = torch.where(acquired, kspace, 0)
    for _ in range(n_iterations):
        magnitude = ifft(estimate, (-2, -1)).abs()
        estimate = torch.where(acquired, kspace, fft(magnitude * phase, (-2, -1)))
    return estimate


def _checked(kspace: Tensor, mask: Tensor) -> tuple[PartialFourier, ...]:
    if kspace.ndim < 2 or not kspace.is_complex():
        raise ShapeError(
            f"`kspace` must be complex with shape (*batch, ky, kx), got {tuple(kspace.shape)} {kspace.dtype}"
        )
    grid = kspace.shape[-2:]
    if mask.ndim != 2 or any(m not in (1, n) for m, n in zip(mask.shape, grid, strict=True)):
        raise ShapeError(f"`mask` must have shape (ky={grid[0]} or 1, kx={grid[1]} or 1), got {tuple(mask.shape)}")
    return partial_fourier(mask)


def _along(values: Tensor, axis: int) -> Tensor:
    return values.unsqueeze(0 if axis == -1 else 1)


def _phase(kspace: Tensor, found: tuple[PartialFourier, ...]) -> Tensor:
    """exp(i phi) of the image of the symmetric centre, tapered with a Hann window; 1 where that image is zero."""
    window = torch.ones(1, 1, device=kspace.device)
    for part in found:
        distance = (torch.arange(part.length, device=kspace.device) - part.length // 2).abs()
        taper = torch.cos(0.5 * torch.pi * distance / (part.half_width + 1)).square()
        window = window * _along(torch.where(distance <= part.half_width, taper, 0.0), part.axis)
    image = ifft(kspace * window, (-2, -1))
    magnitude = image.abs()
    return torch.where(magnitude > 0, image / magnitude.clamp_min(torch.finfo(magnitude.dtype).tiny), 1.0)


def _homodyne_weight(part: PartialFourier, device: torch.device) -> Tensor:
    """0 on the missing side, 2 opposite, 1 in the inner half of the symmetric centre and at the Nyquist sample.

    Noll's ramp over the whole centre makes a first-order error in the magnitude where the phase has a slope; measured
    on a phantom with smooth phase, this weight halves the error.
    """
    index = torch.arange(part.length, device=device)
    position = (index - part.length // 2).to(torch.float32)
    towards_acquired = position if part.missing == "low" else -position
    transition = (2 * position.abs() / (part.half_width + 1) - 1).clamp(0, 1)
    weight = 1 + towards_acquired.sign() * torch.sin(0.5 * torch.pi * transition).square()
    if part.length % 2 == 0:
        weight[0] = 1
    weight = torch.where((index >= part.start) & (index < part.stop), weight, 0.0)
    return _along(weight, part.axis)
