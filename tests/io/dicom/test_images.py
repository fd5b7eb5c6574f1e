"""DICOM series as volumes: order, rescaling, grouping, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from mrirecon.errors import FormatError
from mrirecon.io.dicom.images import dicom_series_with_geometry, read_dicom_series
from tests.io.shared_data import shared

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
OBLIQUE = [0.8, 0.6, 0.0, 0.0, 0.0, -1.0]
NORMAL = np.cross(OBLIQUE[:3], OBLIQUE[3:])


def write(path: Path, pixels: np.ndarray, place_mm: float, *, series: str = "1.2.3", **changes: object) -> Path:
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = MR_IMAGE
    image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    image.SOPClassUID, image.SOPInstanceUID = MR_IMAGE, image.file_meta.MediaStorageSOPInstanceUID
    image.SeriesInstanceUID = series
    image.Rows, image.Columns = pixels.shape
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 0
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.PixelSpacing = [0.7, 0.9]
    image.ImageOrientationPatient = OBLIQUE
    image.ImagePositionPatient = [float(round(value, 6)) for value in np.array([3.0, -4.0, 5.0]) + place_mm * NORMAL]
    image.PixelData = pixels.astype("<u2").tobytes()
    for name, value in changes.items():
        if value is None:
            del image[name]
        else:
            setattr(image, name, value)
    image.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def slices() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4000, (5, 6, 7))


def test_slices_are_sorted_by_place_and_rescaled(tmp_path: Path, slices: np.ndarray) -> None:
    places = [10.0, -5.0, 0.0, 5.0, -10.0]
    files = [
        write(tmp_path / f"{i}.dcm", pixels, place, RescaleSlope=0.5, RescaleIntercept=3.0)
        for i, (pixels, place) in enumerate(zip(slices, places, strict=True))
    ]
    ((volume, sizes),) = read_dicom_series(files)
    assert volume.dtype == np.float32
    np.testing.assert_allclose(volume, slices[np.argsort(places)] * 0.5 + 3.0)
    assert sizes == pytest.approx((5.0, 0.7, 0.9), abs=1e-4)


def test_voxels_lie_where_their_files_say(tmp_path: Path, slices: np.ndarray) -> None:
    places = [10.0, -5.0, 0.0, 5.0, -10.0]
    files = [
        write(tmp_path / f"{i}.dcm", pixels, place)
        for i, (pixels, place) in enumerate(zip(slices, places, strict=True))
    ]
    ((volume, geometry),) = dicom_series_with_geometry(files)
    assert not geometry.nominal
    k, j, i = np.argwhere(volume == slices[3, 2, 5])[0]  # the slice at 5 mm, row 2, column 5
    right, down = np.array(OBLIQUE[:3]), np.array(OBLIQUE[3:])
    expected = np.array([3.0, -4.0, 5.0]) + 5.0 * NORMAL + 2 * 0.7 * down + 5 * 0.9 * right
    np.testing.assert_allclose((geometry.affine @ [k, j, i, 1])[:3], expected, atol=1e-4)
    uneven = [*files[:4], write(tmp_path / "4.dcm", slices[4], -30.0)]
    assert dicom_series_with_geometry(uneven)[0][1].nominal


def test_every_series_and_matrix_is_a_volume_of_its_own(tmp_path: Path, slices: np.ndarray) -> None:
    files = [write(tmp_path / f"a{i}.dcm", slices[i], 2.0 * i, series="1.2.3") for i in range(3)]
    files += [write(tmp_path / f"b{i}.dcm", slices[i], 2.0 * i, series="1.2.4") for i in range(2)]
    files += [write(tmp_path / "c.dcm", slices[0, :4], 0.0, series="1.2.4", SliceThickness=4.0)]
    volumes = read_dicom_series(files)
    assert sorted(volume.shape for volume, _ in volumes) == [(1, 4, 7), (2, 6, 7), (3, 6, 7)]
    assert {volume.shape: sizes[0] for volume, sizes in volumes}[(1, 4, 7)] == 4.0


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"ImagePositionPatient": None}, "ImagePositionPatient"),
        ({"PixelSpacing": None}, "PixelSpacing"),
        ({"NumberOfFrames": 2}, "one grey frame"),
        ({"SamplesPerPixel": 3}, "one grey frame"),
        ({"PixelData": None}, "cannot be decoded"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}, "not parallel"),
        ({}, "same place"),
    ],
)
def test_what_is_no_series_is_refused(
    tmp_path: Path, slices: np.ndarray, changes: dict[str, object], word: str
) -> None:
    files = [write(tmp_path / "0.dcm", slices[0], 0.0), write(tmp_path / "1.dcm", slices[1], 0.0, **changes)]
    with pytest.raises(FormatError, match=word):
        read_dicom_series(files)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.dcm").write_bytes(b"no DICOM")
    with pytest.raises(FormatError, match="cannot be read as DICOM"):
        read_dicom_series([tmp_path / "x.dcm"])


def test_itk_reads_the_same_volume() -> None:
    itk = pytest.importorskip("SimpleITK")
    folder = shared("dicom/papaya_pd")
    ((volume, sizes),) = read_dicom_series(sorted(folder.glob("*.dcm")))
    names = itk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    image = itk.ReadImage(names)
    np.testing.assert_array_equal(volume, itk.GetArrayFromImage(image).astype(np.float32))
    # the steps vary by 1 %: the median here, the mean there
    assert sizes == pytest.approx(image.GetSpacing()[::-1], rel=1e-2)
