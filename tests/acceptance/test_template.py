"""`recon --template` as its user sees it: the scanner's study joined, or one clear refusal and nothing written."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pydicom
import pytest

from mrirecon.cli import main
from tests.acceptance import checks
from tests.acceptance.scans import ScanRecipe, write_scan
from tests.privacy.raw_files import element

STUDY, FRAME = "1.2.840.99999.21", "1.2.840.99999.22"
RECIPE = ScanRecipe(matrix=(5, 40, 36), voxel=(6.0, 3.2, 4.0))
QUICK = ("--method", "sense", "--iterations", "6")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MRD file that names its study and its frame of reference."""
    path = write_scan(tmp_path_factory.mktemp("raw") / "scan.h5", RECIPE)
    with h5py.File(path, "a") as file:
        text = file["dataset/xml"][0].decode()
        text = text.replace("<studyInformation>", f"<studyInformation><studyInstanceUID>{STUDY}</studyInstanceUID>", 1)
        text = text.replace("</measurementInformation>", element("frameOfReferenceUID", {}).replace(
            "><", f">{FRAME}<", 1) + "</measurementInformation>", 1)  # fmt: skip
        file["dataset/xml"][0] = text
    return path


@pytest.fixture(scope="module")
def scanner(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the scanner made of the same data: other pixels, a named patient, its own identifiers."""
    folder = tmp_path_factory.mktemp("scanner")
    assert main(["recon", str(raw), "--out", str(folder / "out"), "--dicom", *QUICK, "--weight", "0.05"]) == 0
    series = folder / "out" / "dicom"

    def name(head: pydicom.Dataset) -> None:
        for keyword in ("PatientIdentityRemoved", "DeidentificationMethod", "LongitudinalTemporalInformationModified"):
            del head[keyword]
        head.PatientName, head.PatientID, head.PatientSex, head.PatientBirthDate = "Doe^Jane", "42", "F", "19700101"
        head.StudyInstanceUID, head.FrameOfReferenceUID, head.SeriesInstanceUID = STUDY, FRAME, f"{STUDY}.7"
        head.SOPInstanceUID = head.file_meta.MediaStorageSOPInstanceUID = f"{STUDY}.7.{int(head.InstanceNumber)}"
        head.StudyDate, head.StudyTime, head.StudyID, head.AccessionNumber = "20250607", "101112", "7", "A9"
        head.SeriesNumber = 3

    edit(series, name)
    return series


def edit(folder: Path, change: Callable[[pydicom.Dataset], None]) -> None:
    for path in sorted(folder.glob("*.dcm")):
        head = pydicom.dcmread(path)
        change(head)
        head.save_as(path)


def test_the_series_joins_the_scanners_study(
    raw: Path, scanner: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["recon", str(raw), "--out", str(out), "--template", str(scanner), *QUICK]) == 0
    printed = "".join(capsys.readouterr())
    assert "identifiers of the template are kept in the DICOM files" in printed
    assert "Jane" not in printed
    theirs = {int(d.InstanceNumber): d for d in map(pydicom.dcmread, scanner.glob("*.dcm"))}
    for path in (out / "dicom").glob("*.dcm"):
        ours = pydicom.dcmread(path)
        other = theirs[int(ours.InstanceNumber)]
        assert (ours.StudyInstanceUID, ours.FrameOfReferenceUID, str(ours.PatientName)) == (STUDY, FRAME, "Doe^Jane")
        assert ours.SeriesInstanceUID not in (other.SeriesInstanceUID, "")
        assert ours.SOPInstanceUID != other.SOPInstanceUID
        assert ours.SeriesNumber == 301
        assert ours.SourceImageSequence[0].ReferencedSOPInstanceUID == other.SOPInstanceUID
        assert ours.ReferencedImageSequence[0].ReferencedSOPInstanceUID == other.SOPInstanceUID
        (series,) = ours.ReferencedSeriesSequence
        assert series.SeriesInstanceUID == other.SeriesInstanceUID
        assert series.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == other.SOPInstanceUID
        np.testing.assert_allclose(ours.ImagePositionPatient, other.ImagePositionPatient, atol=1e-3)
    checks.t1_iod(out / "dicom")
    checks.t2_entities(out / "dicom", scanner)
    record = json.loads((out / "provenance.json").read_text())
    assert (record["identifiers"]["state"], record["identifiers"]["source"]) == ("kept", "template")
    assert b"Jane" not in (out / "provenance.json").read_bytes()
    assert main(["verify", str(out), "--against", str(scanner), "--study", "required"]) == 0


def test_mrds_own_references_give_the_same_study_as_the_template(raw: Path, scanner: Path, tmp_path: Path) -> None:
    assert main(["recon", str(raw), "--out", str(tmp_path / "o"), "--dicom", "--keep-identifiers", *QUICK]) == 0
    head = pydicom.dcmread(tmp_path / "o" / "dicom" / "0001.dcm")
    assert (head.StudyInstanceUID, head.FrameOfReferenceUID) == (STUDY, FRAME)
    assert main(["verify", str(tmp_path / "o"), "--against", str(scanner), "--study", "required"]) == 0
    assert main(["recon", str(raw), "--out", str(tmp_path / "d"), "--dicom", *QUICK]) == 0
    head = pydicom.dcmread(tmp_path / "d" / "dicom" / "0001.dcm")
    assert STUDY not in (head.StudyInstanceUID, head.FrameOfReferenceUID)


def moved(head: pydicom.Dataset) -> None:
    head.ImagePositionPatient = [f"{float(v) + 6:.4f}" for v in head.ImagePositionPatient]


def turned(head: pydicom.Dataset) -> None:
    row, column = np.array(head.ImageOrientationPatient, float).reshape(2, 3)
    head.ImageOrientationPatient = [f"{v:.9f}" for v in (*-row, *column)]


def reversed_rows(head: pydicom.Dataset) -> None:
    row, column = np.array(head.ImageOrientationPatient, float).reshape(2, 3)
    far = np.array(head.ImagePositionPatient, float) + row * 35 * float(head.PixelSpacing[1])
    far += column * 39 * float(head.PixelSpacing[0])
    head.ImagePositionPatient = [f"{v:.6f}" for v in far]
    head.ImageOrientationPatient = [f"{v:.9f}" for v in (*-row, *-column)]


def narrower(head: pydicom.Dataset) -> None:
    head.PixelSpacing = [head.PixelSpacing[0], 3.9]


def other_study(head: pydicom.Dataset) -> None:
    head.StudyInstanceUID = "1.2.840.99999.31"


def other_frame(head: pydicom.Dataset) -> None:
    head.FrameOfReferenceUID = "1.2.840.99999.32"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (moved, "lies elsewhere"),
        (turned, "lies elsewhere"),
        (reversed_rows, "try --view acquired"),
        (narrower, "expected pixel spacing"),
        (other_study, "belongs to another study"),
        (other_frame, "belongs to another frame of reference"),
        (None, "'slices': 4"),
    ],
    ids=lambda v: getattr(v, "__name__", "") if callable(v) else "",
)
def test_a_template_that_disagrees_is_refused_in_one_line(
    change: Any,
    words: str,
    raw: Path,
    scanner: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before any work: nobody waits for a reconstruction that cannot be written."""
    monkeypatch.setattr("mrirecon.jobs.recon.reconstruct", lambda *a, **k: pytest.fail("it began"))
    template = tmp_path / "template"
    shutil.copytree(scanner, template)
    if change is None:
        (template / "0005.dcm").unlink()
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            edit(template, change)
    before = sorted(tmp_path.rglob("*"))
    assert main(["recon", str(raw), "--out", str(tmp_path / "out"), "--template", str(template), *QUICK]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mrirecon:")]
    assert len(errors) == 1
    assert words in errors[0]
    assert "1.2.840" not in errors[0]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_template_whose_identifiers_were_replaced_is_not_asked_for_its_study(
    raw: Path, scanner: Path, tmp_path: Path
) -> None:
    template = tmp_path / "template"
    shutil.copytree(scanner, template)

    def replace(head: pydicom.Dataset) -> None:
        other_study(head)
        other_frame(head)
        head.PatientIdentityRemoved, head.DeidentificationMethod = "YES", "by hand"

    edit(template, replace)
    out = tmp_path / "out"
    assert main(["recon", str(raw), "--out", str(out), "--dicom", "--template", str(template), *QUICK]) == 0
    assert pydicom.dcmread(out / "dicom" / "0001.dcm").StudyInstanceUID == "1.2.840.99999.31"
    assert json.loads((out / "provenance.json").read_text())["identifiers"] == {"state": "removed"}


@pytest.mark.parametrize(
    ("recipe", "more"),
    [
        (ScanRecipe(matrix=(4, 30, 36), voxel=(6.0, 4.2, 3.6), exchange=True), ()),
        (ScanRecipe(matrix=(4, 30, 36), voxel=(6.0, 4.2, 3.6), exchange=True), ("--view", "acquired")),
        (ScanRecipe(matrix=(4, 40, 36), voxel=(6.0, 3.2, 4.0), encoded_lines=28), ("--slices", "1:3")),
        (ScanRecipe(matrix=(3, 32, 30), voxel=(6.0, 4.0, 4.0), oversampling=2.0), ("--keep-oversampling",)),
        (ScanRecipe(matrix=(12, 24, 26), voxel=(9.0, 5.0, 5.5), encoding="3D"), ()),
        (ScanRecipe(matrix=(12, 24, 26), voxel=(9.0, 5.0, 5.5), encoding="3D"), ("--slices", "3:9")),
    ],
    ids=["exchanged", "acquired view", "zero-filled part", "oversampled", "3D", "part of 3D"],
)
def test_what_fits_is_not_refused_before_the_work(recipe: ScanRecipe, more: tuple[str, ...], tmp_path: Path) -> None:
    """The grid that is asked about beforehand is the one that is written."""
    raw = str(write_scan(tmp_path / "scan.h5", recipe))
    base = [raw, "--dicom", "--method", "adjoint", *more]
    assert main(["recon", *base, "--out", str(tmp_path / "first")]) == 0
    template = ["--template", str(tmp_path / "first" / "dicom")]
    assert main(["recon", *base, "--out", str(tmp_path / "second"), *template]) == 0
