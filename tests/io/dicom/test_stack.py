"""A series as it lies in the patient: order, gaps, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from mrirecon.errors import FormatError
from mrirecon.io.dicom.series import write_dicom
from mrirecon.io.dicom.stack import read_dicom_stack
from tests.io.phantom_series import make_phantom
from tests.io.scanner_series import scanner_series

SHAPE = (6, 20, 24)


def edit(folder: Path, number: int, **changes: object) -> None:
    path = folder / f"{number:04d}.dcm"
    header = dcmread(path)
    for keyword, value in changes.items():
        setattr(header, keyword, value)
    header.save_as(path)


@pytest.mark.parametrize("left_handed", [False, True])
def test_a_written_series_comes_back(tmp_path: Path, left_handed: bool) -> None:
    phantom = make_phantom(shape=SHAPE, left_handed=left_handed)
    report = write_dicom(phantom.series, tmp_path / "d")
    stack = read_dicom_stack(tmp_path / "d")
    assert (stack.shape, stack.slots, stack.missing, stack.numbered) == (SHAPE, tuple(range(6)), (), "growing")
    assert stack.identity_removed
    assert (stack.study_uid, stack.series_uid) == (report.study_uid, report.series_uid)
    assert stack.frame_of_reference_uid == report.frame_of_reference_uid
    expected = phantom.series.image[::-1] if left_handed else phantom.series.image
    np.testing.assert_allclose(stack.read(), expected * report.factor, atol=0.51)
    for index in ((0, 0, 0), (5, 19, 23)):
        there = phantom.series.geometry.position((5 - index[0] if left_handed else index[0], *index[1:]))
        np.testing.assert_allclose(stack.geometry.position(index), there, atol=2e-3)
    assert stack.uneven_mm < 1e-3


def test_missing_slices_leave_a_gap(tmp_path: Path) -> None:
    phantom = make_phantom(shape=SHAPE)
    report = write_dicom(phantom.series, tmp_path / "d")
    (tmp_path / "d" / "0003.dcm").unlink()
    stack = read_dicom_stack(tmp_path / "d")
    assert stack.missing == (2,)
    assert stack.shape == SHAPE
    volume = stack.read()
    assert not volume[2].any()
    np.testing.assert_allclose(volume[3], phantom.series.image[3] * report.factor, atol=0.51)
    np.testing.assert_allclose(stack.geometry.voxel_size_mm, phantom.series.geometry.voxel_size_mm, rtol=1e-4)


def test_uneven_distances_are_measured_and_scanner_numbering_recognised(tmp_path: Path) -> None:
    folder = scanner_series(tmp_path / "s", phantom=make_phantom(shape=SHAPE))
    assert not read_dicom_stack(folder).identity_removed
    head = dcmread(folder / "0003.dcm")
    normal = np.cross(*np.array(head.ImageOrientationPatient, float).reshape(2, 3))
    edit(
        folder, 3, ImagePositionPatient=[float(f"{v:.4f}") for v in np.array(head.ImagePositionPatient) + 0.9 * normal]
    )
    assert read_dicom_stack(folder).uneven_mm == pytest.approx(0.9, abs=0.2)
    for number in range(1, 7):
        edit(folder, number, InstanceNumber=7 - number)
    assert read_dicom_stack(folder).numbered == "falling"
    edit(folder, 3, InstanceNumber=40)
    assert read_dicom_stack(folder).numbered == "mixed"


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    write_dicom(make_phantom(shape=SHAPE).series, tmp_path / "d")
    (tmp_path / "d" / "notes.txt").write_text("no image")
    assert len(read_dicom_stack(tmp_path / "d").files) == 6


def test_what_cannot_be_compared_is_refused_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="expected a folder"):
        read_dicom_stack(tmp_path / "absent")
    with pytest.raises(FormatError, match="no DICOM images"):
        read_dicom_stack(tmp_path)
    for name, change, words in (
        ("size", {"Rows": 21}, "several sizes"),
        ("frames", {"NumberOfFrames": 2}, "one grey frame"),
        ("place", {"ImagePositionPatient": None}, "needs 3 numbers"),
        ("tilt", {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}, "not parallel"),
        ("series", {"SeriesInstanceUID": "2.25.77"}, "holds 2 series"),
    ):
        folder = tmp_path / name
        write_dicom(make_phantom(shape=(3, 20, 24)).series, folder)
        edit(folder, 2, **change)
        with pytest.raises(FormatError, match=words):
            read_dicom_stack(folder)
    folder = tmp_path / "twice"
    write_dicom(make_phantom(shape=(3, 20, 24)).series, folder)
    edit(folder, 2, ImagePositionPatient=dcmread(folder / "0001.dcm").ImagePositionPatient)
    with pytest.raises(FormatError, match="several images at one place"):
        read_dicom_stack(folder)


def test_pixels_that_cannot_be_decoded_are_refused_when_they_are_read(tmp_path: Path) -> None:
    write_dicom(make_phantom(shape=(2, 20, 24)).series, tmp_path / "d")
    path = tmp_path / "d" / "0002.dcm"
    path.write_bytes(path.read_bytes()[:-100])
    stack = read_dicom_stack(tmp_path / "d")
    with pytest.raises(FormatError, match="cannot be decoded"):
        stack.read()
