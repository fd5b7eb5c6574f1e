"""Figures by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mrirecon.evaluation.problems import Problem
from mrirecon.evaluation.scores import mri_definitions, picture_definitions, score
from mrirecon.metrics.image import psnr, ssim
from mrirecon.metrics.passport import differences
from mrirecon.metrics.presets import preset
from mrirecon.operators.image import denoising, image_space
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.noise import GaussianNoise


def problem(shape: tuple[int, int] = (16, 20)) -> Problem:
    reference = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0))
    reference[0, 0, 0] = 1.8
    support = torch.ones(shape, dtype=torch.bool)
    support[:, shape[1] // 2 :] = False
    model = MeasurementModel(denoising(image_space(1, *shape)), GaussianNoise(1.0))
    return Problem(reference * support, reference, model, 0.0, 2.0, support)


def test_psnr_is_of_the_whole_picture_or_of_the_support() -> None:
    whole = problem()
    picture = whole.compared(whole.reference + 0.1)
    found = score(whole, picture)
    assert found.psnr_db == pytest.approx(10 * np.log10(4 / (0.01 / 2)), abs=1e-3)
    assert found.ssim == pytest.approx(ssim(whole.reference.numpy(), picture.numpy(), data_range=2.0))
    assert found.lpips is None
    inside = replace(whole, inside_only=True)
    assert score(inside, picture).psnr_db == pytest.approx(10 * np.log10(4 / 0.01), abs=1e-3)


@pytest.mark.parametrize("inside_only", [False, True])
@pytest.mark.parametrize("channels", [0, 1, 3], ids=["mri", "grey", "colour"])
def test_the_definitions_give_what_the_formulas_always_gave(channels: int, inside_only: bool) -> None:
    """Cells on disk were made by `metrics.image` in the range of the problem, and stay valid."""
    generator = torch.Generator().manual_seed(channels)
    size = (max(channels, 1), 40, 44)
    reference = torch.rand(size, generator=generator) * (3.7 if channels == 0 else 2) - float(channels > 0)
    support = torch.rand(size[1:], generator=generator) < 0.8
    model = MeasurementModel(denoising(image_space(*size)), GaussianNoise(1.0))
    black, white = (-1.0, 1.0) if channels else (0.0, float((reference * support).max()))
    reference = torch.where(support, reference, black)
    case = Problem(reference, reference, model, black, white, support, inside_only)
    picture = case.compared(reference + 0.2 * torch.randn(size, generator=generator))
    found, span = score(case, picture), white - black
    inside = np.broadcast_to(support.numpy(), size) if inside_only else np.ones(size, dtype=bool)
    a, b = reference.numpy(), picture.numpy()
    assert found.psnr_db == pytest.approx(psnr(a[inside], b[inside], data_range=span), abs=1e-6)
    assert found.ssim == pytest.approx(ssim(a, b, data_range=span), abs=1e-6)
    expected = mri_definitions(inside_only=inside_only) if channels == 0 else picture_definitions()
    assert found.definitions[1] == expected[1]
    assert found.definitions[0].measure.kind == "psnr"
    assert found.definitions[0].scope == ("region" if inside_only else "volume" if channels else "slices")
    if channels == 0 or not inside_only:
        assert found.definitions == expected


def test_definitions_are_those_of_the_benchmark_but_of_slices_and_pictures() -> None:
    nmse, ratio, similarity = preset("fastmri")
    assert nmse.measure.kind == "nmse"
    ours = mri_definitions()
    changed = [differences(theirs, own) for theirs, own in zip((ratio, similarity), ours, strict=True)]
    assert [set(c) - {"crop", "reference"} for c in changed] == [{"scope", "data_range"}, {"data_range"}]
    assert ours[0].identifier != mri_definitions(inside_only=True)[0].identifier
    assert picture_definitions()[0].data_range == 2.0
    assert picture_definitions(255.0)[1].identifier != picture_definitions()[1].identifier


def test_equal_and_broken_pictures() -> None:
    whole = problem()
    assert score(whole, whole.reference).psnr_db == float("inf")
    assert score(whole, whole.reference).ssim == pytest.approx(1.0)
    broken = score(whole, whole.reference * float("nan"))
    assert np.isnan(broken.psnr_db)
    assert np.isnan(broken.ssim)


def test_perceptual_distance_gets_the_range_and_large_pictures_only() -> None:
    seen = []

    def distance(image: torch.Tensor, reference: torch.Tensor, span: tuple[float, float]) -> float:
        seen.append((image.shape, span))
        return float((image - reference).abs().mean())

    large = problem((64, 66))
    found = score(large, large.reference, distance)
    assert found.lpips == 0.0
    assert seen == [((1, 64, 66), (0.0, 2.0))]
    assert score(problem((63, 66)), problem((63, 66)).reference, distance).lpips is None
