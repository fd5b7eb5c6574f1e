"""What `mrirecon recon --certificate` says of a scan without a fault, and of every fault that it is there for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mrirecon.io.base import open_scan
from mrirecon.metrics.certificate import CertificateResult
from tests.acceptance.scans import ScanRecipe, write_scan
from tests.benchmarks.bench_certificate_recon import altered, always, certified, delayed, sensitivities

RECIPE = ScanRecipe(matrix=(2, 48, 48), voxel=(5.0, 4.0, 4.0))
THREE = ("--accelerate", "3", "--centre-lines", "16")
FORMS = ("quick", "sharp")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scan(tmp_path_factory.mktemp("certificate") / "scan.h5", RECIPE)


def disc(diameter: float, contrast: float) -> Tensor:
    """Inside the sphere, beside the ball."""
    grid = torch.stack(torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij"))
    return contrast * ((grid - torch.tensor([20, 22])[:, None, None]).square().sum(0) <= (diameter / 2) ** 2).float()


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
@pytest.mark.parametrize("form", FORMS)
def test_scans_without_a_fault_pass(tmp_path: Path, form: str, seed: int) -> None:
    raw = write_scan(tmp_path / "scan.h5", ScanRecipe(matrix=(2, 48, 48), voxel=(5.0, 4.0, 4.0), seed=seed))
    result = certified(raw, "sense", form, *THREE)
    assert (result.verdict, result.findings) == ("pass", ())


@pytest.mark.parametrize(
    ("method", "options"), [("wavelet", ("--iterations", "30")), ("tv", ("--iterations", "30")), ("unfolded", ())]
)
def test_other_methods_pass(tmp_path: Path, method: str, options: tuple[str, ...]) -> None:
    raw = write_scan(tmp_path / "scan.h5", ScanRecipe(matrix=(1, 32, 32), voxel=(5.0, 5.0, 5.0)))
    for form in FORMS:
        result = certified(raw, method, form, "--accelerate", "2", *options)
        assert (result.verdict, result.expectation) == ("pass", {"quick": "bound", "sharp": "replicas"}[form])


@pytest.mark.parametrize("sign", [1, -1])
def test_the_sharp_form_finds_a_lesion_that_the_quick_one_lets_pass(raw: Path, sign: int) -> None:
    """A tenth of the brightness and 3 pixels wide, added to the image or taken out of it."""
    with altered(sign * disc(3, 0.1)):
        assert certified(raw, "sense", "quick", *THREE).verdict == "pass"
        result = certified(raw, "sense", "sharp", *THREE)
    assert result.verdict == "fail"
    assert {(f.kind, f.plane) for f in result.findings} >= {("image", 0), ("image", 1)}
    assert "more than noise and the 3 % that are let pass, 1 % in the image" in result.sentence
    assert "the image itself lacks or adds up to 1.2 % of the signal" in result.sentence


def test_the_quick_form_finds_a_clearer_lesion(raw: Path) -> None:
    with altered(disc(5, 0.2)):
        result = certified(raw, "sense", "quick", *THREE)
    assert result.verdict == "fail"
    assert {f.kind for f in result.findings} >= {"line"}


def test_what_a_method_paints_every_time_is_found_only_as_far_as_the_quick_form_goes(raw: Path) -> None:
    with always(disc(3, 0.1)):
        faint = certified(raw, "sense", "sharp", *THREE)
    assert faint.verdict == "pass"
    assert "Changes that the method makes to its own image every time count as its bias" in faint.limits
    with always(disc(5, 0.2)):
        assert certified(raw, "sense", "sharp", *THREE).verdict == "fail"


@pytest.mark.parametrize("form", FORMS)
def test_maps_that_are_not_of_this_scan_fail(raw: Path, tmp_path: Path, form: str) -> None:
    maps = sensitivities(open_scan(raw))
    given = {"right": maps, "of another slice": maps.flip(0), "displaced": maps.roll(4, -2)}
    given["exchanged"] = maps[:, [1, 0, 2, 3]]
    verdicts = {}
    for name, array in given.items():
        np.save(tmp_path / f"{name}.npy", array.numpy())
        result = certified(raw, "sense", form, *THREE, "--maps", str(tmp_path / f"{name}.npy"))
        verdicts[name] = result.verdict
    assert verdicts == {"right": "pass", "of another slice": "fail", "displaced": "fail", "exchanged": "fail"}


def pairs(kspace: Tensor) -> Tensor:
    """Neighbouring lines exchanged: a mask that belongs to another order."""
    return kspace[..., torch.arange(kspace.shape[-2]).reshape(-1, 2).flip(-1).flatten(), :]


def emptied(kspace: Tensor) -> Tensor:
    """Lines that the file holds and that nobody measured."""
    empty = kspace.clone()
    empty[..., [2, 6, 44], :] = 0
    return empty


def displaced(kspace: Tensor) -> Tensor:
    """Everything by one line, which is a phase of the image."""
    return kspace.roll(1, -2)


def late(kspace: Tensor) -> Tensor:
    """Every other line by two samples of the readout."""
    return delayed(kspace, 2.0)


def faulty(folder: Path, fault: Callable[[Tensor], Tensor], form: str, *arguments: str) -> CertificateResult:
    return certified(write_scan(folder / f"{fault.__name__}.h5", RECIPE, fault=fault), "sense", form, *arguments)


@pytest.mark.parametrize("form", FORMS)
def test_lines_in_the_wrong_place_fail(tmp_path: Path, form: str) -> None:
    assert faulty(tmp_path, pairs, form, *THREE).verdict == "fail"
    assert faulty(tmp_path, late, form, *THREE).verdict == "fail"


def spike(kspace: Tensor) -> Tensor:
    """In one line of the second slice."""
    broken = kspace.clone()
    broken[1, :, 30, 20] += 3
    return broken


def single_late_line(kspace: Tensor) -> Tensor:
    """By a sample, in the second slice."""
    broken = kspace.clone()
    broken[1, :, 22] = kspace[1, :, 22].roll(1, dims=-1)
    return broken


@pytest.mark.parametrize("form", FORMS)
def test_a_single_bad_line_is_named_with_its_slice(tmp_path: Path, form: str) -> None:
    for fault, line in ((spike, 30), (single_late_line, 22)):
        result = faulty(tmp_path, fault, form, *THREE)
        assert result.verdict == "fail"
        assert (result.findings[0].kind, result.findings[0].index, result.findings[0].plane) == ("line", line, 1)


@pytest.mark.parametrize("form", FORMS)
def test_lines_without_data_fail(tmp_path: Path, form: str) -> None:
    result = faulty(tmp_path, emptied, form)
    assert result.verdict == "fail"
    assert result.empty_lines > 0
    assert "the sampling mask does not belong to the data" in result.sentence


def test_a_displacement_that_is_a_phase_of_the_image_passes(tmp_path: Path) -> None:
    """It changes no magnitude, and no measurement contradicts it."""
    assert faulty(tmp_path, displaced, "sharp", *THREE).verdict == "pass"
