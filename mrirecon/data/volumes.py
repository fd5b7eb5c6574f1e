"""Image volumes named by data specifications, read into memory as magnitudes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrirecon.data.spec import DataSpec, load_data_spec, split_files
from mrirecon.errors import ConfigError

ROOT_VARIABLE = "MRIRECON_DATA"
Sizes = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Volume:
    """A magnitude volume.

    Parameters
    ----------
    magnitude
        float32 (z, y, x), arbitrary units, not negative.
    voxel_size_mm
        Along (z, y, x).
    collection
        Name of its data specification; volumes of one collection may show one subject in several contrasts.
    """

    magnitude: NDArray[np.float32]
    voxel_size_mm: Sizes
    collection: str


def read_volumes(spec: DataSpec, split: str, root: str | Path) -> tuple[Volume, ...]:
    """Every volume of one split below `root`.

    Raises
    ------
    ConfigError
        If the specification is not one of image volumes, or has no such split.
    FormatError
        If files are missing or damaged.
    """
    if spec.kind != "images" or spec.reader not in ("nifti", "nrrd", "dicom"):
        raise ConfigError(
            f"{spec.name} holds {spec.kind} read by {spec.reader!r}; training volumes must be images in nifti, nrrd or "
            "dicom"
        )
    files = split_files(spec, split, root)
    if spec.reader == "dicom":
        from mrirecon.io.dicom.images import read_dicom_series  # here and below: pydicom and NiBabel are slow to load

        found = read_dicom_series(files)
    elif spec.reader == "nrrd":
        from mrirecon.io.nrrd import read_nrrd

        found = [read_nrrd(path) for path in files]
    else:
        found = [_nifti(path) for path in files]
    return tuple(Volume(np.abs(values), sizes, spec.name) for values, sizes in found)


def read_training_volumes(specs: Sequence[str | Path], split: str, root: str | Path | None) -> tuple[Volume, ...]:
    """The volumes of one split of several specification files; see `data_root` for `root`."""
    folder = data_root(root)
    return tuple(volume for path in specs for volume in read_volumes(load_data_spec(path), split, folder))


def data_root(root: str | Path | None) -> Path:
    """The folder below which data specifications place their files: the argument, else the variable MRIRECON_DATA.

    Raises
    ------
    ConfigError
        If there is neither, or it is not a folder.
    """
    given = root if root is not None else os.environ.get(ROOT_VARIABLE)
    if given is None:
        raise ConfigError(f"the root of the data is unknown; pass it or set the variable {ROOT_VARIABLE}")
    if not Path(given).is_dir():
        raise ConfigError(f"the root of the data must be a folder, got {given}; pass it or set {ROOT_VARIABLE}")
    return Path(given)


def _nifti(path: Path) -> tuple[NDArray[np.float32], Sizes]:
    from mrirecon.io.nifti.reader import read_nifti

    values, geometry = read_nifti(path)
    return values, geometry.voxel_size_mm
