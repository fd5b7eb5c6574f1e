"""Removal of the readout oversampling: crop the field of view along x, in image space."""

from __future__ import annotations

from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.linalg.fft import crop_or_pad, fft, ifft


def remove_readout_oversampling(kspace: Tensor, size: int) -> Tensor:
    """K-space of the central `size` image columns.

    The image is cropped along x from M to N columns starting at ``M // 2 - N // 2``, so that the column at the origin
    ``M // 2`` becomes the column at the new origin ``N // 2``; image values do not change (orthonormal transforms).

    Parameters
    ----------
    kspace
        K-space, shape (*batch, ky, kx) with any leading axes; the readout is the last axis, sampled completely or
        zero at its ends.
    size
        Columns to keep, from 1 to the present number; `Encoding.readout_size` gives it.

    Returns
    -------
        K-space, shape (*batch, ky, size), same dtype and units.

    Raises
    ------
    ShapeError
        If `kspace` is not complex or `size` is not between 1 and the length of the readout.

    Notes
    -----
    White noise stays white with the same variance. Lines that were not sampled stay zero; a mask that varies along
    kx (asymmetric echo) has no exact counterpart afterwards, so partial echoes must be treated before.
    """
    if not kspace.is_complex():
        raise ShapeError(f"`kspace` must be complex, got {kspace.dtype}; pass k-space, not a magnitude image")
    if not 1 <= size <= kspace.shape[-1]:
        raise ShapeError(
            f"`size` must be between 1 and the readout length {kspace.shape[-1]}, got {size}; "
            "take it from Encoding.readout_size"
        )
    if size == kspace.shape[-1]:
        return kspace
    return fft(crop_or_pad(ifft(kspace, (-1,)), -1, size), (-1,))
