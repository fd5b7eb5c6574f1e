"""Inputs of studies: where their voxels are, what counts as complete, regions, and scans without a reference."""

from __future__ import annotations

import math
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from mrirecon.config.study_schema import ScanInput
from mrirecon.errors import FormatError, ShapeError
from mrirecon.evaluation.study import held_out
from mrirecon.evaluation.study.layout import Layout
from mrirecon.evaluation.study.records import CellKey, InputRecord
from mrirecon.io.base import open_scan
from mrirecon.jobs.reporting import Silent
from mrirecon.jobs.study.measured import open_measured, prepare_measured
from mrirecon.jobs.study.prepared import load_prepared, save_prepared
from mrirecon.jobs.study.regions import labels_on_grid
from mrirecon.jobs.study.run import StudyOptions, run_study
from mrirecon.jobs.study.sources import Source, sources
from mrirecon.linalg.fft import ifft
from mrirecon.mri.coils import root_sum_of_squares
from tests.acceptance.scans import ScanRecipe
from tests.acceptance.scans import write_scan as write_phantom
from tests.evaluation.scenes import write_data
from tests.jobs.study_case import SHAPE, run, write_case, write_scan


def prepared(folder: Path, path: Path, choice: ScanInput):
    """An input, prepared, saved and loaded again: (source, layout, prepared, reference)."""
    layout = Layout(folder / "out")
    layout.inputs.mkdir(parents=True)
    source = Source("scan", "scan", choice, (path,))
    made, reference = prepare_measured(source, layout, root=folder, reference="rss", identity="1")
    save_prepared(layout, made, reference)
    loaded = load_prepared(layout, made.record)
    assert loaded is not None
    assert loaded.record == made.record
    return source, layout, loaded, reference


@pytest.mark.parametrize("encoding", ["2D", "3D"])
def test_the_ball_is_where_the_affine_says(tmp_path: Path, encoding: str) -> None:
    recipe = ScanRecipe(encoding=encoding)
    path = write_phantom(tmp_path / "scan.h5", recipe)
    slices = None if encoding == "2D" else tuple(range(10, 40))
    choice = ScanInput(path.name, slices=slices, sampled="fully")
    source, layout, found, reference = prepared(tmp_path, path, choice)
    record = found.record
    assert record.matrix == ((64, 72) if encoding == "2D" else (9, 64))
    inside = reference > 0.8 * reference.max()  # the ball is the brightest thing
    k, i, j = (axis[inside] for axis in np.indices(reference.shape))
    weight = reference[inside]
    steps = np.array(record.slices)[k] - record.slices[0]
    centre = [np.average(values, weights=weight) for values in (j, i, steps)]
    assert record.affine_lps is not None
    position = (np.array(record.affine_lps) @ [*centre, 1])[:3]
    assert np.linalg.norm(position - recipe.ball) < 2.0  # mm; voxels are 5 x 2.4 x 2
    np.testing.assert_allclose(np.linalg.norm(np.array(record.affine_lps)[:3, :3], axis=0)[::-1], record.voxel_size_mm)
    planes = open_measured(source, layout, found, root=tmp_path)
    again = root_sum_of_squares(planes.finished(ifft(planes.kspace(3), (-2, -1))))[0]
    np.testing.assert_allclose(again.numpy(), reference[3], rtol=1e-4, atol=1e-4 * reference.max())


def test_noise_is_white_and_of_unit_variance(tmp_path: Path) -> None:
    path = write_phantom(tmp_path / "scan.h5", ScanRecipe(matrix=(3, 64, 72)))
    source, layout, found, _ = prepared(tmp_path, path, ScanInput(path.name))
    assert found.sigma == 1.0
    noise = open_scan(path).noise
    assert noise is not None
    assert found.coil_matrix is not None
    mixed = torch.einsum("cd,dn->cn", found.coil_matrix, noise)
    covariance = (mixed @ mixed.mH / mixed.shape[1]).numpy()  # E |n|^2 = 2 sigma^2
    np.testing.assert_allclose(covariance, 2 * np.eye(len(covariance)), atol=0.1)
    assert any("whitened with the noise scan" in note for note in found.record.limits)
    assert layout.reference("scan").is_file()
    assert source.label == "scan.h5"


