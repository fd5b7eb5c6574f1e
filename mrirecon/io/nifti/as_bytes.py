"""A volume as the bytes of an uncompressed NIfTI-1 file, for a viewer on the same machine."""

from __future__ import annotations

import nibabel
import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import ShapeError

_ALIGNED = 2


def nifti_bytes(values: NDArray[np.float32], affine_ras: NDArray[np.float64], *, window: tuple[float, float]) -> bytes:
    """The file, little-endian float32, with equal sform and qform and the window in ``cal_min`` and ``cal_max``.

    Parameters
    ----------
    values
        Shape (z, y, x), finite.
    affine_ras
        Index (x, y, z) to RAS in millimetres, orthogonal axes.
    window
        Values shown as black and white.

    Raises
    ------
    ShapeError
        If `values` is not a volume.
    """
    if values.ndim != 3 or values.size == 0:
        raise ShapeError(f"`values` must be a volume (z, y, x), got shape {values.shape}")
    image = nibabel.Nifti1Image(values.astype("<f4", copy=False).transpose(2, 1, 0), affine_ras)
    image.set_sform(affine_ras, _ALIGNED)
    image.set_qform(affine_ras, _ALIGNED)
    image.header.set_xyzt_units("mm", "sec")
    image.header["cal_min"], image.header["cal_max"] = window
    return bytes(image.to_bytes())
