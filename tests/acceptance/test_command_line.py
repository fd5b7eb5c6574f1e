"""Acceptance of the whole pipe: simulated raw files through the command line, judged by other people's programs."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pydicom
import pytest
import torch
from numpy.typing import NDArray

from mrirecon.cli import main
from mrirecon.io.provenance import read_provenance
from tests.acceptance import checks
from tests.acceptance.scans import ScanRecipe, write_scan

RECIPES = {
    "even": ScanRecipe(),
    "odd": ScanRecipe(matrix=(7, 61, 75)),
    "oversampled by three": ScanRecipe(matrix=(8, 64, 72), oversampling=3.0),
    "no oversampling, axial": ScanRecipe(oversampling=1.0, oblique=False),
    "slice after slice": ScanRecipe(interleaved=False),
    "zero-filled lines": ScanRecipe(matrix=(9, 80, 72), voxel=(5.0, 2.0, 2.0), encoded_lines=56),
    "phase encoding left-right": ScanRecipe(exchange=True),
    "partial Fourier": ScanRecipe(first_line=14),
    "3D": ScanRecipe(matrix=(26, 48, 56), voxel=(5.0, 3.0, 2.6), encoding="3D"),
    "3D odd": ScanRecipe(matrix=(25, 47, 55), voxel=(5.0, 3.0, 2.6), encoding="3D"),
}


@pytest.fixture(scope="module", params=list(RECIPES))
def result(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[ScanRecipe, Path]:
    folder = tmp_path_factory.mktemp("command_line")
    recipe = RECIPES[request.param]
    raw = write_scan(folder / "scan.h5", recipe)
    assert main(["recon", str(raw), "--out", str(folder / "out"), "--method", "sense", "--iterations", "8"]) == 0
    assert not list(folder.glob("*.partial"))
    return recipe, folder / "out"


def test_t1_to_t5_the_series_is_one_conformant_volume(result: tuple[ScanRecipe, Path]) -> None:
    recipe, out = result
    checks.t2_entities(out / "dicom")
    checks.t3_identity(out / "dicom")
    checks.t4_slice_geometry(out / "dicom")
    checks.t5_volume(out / "dicom")
    assert len(list((out / "dicom").glob("*.dcm"))) == recipe.matrix[0]


def test_t1_no_complaint_from_the_validator(result: tuple[ScanRecipe, Path]) -> None:
    checks.t1_iod(result[1] / "dicom")


def test_t6_dicom_and_nifti_are_the_same_volume(result: tuple[ScanRecipe, Path], tmp_path: Path) -> None:
    _, out = result
    checks.t6_round_trip(out / "dicom", out / "image.nii.gz", tmp_path)


def test_t7_the_ball_is_where_it_was_put(result: tuple[ScanRecipe, Path], tmp_path: Path) -> None:
    recipe, out = result
    checks.t7_landmark(out / "image.nii.gz", recipe.ball)
    checks.t7_landmark(checks.converted(out / "dicom", tmp_path), recipe.ball)


def test_t9_nifti_header_and_itk(result: tuple[ScanRecipe, Path]) -> None:
    checks.t9_nifti(result[1] / "image.nii.gz")


def test_the_image_is_the_phantom(result: tuple[ScanRecipe, Path]) -> None:
    """Object three times darker than the ball, nothing outside."""
    recipe, out = result
    image = nibabel.load(out / "image.nii.gz")
    data = image.get_fdata()
    values = {}
    for name, place in (
        ("ball", recipe.ball),
        ("object", np.array([25.0, 10.0, 22.0])),
        ("air", recipe.ball * 0 + 500),
    ):
        index = np.rint(np.linalg.solve(image.affine, [*(place * (-1, -1, 1)), 1.0])[:3]).astype(int)
        inside = all(0 <= i < n for i, n in zip(index, data.shape, strict=True))
        values[name] = data[tuple(index)] if inside else 0.0
    assert values["ball"] / values["object"] == pytest.approx(3.0, rel=0.35)
    assert np.percentile(data, 10) < 0.1 * values["object"]


def test_rows_and_columns_are_in_the_radiological_view(result: tuple[ScanRecipe, Path]) -> None:
    header = pydicom.dcmread(next((result[1] / "dicom").glob("*.dcm")))
    row, column = np.array(header.ImageOrientationPatient, float).reshape(2, 3)
    assert row[0] > 0.7
    assert column[1] > 0.7


def test_provenance_names_everything(result: tuple[ScanRecipe, Path]) -> None:
    record = read_provenance(result[1] / "provenance.json")
    assert record.method == "sense"
    assert [f.name for f in record.inputs] == ["scan.h5"]
    assert {f.name for f in record.outputs} >= {"image.nii.gz", "image.png", "dicom/0001.dcm"}
    assert any("noise scan" in note for note in record.notes)
    assert any("simulated" in warning for warning in record.warnings)
    text = (result[1] / "provenance.json").read_text()
    assert str(result[1].parent) not in text


def pixels(out: Path) -> NDArray[np.float32]:
    return np.asarray(np.load(out / "image.npy"))


def test_t17_the_same_job_gives_the_same_objects_and_another_one_new_ones(tmp_path: Path) -> None:
    raw = write_scan(tmp_path / "scan.h5", ScanRecipe(matrix=(3, 32, 32), voxel=(5.0, 5.0, 5.0)))
    for name, weight in (("first", "0.01"), ("again", "0.01"), ("other", "0.2")):
        assert main(["recon", str(raw), "--out", str(tmp_path / name), "--dicom", "--npy", "--weight", weight]) == 0
    uids = [
        {str(pydicom.dcmread(p).SOPInstanceUID) for p in (tmp_path / name / "dicom").glob("*.dcm")}
        for name in ("first", "again", "other")
    ]
    assert uids[0] == uids[1]
    assert not uids[0] & uids[2]
    assert np.array_equal(pixels(tmp_path / "first"), pixels(tmp_path / "again"))


def test_a_mask_is_recorded_and_replays(tmp_path: Path) -> None:
    from mrirecon.mri.mask_card import MaskCard
    from mrirecon.mri.masks import replay

    raw = write_scan(tmp_path / "scan.h5", ScanRecipe(matrix=(2, 64, 64), voxel=(5.0, 2.4, 2.4)))
    arguments = ["--accelerate", "3", "--mask", "random", "--centre-lines", "16", "--seed", "5", "--npy"]
    assert main(["recon", str(raw), "--out", str(tmp_path / "out"), *arguments]) == 0
    content = json.loads((tmp_path / "out" / "provenance.json").read_text())
    card = MaskCard.from_dict(content["mask"])
    assert (card.kind, card.seed, card.centre_lines) == ("random", 5, 16)
    acquired = None if card.acquired_sha256 is None else torch.ones(card.shape, dtype=torch.bool)
    again = replay(card, acquired=acquired)
    assert again.card.sha256 == card.sha256


CANARIES = ("CANARYNAME", "CANARYID", "19010203", "1901-02-03", "CANARYHOSP")


def test_t13_identifiers_in_the_raw_header_reach_no_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = write_scan(tmp_path / "scan.h5", ScanRecipe(matrix=(3, 32, 32), voxel=(5.0, 5.0, 5.0)))
    identify(raw)
    assert main(["recon", str(raw), "--out", str(tmp_path / "out"), "--npy", "--dicom", "--nifti", "--png"]) == 0
    assert main(["inspect", str(raw)]) == 0
    assert main(["inspect", str(raw), "--json"]) == 0
    printed = "".join(capsys.readouterr())
    assert "patientName" in printed, "inspect names the fields"
    files = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert len(files) > 5
    for word in CANARIES:
        assert word not in printed
        assert not any(word.encode() in p.read_bytes() for p in files)
    checks.t13_privacy(tmp_path / "out" / "dicom", CANARIES)


def identify(raw: Path) -> None:
    """Put identifying text into the header of an MRD file."""
    subject = (
        "<subjectInformation><patientName>CANARYNAME</patientName><patientID>CANARYID</patientID>"
        "<patientBirthdate>1901-02-03</patientBirthdate></subjectInformation>"
    )
    with h5py.File(raw, "a") as file:
        text = file["dataset/xml"][0].decode()
        root = text.index(">", text.index("ismrmrdHeader")) + 1
        text = text[:root] + subject + text[root:]
        assert "<systemVendor>" in text
        text = text.replace("<systemVendor>", "<institutionName>CANARYHOSP</institutionName><systemVendor>", 1)
        file["dataset/xml"][0] = text


def test_t15_a_fastmri_file_says_that_its_geometry_is_nominal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, 4, 64, 32)) + 1j * rng.standard_normal((2, 4, 64, 32))
    window = np.exp(-(np.linspace(-6, 6, 64)[:, None] ** 2) - np.linspace(-6, 6, 32) ** 2)
    with h5py.File(tmp_path / "knee.h5", "w") as file:
        file["kspace"] = (noise * (window + 1e-3)).astype(np.complex64)
        file.attrs["acquisition"] = "CORPD_FBK"
    assert main(["recon", str(tmp_path / "knee.h5"), "--out", str(tmp_path / "out")]) == 0
    assert "GEOM-NOMINAL" in capsys.readouterr().err
    header = pydicom.dcmread(tmp_path / "out" / "dicom" / "0001.dcm")
    assert "GEOM-NOMINAL" in header.SeriesDescription
    assert "nominal" in header.ImageComments
    nifti = nibabel.load(tmp_path / "out" / "image.nii.gz").header
    assert 1 not in (int(nifti["qform_code"]), int(nifti["sform_code"]))


def test_t16_a_template_of_another_size_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, n in (("small", 32), ("large", 40)):
        raw = write_scan(tmp_path / f"{name}.h5", ScanRecipe(matrix=(3, n, n), voxel=(5.0, 5.0, 5.0)))
        if name == "small":
            assert main(["recon", str(raw), "--out", str(tmp_path / "small"), "--dicom"]) == 0
    before = sorted(tmp_path.rglob("*"))
    template = ["--template", str(tmp_path / "small" / "dicom")]
    assert main(["recon", str(tmp_path / "large.h5"), "--out", str(tmp_path / "large"), *template]) == 2
    assert sorted(tmp_path.rglob("*")) == before
    capsys.readouterr()
    raw = str(tmp_path / "small.h5")
    assert main(["recon", raw, "--out", str(tmp_path / "joined"), "--dicom", "--weight", "0.1", *template]) == 0
    theirs, ours = (pydicom.dcmread(tmp_path / p / "dicom" / "0001.dcm") for p in ("small", "joined"))
    assert theirs.StudyInstanceUID == ours.StudyInstanceUID
    assert theirs.FrameOfReferenceUID == ours.FrameOfReferenceUID
    assert theirs.SeriesInstanceUID != ours.SeriesInstanceUID
    checks.t2_entities(tmp_path / "joined" / "dicom", tmp_path / "small" / "dicom")
