"""Cases from files: names, turns, seeds; and measured scans."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from mrirecon.data.spec import load_data_spec
from mrirecon.errors import ConfigError
from mrirecon.evaluation.measured_problems import MeasuredProblems, measured_cases, measured_problem, whitened
from mrirecon.evaluation.mri_problems import MRIProblems, chosen_slices, simulated_cases, slice_stacks_with_geometry
from mrirecon.evaluation.undersampling import MRISetting, simulated_maps
from mrirecon.io.twix.reader import read_twix
from mrirecon.linalg.fft import fft, ifft
from mrirecon.mri.coils import apply_coil_matrix, root_sum_of_squares
from tests.evaluation.scenes import head, write_data
from tests.io.shared_data import ROOT, shared

SPECS = Path(__file__).parents[2] / "data_specs"
SETTINGS = (MRISetting("random", 2.0, 0.12), MRISetting("equispaced", 2.0, 0.12))


def test_cases_are_fixed_and_take_turns(tmp_path: Path) -> None:
    root, specs = write_data(tmp_path)
    problems = MRIProblems(("anna", "bert"), SETTINGS, slices=2, coils=(4, 5), noise=(0.02, 0.01), seed=1)
    cases = simulated_cases(problems, specs, root)
    assert [c.name for c in cases[:4]] == [
        "anna/001/random-R2",
        "anna/001/equispaced-R2",
        "anna/003/random-R2",
        "anna/003/equispaced-R2",
    ]
    assert {c.subject for c in cases} == {"anna", "bert"}
    assert [c.identity["coils"] for c in cases[:4]] == [4, 4, 5, 5]
    assert [c.identity["sigma"] for c in cases[:4]] == [0.02, 0.02, 0.01, 0.01]
    first, again = cases[0].make(), simulated_cases(problems, specs, root)[0].make()
    assert first.data.shape == (4, 64, 72)  # rows and columns as the file has them
    torch.testing.assert_close(first.data, again.data, rtol=0, atol=0)
    other = simulated_cases(MRIProblems(("anna",), SETTINGS, slices=2, coils=(4, 5), seed=2), specs, root)[0].make()
    assert float((first.data - other.data).abs().max()) > 0.01


def test_slices_of_nifti_files_are_the_right_way_up(tmp_path: Path) -> None:
    """A bright voxel at the front left of the patient comes out at the top right, however the file is stored."""
    _, specs = write_data(tmp_path)
    volume = np.ones((6, 5, 4), np.float32)  # (x, y, z), axes growing to the right, to anterior, to the head
    volume[0, -1, :] = 9.0  # left, anterior
    for flip in (False, True):
        affine = np.diag([-1.0 if flip else 1.0, -1.0 if flip else 1.0, 3.0, 1.0])
        stored = volume[::-1, ::-1] if flip else volume
        nibabel.save(nibabel.Nifti1Image(stored, affine), tmp_path / "data" / "anna" / "volume.nii")
        ((stack, geometry),) = slice_stacks_with_geometry(
            load_data_spec(specs / "anna.yaml"), "validation", tmp_path / "data"
        )
        assert stack.shape == (4, 5, 6)
        assert np.argwhere(stack[1] == 9.0).tolist() == [[0, 5]]
        ras = affine @ ([5, 0, 2, 1] if flip else [0, 4, 2, 1])
        np.testing.assert_allclose((geometry.affine @ [2, 0, 5, 1])[:3], [-ras[0], -ras[1], ras[2]])


@pytest.mark.parametrize("thin", [0, 1, 2])
def test_the_axis_of_the_thickest_voxels_takes_its_positions_along(tmp_path: Path, thin: int) -> None:
    _, specs = write_data(tmp_path)
    sizes = np.array([1.0, 1.5, 2.0])
    sizes[thin] = 5.0
    affine = np.diag([-sizes[0], -sizes[1], sizes[2], 1.0])
    affine[:3, 3] = [7.0, -3.0, 2.0]
    volume = np.zeros((4, 5, 6), np.float32)
    volume[1, 4, 2] = 1.0
    nibabel.save(nibabel.Nifti1Image(volume, affine), tmp_path / "data" / "anna" / "volume.nii")
    ((stack, geometry),) = slice_stacks_with_geometry(
        load_data_spec(specs / "anna.yaml"), "validation", tmp_path / "data"
    )
    assert geometry.voxel_size_mm[0] == 5.0
    ras = affine @ [1, 4, 2, 1]
    np.testing.assert_allclose((geometry.affine @ [*np.argwhere(stack)[0], 1])[:3], [-ras[0], -ras[1], ras[2]])


def test_empty_slices_are_left_out() -> None:
    volume = np.zeros((6, 64, 64), np.float32)
    volume[2:5] = 40 * head().numpy()
    chosen = chosen_slices(volume, 9)
    assert [index for index, _ in chosen] == [2, 3, 4]
    assert float(np.percentile(chosen[0][1].numpy(), 99)) == pytest.approx(1.0, rel=1e-5)
    with pytest.raises(ConfigError, match="shows anything"):
        chosen_slices(np.zeros((2, 8, 8), np.float32), 1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"settings": ()}, "settings"),
        ({"noise": (0.0,)}, "positive"),
        ({"settings": (SETTINGS[0], SETTINGS[0])}, "same mask"),
    ],
)
def test_impossible_problems_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MRIProblems(**{"specs": ("a",), "settings": SETTINGS, **wrong})


def test_a_measured_scan_is_compared_with_the_combination_of_all_its_lines() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = simulated_maps((64, 64), 6, "loops", generator)
    noise = torch.view_as_complex(torch.randn(6, 64, 64, 2, generator=generator))
    kspace = fft(maps * (100 * head()), (-2, -1)) + noise
    mask = torch.zeros(64, 1, dtype=torch.bool)
    mask[::2] = mask[26:38] = True
    made = measured_problem(kspace, mask)
    assert made.inside_only
    truth = 100 * head() / made.facts["scale"]
    inside = made.support
    assert float((made.reference[0] - truth)[inside].abs().mean() / truth[inside].mean()) < 0.02
    assert made.facts["sigma"] * made.facts["scale"] == pytest.approx(1.0)
    torch.testing.assert_close(made.data * made.facts["scale"], torch.where(mask, kspace, 0))
    assert inside.float().mean() == pytest.approx(float((head() > 0.1).float().mean()), abs=0.03)


def test_whitening_by_a_noise_scan_gives_unit_noise() -> None:
    generator = torch.Generator().manual_seed(1)
    mixing = torch.randn(3, 3, dtype=torch.complex64, generator=generator)
    white = torch.randn(3, 9000, dtype=torch.complex64, generator=generator)
    scan = 5 * mixing @ white
    kspace = 5 * apply_coil_matrix(mixing, torch.randn(3, 64, 64, dtype=torch.complex64, generator=generator))
    parts = torch.view_as_real(whitened(kspace, scan))
    assert float(parts.std()) == pytest.approx(1.0, rel=0.03)


def test_coils_of_a_scan_cannot_be_chosen() -> None:
    with pytest.raises(ConfigError, match="cannot be chosen"):
        MeasuredProblems(("a",), (MRISetting(coils=(4,)),))


@pytest.mark.data
def test_the_default_noise_levels_are_the_measured_ones() -> None:
    """Noise over the 99th percentile of the combined image: a brain, and a phantom in the same coil."""
    folder = shared("kspace/pulseq_freiburg")
    for name, level in (("2024-02-06-164128", 0.018), ("2024-02-06-160052", 0.009)):
        kspace = whitened(read_twix(folder / f"{name}.dat").read(0), None)
        top = float(torch.quantile(root_sum_of_squares(ifft(kspace, (-2, -1))), 0.99))
        assert 1 / top == pytest.approx(level, rel=0.06)
        assert level in MRIProblems(("a",), SETTINGS).noise


@pytest.mark.data
def test_the_measured_brain_becomes_cases() -> None:
    spec = load_data_spec(SPECS / "pulseq-freiburg-brain.yaml")
    shared("kspace/pulseq_freiburg/2024-02-06-164128.dat")
    problems = MeasuredProblems((spec.name,), (MRISetting("random", 4.0, 0.08),), masks=2)
    first, second = measured_cases(problems, SPECS, ROOT)
    assert (first.setting, first.tuned_as) == ("random R4, measured", "random R4")
    one, two = first.make(), second.make()
    assert one.data.shape == (16, 128, 128)
    assert not torch.equal(one.model.operator.mask, two.model.operator.mask)  # type: ignore[attr-defined]
    torch.testing.assert_close(one.reference * one.facts["scale"], two.reference * two.facts["scale"])
    assert 0.1 < float(one.support.float().mean()) < 0.6
