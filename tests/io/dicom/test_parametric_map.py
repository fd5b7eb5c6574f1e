"""Parametric maps: the same numbers at the same places as the integer series, read by other people's programs."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ParametricMapStorage

from mrirecon.errors import ConfigError
from mrirecon.io.dicom.parametric_map import write_parametric_map
from mrirecon.io.dicom.series import write_dicom
from mrirecon.scan import ImageSeries
from tests.acceptance import checks
from tests.io.phantom_series import make_phantom

CLOCK = datetime(2026, 1, 2, 3, 4, 5)


def spread_series(**options: bool) -> ImageSeries:
    series = make_phantom(shape=(5, 40, 48), **options).series
    return dataclasses.replace(series, image=0.03 * series.image, quantity="standard_deviation")


@pytest.mark.parametrize("left_handed", [False, True])
def test_values_and_places_are_those_of_the_integer_series(tmp_path: Path, left_handed: bool) -> None:
    spread = spread_series(left_handed=left_handed)
    integers = write_dicom(spread, tmp_path / "std", clock=CLOCK)
    factor = integers.factor / 16
    report = write_parametric_map(
        spread, tmp_path / "map", beside=integers.paths, factor=factor, series_number=5, clock=CLOCK
    )
    made = pydicom.dcmread(report.path)
    heads = [pydicom.dcmread(p) for p in integers.paths]
    assert made.SOPClassUID == ParametricMapStorage
    assert (made.StudyInstanceUID, made.FrameOfReferenceUID) == (
        heads[0].StudyInstanceUID,
        heads[0].FrameOfReferenceUID,
    )
    values = made.pixel_array
    assert values.dtype == np.float32
    for frame, head, group in zip(values, heads, made.PerFrameFunctionalGroupsSequence, strict=True):
        np.testing.assert_allclose(16 * frame, head.pixel_array, atol=0.5)
        assert group.PlanePositionSequence[0].ImagePositionPatient == head.ImagePositionPatient
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        assert source.ReferencedSOPInstanceUID == head.SOPInstanceUID
    assert made.SeriesDescription.endswith("STD MAP")
    text = checks.output_of(checks.program("dciodvfy"), "-new", report.path)
    assert "ParametricMap" in text
    assert not [line for line in text.splitlines() if line.startswith(("Error", "Warning"))], text


def test_another_program_reads_the_same_volume(tmp_path: Path) -> None:
    highdicom = pytest.importorskip("highdicom")
    spread = spread_series()
    integers = write_dicom(spread, tmp_path / "std", clock=CLOCK)
    report = write_parametric_map(spread, tmp_path / "map", beside=integers.paths, factor=3e5, series_number=5)
    volume = highdicom.imread(report.path).get_volume()
    expected = highdicom.get_volume_from_series([pydicom.dcmread(p) for p in integers.paths])
    np.testing.assert_allclose(volume.affine, expected.affine, atol=1e-4)
    np.testing.assert_allclose(volume.array, 3e5 * expected.array, atol=0.51 * 3e5 / integers.factor)


def test_refusals(tmp_path: Path) -> None:
    spread = spread_series()
    paths = write_dicom(spread, tmp_path / "std", clock=CLOCK).paths
    magnitude = dataclasses.replace(spread, quantity="magnitude")
    with pytest.raises(ConfigError, match="holds a standard deviation"):
        write_parametric_map(magnitude, tmp_path / "x", beside=paths, factor=1.0, series_number=5)
    with pytest.raises(ConfigError, match="expected 5, got 4"):
        write_parametric_map(spread, tmp_path / "x", beside=paths[:4], factor=1.0, series_number=5)
    with pytest.raises(ConfigError, match="`factor` must be positive"):
        write_parametric_map(spread, tmp_path / "x", beside=paths, factor=0.0, series_number=5)
    with pytest.raises(ConfigError, match="`series_number` must be positive"):
        write_parametric_map(spread, tmp_path / "x", beside=paths, factor=1.0, series_number=0)
    assert not (tmp_path / "x").exists()
