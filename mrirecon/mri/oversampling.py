"""Removal of the readout oversampling: crop the field of view along the readout, in image space."""

from __future__ import annotations

from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.linalg.fft import crop_or_pad, fft, ifft


def remove_readout_oversampling(kspace: Tensor, size: int, *, axis: int = -1) -> Tensor:
    """K-space of the central `size` samples of the image along the readout.

    The image is cropped along the readout from M to N samples starting at ``M // 2 - N // 2``, so that the sample at
    the origin ``M // 2`` becomes the one at the new origin ``N // 2``; image values do not change (orthonormal
    transforms).

    Parameters
    ----------
    kspace
        K-space, shape (*batch, ky, kx) with any leading axes; the readout is sampled completely or zero at its
        ends.
    size
        Samples to keep, from 1 to the present number; `Encoding.readout_size` gives it.
    axis
        The readout, -1 (kx) or -2 (ky); `Encoding.readout_dim` gives it.

    Returns
    -------
        K-space, `size` long along the readout, same dtype and units.

    Raises
    ------
    ShapeError
        If `kspace` is not complex or `size` is not between 1 and the length of the readout.

    Notes
    -----
    White noise stays white with the same variance. Lines that were not sampled stay zero; a mask that varies along
    the readout (asymmetric echo) has no exact counterpart afterwards, so partial echoes must be treated before.
    """
    if not kspace.is_complex():
        raise ShapeError(f"`kspace` must be complex, got {kspace.dtype}; pass k-space, not a magnitude image")
    length = kspace.shape[axis]
    if not 1 <= size <= length:
        raise ShapeError(
            f"`size` must be between 1 and the readout length {length}, got {size}; take it from Encoding.readout_size"
        )
    if size == length:
        return kspace
    return fft(crop_or_pad(ifft(kspace, (axis,)), axis, size), (axis,))
