"""The certificate that `mrirecon recon` writes and says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pydicom
import pytest
import torch
from torch import Tensor

from mrirecon.cli import main
from mrirecon.config.schema import ReconstructionConfig
from mrirecon.io.base import open_scan
from mrirecon.io.provenance import read_provenance
from mrirecon.jobs.plan import make_plan
from mrirecon.jobs.plane_worker import PlaneWorker
from mrirecon.metrics.certificate import CertificateResult
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.reconstruction.base import Reconstruction, Reconstructor
from mrirecon.records import from_mapping
from tests.acceptance.scans import ScanRecipe, write_scan

SMALL = ScanRecipe(matrix=(4, 32, 32), voxel=(5.0, 5.0, 5.0))


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scan(tmp_path_factory.mktemp("certification") / "scan.h5", SMALL)


def certified(raw: Path, out: Path, *arguments: str) -> CertificateResult:
    assert main(["recon", str(raw), "--out", str(out), "--npy", *arguments]) == 0
    record = read_provenance(out / "provenance.json").certificate
    assert record is not None
    return from_mapping(CertificateResult, record)


def test_recon_certifies(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = certified(raw, tmp_path / "out", "--accelerate", "2")
    assert f"certificate: {result.sentence}" in capsys.readouterr().err
    assert result.verdict == "pass"
    assert (result.noise_source, result.planes, result.axis) == ("noise-scan", 4, "ky")
    assert result.noise_samples is not None
    assert result.measured_share == 28 / 32, "twofold, with 24 centre lines"
    assert "cannot vouch for what was not measured" in result.limits


def test_without_noise_or_phase_nothing_is_tested(raw: Path, tmp_path: Path) -> None:
    result = certified(raw, tmp_path / "none", "--whitening", "none")
    assert (result.verdict, result.p_value) == ("not tested", None)
    result = certified(raw, tmp_path / "rss", "--method", "adjoint", "--combine", "rss")
    assert result.verdict == "not tested"
    assert "root sum of squares" in result.sentence


def test_the_sharp_form_says_what_it_costs_and_found(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = certified(raw, tmp_path / "out", "--accelerate", "2", "--certificate", "sharp", "--dicom")
    printed = capsys.readouterr().err
    assert "sharp certificate: 6 simulated repetitions of the scan, 13 reconstructions more of every plane" in printed
    assert f"certificate: {result.sentence}" in printed
    assert (result.verdict, result.expectation, result.replicas) == ("pass", "replicas", 6)
    assert result.expected is not None
    assert result.expected < 0.9, "the fit has adapted to noise, which the sharp form knows"
    assert result.misfit is not None
    assert result.misfit > 1.2, "estimated sensitivities: more than noise, within the tolerance"
    assert result.image_unexplained is not None
    assert result.image_unexplained < 0.005, "but no image explains that misfit, and so it is not in the image"
    again = certified(raw, tmp_path / "again", "--accelerate", "2", "--certificate", "sharp")
    assert again == result, "its noise comes from the seed"
    comments = str(pydicom.dcmread(tmp_path / "out" / "dicom_certificate" / "0001.dcm"))
    assert "sharp: against 6 simulated repetitions" in comments


def test_the_sharp_form_works_for_the_network(raw: Path, tmp_path: Path) -> None:
    learned = ("--method", "unfolded", "--accelerate", "2", "--slices", "1:3", "--no-shift-alarm")
    result = certified(raw, tmp_path / "out", *learned, "--certificate", "sharp")
    assert (result.verdict, result.expectation) == ("pass", "replicas")


def test_no_certificate_is_no_pass(raw: Path, tmp_path: Path) -> None:
    result = certified(raw, tmp_path / "out", "--certificate", "none")
    assert result.verdict == "not tested"
    assert "no certificate was asked for" in result.sentence


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (("--method", "adjoint", "--combine", "rss"), "keeps no phase; use --combine matched-filter"),
        (("--whitening", "none"), "unknown with whitening none; use --whitening auto"),
    ],
)
def test_an_impossible_sharp_certificate_is_refused_before_the_work(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], remedy: str
) -> None:
    command = ["recon", str(raw), str(raw), "--out", str(tmp_path / "out"), "--certificate", "sharp", *arguments]
    for inputs in (command[:2] + command[3:], command):
        assert main(inputs) == 2
        printed = capsys.readouterr().err
        assert printed.count("a sharp certificate") == 1
        assert remedy in printed
    assert not (tmp_path / "out").exists()


def test_without_usable_noise_there_is_no_sharp_certificate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two coils are one, which only the data tell; the images are made all the same."""
    silent = write_scan(tmp_path / "scan.h5", replace(SMALL, noise_scan=False), fault=lambda k: k[:, [0, 0, 2, 3]])
    result = certified(silent, tmp_path / "out", "--accelerate", "2", "--certificate", "sharp")
    printed = capsys.readouterr().err
    assert "no sharp certificate: the noise of this scan is unknown" in printed
    assert "simulated repetitions" not in printed
    assert result.verdict == "not tested"


def test_the_plan_knows_what_the_sharp_form_holds(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Six repetitions, six times each."""
    scan, config = open_scan(raw), ReconstructionConfig()
    quick, sharp = (
        make_plan(scan, config, n_slices=1, memory_limit=None, certificate=form) for form in ("quick", "sharp")
    )
    assert sharp.peak_bytes - quick.peak_bytes == 36 * 4 * 32 * 32 * 8
    assert main(["recon", str(raw), "--out", str(tmp_path / "out"), "--certificate", "sharp", "--memory", "400M"]) == 2
    assert "or choose --certificate quick" in capsys.readouterr().err


@dataclass(frozen=True)
class Painting(Reconstructor):
    """Another method's image with a lesion that nobody measured."""

    method: Reconstructor

    def __call__(
        self, y: Tensor, model: MeasurementModel, *, generator: torch.Generator | None = None
    ) -> Reconstruction:
        result = self.method(y, model, generator=generator)
        image = result.image.clone()
        image[..., 14:18, 15:19] += 0.6
        return replace(result, image=image)


def test_a_lesion_that_was_not_measured_fails(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = PlaneWorker.reconstruct

    def altering(self: PlaneWorker, index: int, plane: Tensor) -> object:
        worker = replace(self, method=Painting(self.method)) if index == 2 else self
        return original(worker, index, plane)

    monkeypatch.setattr(PlaneWorker, "reconstruct", altering)
    result = certified(raw, tmp_path / "out", "--accelerate", "2")
    assert result.verdict == "fail"
    assert {f.index for f in result.findings if f.kind == "slice"} == {2}
    assert {f.plane for f in result.findings if f.kind == "line"} == {2}
