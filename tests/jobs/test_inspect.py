import json

import nibabel
import numpy as np
import pytest
import torch

from mrirecon.errors import FormatError
from mrirecon.io.base import open_scan
from mrirecon.jobs.inspect import describe_sampling, inspect_file, render_text
from tests.io.shared_data import shared
from tests.io.test_base import dicom
from tests.io.twix_phantom import IDENTIFIERS, OVERSAMPLING, Line, header_text, protocol, write

NY, NX = 48, 40


def kspace(*lead):
    g = torch.Generator().manual_seed(0)
    y, x = torch.arange(NY) - NY // 2, torch.arange(NX) - NX // 2
    window = torch.exp(-((y[:, None] / NY) ** 2 + (x / NX) ** 2) * 40)
    return torch.randn(*lead, NY, NX, dtype=torch.complex64, generator=g) * window


def save(tmp_path, array, **card):
    path = tmp_path / "k.npy"
    np.save(path, array.numpy())
    if card:
        path.with_suffix(".json").write_text(json.dumps(card))
    return path


def regular(k, step, centre):
    keep = torch.zeros(NY, dtype=torch.bool)
    keep[::step] = True
    keep[NY // 2 - centre // 2 : NY // 2 - centre // 2 + centre] = True
    return k * keep[:, None], keep


def test_acceleration_nominal_and_effective(tmp_path):
    k, keep = regular(kspace(4), 4, 12)
    facts = inspect_file(save(tmp_path, k))["sampling"]
    assert facts["nominal_acceleration"] == 4
    assert facts["effective_acceleration"] == pytest.approx(NY / int(keep.sum()), abs=1e-3)
    assert (facts["lines_acquired"], facts["lines"]) == (int(keep.sum()), NY)
    assert facts["calibration_region"][1] == NX
    assert 12 <= facts["calibration_region"][0] <= 15


def test_two_phase_encodings_have_no_nominal_acceleration(tmp_path):
    keep = torch.rand(NY, NX, generator=torch.Generator().manual_seed(1)) < 0.3
    keep[14:34, 10:30] = True
    facts = inspect_file(save(tmp_path, kspace(2) * keep))["sampling"]
    assert facts["nominal_acceleration"] is None
    assert facts["effective_acceleration"] == pytest.approx(NY * NX / int(keep.sum()), abs=1e-3)
    assert facts["calibration_region"] >= [20, 20]


def test_phase_encoding_along_x(tmp_path):
    k, _ = regular(kspace(2), 3, 8)
    path = save(tmp_path, k.mT.contiguous(), phase_encoding_axis="x")
    facts = describe_sampling(open_scan(path))
    assert (facts["nominal_acceleration"], facts["lines"]) == (3, NY)


def twix(tmp_path, *, noise):
    k = kspace(2).numpy()
    lines = [Line(k[:, :1, 0].repeat(64, 1), flags=["NOISEADJSCAN"])] if noise else []
    lines += [Line(k[:, i], {"Lin": i}, (), NX // 2, NY // 2) for i in range(NY)]
    header = header_text(protocol(base=NX // 2, lines=NY), dicom=OVERSAMPLING, meas=IDENTIFIERS)
    return write(tmp_path / "meas.dat", [(header, lines)])


def test_a_raw_file_is_described_without_its_identifiers(tmp_path):
    report = inspect_file(twix(tmp_path, noise=True))
    text, machine = render_text(report), json.dumps(report)
    for canary in ("CANARYNAME", "CANARYID", "424242"):
        assert canary not in text
        assert canary not in machine
    assert report["identifiers_present"] == ["tPatientName", "PatientID", "DeviceSerialNumber", "tFrameOfReference"]
    assert report["encoded"] == {"matrix_zyx": [1, 48, 40], "fov_mm_zyx": [5.0, 160.0, 400.0]}
    assert report["reconstructed"] == {"matrix_zyx": [1, 16, 20], "fov_mm_zyx": [5.0, 160.0, 200.0]}
    assert report["readout_oversampling"] == 2.0
    assert report["noise_scan"] == {"samples_per_coil": 64}
    assert report["recon"]["removes_readout_oversampling"]
    assert report["recon"]["calibration"] == [24, 24]
    assert report["recon"]["estimated_memory_bytes"] > 1 << 20
    for line in ("whiten the coils with noise from the noise scan", "remove readout oversampling (2x)", "TE 5 ms"):
        assert line in text
    assert "4 fields, not shown: tPatientName" in text


def test_the_report_survives_json(tmp_path):
    report = inspect_file(twix(tmp_path, noise=False))
    assert render_text(json.loads(json.dumps(report))) == render_text(report)
    assert "estimated from the edges of k-space" in render_text(report)


def test_nominal_geometry_is_said(tmp_path):
    report = inspect_file(save(tmp_path, kspace(2)))
    assert report["geometry"]["known"] is False
    assert "NOMINAL" in render_text(report)


def test_a_plan_that_cannot_work_says_why(tmp_path):
    k, _ = regular(kspace(2), 2, 0)
    report = inspect_file(save(tmp_path, k))
    assert "too small for sensitivity maps" in report["recon"]["obstacles"][0]
    assert "stop: the fully sampled centre" in render_text(report)


def test_simulated_data_are_named(tmp_path):
    report = inspect_file(save(tmp_path, kspace(2), simulated=True))
    assert report["simulated"]
    assert "made from images" in render_text(report)


def test_nifti_is_described_and_refused_for_reconstruction(tmp_path):
    affine = np.array([[0, 0, 3.0, 0], [-2.0, 0, 0, 0], [0, 1.5, 0, 0], [0, 0, 0, 1]])
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), affine)
    image.header["descrip"] = b"CANARY^NAME"
    nibabel.save(image, tmp_path / "a.nii.gz")
    report = inspect_file(tmp_path / "a.nii.gz")
    assert report["shape_xyz"] == [4, 5, 6]
    assert report["voxel_size_mm_xyz"] == [2.0, 1.5, 3.0]
    assert report["orientation"] == "PSR"
    assert report["orientation_known"]
    assert report["identifiers_present"] == ["descrip"]
    text = render_text(report)
    assert "CANARY" not in text + json.dumps(report)
    assert "not raw data" in text


def test_nifti_without_a_form_code_has_nominal_orientation(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), None)
    nibabel.save(image, tmp_path / "a.nii")
    report = inspect_file(tmp_path / "a.nii")
    assert not report["orientation_known"]
    assert "(nominal)" in render_text(report)


def test_dicom_is_described_without_its_identifiers(tmp_path):
    dicom(tmp_path / "IM1")
    report = inspect_file(tmp_path / "IM1")
    (series,) = report["series"]
    assert (series["rows"], series["columns"], series["pixel_spacing_mm_yx"]) == (8, 9, [1.5, 0.75])
    assert series["towards_x_y"] == ["L", "P"]
    assert report["identifiers_present"] == ["PatientName"]
    assert "CANARY" not in render_text(report) + json.dumps(report)


def test_unknown_files_are_refused(tmp_path):
    path = tmp_path / "x"
    path.write_text("nothing known")
    with pytest.raises(FormatError, match="unknown format"):
        inspect_file(path)


@pytest.mark.data
def test_the_brain_scan_names_no_patient():
    report = inspect_file(shared("kspace/pulseq_freiburg/2024-02-06-164128.dat"))
    assert "tPatientName" in report["identifiers_present"]
    for secret in ("ISMRM", "DS-Test", "213010", "Freiburg", "19920206"):
        assert secret not in json.dumps(report) + render_text(report)
    assert report["recon"]["obstacles"] == []


@pytest.mark.data
def test_a_dicom_folder_of_real_slices():
    report = inspect_file(shared("dicom/papaya_pd"))
    (series,) = report["series"]
    assert series["images"] == report["files"] == 20
    assert series["slice_step_mm"] == pytest.approx(7.0, abs=0.01)
    assert "StudyDate" in report["identifiers_present"]
