from __future__ import annotations

import dataclasses
import errno
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import config
from pydicom.dataset import Dataset

from mrirecon.errors import ConfigError, FormatError, GeometryError, OutputError
from mrirecon.io.dicom.elements import decimal, derived_uid, put, text
from mrirecon.io.dicom.series import write_dicom
from mrirecon.scan import Geometry, Protocol
from tests.acceptance import checks
from tests.io.phantom_series import VOXEL_MM, make_phantom
from tests.io.scanner_series import scanner_series

CLOCK = datetime(2026, 1, 2, 3, 4, 5, 678000)
SMALL = (5, 30, 36)


def written(folder: Path, **changes: Any) -> list[Dataset]:
    phantom = make_phantom(**({"shape": SMALL} | changes))
    return [pydicom.dcmread(p) for p in write_dicom(phantom.series, folder, clock=CLOCK).paths]


def test_pixels_are_the_scaled_image_in_order(tmp_path: Path) -> None:
    for left_handed in (False, True):
        phantom = make_phantom(shape=SMALL, left_handed=left_handed)
        report = write_dicom(phantom.series, tmp_path / str(left_handed))
        slices = [pydicom.dcmread(p) for p in report.paths]
        stored = np.stack([h.pixel_array for h in slices])
        assert stored.max() == 4095
        image = phantom.series.image[::-1] if left_handed else phantom.series.image
        assert np.abs(stored - image.astype(np.float64) * report.factor).max() <= 0.5 + 1e-6
        for number, h in enumerate(slices):
            index = len(slices) - 1 - number if left_handed else number
            expected = phantom.series.geometry.position((index, 0, 0))
            np.testing.assert_allclose(np.array(h.ImagePositionPatient, float), expected, atol=1e-6)


def test_spacing_is_between_rows_first_and_the_gap_is_kept(tmp_path: Path) -> None:
    head = written(tmp_path / "x")[0]
    dz, dy, dx = VOXEL_MM
    assert [float(v) for v in head.PixelSpacing] == pytest.approx([dy, dx])
    assert (float(head.SliceThickness), float(head.SpacingBetweenSlices)) == pytest.approx((3.0, dz))


def test_the_factor_is_in_the_real_world_mapping(tmp_path: Path) -> None:
    phantom = make_phantom(shape=SMALL)
    report = write_dicom(phantom.series, tmp_path / "x")
    head = pydicom.dcmread(report.paths[2])
    mapping = head.RealWorldValueMappingSequence[0]
    real = head.pixel_array * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
    step = 1 / report.factor
    np.testing.assert_allclose(real, phantom.series.image[2], atol=0.51 * step)
    assert (float(head.WindowCenter), float(head.WindowWidth)) == report.window


def test_protocol_values_arrive(tmp_path: Path) -> None:
    head = written(tmp_path / "x")[0]
    assert (head.EchoTime, head.RepetitionTime, head.FlipAngle) == (90, 4000, 140)
    assert (head.MagneticFieldStrength, head.ImagingFrequency) == (2.89, 123.2545)
    assert (head.Manufacturer, head.ManufacturerModelName) == ("SIEMENS", "Skyra")
    assert "ProtocolName" not in head, "people type it, and may type names"
    assert (head.InPlanePhaseEncodingDirection, head.PatientPosition) == ("ROW", "HFS")
    assert (head.BodyPartExamined, head.RecognizableVisualFeatures) == ("BRAIN", "YES")
    assert (head.ContentDate, head.ContentTime) == ("20260102", "030405.678000")


def test_unknown_stays_empty(tmp_path: Path) -> None:
    head = written(tmp_path / "x", protocol=Protocol())[0]
    for keyword in ("EchoTime", "RepetitionTime", "EchoTrainLength", "Manufacturer", "PatientPosition", "Laterality"):
        assert keyword in head
        assert not head[keyword].value, keyword
    for keyword in ("FlipAngle", "InversionTime", "MagneticFieldStrength", "BodyPartExamined", "ProtocolName"):
        assert keyword not in head
    assert len(head.ContributingEquipmentSequence) == 1


def test_unknown_side_is_all_a_validator_remarks_on(tmp_path: Path) -> None:
    for part in ("KNEE", None, "left little toe"):
        folder = tmp_path / str(part)
        written(folder, protocol=dataclasses.replace(Protocol(), body_part=part, patient_position="FFS"))
        lines = checks.output_of(checks.program("dciodvfy"), "-new", folder / "0001.dcm").splitlines()
        remarks = [line for line in lines if line.startswith(("Error", "Warning"))]
        assert len(remarks) == 1
        assert "Laterality" in remarks[0]
        assert "only permitted to be empty when actually unknown" in remarks[0]


