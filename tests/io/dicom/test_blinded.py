"""The blinded writer: pixels and places are those of the series, everything else is constant or given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from mrirecon.errors import FormatError, OutputError, ShapeError
from mrirecon.io.dicom.blinded import IDENTITY, KEPT, BlindIdentity, header_values, write_blinded
from mrirecon.io.dicom.series import write_dicom
from mrirecon.io.intensity import Intensity
from tests.io.phantom_series import make_phantom

SHAPE = (4, 20, 24)
LEVELS = Intensity(1e8, 0, 3000, 0)


def identity(n: int = SHAPE[0], side: str = "") -> BlindIdentity:
    return BlindIdentity("BCDFGH", side, "2.25.1", "2.25.2", "2.25.3", tuple(f"2.25.1{i}" for i in range(n)))


@pytest.mark.parametrize("left_handed", [False, True])
def test_pixels_and_places_are_those_of_the_series(left_handed: bool, tmp_path: Path) -> None:
    series = make_phantom(shape=SHAPE, left_handed=left_handed).series
    factor = 1e8
    paths = write_blinded(series, tmp_path / "a", identity=identity(), intensity=Intensity(factor, 250, 1750, 0))
    plain = write_dicom(series, tmp_path / "b", factor=factor)
    for number, (path, other) in enumerate(zip(paths, plain.paths, strict=True)):
        index = SHAPE[0] - 1 - number if left_handed else number
        ours, theirs = pydicom.dcmread(path), pydicom.dcmread(other)
        np.testing.assert_array_equal(ours.pixel_array, np.rint(series.image[index].astype(np.float64) * factor))
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceLocation"):
            assert ours[keyword].value == theirs[keyword].value, keyword
        assert (ours.WindowCenter, ours.WindowWidth) == (1000.5, 1501)
        assert (ours.InstanceNumber, ours.SpacingBetweenSlices) == (number + 1, theirs.SpacingBetweenSlices)
        assert (ours.SOPInstanceUID, ours.file_meta.MediaStorageSOPInstanceUID) == (f"2.25.1{number}",) * 2


def test_nothing_of_how_it_was_made_is_kept(tmp_path: Path) -> None:
    """Every attribute that the ordinary writer writes is on the list or gone; two origins give equal headers."""
    phantom = make_phantom(shape=SHAPE).series
    learned = replace(
        phantom.derivation,
        method="varnet",
        summary="varnet, R=8",
        kind="learned",
        parameters={"a": 1},
        input_sha256="00",
    )
    other = replace(phantom, derivation=learned, description="VARNET", warnings=("made with a network",))
    heads = []
    for name, series in (("a", phantom), ("b", other)):
        (path, *_) = write_blinded(series, tmp_path / name, identity=identity(), intensity=LEVELS)
        heads.append(header_values(path))
    assert heads[0] == heads[1]
    dataset = pydicom.dcmread(path)
    assert {e.keyword for e in dataset} <= KEPT
    text = str(heads[0]).lower()
    for word in ("sense", "varnet", "network", "siemens", "skyra", "t2_tse", "abab", "1234abcd"):
        assert word not in text, word
    assert (dataset.EchoTime, dataset.RepetitionTime, dataset.BodyPartExamined) == (90, 4000, "BRAIN")
    assert dataset.SyntheticData == "YES", "that the data are simulated stays: it is true of the whole scan"


def test_left_out_slices_keep_their_places(tmp_path: Path) -> None:
    series = make_phantom(shape=SHAPE).series
    step = series.geometry.affine[:3, 0]
    for name, offsets, spacing in (("even", (0, 3, 6, 9), 3 * 3.6), ("uneven", (0, 2, 3, 9), None)):
        paths = write_blinded(series, tmp_path / name, identity=identity(), intensity=LEVELS, offsets=offsets)
        heads = [pydicom.dcmread(p) for p in paths]
        first = np.array(heads[0].ImagePositionPatient, float)
        for head, offset in zip(heads, offsets, strict=True):
            np.testing.assert_allclose(np.array(head.ImagePositionPatient, float) - first, step * offset, atol=1e-5)
        assert heads[0].get("SpacingBetweenSlices") == (pytest.approx(spacing) if spacing else None)


def test_a_nominal_geometry_says_so(tmp_path: Path) -> None:
    series = make_phantom(shape=SHAPE, nominal=True).series
    (path, *_) = write_blinded(series, tmp_path / "a", identity=identity(side="B"), intensity=LEVELS)
    head = pydicom.dcmread(path)
    assert head.SeriesDescription == "READING BCDFGH B GEOM-NOMINAL"
    assert "nominal" in head.ImageComments
    assert (head.SeriesNumber, head.PatientID, str(head.PatientName)) == (2, "BCDFGH", "READING^BCDFGH")


def test_wrong_counts_are_refused_and_identity_is_listed(tmp_path: Path) -> None:
    series = make_phantom(shape=SHAPE).series
    with pytest.raises(ShapeError, match="4 slices needs 4 instance identifiers and offsets, got 3 and 4"):
        write_blinded(series, tmp_path / "a", identity=identity(3), intensity=LEVELS)
    bad = replace(identity(), instance_uids=("x y",) * 4)
    with pytest.raises(OutputError, match="SOPInstanceUID"):
        write_blinded(series, tmp_path / "b", identity=bad, intensity=LEVELS)
    assert set(IDENTITY) <= KEPT
    (tmp_path / "c.dcm").write_bytes(b"nothing")
    with pytest.raises(FormatError, match="cannot be read as DICOM"):
        header_values(tmp_path / "c.dcm")
