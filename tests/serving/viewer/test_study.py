"""What a folder holds, in which units, on which grid."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from mrirecon.errors import FormatError
from mrirecon.io.nifti.writer import write_nifti
from mrirecon.mri.masks import sampling_mask
from mrirecon.serving.viewer.folder import read_folder, study_folders
from mrirecon.serving.viewer.study import Study, default_window, open_study
from tests.io.phantom_series import make_phantom
from tests.serving.viewer.studies import FACTOR, WARNING, spread_of, write_dicom_study, write_study

SMALL = (4, 20, 24)


def roles(study: Study) -> list[str]:
    return [shown.volume.role for shown in study.volumes]


def test_nifti_is_shown_as_it_was_written(tmp_path: Path) -> None:
    made = write_study(tmp_path, shape=SMALL)
    study = open_study(tmp_path)
    assert roles(study) == ["reconstruction", "uncertainty"]
    image = nibabel.Nifti1Image.from_bytes(study.volumes[0].file())
    np.testing.assert_allclose(image.get_fdata().transpose(2, 1, 0), made.series.image * FACTOR, rtol=1e-5)
    ball = np.linalg.inv(made.series.geometry.affine) @ [*made.ball_lps, 1]
    screen = np.diag([-1, -1, 1]) @ (study.display.motion @ [*made.ball_lps, 1])[:3]
    np.testing.assert_allclose((image.affine @ [*ball[[2, 1, 0]], 1])[:3], screen, atol=1e-3)


def test_dicom_alone_is_the_same_study_in_the_same_units(tmp_path: Path) -> None:
    made = write_dicom_study(tmp_path, shape=SMALL)
    study = open_study(tmp_path)
    assert roles(study) == ["reconstruction", "uncertainty"]
    image, spread = (shown.volume.read() for shown in study.volumes)
    scale = float(np.vdot(image, made.series.image) / np.vdot(made.series.image, made.series.image))
    np.testing.assert_allclose(image, made.series.image * scale, atol=0.6)
    np.testing.assert_allclose(spread, spread_of(made).image * scale, atol=0.05)
    assert study.volumes[0].volume.units == study.volumes[1].volume.units is not None


def test_nothing_is_shown_twice(tmp_path: Path) -> None:
    write_dicom_study(tmp_path, shape=SMALL)
    made = make_phantom(shape=SMALL)
    write_nifti(made.series, tmp_path / "image.nii.gz")
    np.save(tmp_path / "image.npy", made.series.image)
    assert [v.role for v in read_folder(tmp_path).volumes] == ["reconstruction", "uncertainty"]
    assert read_folder(tmp_path).volumes[0].stored_as == "nifti"


def test_results_of_the_same_raw_data_are_compared_in_the_same_units(tmp_path: Path) -> None:
    made = write_study(tmp_path / "a", shape=SMALL)
    write_study(tmp_path / "b", shape=SMALL, factor=3 * FACTOR)
    study = open_study(tmp_path / "a", reference=tmp_path / "b")
    assert roles(study) == ["reconstruction", "reference", "uncertainty", "difference"]
    assert study.volumes[0].volume.units == study.volumes[1].volume.units
    np.testing.assert_allclose(study.volumes[1].volume.read(), made.series.image * FACTOR, rtol=1e-4)
    assert study.volumes[3].volume.read().max() < 1e-3 * FACTOR * made.series.image.max()
    assert study.volumes[3].notes == ("both in the same units",)


def test_another_image_is_scaled_for_the_difference_and_says_so(tmp_path: Path) -> None:
    made = write_study(tmp_path / "a", shape=SMALL)
    bright = made.series.image.copy()
    bright[1, 5, 6] += bright.max()
    write_nifti(replace(made.series, image=5 * bright), tmp_path / "other.nii.gz")
    study = open_study(tmp_path / "a", reference=tmp_path / "other.nii.gz")
    difference = study.volumes[-1].volume.read()
    assert np.unravel_index(difference.argmax(), difference.shape) == (1, 5, 6)
    assert "least squares" in study.volumes[-1].notes[0]
    assert study.volumes[1].volume.units is None


def test_no_difference_on_another_grid(tmp_path: Path) -> None:
    made = write_study(tmp_path / "a", shape=SMALL)
    moved = replace(made.series, geometry=made.series.geometry.crop((0, 1, 0)))
    write_nifti(moved, tmp_path / "moved.nii.gz")
    study = open_study(tmp_path / "a", reference=tmp_path / "moved.nii.gz")
    assert "difference" not in roles(study)
    assert any("another grid" in problem for problem in study.problems)


def test_a_reference_without_position_is_laid_onto_the_grid_and_says_so(tmp_path: Path) -> None:
    made = write_study(tmp_path / "a", shape=SMALL)
    write_nifti(make_phantom(shape=SMALL, nominal=True).series, tmp_path / "same.nii.gz")
    write_nifti(make_phantom(shape=(3, 20, 24), nominal=True).series, tmp_path / "else.nii.gz")
    same = open_study(tmp_path / "a", reference=tmp_path / "same.nii.gz").volumes[1]
    assert same.linked
    assert "no position" in same.notes[0]
    assert not open_study(tmp_path / "a", reference=tmp_path / "else.nii.gz").volumes[1].linked
    assert made.series.geometry.nominal is False


def test_complex_odd_four_dimensional_and_damaged_files(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((7, 5, 3, 2)) + 1j
    values[0, 0, 0, 0] = np.nan
    nibabel.save(nibabel.Nifti1Image(values.astype(np.complex64), np.eye(4)), tmp_path / "odd.nii.gz")
    (tmp_path / "broken.nii.gz").write_bytes(b"not a volume")
    study = open_study(tmp_path)
    assert [s.volume.title for s in study.volumes] == ["odd 1", "odd 2"]
    shown = study.volumes[0].volume.read()
    np.testing.assert_allclose(shown[2, 4, 6], abs(values[6, 4, 2, 0]), rtol=1e-6)
    assert shown[0, 0, 0] == 0
    assert "magnitude" in study.manifest()["volumes"][0]["notes"][0]
    assert any("broken.nii.gz" in problem and str(tmp_path) not in problem for problem in study.problems)


def test_nominal_geometry_has_no_letters(tmp_path: Path) -> None:
    write_study(tmp_path, shape=SMALL, nominal=True)
    manifest = open_study(tmp_path).manifest()
    assert manifest["letters"] is None
    assert manifest["orientation_known"] is False
    image = nibabel.Nifti1Image(np.ones((3, 3, 3), np.float32), np.eye(4))
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nibabel.save(image, tmp_path / "plain.nii")
    assert open_study(tmp_path / "plain.nii").manifest()["letters"] is None


def test_an_array_with_the_grid_of_the_record(tmp_path: Path) -> None:
    made = write_study(tmp_path, shape=SMALL, spread=False)
    (tmp_path / "image.nii.gz").unlink()
    np.save(tmp_path / "image.npy", made.series.image * np.exp(1j))
    (shown,) = open_study(tmp_path).volumes
    np.testing.assert_allclose(shown.volume.read(), made.series.image * FACTOR, rtol=1e-5)
    np.testing.assert_allclose(shown.volume.geometry.affine, made.series.geometry.affine)


def test_links_that_lead_out_are_left_out(tmp_path: Path) -> None:
    write_study(tmp_path / "elsewhere", shape=SMALL)
    write_study(tmp_path / "here", shape=SMALL, spread=False)
    secret = tmp_path / "elsewhere" / "image.nii.gz"
    (tmp_path / "here" / "standard_deviation.nii.gz").symlink_to(secret)
    (tmp_path / "here" / "dicom").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "here" / "samples").mkdir()
    (tmp_path / "here" / "samples" / "sample_001.nii.gz").symlink_to(secret)
    (tmp_path / "here" / "certificate.txt").symlink_to(tmp_path / "elsewhere" / "provenance.json")
    study = open_study(tmp_path / "here")
    assert roles(study) == ["reconstruction"]
    assert study.folder.certificate is None


def test_the_manifest_is_plain_json_without_paths(tmp_path: Path) -> None:
    write_study(tmp_path, shape=SMALL)
    (tmp_path / "certificate.json").write_text(json.dumps({"verdict": "PASS: fine", "per_line": {"worst": 1.25}}))
    text = json.dumps(open_study(tmp_path).manifest(), allow_nan=False)
    assert str(tmp_path) not in text
    assert "/home/doe" not in text
    manifest = json.loads(text)
    assert manifest["warnings"] == [WARNING]
    assert manifest["record"][0]["rows"] == [["verdict", "PASS: fine"], ["per line, worst", "1.25"]]


def test_a_failed_certificate_of_the_record_is_the_first_warning(tmp_path: Path) -> None:
    write_study(tmp_path, shape=SMALL)
    path = tmp_path / "provenance.json"
    content = json.loads(path.read_text())
    content["certificate"] = {
        "verdict": "pass",
        "sentence": "PASS: it agrees",
        "limits": "Not more.",
        "misfit": 0.98765432,
    }
    path.write_text(json.dumps(content))
    manifest = open_study(tmp_path).manifest()
    rows = [["", "PASS: it agrees"], ["", "Not more."], ["Misfit", "0.987654"]]
    assert manifest["record"][0]["rows"] == rows
    assert manifest["warnings"] == [WARNING]
    content["certificate"] |= {"verdict": "fail", "sentence": "FAIL: it does not"}
    path.write_text(json.dumps(content))
    assert open_study(tmp_path).manifest()["warnings"] == ["FAIL: it does not", WARNING]


def test_the_mask_is_drawn_again_bit_for_bit(tmp_path: Path) -> None:
    write_study(tmp_path, shape=SMALL)
    picture = open_study(tmp_path).manifest()["sampling"]
    drawn = sampling_mask("equispaced", (32, 24), acceleration=4, centre_lines=6, phase_encoding_axis="y", seed=0)
    assert picture["shape"] == [32, 24]
    bits = np.unpackbits(np.frombuffer(base64.b64decode(picture["bits"]), np.uint8))[: 32 * 24].reshape(32, 24)
    np.testing.assert_array_equal(bits.astype(bool), drawn.mask.expand(32, 24).numpy())


def test_a_mask_that_cannot_be_drawn_says_why(tmp_path: Path) -> None:
    write_study(tmp_path, shape=SMALL)
    path = tmp_path / "provenance.json"
    content = json.loads(path.read_text())
    content["mask"]["sha256"] = "0" * 64
    path.write_text(json.dumps(content))
    picture = open_study(tmp_path).manifest()["sampling"]
    assert picture["bits"] is None
    assert "cannot be drawn" in picture["text"]


def test_a_batch_is_several_studies_and_an_empty_folder_none(tmp_path: Path) -> None:
    write_study(tmp_path / "b", shape=SMALL)
    write_study(tmp_path / "a", shape=SMALL)
    assert [folder.name for folder in study_folders(tmp_path)] == ["a", "b"]
    assert study_folders(tmp_path / "a") == (tmp_path / "a",)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match=r"holds no volume to show, expected image.nii.gz"):
        study_folders(tmp_path / "empty")


def test_windows() -> None:
    values = np.zeros((10, 10, 10), np.float32)
    values[2:8, 2:8, 2:8] = np.linspace(500, 1500, 216, dtype=np.float32).reshape(6, 6, 6)
    low, high = default_window(values, "reconstruction")
    assert high == pytest.approx(np.percentile(values[values > 0], 99), rel=1e-3)
    assert low == pytest.approx(high / 10)  # air does not decide, and dark tissue stays visible
    assert default_window(values, "uncertainty") == (0.0, pytest.approx(high))
    assert default_window(np.zeros((1, 2, 2), np.float32), "reconstruction") == (0.0, 1.0)
    low, high = default_window(np.full((1, 2, 2), 7.0, np.float32), "reconstruction")
    assert low < 7.0 <= high
    low, high = default_window(np.linspace(-5, 5, 1001, dtype=np.float32).reshape(1, 7, 143), "other")
    assert (low, high) == pytest.approx((-4.9, 4.9), abs=1e-3)