@pytest.mark.parametrize("part", ["Head", "C-Spine", "PROSTATE", "heart", "Liver", "PELVIS"])
def test_single_body_parts_are_clean(tmp_path: Path, part: str) -> None:
    protocol = dataclasses.replace(Protocol(), body_part=part, patient_position="HFS")
    written(tmp_path / "x", protocol=protocol, shape=(1, 12, 16))
    checks.t1_iod(tmp_path / "x")


def test_origin_and_research_use_are_said(tmp_path: Path) -> None:
    phantom = make_phantom(shape=SMALL, warnings=("the noise level was estimated from the edges",))
    report = write_dicom(phantom.series, tmp_path / "x", clock=CLOCK)
    head = pydicom.dcmread(report.paths[0])
    assert list(head.ImageType) == ["DERIVED", "SECONDARY", "OTHER"]
    assert head.DerivationDescription.endswith("research use only, not for diagnosis")
    assert "R=4" in head.DerivationDescription
    assert "noise level was estimated" in head.ImageComments
    assert head.SyntheticData == "YES"
    assert head.ContentQualification == "RESEARCH"
    scanner, processing = head.ContributingEquipmentSequence
    assert scanner.PurposeOfReferenceCodeSequence[0].CodeValue == "109101"
    assert (processing.PurposeOfReferenceCodeSequence[0].CodeValue, processing.ManufacturerModelName) == (
        "109102",
        "mrirecon",
    )


def test_original_is_for_what_is_not_learned(tmp_path: Path) -> None:
    series = make_phantom(shape=SMALL).series
    for kind in ("linear", "iterative", "learned"):
        derivation = dataclasses.replace(series.derivation, kind=kind, simulated=False)
        made = dataclasses.replace(series, derivation=derivation)
        if kind == "learned":
            with pytest.raises(ConfigError, match="DERIVED"):
                write_dicom(made, tmp_path / kind, original=True)
        else:
            head = pydicom.dcmread(write_dicom(made, tmp_path / kind, original=True).paths[0])
            assert list(head.ImageType) == ["ORIGINAL", "SECONDARY", "OTHER"]
            assert head.SyntheticData == "NO"
            checks.t1_iod(tmp_path / kind)


def test_a_standard_deviation_is_a_series_of_its_own_in_the_same_space(tmp_path: Path) -> None:
    series = make_phantom(shape=SMALL).series
    spread = dataclasses.replace(series, quantity="standard_deviation")
    one, other = write_dicom(series, tmp_path / "a"), write_dicom(spread, tmp_path / "b")
    checks.t1_iod(tmp_path / "b")
    assert (one.study_uid, one.frame_of_reference_uid) == (other.study_uid, other.frame_of_reference_uid)
    assert one.series_uid != other.series_uid
    assert (one.series_number, other.series_number) == (901, 902)
    head = pydicom.dcmread(other.paths[0])
    assert head.SeriesDescription == "SENSE R4 STD"
    quantity = head.RealWorldValueMappingSequence[0].QuantityDefinitionSequence[0]
    assert quantity.ConceptCodeSequence[0].CodeMeaning == "Standard Deviation"


def test_free_text_loses_paths_and_separators(tmp_path: Path) -> None:
    phantom = make_phantom(shape=SMALL, description="a\\b\nSchädel /home/doe/raw.h5")
    head = pydicom.dcmread(write_dicom(phantom.series, tmp_path / "x").paths[0])
    assert head.SeriesDescription == "a/b Schädel [path]"
    long = make_phantom(shape=SMALL, description="x" * 80, nominal=True)
    head = pydicom.dcmread(write_dicom(long.series, tmp_path / "y").paths[0])
    assert len(head.SeriesDescription) == 64
    assert head.SeriesDescription.endswith("x GEOM-NOMINAL")


def test_single_slice(tmp_path: Path) -> None:
    phantom = make_phantom(shape=(1, 30, 36))
    write_dicom(phantom.series, tmp_path / "x")
    for check in (checks.t1_iod, checks.t3_identity, checks.t4_slice_geometry):
        check(tmp_path / "x")


def test_a_changed_image_never_keeps_an_identifier(tmp_path: Path) -> None:
    series = make_phantom(shape=SMALL).series
    image = series.image.copy()
    image[0, 0, 0] = image.max() / 2
    shifted = series.geometry.crop((0, 0, 1))
    variants = [series, dataclasses.replace(series, image=image), dataclasses.replace(series, geometry=shifted)]
    found = {write_dicom(s, tmp_path / str(n)).series_uid for n, s in enumerate(variants)}
    assert len(found) == 3


