"""Acceptance of the writers alone: a series goes in, other people's programs judge what comes out."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest

from mrirecon.errors import GeometryError, MrireconError, ShapeError
from mrirecon.io.dicom.series import DicomReport, write_dicom
from mrirecon.io.nifti.writer import write_nifti
from mrirecon.scan import ImageSeries, Subject
from tests.acceptance import checks
from tests.io.phantom_series import Phantom, make_phantom
from tests.io.scanner_series import scanner_series

CLOCK = datetime(2026, 1, 2, 3, 4, 5)
CANARIES = ("CANARYNAME", "CANARYID", "19010203", "CANARYHOSP", "1.2.840.99999.7", "1.2.840.99999.8")
VARIANTS = {
    "even": {},
    "odd": {"shape": (9, 61, 75)},
    "mixed": {"shape": (12, 63, 80)},
    "left-handed": {"left_handed": True},
    "left-handed-odd": {"shape": (11, 57, 70), "left_handed": True},
}


@dataclasses.dataclass(frozen=True)
class Export:
    phantom: Phantom
    folder: Path
    nifti: Path
    report: DicomReport


def export(phantom: Phantom, root: Path, *, template: Path | None = None) -> Export:
    report = write_dicom(phantom.series, root / "dicom", clock=CLOCK, template=template)
    placed = dataclasses.replace(phantom.series, geometry=report.geometry)
    write_nifti(placed, root / "image.nii.gz", factor=report.factor)
    return Export(phantom, root / "dicom", root / "image.nii.gz", report)


@pytest.fixture(scope="module", params=list(VARIANTS))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Export:
    return export(make_phantom(**VARIANTS[request.param]), tmp_path_factory.mktemp("export"))


def test_t1_iod(exported: Export) -> None:
    checks.t1_iod(exported.folder)


def test_t2_entities(exported: Export) -> None:
    checks.t2_entities(exported.folder)


def test_t3_identity(exported: Export) -> None:
    checks.t3_identity(exported.folder)


def test_t4_slice_geometry(exported: Export) -> None:
    checks.t4_slice_geometry(exported.folder)


def test_t5_independent_volume_builder_finds_our_matrix(exported: Export) -> None:
    theirs = checks.t5_volume(exported.folder)
    ours = exported.phantom.series.geometry
    n_slices = len(exported.phantom.series.image)
    # highdicom keeps a right-handed or left-handed order of its own: compare the two ends of the volume as sets
    corners = [theirs[:3] @ (k, 0, 0, 1) for k in (0, n_slices - 1)]
    expected = [ours.position((k, 0, 0)) for k in (0, n_slices - 1)]
    assert min(
        np.abs(np.array(corners) - expected).max(), np.abs(np.array(corners[::-1]) - expected).max()
    ) == pytest.approx(0, abs=1e-3)
    assert np.allclose(theirs[:3, 1:3], ours.affine[:3, 1:3], atol=1e-4)


def test_t6_round_trip(exported: Export, tmp_path: Path) -> None:
    checks.t6_round_trip(exported.folder, exported.nifti, tmp_path)


def test_t7_landmark(exported: Export, tmp_path: Path) -> None:
    checks.t7_landmark(exported.nifti, exported.phantom.ball_lps)
    checks.t7_landmark(checks.converted(exported.folder, tmp_path), exported.phantom.ball_lps)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_t7_notices_a_flip(exported: Export, tmp_path: Path, axis: int) -> None:
    series = exported.phantom.series
    flipped = dataclasses.replace(series, image=np.ascontiguousarray(np.flip(series.image, axis)))
    write_nifti(flipped, tmp_path / "flipped.nii")
    with pytest.raises(AssertionError):
        checks.t7_landmark(tmp_path / "flipped.nii", exported.phantom.ball_lps)


def test_t9_nifti(exported: Export) -> None:
    checks.t9_nifti(exported.nifti)


def test_t13_privacy(tmp_path: Path) -> None:
    subject = Subject(
        "ANON-00ff",
        identifiers_present=("PatientName=CANARYNAME", "PatientID=CANARYID", "BirthDate=19010203", "CANARYHOSP"),
        study_instance_uid="1.2.840.99999.8",
    )
    done = export(make_phantom(subject=subject), tmp_path)
    checks.t13_privacy(done.folder, CANARIES)
    head = checks.headers_of(done.folder)[0]
    assert (str(head.PatientID), str(head.PatientName)) == ("ANON-00ff", "ANON^00ff")
    assert head.PatientIdentityRemoved == "YES"
    assert head.DeidentificationMethod
    for keyword in ("PatientBirthDate", "PatientSex", "AccessionNumber", "ReferringPhysicianName"):
        assert not head[keyword].value
    assert not any(k in head for k in ("InstitutionName", "StationName", "OperatorsName", "DeviceSerialNumber"))
    assert all(word.encode() not in done.nifti.read_bytes() for word in CANARIES)


def test_t13_detects_a_canary(tmp_path: Path) -> None:
    done = export(make_phantom(description="CANARYNAME"), tmp_path)
    with pytest.raises(AssertionError):
        checks.t13_privacy(done.folder, CANARIES)


def test_t15_nominal_geometry_is_said_everywhere(tmp_path: Path) -> None:
    done = export(make_phantom(nominal=True), tmp_path)
    checks.t1_iod(done.folder)
    checks.t2_entities(done.folder)
    checks.t4_slice_geometry(done.folder)
    for head in checks.headers_of(done.folder):
        assert head.SeriesDescription.endswith("GEOM-NOMINAL")
        assert "do not use for left/right" in head.ImageComments
        assert not head.PositionReferenceIndicator
        assert head.FrameOfReferenceUID != "1.2.840.99999.7"
    image = checks.nibabel.load(done.nifti)
    assert int(image.header["qform_code"]) == int(image.header["sform_code"]) == 2
    assert b"GEOM-NOMINAL" in image.header["descrip"].item()
    assert any("nominal" in w for w in done.report.warnings)
    checks.t9_itk(done.nifti)


def broken(series: ImageSeries, value: float) -> ImageSeries:
    image = series.image.copy()
    image[1, 2, 3] = value
    return dataclasses.replace(series, image=image)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_t16_unrepresentable_values_are_refused(value: float) -> None:
    with pytest.raises(ShapeError):
        broken(make_phantom(shape=(4, 20, 24)).series, value)


def test_t16_template_of_another_size_leaves_nothing(tmp_path: Path) -> None:
    template = export(make_phantom(), tmp_path / "t").folder
    for shape in ((16, 80, 94), (16, 78, 96), (15, 80, 96)):
        with pytest.raises(GeometryError):
            write_dicom(make_phantom(shape=shape).series, tmp_path / "out", template=template)
    assert not (tmp_path / "out").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t"]


def test_t16_template_with_uneven_slices_leaves_nothing(tmp_path: Path) -> None:
    template = export(make_phantom(shape=(5, 40, 48)), tmp_path / "t").folder
    path = template / "0003.dcm"
    head = pydicom.dcmread(path)
    head.ImagePositionPatient = [float(v) + 0.4 for v in head.ImagePositionPatient]
    head.save_as(path)
    with pytest.raises(MrireconError, match="equally spaced"):
        write_dicom(make_phantom(shape=(5, 40, 48)).series, tmp_path / "out", template=template)
    assert not (tmp_path / "out").exists()


def test_t17_the_same_export_twice_is_equal_to_the_byte(tmp_path: Path) -> None:
    first, second = (export(make_phantom(), tmp_path / name) for name in "ab")
    for one, other in zip(first.report.paths, second.report.paths, strict=True):
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes()
    assert first.nifti.read_bytes() == second.nifti.read_bytes()


def test_t17_another_parameter_gives_new_objects_of_the_same_study(tmp_path: Path) -> None:
    first = export(make_phantom(), tmp_path / "a")
    second = export(make_phantom(parameters={"acceleration": 4, "seed": 2}), tmp_path / "b")
    one, other = (checks.headers_of(e.folder) for e in (first, second))
    assert not {h.SOPInstanceUID for h in one} & {h.SOPInstanceUID for h in other}
    assert one[0].SeriesInstanceUID != other[0].SeriesInstanceUID
    assert one[0].StudyInstanceUID == other[0].StudyInstanceUID
    assert one[0].FrameOfReferenceUID == other[0].FrameOfReferenceUID
    program = checks.program("dcentvfy")
    assert not checks.output_of(program, *first.report.paths, *second.report.paths).strip()


def test_template_keeps_patient_study_and_frame(tmp_path: Path) -> None:
    template = scanner_series(tmp_path / "scanner")
    done = export(make_phantom(), tmp_path / "out", template=template)
    checks.t1_iod(done.folder)
    checks.t2_entities(done.folder, template)
    checks.t3_identity(done.folder)
    checks.t6_round_trip(done.folder, done.nifti, tmp_path / "rt")