def test_gaps_make_a_scan_prospective_and_a_short_end_does_not(tmp_path: Path) -> None:
    kspace = write_scan(tmp_path / "full.npy", seed=1)
    ended, gaps = kspace.copy(), kspace.copy()
    ended[:, :, 50:] = 0
    gaps[:, :, 1:18:2] = 0
    ended[:, :, 3, 5:9] = 0  # samples that happen to be 0, as in files of integers
    np.save(tmp_path / "ended.npy", ended)
    np.save(tmp_path / "gaps.npy", gaps)
    inputs = {n: {"kind": "scan", "files": f"{n}.npy", "slices": 1} for n in ("ended", "gaps")}
    inputs["forced"] = {"kind": "scan", "files": "gaps.npy", "slices": 1, "sampled": "fully"}
    masks = {"accelerations": [2], "centre": 0.2}
    config = write_case(tmp_path, inputs=inputs, masks=masks, methods={"sense": {"kind": "sense"}})
    study = run(config, tmp_path / "out").results
    assert study.complete
    assert {n: r.fully_sampled for n, r in study.inputs.items()} == {"ended": True, "gaps": False, "forced": True}
    lines = study.mask(CellKey("ended", "random", 2.0, 0, "sense"))
    np.testing.assert_array_equal(lines.any(axis=1), lines.all(axis=1))  # whole lines along y, as the protocol says
    assert lines.any(axis=1).sum() < 50
    assert study.inputs["ended"].voxel_size_mm is None
    assert any("89 % of the lines" in text for text in study.inputs["ended"].limits)
    assert any("no reference" in text for text in study.inputs["gaps"].limits)
    effective = SHAPE[0] / (SHAPE[0] - 9)
    key = CellKey("gaps", "acquired", round(effective, 2), 0, "sense")
    (cell,) = [c for c in study.cells if c.key.input == "gaps"]
    assert cell.key == key
    assert study.mask_record(key).prospective
    assert study.mask_record(key).effective_acceleration == pytest.approx(effective)
    np.testing.assert_array_equal(study.mask(key), np.abs(gaps).sum((0, 1)) > 0)
    assert study.reference("gaps") is None
    assert {s.definition.name for s in cell.scores} == {"residual", "uncertainty", "repeatability", "held-out"}
    assert all(s.definition.reference in ("k-space", "none") for s in (*cell.scores, *cell.slice_scores))
    values = {s.definition.name: s.value for s in cell.scores}
    assert math.isnan(values["uncertainty"])  # there are no samples
    assert values["repeatability"] > 0


