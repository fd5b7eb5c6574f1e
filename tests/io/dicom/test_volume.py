"""DICOM folders as volumes with their place in the patient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from mrirecon.io.dicom.series import write_dicom
from mrirecon.io.dicom.volume import dicom_volumes
from tests.io.phantom_series import make_phantom


@pytest.mark.parametrize("left_handed", [False, True])
def test_a_written_series_comes_back_with_its_place(tmp_path: Path, left_handed: bool) -> None:
    phantom = make_phantom(shape=(5, 20, 24), left_handed=left_handed)
    report = write_dicom(phantom.series, tmp_path / "dicom")
    (volume,), problems = dicom_volumes((tmp_path / "dicom").iterdir())
    assert not problems
    assert not volume.geometry.nominal
    assert volume.shape == (5, 20, 24)
    values = volume.read()
    expected = phantom.series.image * report.factor
    expected = expected[::-1] if left_handed else expected  # DICOM orders slices along row x column
    np.testing.assert_allclose(values, expected, atol=0.51)
    there = phantom.series.geometry.position((4 if left_handed else 0, 0, 0))
    np.testing.assert_allclose(volume.geometry.position((0, 0, 0)), there, atol=1e-3)
    corner = phantom.series.geometry.position((0 if left_handed else 4, 19, 23))
    np.testing.assert_allclose(volume.geometry.position((4, 19, 23)), corner, atol=2e-3)


def test_nominal_geometry_and_missing_positions_are_nominal(tmp_path: Path) -> None:
    write_dicom(make_phantom(shape=(3, 20, 24), nominal=True).series, tmp_path / "nominal")
    (volume,), _ = dicom_volumes((tmp_path / "nominal").iterdir())
    assert volume.geometry.nominal
    for path in (tmp_path / "nominal").iterdir():
        image = dcmread(path)
        del image.ImagePositionPatient, image.PixelSpacing
        image.save_as(path)
    (volume,), _ = dicom_volumes((tmp_path / "nominal").iterdir())
    assert volume.geometry.nominal
    assert not volume.spacing_known
    assert volume.geometry.voxel_size_mm[1:] == (1.0, 1.0)


def test_a_single_slice_has_its_thickness(tmp_path: Path) -> None:
    write_dicom(make_phantom(shape=(1, 20, 24)).series, tmp_path / "one")
    (volume,), _ = dicom_volumes((tmp_path / "one").iterdir())
    assert volume.shape == (1, 20, 24)
    assert volume.geometry.voxel_size_mm[0] == pytest.approx(3.0)


def test_other_files_are_passed_over_and_uneven_slices_named(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    write_dicom(make_phantom(shape=(4, 20, 24)).series, folder)
    (folder / "notes.txt").write_text("no image")
    next(p for p in sorted(folder.iterdir()) if p.suffix == ".dcm").unlink()
    sorted(folder.glob("*.dcm"))[1].unlink()
    write_dicom(make_phantom(shape=(2, 16, 24)).series, tmp_path / "other")
    files = [*folder.iterdir(), *(tmp_path / "other").iterdir()]
    volumes, problems = dicom_volumes(files)
    assert [v.shape for v in volumes] == [(2, 20, 24), (2, 16, 24)] or len(volumes) == 2
    assert not problems
    write_dicom(make_phantom(shape=(4, 20, 24)).series, tmp_path / "gap")
    sorted((tmp_path / "gap").glob("*.dcm"))[1].unlink()
    volumes, (problem,) = dicom_volumes((tmp_path / "gap").iterdir())
    assert not volumes
    assert "equal ones" in problem
    assert str(tmp_path) not in problem


def test_positions_rounded_by_a_scanner_are_a_grid(tmp_path: Path) -> None:
    write_dicom(make_phantom(shape=(9, 20, 24)).series, tmp_path / "dicom")
    for path in (tmp_path / "dicom").iterdir():
        image = dcmread(path)
        image.ImagePositionPatient = [round(float(v), 1) for v in image.ImagePositionPatient]
        image.save_as(path)
    (volume,), problems = dicom_volumes((tmp_path / "dicom").iterdir())
    assert not problems
    assert volume.geometry.voxel_size_mm[0] == pytest.approx(3.6, rel=0.01)
