"""Read a NIfTI volume: the counterpart of the writer, with its way from RAS to LPS undone."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from mrirecon.errors import FormatError, GeometryError
from mrirecon.scan.geometry import Geometry


def read_nifti(path: str | Path, *, volume: int = 0) -> tuple[NDArray[np.float32], Geometry]:
    """One volume of a NIfTI file as float32 (z, y, x) with its grid in LPS.

    The axes are transposed, never flipped: ``image[k, j, i]`` is voxel (i, j, k) of the file. Scale slope and
    intercept are applied. The geometry is nominal if neither form code says where the patient is.

    Raises
    ------
    FormatError
        If the file is not a NIfTI image, is damaged, or has no such volume.
    """
    try:
        image = nibabel.load(path)
        values = np.asanyarray(image.dataobj)
    except (ImageFileError, OSError, EOFError, ValueError) as error:
        raise FormatError(path, f"cannot be read as NIfTI ({error}); give a .nii or .nii.gz file") from error
    values = values.reshape(*values.shape[:3], -1)
    if not 0 <= volume < values.shape[3]:
        raise FormatError(path, f"has {values.shape[3]} volumes, volume {volume} was asked for")
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine[:, [2, 1, 0, 3]]
    known = int(image.header["sform_code"]) > 0 or int(image.header["qform_code"]) > 0
    try:
        geometry = Geometry(lps, float(np.linalg.norm(lps[:3, 0])), nominal=not known)
    except GeometryError as error:
        raise FormatError(path, f"its affine is not a grid of right angles: {error}", key="affine") from error
    return np.ascontiguousarray(values[..., volume].transpose(2, 1, 0), dtype=np.float32), geometry
