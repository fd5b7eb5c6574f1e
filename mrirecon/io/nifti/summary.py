"""What a NIfTI file is, from its header alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError

from mrirecon.errors import FormatError

_FREE_TEXT = ("descrip", "aux_file", "intent_name", "db_name")
_MAX_AXES = 3


def nifti_summary(path: str | Path) -> dict[str, Any]:
    """Shape, voxel size, orientation and free-text fields that are filled (their names only).

    Raises
    ------
    FormatError
        If the header cannot be read.
    """
    try:
        image: Any = nibabel.load(path)
        shape, header, affine = image.shape, image.header, image.affine
    except (ImageFileError, OSError, EOFError, ValueError) as error:
        raise FormatError(path, f"cannot be read as NIfTI: {error}; copy it again") from None
    zooms = [float(v) for v in header.get_zooms()]
    known = int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0
    filled = [name for name in _FREE_TEXT if name in header and bytes(header[name].tobytes()).strip(b"\0 ")]
    return {
        "shape_xyz": [int(n) for n in shape],
        "dtype": str(header.get_data_dtype()),
        "voxel_size_mm_xyz": [round(v, 4) for v in zooms[:_MAX_AXES]],
        "orientation": "".join(nibabel.aff2axcodes(affine)) if np.isfinite(affine).all() else None,
        "orientation_known": known,
        "codes": {"sform": int(header["sform_code"]), "qform": int(header["qform_code"])},
        "identifiers_present": filled,
        "notes": []
        if known
        else ["Neither form code is set: orientation and position are those of the array, not of the patient."],
    }
