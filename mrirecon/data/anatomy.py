"""Real MR anatomy for demonstrations, from a package that is installed anyway."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import FormatError, MissingDependencyError
from mrirecon.io.nifti.reader import read_nifti
from mrirecon.scan.geometry import Geometry

_FILE = ("tests", "data", "example4d.nii.gz")
_SHA256 = "42097dfbab9d2a036b41ae5c97a359591cf2cf5c3f8dc6ca6455c0b8a7f22696"


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A magnitude volume and where it comes from.

    Parameters
    ----------
    volume
        float32 (z, y, x), arbitrary units, not negative; rows run from anterior to posterior, columns to the left.
    geometry
        Its grid in the patient, as the scanner recorded it.
    description
        What it shows.
    licence, source
        Under which terms, and from where.
    """

    volume: NDArray[np.float32]
    geometry: Geometry
    description: str
    licence: str
    source: str


def load_anatomy() -> Anatomy:
    """A human brain in vivo: the example volume that NiBabel ships, at its own resolution.

    24 oblique axial slices of 96 x 128 voxels, 2.2 x 2 x 2 mm, gradient-echo EPI, skull removed (no face). Only the
    magnitude exists, so what is made from it has "simulated coils, phase and noise".

    Raises
    ------
    MissingDependencyError
        If this installation of NiBabel was stripped of its test data.
    FormatError
        If the file is not the one this was written for.
    """
    spec = importlib.util.find_spec("nibabel")
    folders = spec.submodule_search_locations if spec is not None else None
    path = Path(folders[0], *_FILE) if folders else None
    if path is None or not path.is_file():
        raise MissingDependencyError(
            f"the demonstration's anatomy is NiBabel's {'/'.join(_FILE)}, which this installation lacks "
            "(distributions may strip it); install the wheel with: pip install --force-reinstall 'mrirecon[demo]'"
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != _SHA256:
        raise FormatError(path, f"the SHA-256 must be {_SHA256}, got {found}; reinstall nibabel")
    volume, geometry = read_nifti(path)
    return Anatomy(
        volume=np.ascontiguousarray(volume[:, ::-1, :]),
        geometry=geometry.flipped(1, volume.shape[1]),
        description="human brain in vivo, axial T2*-weighted gradient-echo EPI, skull removed",
        licence="MIT (NiBabel, COPYING: code, examples and data unless listed otherwise)",
        source="nibabel/tests/data/example4d.nii.gz, first volume",
    )
