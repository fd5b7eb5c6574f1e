"""Read a NIfTI volume: the counterpart of the writer, with its way from RAS to LPS undone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from mrirecon.errors import FormatError, GeometryError
from mrirecon.scan.geometry import Geometry

_FROM_HEADER = "GEOM-NOMINAL"


@dataclass(frozen=True)
class NiftiFrame:
    """What a NIfTI header says of its volumes.

    Parameters
    ----------
    shape
        Of one volume (z, y, x).
    geometry
        Grid in LPS.
    n_volumes
        How many volumes the file holds.
    description
        The free text of the header.
    complex_valued
        Whether the values are complex; `read_nifti` gives their magnitude.
    """

    shape: tuple[int, int, int]
    geometry: Geometry
    n_volumes: int
    description: str
    complex_valued: bool


def nifti_frame(path: str | Path) -> NiftiFrame:
    """Shape and grid of a NIfTI file, from its header alone.

    Raises
    ------
    FormatError
        If the file is not a NIfTI image of numbers, or its axes are not orthogonal.
    """
    try:
        return _frame(path, nibabel.load(path))
    except (ImageFileError, OSError, EOFError, ValueError) as error:
        raise _unreadable(path, error) from error


def read_nifti(path: str | Path, *, volume: int = 0) -> tuple[NDArray[np.float32], Geometry]:
    """One volume of a NIfTI file as float32 (z, y, x) with its grid in LPS.

    The axes are transposed, never flipped: ``image[k, j, i]`` is voxel (i, j, k) of the file. Scale slope and
    intercept are applied; of complex values the magnitude is given. The geometry is nominal if neither form code says
    where the patient is, or the description says so (`write_nifti`).

    Raises
    ------
    FormatError
        If the file is not a NIfTI image, is damaged, or has no such volume.
    """
    try:
        image = nibabel.load(path)
        frame = _frame(path, image)
        if not 0 <= volume < frame.n_volumes:
            raise FormatError(path, f"has {frame.n_volumes} volumes, volume {volume} was asked for")
        values = np.asanyarray(image.dataobj)
    except FormatError:
        raise
    except (ImageFileError, OSError, EOFError, ValueError) as error:
        raise _unreadable(path, error) from error
    chosen = values.reshape(*frame.shape[::-1], -1)[..., volume]
    chosen = np.abs(chosen) if frame.complex_valued else chosen
    return np.ascontiguousarray(chosen.transpose(2, 1, 0), dtype=np.float32), frame.geometry


def _unreadable(path: str | Path, error: Exception) -> FormatError:
    if isinstance(error, FormatError):
        return error
    return FormatError(path, f"cannot be read as NIfTI ({error}); give a .nii or .nii.gz file")


def _frame(path: str | Path, image: Any) -> NiftiFrame:
    kind = image.get_data_dtype().kind
    if kind not in "iufc":
        raise FormatError(path, f"holds {image.get_data_dtype()} values, expected numbers; colours are not read")
    x, y, z, *rest = (*(int(n) for n in image.shape), 1, 1)[: max(3, len(image.shape))]
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine[:, [2, 1, 0, 3]]
    description = bytes(image.header["descrip"].tobytes()).rstrip(b"\0 ").decode("ascii", "replace")
    known = int(image.header["sform_code"]) > 0 or int(image.header["qform_code"]) > 0
    nominal = not known or _FROM_HEADER in description
    try:
        geometry = Geometry(lps, float(np.linalg.norm(lps[:3, 0])), nominal=nominal)
    except GeometryError as error:
        raise FormatError(path, f"its affine is not a grid of right angles: {error}", key="affine") from error
    return NiftiFrame((z, y, x), geometry, math.prod(rest), description, kind == "c")