def test_every_method_is_judged_by_the_same_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held-out-line errors are compared within subjects: the lines must not depend on the method or on its name."""
    kspace = write_scan(tmp_path / "gaps.npy", seed=1)
    kspace[:, :, 1:18:2] = 0
    np.save(tmp_path / "gaps.npy", kspace)
    dealt: list[bytes] = []
    original = held_out.held_out_parts

    def remembered(*args, **options):
        parts = original(*args, **options)
        dealt.append(torch.stack(parts).numpy().tobytes())
        return parts

    monkeypatch.setattr(held_out, "held_out_parts", remembered)
    methods = {
        "zf": {"kind": "adjoint"},
        "same-by-another-name": {"kind": "adjoint"},
        "sense": {"kind": "sense", "iterations": 3},
    }
    config = write_case(tmp_path, inputs={"g": {"kind": "scan", "files": "gaps.npy"}}, methods=methods)
    study = run(config, tmp_path / "out").results
    first, second = dealt[:2]
    assert first != second  # every slice has its own
    assert dealt == [first, second] * 3
    values = [{s.definition.name: s.value for s in cell.scores} for cell in study.cells]
    assert values[0]["held-out"] == values[1]["held-out"] != values[2]["held-out"]


def test_labels_are_taken_through_millimetres(tmp_path: Path) -> None:
    turn = np.diag([2.0, 2.5, 4.0])
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = rotation @ turn
    affine[:3, 3] = [3, -7, 11]
    rows = tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in affine)
    record = InputRecord(
        "a", "a", "a", "", "measured", True, (2, 5), (12, 10), 1, affine_lps=(rows[0], rows[1], rows[2], rows[3])
    )
    label_affine = np.diag([-1.0, 1.0, 1.0, 1.0])  # RAS, 1 mm
    label_affine[:3, 3] = [60, -60, -60]
    ras = label_affine @ np.stack([*np.indices((120, 120, 120)).reshape(3, -1), np.ones(120**3)])
    labels = (1 + (ras[0] > 0) + 2 * (ras[2] > 10)).reshape(120, 120, 120)
    nibabel.save(nibabel.Nifti1Image(labels.astype(np.int16), label_affine), tmp_path / "labels.nii.gz")
    found = labels_on_grid(tmp_path / "labels.nii.gz", record, (9, 12, 10))
    k, i, j = np.indices((2, 12, 10))
    lps = affine @ np.stack([j.ravel(), i.ravel(), 3 * k.ravel(), np.ones(k.size)])
    expected = (1 + (-lps[0] > 0) + 2 * (lps[2] > 10)).reshape(k.shape)
    near = (np.minimum(np.abs(lps[0]), np.abs(lps[2] - 10)) < 1).reshape(k.shape)  # within a voxel of a border
    assert near.mean() < 0.3
    np.testing.assert_array_equal(found[~near], expected[~near])


def test_regions_are_scored_on_the_chosen_slices(tmp_path: Path) -> None:
    labels = np.zeros((2, *SHAPE), np.int16)
    labels[1, 20:30, 20:30] = 4
    np.save(tmp_path / "labels.npy", labels)
    scan = {"kind": "scan", "files": "anna.npy", "labels": {"path": "labels.npy", "names": {"4": "grey"}}}
    masks = {"accelerations": [2], "centre": 0.2}
    metrics = {"preset": "fastmri", "object": True}
    methods = {"zf": {"kind": "adjoint"}}
    config = write_case(tmp_path, inputs={"anna": scan}, masks=masks, methods=methods, metrics=metrics)
    study = run(config, tmp_path / "out").results
    (cell,) = study.cells
    value = next(s.value for s in cell.scores if s.region == "grey" and s.definition.name == "nmse")
    reference, image = study.reference("anna"), study.image(cell.key)
    assert reference is not None
    a, b = (v[1, 20:30, 20:30].astype(float) for v in (reference, image))
    assert value == pytest.approx(((a - b) ** 2).sum() / (a**2).sum(), rel=1e-6)
    found = {s.definition.name: s.value for s in cell.scores if s.region == "object"}
    a, b = (v[:, 4:52].astype(float) for v in (reference, image))
    inside = a > 0.1 * reference.max()
    assert found["nmse"] == pytest.approx(((a - b)[inside] ** 2).sum() / (a[inside] ** 2).sum(), rel=1e-6)
    assert set(found) == {"nmse", "psnr", "ssim"}
    np.save(tmp_path / "labels.npy", labels[:, :-1])
    outcome = run(config, tmp_path / "out")
    assert "has shape (2, 55, 48)" in outcome.problems["anna"]
    assert outcome.results.cells[0].scores == cell.scores  # what was computed is not thrown away for it


def test_names_and_subjects_of_many_files(tmp_path: Path) -> None:
    for name in ("p1/a", "p1/b c", "p2/a"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.npy").write_bytes(b"")
    found = sources({"x": ScanInput("*/*.npy", subject="folder")}, root=tmp_path, specs=None)
    assert [(s.name, s.subject) for s in found] == [("x-p1-a", "x-p1"), ("x-p1-b_c", "x-p1"), ("x-p2-a", "x-p2")]
    assert sources({"x": ScanInput("q*/*.npy")}, root=tmp_path, specs=None)[0].hole == "no file matches *.npy"


def test_simulated_inputs_repeat_and_say_what_they_are(tmp_path: Path) -> None:
    root, specs = write_data(tmp_path)
    choice = {"kind": "simulated", "spec": "anna", "slices": 2, "coils": 4}
    masks = {"accelerations": [1], "centre": 0.2}
    methods = {"zf": {"kind": "adjoint"}}
    config = write_case(tmp_path, inputs={"s": choice}, masks=masks, methods=methods, metrics={"preset": "study"})
    studies = [
        run_study(config, tmp_path / name, StudyOptions(data=root, specs=specs), Silent()).results for name in "12"
    ]
    images = [study.image(study.cells[0].key) for study in studies]
    np.testing.assert_array_equal(images[0], images[1])
    record = studies[0].inputs["s"]
    assert record.kind == "simulated"
    assert record.voxel_size_mm == (6.0, 2.0, 2.0)
    image = nibabel.load(root / "anna" / "volume.nii")
    assert isinstance(image, nibabel.Nifti1Image)
    ras_of_slice = image.affine @ [0, 0, record.slices[0], 1]
    assert record.affine_lps is not None
    assert (np.array(record.affine_lps) @ [0, 0, 0, 1])[2] == pytest.approx(ras_of_slice[2])
    assert "simulated from magnitude images" in record.limits[0]
    reference = studies[0].reference("s")
    assert reference is not None
    nmse = next(s.value for s in studies[0].cells[0].scores if s.definition.name == "nmse")
    assert nmse < 0.02  # complete data give the magnitude back, but for the noise


def test_a_label_map_that_is_missing_or_interpolated_is_refused(tmp_path: Path) -> None:
    record = InputRecord("a", "a", "a", "", "measured", True, (0,), (4, 4), 1)
    with pytest.raises(FormatError, match="the label map is missing"):
        labels_on_grid(tmp_path / "none.nii", record, (1, 4, 4))
    nibabel.save(nibabel.Nifti1Image(np.full((4, 4, 1), 0.5, np.float32), np.eye(4)), tmp_path / "half.nii")
    with pytest.raises(FormatError, match="no whole numbers"):
        labels_on_grid(tmp_path / "half.nii", record, (1, 4, 4))
    np.save(tmp_path / "small.npy", np.zeros((1, 3, 4), int))
    with pytest.raises(ShapeError, match="has shape"):
        labels_on_grid(tmp_path / "small.npy", record, (1, 4, 4))
