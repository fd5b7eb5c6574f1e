"""Degraded photographs: operators, noise, kernels, cropping."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from mrirecon.data.restoration_tasks import restoration_tasks
from mrirecon.errors import ConfigError, FormatError
from mrirecon.evaluation.photograph_problems import (
    ImageProblems,
    ImageSetting,
    degraded_problem,
    motion_kernels,
    photograph_cases,
    unseen_tasks,
)
from mrirecon.operators.image import bicubic_downsampling, image_space
from tests.evaluation.scenes import photograph, write_data
from tests.io.shared_data import shared

TASKS = ("sr4", "deblur-gauss", "deblur-motion", "inpaint-box", "inpaint-random", "denoise")
IMAGE = photograph((64, 72))


@pytest.mark.parametrize("task", TASKS)
def test_data_are_the_operator_and_noise_of_the_stated_level(task: str) -> None:
    setting = ImageSetting(task)
    made = degraded_problem(IMAGE, setting, seed=4)
    operator = made.model.operator
    noise = made.data - operator(IMAGE)
    measured = operator.keep_measured(torch.ones_like(made.data)) != 0
    assert float(noise[measured].std()) == pytest.approx(setting.noise, rel=0.1)
    assert bool((made.data[~measured] == 0).all())
    torch.testing.assert_close(degraded_problem(IMAGE, setting, seed=4).data, made.data, rtol=0, atol=0)


def test_tasks_are_the_customary_ones() -> None:
    def operator(task: str, **options: object):
        return degraded_problem(IMAGE, ImageSetting(task, **options), seed=0).model.operator

    x = torch.randn(1, 64, 72, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(operator("sr4")(x), bicubic_downsampling(image_space(1, 64, 72), 4)(x))
    hole = operator("inpaint-box")(torch.ones(1, 64, 72))[0]
    assert int((hole == 0).sum()) == 32 * 36
    assert bool((hole[16:48, 18:54] == 0).all())
    kept = operator("inpaint-random", missing=0.92)(torch.ones(1, 64, 72))
    assert int(kept.sum()) == 64 * 72 - round(0.92 * 64 * 72)
    impulse = torch.zeros(1, 64, 72)
    impulse[0, 32, 36] = 1
    spread = operator("deblur-gauss")(impulse)[0]
    distance = (torch.arange(64) - 32.0).square()
    assert float((spread.sum(1) * distance).sum()) == pytest.approx(9.0, rel=0.01)  # variance of 3 pixels squared
    torch.testing.assert_close(operator("denoise")(x), x)


def test_unseen_tasks_are_what_they_are_called() -> None:
    image = photograph((96, 120))

    def operator(task: str):
        return degraded_problem(image, ImageSetting(task), seed=0).model.operator

    blocks = torch.nn.functional.avg_pool2d(image, 4)
    torch.testing.assert_close(operator("sr4-mean")(image), blocks, atol=1e-6, rtol=0)
    torch.testing.assert_close(operator("sr6")(image), bicubic_downsampling(image_space(1, 96, 120), 6)(image))
    impulse = torch.zeros(1, 96, 120)
    impulse[0, 40, 50] = 1
    spread = operator("deblur-disc")(impulse)[0]
    far = ((torch.arange(96)[:, None] - 40.0) ** 2 + (torch.arange(120) - 50.0) ** 2).sqrt()
    assert float(spread[far > 5.8].abs().max()) < 1e-6
    torch.testing.assert_close(
        spread[far < 4.2], torch.full_like(spread[far < 4.2], 1 / (torch.pi * 25)), rtol=0.01, atol=0
    )
    assert set(unseen_tasks()).isdisjoint(restoration_tasks())
    assert ImageSetting("sr6").name == "sr6"
    assert {ImageSetting(name).noise for name in unseen_tasks()} == {0.05}


def test_pictures_fit_all_factors(tmp_path: Path) -> None:
    root, specs = write_data(tmp_path)
    settings = (ImageSetting("sr4-mean"), ImageSetting("sr6"))
    mean, six = photograph_cases(ImageProblems(("pictures",), settings), specs, root)[:2]
    assert mean.make().reference.shape == six.make().reference.shape == (1, 60, 60)
    assert six.make().data.shape == (1, 10, 10)


def test_a_given_kernel_blurs() -> None:
    kernel = torch.zeros(5, 5)
    kernel[2, 2], kernel[2, 4] = 0.5, 0.5  # half stays, half moves two columns to the right
    blurred = degraded_problem(IMAGE, ImageSetting("deblur-motion"), kernel=kernel, seed=0).model.operator(IMAGE)
    torch.testing.assert_close(blurred, (IMAGE + IMAGE.roll(2, -1)) / 2, atol=1e-5, rtol=0)


def test_names_and_levels() -> None:
    assert ImageSetting("denoise").name == "denoise sigma 25"
    assert ImageSetting("sr4").name == "sr4"
    assert ImageSetting("sr4", 0.01).name == "sr4 sigma 0.01"
    assert ImageSetting("inpaint-random", missing=0.3).name == "inpaint-random 30 %"
    with pytest.raises(ConfigError, match="positive"):
        ImageSetting("sr4", 0.0)


@pytest.mark.parametrize("colour", ["grey", "rgb"])
def test_pictures_are_cropped_to_multiples_of_four(tmp_path: Path, colour: str) -> None:
    root, specs = write_data(tmp_path)
    problems = ImageProblems(("pictures",), (ImageSetting("sr4"), ImageSetting("denoise")), colour=colour)
    cases = photograph_cases(problems, specs, root)
    assert [c.name for c in cases] == [
        "pictures/0/sr4",
        "pictures/0/denoise-sigma-25",
        "pictures/1/sr4",
        "pictures/1/denoise-sigma-25",
    ]
    made = cases[0].make()
    assert made.reference.shape == (1 if colour == "grey" else 3, 64, 64)
    assert made.data.shape == (made.reference.shape[0], 16, 16)
    assert cases[0].identity != cases[2].identity


@pytest.mark.parametrize(("crop", "edge", "corner"), [(34, 32, (15, 16)), (65, 64, (0, 0)), (200, 64, (0, 0))])
def test_the_middle_of_large_pictures_is_taken(tmp_path: Path, crop: int, edge: int, corner: tuple[int, int]) -> None:
    root, specs = write_data(tmp_path)
    raw = torch.from_numpy(np.asarray(Image.open(root / "pictures/validation/0.png"), np.float32)) / 127.5 - 1
    assert tuple(raw.shape) == (65, 66)
    case = photograph_cases(ImageProblems(("pictures",), (ImageSetting("denoise"),), crop=crop), specs, root)[0]
    top, left = corner
    torch.testing.assert_close(case.make().reference[0], raw[top : top + edge, left : left + edge])
    assert case.identity["crop"] == crop


def test_a_crop_smaller_than_super_resolution_needs_is_refused() -> None:
    with pytest.raises(ConfigError, match="`crop` must be at least 4"):
        ImageProblems(("pictures",), (ImageSetting("denoise"),), crop=2)


def test_only_motion_kernels_are_taken_from_a_file(tmp_path: Path) -> None:
    axis = np.arange(-3, 4)
    spot = np.exp(-0.5 * (axis[:, None] ** 2 + axis**2))
    path = np.zeros((7, 7))
    path[1, 1:5], path[1:4, 4] = 2.0, 2.0
    cells = np.empty((1, 2), dtype=object)
    cells[0, 0], cells[0, 1] = spot, path
    savemat(tmp_path / "kernels.mat", {"kernels": cells})
    (found,) = motion_kernels(tmp_path / "kernels.mat")
    torch.testing.assert_close(found, torch.from_numpy(path / path.sum()).float())
    cells[0, 1] = spot
    savemat(tmp_path / "spots.mat", {"kernels": cells})
    with pytest.raises(FormatError, match="no motion kernel"):
        motion_kernels(tmp_path / "spots.mat")
    (tmp_path / "text.mat").write_text("not a MATLAB file")
    with pytest.raises(FormatError, match=r"text\.mat"):
        motion_kernels(tmp_path / "text.mat")


@pytest.mark.data
def test_the_shared_kernels_are_four_of_motion() -> None:
    kernels = motion_kernels(shared("images/kernels/kernels_12.mat"))
    assert [tuple(k.shape) for k in kernels] == [(25, 25)] * 4
    assert len(motion_kernels(shared("images/kernels/Levin09.mat"))) == 8
