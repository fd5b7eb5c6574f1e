"""Acceptance of the learned method in the pipe: raw files through the command line, judged by independent readers.

The network is a tiny one with random weights: its images are poor, but every property of the pipe shows.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import torch
from numpy.typing import NDArray

from mrirecon.cli import main
from mrirecon.io.base import open_scan
from mrirecon.io.provenance import read_provenance
from mrirecon.jobs.plane_worker import PlaneWorker
from mrirecon.reconstruction.uncertainty import small_sample_factor
from mrirecon.training.card import UncertaintyCard
from mrirecon.training.checkpoint import record_uncertainty
from tests.acceptance import checks
from tests.acceptance.networks import NOTE, write_checkpoint
from tests.acceptance.scans import ScanRecipe, write_scan
from tests.io.shared_data import shared
from tests.io.twix_phantom import OVERSAMPLING, Line, header_text, protocol, siemens_kspace, write
from tests.io.writers_for_tests import write_fastmri

SMALL = ScanRecipe(matrix=(4, 40, 36), voxel=(5.0, 4.0, 4.4), n_coils=5)
VOLUME = ScanRecipe(matrix=(20, 24, 26), voxel=(7.0, 6.0, 5.0), encoding="3D")
SAMPLES = 3


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scan(tmp_path_factory.mktemp("raw") / "scan.h5", SMALL)


def recon(raw: Path, out: Path, weights: Path, *more: str) -> Path:
    learned = ["--method", "unfolded", "--checkpoint", str(weights)]
    assert main(["recon", str(raw), "--out", str(out), *learned, *more]) == 0
    return out


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory, raw: Path, weights: Path) -> Path:
    out = tmp_path_factory.mktemp("sampled") / "out"
    options = ["--steps", "2", "--samples", str(SAMPLES), "--write-samples", "--accelerate", "2", "--seed", "7"]
    return recon(raw, out, weights, *options, "--centre-lines", "12", "--dicom", "--nifti", "--png", "--npy")


def pixels(folder: Path) -> NDArray[np.float64]:
    headers = sorted(checks.headers_of(folder), key=lambda h: int(h.InstanceNumber))
    return np.stack([h.pixel_array for h in headers]).astype(float)


CALIBRATION = UncertaintyCard(
    level=0.9, factor=1.7, coverage_before=0.65, coverage_after=0.89, slices=24, subjects=("anna", "bert"),
    calibration_slices=32, calibration_subjects=("carl",), trained_on_calibration=False, steps=8, samples=16,
    sampler="euler", command="none",
)  # fmt: skip
FOLDERS = ("dicom", "dicom_standard_deviation")


@pytest.mark.parametrize("name", FOLDERS)
def test_both_series_are_conformant(sampled: Path, name: str) -> None:
    checks.t1_iod(sampled / name)
    checks.t3_identity(sampled / name)
    checks.t4_slice_geometry(sampled / name)
    checks.t5_volume(sampled / name)


def test_the_two_series_are_one_study_without_contradiction(sampled: Path, tmp_path: Path) -> None:
    for name in FOLDERS:
        for path in (sampled / name).glob("*.dcm"):
            shutil.copy(path, tmp_path / f"{name}{path.name}")
    checks.t2_entities(tmp_path)
    image, spread = (checks.headers_of(sampled / name)[0] for name in FOLDERS)
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "Rows", "Columns", "ImageType"):
        assert image[keyword].value == spread[keyword].value, keyword
    assert image.SeriesInstanceUID != spread.SeriesInstanceUID
    assert (int(image.SeriesNumber), int(spread.SeriesNumber)) == (901, 902)
    assert str(spread.SeriesDescription).endswith("STD")
    for a, b in zip(*(checks.headers_of(sampled / name) for name in FOLDERS), strict=True):
        assert a.ImagePositionPatient == b.ImagePositionPatient


def test_the_files_say_what_was_done(sampled: Path, weights: Path) -> None:
    header = checks.headers_of(sampled / "dicom")[0]
    card = json.loads((weights / "model.json").read_text())
    record = read_provenance(sampled / "provenance.json")
    assert list(header.ImageType) == ["DERIVED", "SECONDARY", "OTHER"]
    text = header.DerivationDescription
    for word in (
        "unfolded",
        "tiny",
        card["weights_sha256"],
        "2 steps",
        "euler",
        "mean of 3 posterior samples",
        "seed 7",
    ):
        assert word in text, word
    assert record.mask is not None
    assert record.mask["sha256"] in text
    assert "equispaced R=2" in text
    assert len(text) <= 1024
    assert NOTE in header.ImageComments
    assert "neural network" in header.ImageComments
    assert (record.method, record.seed) == ("unfolded", 7)
    assert record.network is not None
    assert record.network["sha256"] == card["weights_sha256"]
    assert len(record.network["levels"]) == 2
    assert len(record.network["scale"]) == len(record.network["sigma"]) == SMALL.matrix[0]
    assert all(0.2 < scale < 5 for scale in record.network["scale"]), "planes are scaled to about 1 before"
    assert record.configuration["method"]["checkpoint"] == "tiny"
    assert any(NOTE in warning for warning in record.warnings)
    assert str(weights.parent) not in (sampled / "provenance.json").read_text()
    spread = checks.headers_of(sampled / "dicom_standard_deviation")[0]
    assert spread.DerivationDescription.startswith("standard deviation of the magnitude over 3 posterior samples")
    assert record.companions["standard_deviation"]["series_uid"] == spread.SeriesInstanceUID


def test_a_calibrated_checkpoint_scales_its_standard_deviation_and_says_so(
    raw: Path, weights: Path, sampled: Path, tmp_path: Path
) -> None:
    calibrated = Path(shutil.copytree(weights, tmp_path / "calibrated"))
    record_uncertainty(calibrated, CALIBRATION)
    options = ["--steps", "2", "--samples", str(SAMPLES), "--accelerate", "2", "--seed", "7", "--centre-lines", "12"]
    out = recon(raw, tmp_path / "out", calibrated, *options, "--dicom", "--npy")
    image, spread = (np.load(out / f"{name}.npy") for name in ("image", "standard_deviation"))
    assert np.array_equal(image, np.load(sampled / "image.npy"))
    assert np.allclose(spread, CALIBRATION.factor * np.load(sampled / "standard_deviation.npy"), rtol=1e-5)
    header = checks.headers_of(out / "dicom_standard_deviation")[0]
    assert "posterior samples, multiplied by the conformal factor 1.7, stored value" in header.DerivationDescription
    assert len(header.DerivationDescription) <= 1024
    plain = checks.headers_of(sampled / "dicom_standard_deviation")[0]
    assert "posterior samples, not calibrated, stored value" in plain.DerivationDescription
    record, before = (read_provenance(folder / "provenance.json") for folder in (out, sampled))
    assert record.network is not None
    assert before.network is not None
    assert record.network["spread_factor"] == CALIBRATION.factor
    assert "spread_factor" not in before.network
    assert any(
        "conformal factor 1.7 of tiny: on anna, bert the 90 % interval covered 65.0 %" in n for n in record.notes
    )
    assert any("found with 8 euler steps without churn, and is approximate here" in n for n in record.notes)
    assert any("tiny has no calibration" in n for n in before.notes)
    factor = record.companions["standard_deviation"]["scale_factor"]
    assert np.abs(pixels(out / "dicom_standard_deviation") - factor * spread).max() <= 0.51


def test_mean_spread_and_samples_belong_together(sampled: Path) -> None:
    samples = np.load(sampled / "samples.npy")
    image, spread = (np.load(sampled / f"{name}.npy") for name in ("image", "standard_deviation"))
    assert samples.shape == (SAMPLES, *image.shape)
    expected = samples.astype(np.float64).std(axis=0, ddof=1) / small_sample_factor(SAMPLES - 1)
    assert np.abs(spread - expected).max() <= 1e-5 * spread.max()
    assert 0 < spread[image > 0.3 * image.max()].mean() < 0.5 * image.max()
    mean = samples.mean(axis=0)
    assert (image <= mean * (1 + 1e-5) + 1e-5 * image.max()).all(), "|mean| never exceeds the mean of |.|"
    inside = image > 0.5 * image.max()
    assert np.abs(image - mean)[inside].max() < 0.1 * image.max()


def test_units_of_dicom_nifti_and_arrays(sampled: Path, tmp_path: Path) -> None:
    record = read_provenance(sampled / "provenance.json")
    factor, beside = record.scale_factor, record.companions["standard_deviation"]["scale_factor"]
    assert beside == pytest.approx(16 * factor)
    spread = np.load(sampled / "standard_deviation.npy")
    assert np.abs(pixels(sampled / "dicom_standard_deviation") - beside * spread).max() <= 0.51
    header = checks.headers_of(sampled / "dicom_standard_deviation")[0]
    mapping = header.RealWorldValueMappingSequence[0]
    assert float(mapping.RealWorldValueSlope) == pytest.approx(1 / beside)
    assert mapping.LUTLabel == "STANDARD_DEV"
    nifti = nibabel.load(sampled / "standard_deviation.nii.gz")
    assert np.allclose(nifti.get_fdata().transpose(2, 1, 0), factor * spread, rtol=1e-5, atol=1e-6)
    assert np.array_equal(nifti.affine, nibabel.load(sampled / "image.nii.gz").affine)
    checks.t6_round_trip(sampled / "dicom", sampled / "image.nii.gz", tmp_path / "image")
    files = checks.converted(sampled / "dicom_standard_deviation", tmp_path), sampled / "standard_deviation.nii.gz"
    theirs, ours = (nibabel.as_closest_canonical(nibabel.load(path)) for path in files)
    assert np.allclose(theirs.affine, ours.affine, atol=1e-3)
    assert np.abs(theirs.get_fdata() - 16 * ours.get_fdata()).max() <= 0.51
    one = nibabel.load(sampled / "samples" / "sample_002.nii.gz")
    assert np.allclose(
        one.get_fdata().transpose(2, 1, 0), factor * np.load(sampled / "samples.npy")[1], rtol=1e-5, atol=1e-6
    )
    assert len(list((sampled / "samples").iterdir())) == SAMPLES
    assert (sampled / "standard_deviation.png").stat().st_size > 1000


def test_geometry_is_that_of_the_classical_series(sampled: Path, raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "sense"
    assert main(["recon", str(raw), "--out", str(out), "--dicom", "--nifti"]) == 0
    ours, theirs = (checks.headers_of(folder / "dicom") for folder in (sampled, out))
    for a, b in zip(ours, theirs, strict=True):
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "InstanceNumber", "Rows"):
            assert a[keyword].value == b[keyword].value, keyword
    assert np.array_equal(*(nibabel.load(f / "image.nii.gz").affine for f in (sampled, out)))
    assert np.corrcoef(pixels(sampled / "dicom").ravel(), pixels(out / "dicom").ravel())[0, 1] > 0.9


def test_a_seed_repeats_everything_and_another_one_does_not(raw: Path, weights: Path, tmp_path: Path) -> None:
    options = ["--steps", "2", "--samples", "2", "--npy", "--dicom", "--slices", "1:3"]
    for name, seed in (("first", "3"), ("again", "3"), ("other", "4")):
        recon(raw, tmp_path / name, weights, *options, "--seed", seed)
    for kind in ("image", "standard_deviation"):
        first, again, other = (np.load(tmp_path / name / f"{kind}.npy") for name in ("first", "again", "other"))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)
    uids = [{h.SOPInstanceUID for h in checks.headers_of(tmp_path / name / "dicom")} for name in ("first", "again")]
    assert uids[0] == uids[1]


@pytest.mark.parametrize("recipe", [SMALL, VOLUME], ids=["2D", "3D"])
def test_slices_are_those_of_the_whole_volume(recipe: ScanRecipe, weights: Path, tmp_path: Path) -> None:
    raw = write_scan(tmp_path / "scan.h5", recipe)
    options = ["--steps", "2", "--samples", "2", "--npy"]
    whole = recon(raw, tmp_path / "whole", weights, *options)
    part = recon(raw, tmp_path / "part", weights, *options, "--slices", "1:3")
    for kind in ("image", "standard_deviation"):
        full, chosen = (np.load(folder / f"{kind}.npy") for folder in (whole, part))
        assert np.array_equal(full[1:3], chosen), kind
        assert np.abs(full[0:2] - chosen).max() > 0.05 * full.max(), "neighbouring slices do differ"


def test_an_interrupted_run_resumes_to_the_same_images_and_record(
    raw: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--steps", "2", "--samples", "2", "--write-samples", "--npy"]
    straight = recon(raw, tmp_path / "straight", weights, *options)
    original, done = PlaneWorker.reconstruct, []

    def stopping(self: PlaneWorker, index: int, plane: torch.Tensor) -> object:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(index)
        return original(self, index, plane)

    command = ["recon", str(raw), "--out", str(tmp_path / "out"), "--method", "unfolded", "--checkpoint", str(weights)]
    monkeypatch.setattr(PlaneWorker, "reconstruct", stopping)
    assert main([*command, *options]) == 130
    done = [0] * 99

    def counting(self: PlaneWorker, index: int, plane: torch.Tensor) -> object:
        done.append(index)
        return original(self, index, plane)

    monkeypatch.setattr(PlaneWorker, "reconstruct", counting)
    assert main([*command, *options]) == 0
    assert done[99:] == [2, 3]
    for kind in ("image", "standard_deviation", "samples"):
        assert np.array_equal(*(np.load(folder / f"{kind}.npy") for folder in (straight, tmp_path / "out")))
    records = [read_provenance(folder / "provenance.json") for folder in (straight, tmp_path / "out")]
    assert records[0].network == records[1].network


def test_samples_wanted_after_an_interruption_are_drawn_again(
    raw: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planes kept without samples are not taken for finished."""
    command = ["recon", str(raw), "--out", str(tmp_path / "out"), "--method", "unfolded", "--checkpoint", str(weights)]
    options = ["--steps", "2", "--samples", "2", "--npy"]
    with monkeypatch.context() as patch:
        patch.setattr(
            "mrirecon.jobs.reconstruct.final_geometry", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        assert main([*command, *options]) == 130
    assert main([*command, *options, "--write-samples"]) == 0
    assert np.load(tmp_path / "out" / "samples.npy").shape[0] == 2


def test_the_fast_mode_is_the_posterior_mean_and_writes_no_spread(raw: Path, weights: Path, tmp_path: Path) -> None:
    out = recon(raw, tmp_path / "out", weights, "--npy", "--dicom")
    assert {p.name for p in out.iterdir()} == {"dicom", "dicom_certificate", "image.npy", "provenance.json"}
    assert "1 step, posterior mean in one step" in checks.headers_of(out / "dicom")[0].DerivationDescription
    other = recon(raw, tmp_path / "other", weights, "--npy", "--seed", "9")
    image, again = (np.load(folder / "image.npy") for folder in (out, other))
    assert np.abs(image - again).max() < 0.02 * image.max(), "one step depends on the data, hardly on the start"


def test_several_samples_bring_several_steps(raw: Path, weights: Path, tmp_path: Path) -> None:
    out = recon(raw, tmp_path / "out", weights, "--npy", "--samples", "2", "--slices", "0")
    assert read_provenance(out / "provenance.json").configuration["method"]["steps"] == 8


CASES = {
    "two map sets": ["--map-sets", "2"],
    "walsh maps": ["--maps", "walsh"],
    "virtual coils": ["--compress-coils", "2"],
    "random mask": ["--accelerate", "3", "--mask", "random", "--centre-lines", "12"],
    "2D mask": ["--accelerate", "3", "--mask", "poisson-disc", "--centre-lines", "12"],
    "oversampled": ["--keep-oversampling"],
    "acquired view": ["--view", "acquired"],
}


@pytest.mark.parametrize("case", CASES)
def test_whatever_the_preparation(case: str, raw: Path, weights: Path, tmp_path: Path) -> None:
    options = ["--steps", "2", "--samples", "2", "--npy", "--slices", "1:3"]
    out = recon(raw, tmp_path / "out", weights, *options, *CASES[case])
    image, spread = (np.load(out / f"{name}.npy") for name in ("image", "standard_deviation"))
    assert image.shape == spread.shape
    assert np.isfinite(image).all()
    assert spread.max() > 0


@pytest.mark.parametrize(
    "recipe",
    [
        ScanRecipe(matrix=(2, 33, 31), voxel=(5.0, 5.0, 5.0), n_coils=1),
        ScanRecipe(matrix=(2, 48, 36), voxel=(5.0, 3.6, 4.0), encoded_lines=30, n_coils=9),
        ScanRecipe(matrix=(2, 40, 36), voxel=(5.0, 4.0, 4.4), first_line=9),
    ],
    ids=["single coil, odd", "zero-filled lines, nine coils", "partial Fourier"],
)
@pytest.mark.parametrize("fill", ["zero-fill", "homodyne"])
def test_whatever_the_scan(recipe: ScanRecipe, fill: str, weights: Path, tmp_path: Path) -> None:
    raw = write_scan(tmp_path / "scan.h5", recipe)
    maps = ["--maps", "walsh"] if recipe.n_coils == 1 else []
    options = ["--steps", "2", "--samples", "2", "--npy", "--partial-fourier", fill, *maps]
    out = recon(raw, tmp_path / "out", weights, *options)
    assert np.load(out / "standard_deviation.npy").shape == recipe.matrix


def as_fastmri(raw: Path, path: Path, **attributes: str) -> Path:
    """The k-space of a scan in a file as the fastMRI data sets have it: the readout first, no noise scan."""
    scan = open_scan(raw)
    data = np.stack([scan.read(i).mT.numpy() for i in range(scan.n_slices)])
    return write_fastmri(path, data, attributes=attributes)


def test_an_unknown_noise_level_is_estimated_and_said(raw: Path, weights: Path, tmp_path: Path) -> None:
    file = as_fastmri(raw, tmp_path / "knee.h5")
    out = recon(file, tmp_path / "out", weights, "--npy", "--whitening", "none")
    record, known = (
        read_provenance(folder / "provenance.json")
        for folder in (out, recon(raw, tmp_path / "known", weights, "--npy"))
    )
    (note,) = (note for note in record.notes if "told a noise level" in note)
    assert "upper estimate" in note
    assert record.network is not None
    assert known.network is not None
    relative = np.array(record.network["sigma"]) / np.array(known.network["sigma"])
    assert (relative > 0.7).all(), "not far below what the noise scan says"


def test_a_fastmri_file_says_that_its_geometry_is_nominal_in_both_series(
    raw: Path, weights: Path, tmp_path: Path
) -> None:
    file = as_fastmri(raw, tmp_path / "knee.h5", acquisition="CORPD_FBK")
    out = recon(file, tmp_path / "out", weights, "--steps", "2", "--samples", "2", "--dicom")
    for name in FOLDERS:
        header = checks.headers_of(out / name)[0]
        assert "GEOM-NOMINAL" in header.SeriesDescription
        assert "nominal" in header.ImageComments
        checks.t3_identity(out / name)
        checks.t4_slice_geometry(out / name)


def test_a_twix_file(weights: Path, tmp_path: Path) -> None:
    """A bright square seen by four coils, written by another program."""
    rows, columns, coils = 32, 64, 4
    y, x = np.mgrid[:rows, :columns]
    image = 1.0 * ((abs(y - 16) < 12) & (abs(x - 32) < 14)) + 2.0 * ((abs(y - 20) < 4) & (abs(x - 26) < 4))
    rng = np.random.default_rng(0)
    maps = np.exp(-((y - 8 * np.arange(coils)[:, None, None]) ** 2) / 400 + 1j * rng.random((coils, 1, 1)))
    kspace = siemens_kspace(maps * image, (1, 2))
    kspace = kspace + 0.01 * (rng.standard_normal(kspace.shape) + 1j * rng.standard_normal(kspace.shape))
    lines = [
        Line(kspace[:, i], {"Lin": i}, (), columns // 2, rows // 2, time=4 * i, position=(5.0, -3.0, 8.0))
        for i in range(rows)
    ]
    header = header_text(protocol(base=columns // 2, lines=rows, fov=(5.0, 200.0, 200.0)), dicom=OVERSAMPLING)
    raw = write(tmp_path / "meas.dat", [(header, lines)])
    out = recon(raw, tmp_path / "out", weights, "--steps", "2", "--samples", "2", "--dicom", "--npy")
    assert np.load(out / "image.npy").shape == np.load(out / "standard_deviation.npy").shape == (1, 32, 32)
    for name in FOLDERS:
        checks.t3_identity(out / name)


def test_a_template_takes_both_series_into_its_study(raw: Path, sampled: Path, weights: Path, tmp_path: Path) -> None:
    template = sampled / "dicom"
    options = ["--steps", "2", "--samples", "2", "--dicom", "--template", str(template)]
    out = recon(raw, tmp_path / "out", weights, *options)
    theirs = pydicom.dcmread(template / "0001.dcm")
    numbers = []
    for name in FOLDERS:
        header = checks.headers_of(out / name)[0]
        assert header.StudyInstanceUID == theirs.StudyInstanceUID
        assert header.FrameOfReferenceUID == theirs.FrameOfReferenceUID
        numbers.append(int(header.SeriesNumber))
        checks.t2_entities(out / name, template)
    assert numbers == [90101, 90102]


def test_other_weights_of_the_same_name_make_other_objects(raw: Path, tmp_path: Path) -> None:
    uids = []
    for seed in (0, 1):
        folder = write_checkpoint(tmp_path / f"weights{seed}" / "tiny", seed=seed)
        out = recon(raw, tmp_path / f"out{seed}", folder, "--dicom", "--slices", "0")
        uids.append({h.SOPInstanceUID for h in checks.headers_of(out / "dicom")})
    assert not uids[0] & uids[1]


@pytest.mark.data
def test_a_measured_brain(weights: Path, tmp_path: Path) -> None:
    raw = shared("kspace/pulseq_freiburg/2024-02-06-164128.dat")
    out = recon(raw, tmp_path / "out", weights, "--steps", "2", "--samples", "2", "--dicom", "--nifti")
    for name in FOLDERS:
        checks.t1_iod(out / name)
        checks.t3_identity(out / name)
    assert pixels(out / "dicom").shape == (1, 128, 128)
