"""The acceptance commands of a radiology archive, as functions over an exported folder; each raises on failure.

They use other people's programs only: dciodvfy, dcentvfy, dcm2niix, dcmdump, highdicom, SimpleITK, nibabel. A check
whose program is missing skips with the reason. Used for the writers here and for the command line elsewhere.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

SAME = (
    *("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SeriesNumber", "PatientID", "Rows", "Columns"),
    *("PixelSpacing", "ImageOrientationPatient", "Manufacturer", "WindowCenter", "WindowWidth"),
)


def program(name: str) -> str:
    """The program of this environment (a recent build) before the system's; skip when there is none."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def output_of(*command: str | Path) -> str:
    """Standard output and error together; the exit status of these tools does not tell errors."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, errors="replace", check=False)
    return done.stdout + done.stderr


def files_of(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.dcm"))
    assert found, f"no DICOM files in {folder}"
    return found


def headers_of(folder: Path) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path) for path in files_of(folder)]


def t1_iod(folder: Path) -> None:
    """No error and no warning from the IOD validator, judged by its text."""
    tool = program("dciodvfy")
    for path in files_of(folder):
        text = output_of(tool, "-new", path)
        assert "MRImage" in text, text
        assert not [line for line in text.splitlines() if line.startswith(("Error", "Warning"))], text


def t2_entities(folder: Path, template: Path | None = None) -> None:
    """No contradiction between the files, nor with the template's, which the files refer to."""
    paths = [*([] if template is None else files_of(template)), *files_of(folder)]
    done = subprocess.run([program("dcentvfy"), *map(str, paths)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (done.stdout + done.stderr).strip(), done.stdout + done.stderr


def t3_identity(folder: Path) -> None:
    """Unique instances, one series, no rescale, values within the stored bits."""
    headers = headers_of(folder)
    instances = [h.SOPInstanceUID for h in headers]
    assert len(set(instances)) == len(instances)
    for keyword in SAME:
        assert len({str(h[keyword].value) for h in headers}) == 1, keyword
    for h in headers:
        assert h.file_meta.MediaStorageSOPInstanceUID == h.SOPInstanceUID
        assert len(h.SOPInstanceUID) <= 64
        assert not any(k in h for k in ("RescaleSlope", "RescaleIntercept", "NumberOfFrames"))
        assert h.pixel_array.max() < 2**h.BitsStored


def t4_slice_geometry(folder: Path) -> None:
    """Orthonormal axes, evenly spaced slices numbered along row x column."""
    headers = sorted(headers_of(folder), key=lambda h: int(h.InstanceNumber))
    row, column = np.array(headers[0].ImageOrientationPatient, float).reshape(2, 3)
    normal = np.cross(row, column)
    assert max(abs(row @ column), abs(row @ row - 1), abs(column @ column - 1)) < 1e-6
    assert [int(h.InstanceNumber) for h in headers] == list(range(1, len(headers) + 1))
    assert float(headers[0].SliceThickness) > 0
    positions = np.array([h.ImagePositionPatient for h in headers], float)
    assert np.allclose(positions @ normal, [float(h.SliceLocation) for h in headers], atol=1e-3)
    if len(headers) > 1:
        steps = np.diff(positions @ normal)
        off = np.diff(positions, axis=0) - steps[:, None] * normal
        assert (steps > 0).all()
        assert np.ptp(steps) < 1e-3
        assert np.abs(off).max() < 1e-3
        assert abs(float(headers[0].SpacingBetweenSlices) - steps.mean()) < 1e-3


def t5_volume(folder: Path) -> NDArray[np.float64]:
    """The affine (slice, row, column -> LPS) by which an independent library builds one volume."""
    highdicom = pytest.importorskip("highdicom")
    return np.asarray(highdicom.get_volume_from_series(headers_of(folder)).affine)


def converted(folder: Path, work: Path) -> Path:
    """The series converted to NIfTI by dcm2niix: exactly one volume."""
    work.mkdir(parents=True, exist_ok=True)
    text = output_of(program("dcm2niix"), "-b", "y", "-z", "n", "-f", "rt", "-o", work, folder)
    found = list(work.glob("*.nii"))
    assert [p.name for p in found] == ["rt.nii"], text
    return found[0]


def t6_round_trip(folder: Path, nifti: Path, work: Path) -> None:
    """The converted series equals our own NIfTI in grid and, up to one factor and half a step, in values."""
    theirs, ours = (nibabel.as_closest_canonical(nibabel.load(p)) for p in (converted(folder, work), nifti))
    assert theirs.shape == ours.shape
    assert np.allclose(theirs.affine, ours.affine, atol=1e-3)
    x, y = theirs.get_fdata().ravel(), ours.get_fdata().ravel()
    factor = (x @ y) / (y @ y)
    assert np.abs(x - factor * y).max() <= 0.51


def landmark(path: Path) -> NDArray[np.float64]:
    """RAS centroid of the voxels above 85 % of the maximum."""
    image = nibabel.load(path)
    data = image.get_fdata()
    bright = np.argwhere(data > 0.85 * data.max()).mean(axis=0)
    return np.asarray(image.affine[:3, :3] @ bright + image.affine[:3, 3])


def t7_landmark(nifti: Path, ball_lps: Sequence[float] | NDArray[np.float64]) -> None:
    """The bright ball is within half a voxel, along every axis, of where it was put."""
    image = nibabel.load(nifti)
    missed = landmark(nifti) - np.asarray(ball_lps) * (-1, -1, 1)
    assert np.abs(np.linalg.solve(image.affine[:3, :3], missed)).max() < 0.5, missed


def t9_nifti(path: Path) -> None:
    """Header without complaints, both forms scanner and equal, millimetres, float32, readable by ITK."""
    text = output_of(program("nib-nifti-dx"), path)
    assert "is clean" in text, text
    image = nibabel.load(path)
    header = image.header
    assert int(header["qform_code"]) == int(header["sform_code"]) == 1
    assert header.get_xyzt_units() == ("mm", "sec")
    assert np.allclose(image.get_qform(), image.get_sform(), atol=1e-3)
    assert header.get_data_dtype() == np.float32
    t9_itk(path)


def t9_itk(path: Path) -> None:
    """ITK reads the file and places its first voxel where nibabel does."""
    itk = pytest.importorskip("SimpleITK")
    image = itk.ReadImage(str(path))
    ours = nibabel.load(path).affine
    origin = np.array(image.GetOrigin()) * (-1, -1, 1)
    assert np.allclose(origin, ours[:3, 3], atol=1e-2)


def t13_privacy(folder: Path, canaries: Sequence[str]) -> None:
    """No canary in a dump or in the raw bytes, no private element."""
    dump = output_of(program("dcmdump"), "-q", "+r", "+sd", folder)
    for word in canaries:
        assert word not in dump
        assert not any(word.encode() in path.read_bytes() for path in files_of(folder))
    for header in headers_of(folder):
        assert not any(element.tag.is_private for element in header.iterall())
