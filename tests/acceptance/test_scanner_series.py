"""Real scanner series as templates: what synthetic headers do not hold (private elements, odd values, rounding)."""

from __future__ import annotations

import dataclasses
import os
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest

from mrirecon.errors import GeometryError
from mrirecon.io.dicom.series import write_dicom
from mrirecon.scan import Geometry, ImageSeries
from tests.acceptance import checks
from tests.io.phantom_series import make_phantom

DATA = Path(os.environ.get("MRIRECON_DATA", Path(__file__).parents[2].parent / "shared" / "data")) / "dicom"
SERIES = ("SAG-anon_mprage", "papaya_pd")

pytestmark = [pytest.mark.data, pytest.mark.slow]


def scanner(name: str) -> tuple[Path, ImageSeries]:
    """The folder, and its content as if it had been reconstructed: tiny floats on the scanner's grid."""
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not in the shared data; set MRIRECON_DATA")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [pydicom.dcmread(p) for p in sorted(folder.glob("*.dcm"))]
        row, column = np.array(found[0].ImageOrientationPatient, float).reshape(2, 3)
        normal = np.cross(row, column)
        found.sort(key=lambda h: float(np.array(h.ImagePositionPatient, float) @ normal))
        positions = np.array([h.ImagePositionPatient for h in found], float)
        dy, dx = (float(v) for v in found[0].PixelSpacing)
        affine = np.eye(4)
        step = (positions[-1] - positions[0]) / (len(found) - 1)
        affine[:3] = np.stack([step, column * dy, row * dx, positions[0]], axis=1)
        image = np.stack([h.pixel_array for h in found]).astype(np.float32) * np.float32(1e-8)
        geometry = Geometry(affine, float(found[0].SliceThickness))
    return folder, dataclasses.replace(make_phantom(shape=(2, 8, 8)).series, image=image, geometry=geometry)


@pytest.mark.parametrize("name", SERIES)
def test_export_with_the_scanners_own_series_as_template(name: str, tmp_path: Path) -> None:
    folder, series = scanner(name)
    report = write_dicom(series, tmp_path / "x", template=folder)
    for check in (checks.t3_identity, checks.t4_slice_geometry):
        check(tmp_path / "x")
    checks.t13_privacy(tmp_path / "x", ())
    head = pydicom.dcmread(report.paths[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = pydicom.dcmread(next(folder.glob("*.dcm")), stop_before_pixels=True)
        for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "StudyDate", "EchoTime", "FlipAngle"):
            assert str(head[keyword].value) == str(source[keyword].value), keyword


def test_no_contradiction_with_the_scanners_study(tmp_path: Path) -> None:
    folder, series = scanner("SAG-anon_mprage")
    write_dicom(series, tmp_path / "x", template=folder)
    text = checks.output_of(checks.program("dcentvfy"), *checks.files_of(folder), *checks.files_of(tmp_path / "x"))
    # the scanner's files point at localisers that are not in the folder
    ours = [line for line in text.splitlines() if "Missing SOPInstanceUID" not in line]
    assert ours == []


@pytest.mark.parametrize("name", SERIES)
def test_position_is_taken_over_only_when_the_anatomy_agrees(name: str, tmp_path: Path) -> None:
    folder, series = scanner(name)
    n, y, x = series.image.shape
    nominal = Geometry.placeholder(shape=(n, y, x), voxel_size_mm=series.geometry.voxel_size_mm, slice_thickness_mm=1.0)
    report = write_dicom(dataclasses.replace(series, geometry=nominal), tmp_path / "x", template=folder)
    np.testing.assert_allclose(report.geometry.affine, series.geometry.affine, atol=1e-6)
    for axis in range(3):
        turned = np.ascontiguousarray(np.flip(series.image, axis))
        with pytest.raises(GeometryError, match=f"reversing {'zyx'[axis]}"):
            write_dicom(dataclasses.replace(series, geometry=nominal, image=turned), tmp_path / "y", template=folder)
