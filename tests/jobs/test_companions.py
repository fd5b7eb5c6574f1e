"""What `mrirecon recon --companions` writes beside the images: one study, series of their own, valid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from mrirecon.cli import main
from mrirecon.config.schema import ReconstructionConfig, Sense, Unfolded
from mrirecon.errors import ConfigError
from mrirecon.io.provenance import read_provenance
from mrirecon.jobs.certificate_page import FAILED_ADVICE, data_section, shift_section
from mrirecon.jobs.companions import Companions
from mrirecon.metrics.certificate import CertificateResult, untested
from mrirecon.metrics.shift_report import ShiftReport, not_scored
from tests.acceptance import checks
from tests.acceptance.scans import ScanRecipe, write_scan

SMALL = ScanRecipe(matrix=(3, 32, 32), voxel=(5.0, 5.0, 5.0))
LEARNED = ("--method", "unfolded", "--samples", "2", "--steps", "2", "--accelerate", "2")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scan(tmp_path_factory.mktemp("companions") / "scan.h5", SMALL)


@pytest.fixture(scope="module")
def results(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("companions") / "out"
    names = "uncertainty,parametric-map,classical,certificate"
    assert main(["recon", str(raw), "--out", str(out), "--companions", names, *LEARNED]) == 0
    return out


def test_one_study_and_series_of_their_own(results: Path) -> None:
    folders = ["dicom", *(f"dicom_{n}" for n in ("standard_deviation", "classical", "certificate", "parametric_map"))]
    heads = {name: checks.headers_of(results / name)[0] for name in folders}
    assert {str(h.StudyInstanceUID) for h in heads.values()} == {str(heads["dicom"].StudyInstanceUID)}
    assert {str(h.PatientID) for h in heads.values()} == {str(heads["dicom"].PatientID)}
    assert len({str(h.SeriesInstanceUID) for h in heads.values()}) == len(folders)
    assert [int(heads[name].SeriesNumber) for name in folders] == [901, 902, 903, 904, 905]
    assert heads["dicom_classical"].SeriesDescription.endswith("sense R2 equispaced CLASSICAL")
    assert heads["dicom_certificate"].SeriesDescription.startswith("mrirecon certificate ")
    text = checks.output_of(
        checks.program("dcentvfy"), *(p for name in folders for p in checks.files_of(results / name))
    )
    assert "Error" not in text, text
    for name in folders:
        found = checks.output_of(checks.program("dciodvfy"), "-new", checks.files_of(results / name)[0])
        assert not [line for line in found.splitlines() if line.startswith(("Error", "Warning"))], found


def test_the_classical_series_is_what_the_method_gives_by_itself(raw: Path, results: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    assert main(["recon", str(raw), "--out", str(alone), "--accelerate", "2", "--npy", "--companions", "none"]) == 0
    factor = read_provenance(results / "provenance.json").scale_factor
    stored = np.stack([h.pixel_array for h in checks.headers_of(results / "dicom_classical")])
    image = nibabel.load(results / "classical.nii.gz").get_fdata()
    expected = factor * np.load(alone / "image.npy")
    assert np.sort(stored.ravel()) == pytest.approx(np.sort(np.rint(expected).clip(0, 32767).ravel()), abs=1)
    assert np.sort(image.ravel()) == pytest.approx(np.sort(expected.ravel()), rel=1e-4, abs=0.01)
    assert not (alone / "dicom_certificate").exists()


def test_the_record_names_the_companions(results: Path) -> None:
    record = read_provenance(results / "provenance.json").companions
    assert set(record) == {"standard_deviation", "classical", "certificate", "parametric_map"}
    uids = {name: str(checks.headers_of(results / f"dicom_{name}")[0].SeriesInstanceUID) for name in record}
    assert {name: entry["series_uid"] for name, entry in record.items()} == uids
    assert record["classical"]["certificate"]["verdict"] in ("pass", "fail", "not tested")


def test_the_certificate_says_what_was_done(results: Path) -> None:
    page = pydicom.dcmread(results / "dicom_certificate" / "0001.dcm")
    text = f"{page.DerivationDescription} {page.ImageComments}"
    network = read_provenance(results / "provenance.json").network or {}
    card = read_provenance(results / "provenance.json").mask or {}
    for phrase in (
        "mean of 2 posterior samples",
        f"mri-small, SHA-256 {network['sha256']}",
        f"R = {card['effective_acceleration']:.3g} effective: {card['n_sampled']} of {card['n_phase_encodings']}",
        str(card["sha256"])[:16],
        "cannot vouch for what was not measured",
        "made with a neural network",
    ):
        assert phrase in text
    assert (results / "certificate.png").is_file()


def test_the_certificate_is_there_by_default_and_tells_the_acceleration_of_the_scan(raw: Path, tmp_path: Path) -> None:
    assert main(["recon", str(raw), "--out", str(tmp_path / "out"), "--slices", "1"]) == 0
    page = pydicom.dcmread(tmp_path / "out" / "dicom_certificate" / "0001.dcm")
    assert "R = 1 effective: 32 of 32 phase encodings, as acquired" in page.DerivationDescription
    assert "NO NETWORK" in page.DerivationDescription


@pytest.mark.parametrize(
    ("companions", "message"),
    [
        (Companions(), "uncertainty needs several posterior samples"),
        (Companions(parametric_map=True), "parametric-map needs several posterior samples"),
        (Companions(uncertainty=False, classical=Sense()), "classical is method sense, which the reconstruction is"),
    ],
)
def test_what_cannot_be_made_is_refused_before_the_work(companions: Companions, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        companions.require(ReconstructionConfig(), dicom=True, demanded=True)
    several = ReconstructionConfig(method=Unfolded(steps=2, samples=2))
    with pytest.raises(ConfigError, match="choose both"):
        Companions(parametric_map=True).require(several, dicom=False, demanded=False)


def test_unknown_names_are_refused(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for names in ("certificat", "none,classical"):
        assert main(["recon", str(raw), "--out", str(tmp_path / "out"), "--companions", names]) == 2
        assert "--companions must be none or of uncertainty, parametric-map" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_shift_section_never_takes_silence_for_an_answer() -> None:
    assert shift_section(None, learned=True).verdict == "NOT ASSESSED"
    assert shift_section(None, learned=False).verdict == "NO NETWORK"
    found = ShiftReport("unusual", "Unlike the training.", score=2.0, threshold=1.0)
    section = shift_section(found, learned=True)
    assert (section.verdict, section.tone) == ("UNUSUAL", "bad")
    assert "small lesion" in section.limits[0]
    silent = shift_section(not_scored("of that"), learned=True)
    assert (silent.tone, silent.limits) == ("unknown", ())


def test_a_failure_says_what_to_do() -> None:
    result = CertificateResult("fail", "FAIL: where k-space was measured, the image differs.", "It cannot.", 0.01)
    section = data_section(result)
    assert (section.verdict, section.tone, section.limits) == ("FAIL", "bad", ("It cannot.",))
    assert section.text == ("Where k-space was measured, the image differs.", FAILED_ADVICE)
    silent = data_section(untested("no noise"))
    assert (silent.verdict, silent.tone, silent.limits) == ("NOT TESTED", "unknown", ())
    tolerated = replace(result, verdict="pass", p_overall=0.0)
    assert data_section(tolerated).verdict == "PASS, within tolerance"
