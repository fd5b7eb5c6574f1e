"""One volume of a folder of results, whatever file it comes from: what it is, where it lies, and its numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import FormatError
from mrirecon.io.dicom.volume import DicomVolume
from mrirecon.io.nifti.reader import nifti_frame, read_nifti
from mrirecon.scan.geometry import Geometry

Format = Literal["nifti", "dicom", "numpy"]
Role = Literal["reconstruction", "reference", "classical", "uncertainty", "difference", "sample", "other"]
_MAX_VOLUMES = 16
_AXES = 3


@dataclass(frozen=True, eq=False)
class Volume:
    """A volume that can be read when it is wanted.

    Parameters
    ----------
    role
        What it is to the study.
    title
        For people.
    shape
        (z, y, x).
    geometry
        Grid in LPS.
    load
        Reads the numbers, float32 (z, y, x).
    stored_as
        Kind of file; decides which factor of the record applies.
    factor
        By which they are multiplied, so that volumes of one study have common units.
    units
        Volumes of equal `units` can be compared number by number; None is comparable with nothing.
    spacing_known
        Whether voxel sizes are those of the object.
    note
        What a reader should know about this volume, or "".
    """

    role: Role
    title: str
    shape: tuple[int, int, int]
    geometry: Geometry
    load: Callable[[], NDArray[np.float32]]
    stored_as: Format
    factor: float = 1.0
    units: str | None = None
    spacing_known: bool = True
    note: str = ""

    def read(self) -> NDArray[np.float32]:
        """The numbers in common units; voxels that are not finite are 0."""
        values = self.load()
        if values.shape != self.shape:
            raise FormatError(Path(self.title), f"expected a volume of {self.shape}, got {values.shape}")
        if self.factor != 1.0:
            values = values * np.float32(self.factor)
        return np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)

    def with_(self, *, role: Role | None = None, title: str | None = None) -> Volume:
        """The same volume in another part."""
        return replace(self, role=role or self.role, title=title or self.title)


def nifti_volumes(path: Path, role: Role, title: str) -> list[Volume]:
    """The volumes of a NIfTI file, `_MAX_VOLUMES` at most.

    Raises
    ------
    FormatError
        If its header cannot be read.
    """
    frame = nifti_frame(path)
    note = "magnitude of complex values" if frame.complex_valued else ""
    shown = min(frame.n_volumes, _MAX_VOLUMES)
    if frame.n_volumes > shown:
        note = "; ".join([*([note] if note else []), f"the first {shown} of {frame.n_volumes} volumes"])

    def reader(number: int) -> Callable[[], NDArray[np.float32]]:
        return lambda: read_nifti(path, volume=number)[0]

    return [
        Volume(
            role if number == 0 else "other",
            title if shown == 1 else f"{title} {number + 1}",
            frame.shape,
            frame.geometry,
            reader(number),
            "nifti",
            note=note,
        )
        for number in range(shown)
    ]


def dicom_volume(found: DicomVolume, role: Role, title: str) -> Volume:
    """A DICOM series."""
    note = "" if found.spacing_known else "pixel spacing is not in the files"
    return Volume(
        role, title, found.shape, found.geometry, found.read, "dicom", spacing_known=found.spacing_known, note=note
    )


def numpy_volume(path: Path, role: Role, title: str, geometry: Geometry | None) -> Volume:
    """A NumPy array (z, y, x) or (y, x); complex ones as magnitude.

    Parameters
    ----------
    geometry
        Of the study; None where it is not known.

    Raises
    ------
    FormatError
        If it is no such array.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FormatError(path, f"cannot be read as a NumPy array ({error})") from error
    if array.ndim not in (2, _AXES) or array.dtype.kind not in "iufcb" or array.size == 0:
        raise FormatError(path, f"expected a numeric volume (z, y, x), got shape {array.shape} of {array.dtype}")
    shape = (1, *array.shape)[-_AXES:]
    z, y, x = (int(n) for n in shape)
    known = geometry is not None
    grid = geometry or Geometry.placeholder(shape=(z, y, x), voxel_size_mm=(1.0, 1.0, 1.0), slice_thickness_mm=1.0)
    note = "" if known else "voxel sizes are not in the file"

    def load() -> NDArray[np.float32]:
        values = np.load(path, allow_pickle=False).reshape(z, y, x)
        return np.asarray(np.abs(values) if np.iscomplexobj(values) else values, dtype=np.float32)

    return Volume(role, title, (z, y, x), grid, load, "numpy", spacing_known=known, note=note)