def test_settings_of_the_dicom_library_are_left_alone(tmp_path: Path) -> None:
    before = (config.settings.reading_validation_mode, config.settings.writing_validation_mode)
    written(tmp_path / "x")
    assert before == (config.settings.reading_validation_mode, config.settings.writing_validation_mode)


def test_illegal_values_are_refused() -> None:
    for keyword, value in (
        ("SeriesDescription", "x" * 65),
        ("StudyDate", "2026-01-02"),
        ("SOPInstanceUID", "1.02.3"),
        ("Modality", "mr"),
        ("Nonsense", 1),
    ):
        with pytest.raises(OutputError, match=keyword):
            put(Dataset(), keyword, value)
    with pytest.raises(OutputError, match="plain JSON"):
        derived_uid("series", {"array": np.zeros(2)})


@pytest.mark.parametrize("value", [-0.12345678901234567, 1e-17, -1.2345678901234567e-05, 123456789.123456789, -0.0])
def test_decimal_strings_are_short_and_close(value: float) -> None:
    written = str(decimal(value))
    assert len(written) <= 16
    assert not written.startswith("-0.0") or value < 0
    assert float(written) == pytest.approx(value, rel=1e-9, abs=1e-20)


def test_text_is_one_line() -> None:
    assert text(" a\x00b \t c\\d\r\n", 5) == "a b c"


def test_refusals_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series = make_phantom(shape=SMALL).series
    with pytest.raises(ConfigError, match="series_number"):
        write_dicom(series, tmp_path / "x", series_number=0)
    saved = Dataset.save_as

    def fail_on_the_third(self: Dataset, filename: Any, **options: Any) -> None:
        if "0003" in str(filename):
            Path(filename).write_bytes(b"half a file")
            raise OSError(errno.ENOSPC, "No space left on device")
        saved(self, filename, **options)

    monkeypatch.setattr(Dataset, "save_as", fail_on_the_third)
    with pytest.raises(OutputError, match="No space left"):
        write_dicom(series, tmp_path / "new" / "x")
    assert list(tmp_path.iterdir()) == []


def test_existing_output_needs_permission_to_overwrite(tmp_path: Path) -> None:
    series = make_phantom(shape=SMALL).series
    write_dicom(series, tmp_path / "x")
    with pytest.raises(OutputError, match="exists"):
        write_dicom(series, tmp_path / "x")
    shorter = make_phantom(shape=(3, 30, 36)).series
    write_dicom(shorter, tmp_path / "x", overwrite=True)
    assert sorted(p.name for p in (tmp_path / "x").iterdir()) == ["0001.dcm", "0002.dcm", "0003.dcm"]


def test_a_scanners_images_are_never_overwritten(tmp_path: Path) -> None:
    template = scanner_series(tmp_path / "scanner")
    head = pydicom.dcmread(template / "0007.dcm")
    head.file_meta.ImplementationClassUID = "1.2.3.4"
    head.save_as(template / "0007.dcm")
    before = {p.name: p.read_bytes() for p in template.iterdir()}
    with pytest.raises(OutputError, match="was not written by mrirecon"):
        write_dicom(make_phantom().series, template, template=template, overwrite=True)
    (template / "0007.dcm").write_bytes(b"no DICOM at all")
    with pytest.raises(OutputError, match="not written by mrirecon"):
        write_dicom(make_phantom().series, template, overwrite=True)
    (template / "0007.dcm").write_bytes(before["0007.dcm"])
    assert {p.name: p.read_bytes() for p in template.iterdir()} == before


# --- template ---------------------------------------------------------------------------------------------------------


def test_template_gives_identity_and_acquisition_but_nothing_else(tmp_path: Path) -> None:
    template = scanner_series(tmp_path / "scanner")
    report = write_dicom(make_phantom().series, tmp_path / "x", template=template)
    for head in (pydicom.dcmread(p) for p in report.paths):
        assert (head.PatientName, head.PatientID, head.PatientSex) == ("Doe^Jane", "42", "F")
        assert (head.StudyInstanceUID, head.StudyDate, head.AccessionNumber) == ("2.25.1", "20250607", "A9")
        assert (head.FrameOfReferenceUID, head.PositionReferenceIndicator) == ("1.2.840.99999.7", "NA")
        assert (head.ScanningSequence, head.SequenceVariant, head.EchoTrainLength) == ("SE", "SK", 15)
        assert head.SeriesNumber == 501
        assert head.SeriesInstanceUID != "2.25.2"
        assert head.SeriesDescription == "SENSE R4"
        assert not any(k in head for k in ("PatientIdentityRemoved", "DeidentificationMethod", "RescaleSlope"))
        assert not any(e.tag.is_private for e in head.iterall())
        related = head.ReferencedImageSequence[0].ReferencedSOPInstanceUID
        assert related == f"2.25.4{int(head.InstanceNumber):03d}"
        assert head.ReferencedSeriesSequence[0].SeriesInstanceUID == "2.25.2"
        (source,) = head.SourceImageSequence
        assert (source.ReferencedSOPInstanceUID, source.SpatialLocationsPreserved) == (related, "YES")
        assert head.ProtocolName == "t2_tse_tra"


def test_nominal_series_takes_the_place_of_a_template_that_shows_the_same(tmp_path: Path) -> None:
    real = make_phantom()
    template = scanner_series(tmp_path / "scanner", phantom=real)
    nominal = Geometry.placeholder(shape=(16, 80, 96), voxel_size_mm=(3.0, *VOXEL_MM[1:]), slice_thickness_mm=3.0)
    unplaced = dataclasses.replace(real.series, geometry=nominal)
    report = write_dicom(unplaced, tmp_path / "x", template=template)
    assert not report.geometry.nominal
    np.testing.assert_allclose(report.geometry.affine, real.series.geometry.affine, atol=1e-6)
    head = pydicom.dcmread(report.paths[0])
    assert "NOMINAL" not in head.SeriesDescription
    assert "nominal" not in head.ImageComments
    checks.t7_landmark(checks.converted(tmp_path / "x", tmp_path / "rt"), real.ball_lps)


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (1, 2)])
def test_nominal_series_turned_against_the_template_is_refused(tmp_path: Path, axes: tuple[int, ...]) -> None:
    real = make_phantom()
    template = scanner_series(tmp_path / "scanner", phantom=real)
    nominal = Geometry.placeholder(shape=(16, 80, 96), voxel_size_mm=VOXEL_MM, slice_thickness_mm=3.0)
    image = np.ascontiguousarray(np.flip(real.series.image, axes))
    with pytest.raises(GeometryError, match=f"reversing {', '.join('zyx'[a] for a in axes)}"):
        write_dicom(dataclasses.replace(real.series, geometry=nominal, image=image), tmp_path / "x", template=template)
    assert not (tmp_path / "x").exists()


def test_template_elsewhere_is_refused(tmp_path: Path) -> None:
    template = scanner_series(tmp_path / "scanner")
    series = make_phantom().series
    for geometry in (series.geometry.crop((0, 0, 1)), series.geometry.flipped(1, 80)):
        with pytest.raises(GeometryError, match="elsewhere"):
            write_dicom(dataclasses.replace(series, geometry=geometry), tmp_path / "x", template=template)
    affine = series.geometry.affine.copy()
    affine[:3, 3] += 0.1
    slightly = dataclasses.replace(series.geometry, affine=affine)
    write_dicom(dataclasses.replace(series, geometry=slightly), tmp_path / "x", template=template)


def test_template_with_latin_names_stays_equal(tmp_path: Path) -> None:
    template = scanner_series(tmp_path / "scanner", character_set="ISO_IR 100")
    series = make_phantom(description="Schädel ≤ 3 mm").series
    write_dicom(series, tmp_path / "x", template=template)
    head = pydicom.dcmread(tmp_path / "x" / "0001.dcm")
    assert str(head.PatientName) == "Müller^Jürgen"
    assert head.SeriesDescription == "Schadel  3 mm"
    checks.t1_iod(tmp_path / "x")
    checks.t2_entities(tmp_path / "x", template)


def test_bad_templates_are_named(tmp_path: Path) -> None:
    series = make_phantom().series
    with pytest.raises(FormatError, match="folder"):
        write_dicom(series, tmp_path / "x", template=tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("hello")
    with pytest.raises(FormatError, match="no DICOM images"):
        write_dicom(series, tmp_path / "x", template=tmp_path / "empty")
    two = scanner_series(tmp_path / "two")
    other = pydicom.dcmread(two / "0002.dcm")
    other.SeriesInstanceUID = "2.25.99"
    other.save_as(two / "0002.dcm")
    with pytest.raises(FormatError, match="2 series"):
        write_dicom(series, tmp_path / "x", template=two)
    no_position = scanner_series(tmp_path / "no_position")
    head = pydicom.dcmread(no_position / "0004.dcm")
    del head.ImagePositionPatient
    head.save_as(no_position / "0004.dcm")
    with pytest.raises(FormatError, match="ImagePositionPatient"):
        write_dicom(series, tmp_path / "x", template=no_position)
    assert not (tmp_path / "x").exists()
