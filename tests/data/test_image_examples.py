"""Batches of degraded photographs: repeatable, of the task asked for, with the noise the model states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mrirecon.data.degradations import TASKS, draw_operator, edge_divisor, smallest_edge
from mrirecon.data.examples import Draws
from mrirecon.data.image_examples import ImageDegradations, ImageExamples
from mrirecon.data.photographs import read_training_photographs
from mrirecon.errors import ConfigError, ShapeError
from mrirecon.operators.image import image_space
from mrirecon.records import from_mapping
from tests.io.shared_data import ROOT

SPECS = Path(__file__).parents[2] / "data_specs"
SPACE = image_space(1, 48, 48)


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (1, 90, 100), dtype=np.uint8) for _ in range(3)]


def small(**changes: object) -> ImageDegradations:
    return ImageDegradations(**{"sizes": (36, 60), "batch": 4, **changes})


def test_a_batch_is_a_function_of_seed_and_index(pictures: list[np.ndarray]):
    first, second = ImageExamples(pictures, small(), seed=3), ImageExamples(pictures, small(), seed=3)
    first.batch(0)
    one, again = first.batch(5), second.batch(5)
    assert torch.equal(one.image, again.image)
    assert torch.equal(one.data, again.data)
    assert type(one.model.operator) is type(again.model.operator)
    probe = torch.linspace(-1, 1, one.image.numel()).reshape(one.image.shape)
    assert torch.equal(one.model.operator(probe), again.model.operator(probe))
    other = first.batch(6)
    assert one.image.shape != other.image.shape or not torch.equal(one.image, other.image)


@pytest.mark.parametrize("task", TASKS)
def test_data_are_the_model_plus_its_noise(pictures: list[np.ndarray], task: str):
    batch = ImageExamples(pictures, small(tasks={task: 1.0}, sizes=(60, 60)), seed=0).batch(2)
    operator, sigma = batch.model.operator, batch.model.noise.sigma
    assert batch.image.shape == (4, 1, 60, 60)
    assert sigma.shape == (4,)
    low, high = (0.02, 0.4) if task == "denoising" else (0.004, 0.2)
    assert low <= float(sigma.min())
    assert float(sigma.max()) <= high
    clean = operator(batch.image)
    measured = operator.keep_measured(torch.ones_like(clean)) != 0
    assert float(batch.data[~measured].abs().sum()) == 0.0
    for item in range(4):
        noise = (batch.data - clean)[item][measured[item]]
        assert float(noise.std() / sigma[item]) == pytest.approx(1, abs=5 / (2 * len(noise)) ** 0.5)


@pytest.mark.parametrize("factor", [2, 3, 4, 6])
def test_super_resolution_has_the_factor_of_its_name(factor: int):
    assert draw_operator(f"super-resolution-{factor}", SPACE, 2, Draws.of(0, 0)).codomain.shape[-1] == 48 // factor


def test_block_averages():
    x = torch.randn(2, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    for factor in (2, 4):
        operator = draw_operator(f"block-average-{factor}", SPACE, 2, Draws.of(0, 0))
        torch.testing.assert_close(operator(x), torch.nn.functional.avg_pool2d(x, factor), atol=1e-6, rtol=0.0)


@pytest.mark.parametrize("task", ["gaussian-blur", "anisotropic-blur", "motion-blur", "defocus-blur"])
def test_blurs_keep_the_brightness_and_soften(task: str):
    ones, noise = torch.ones(3, 1, 48, 48), torch.randn(3, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    softened, apart = [], []
    for index in range(12):
        operator = draw_operator(task, SPACE, 3, Draws.of(0, index))
        torch.testing.assert_close(operator(ones), ones, atol=1e-4, rtol=0.0)
        blurred = operator(noise[:1].expand(3, 1, 48, 48))
        softened.append(float(blurred.std()))
        apart.append(float((blurred[0] - blurred[1]).abs().max()))
    assert max(softened) < 1.0
    assert max(softened) / min(softened) > 1.5
    one = task in ("gaussian-blur", "defocus-blur")  # the others have a kernel per item
    assert (min(apart) > 1e-3) != one


def test_anisotropic_kernels_have_axes_of_their_own():
    points = torch.zeros(8, 1, 48, 48)
    points[..., 24, 24] = 1.0
    response = draw_operator("anisotropic-blur", SPACE, 8, Draws.of(0, 0))(points)[:, 0]
    axis = torch.arange(48.0) - 24
    yy = (response * axis[:, None] ** 2).sum((1, 2))
    xx = (response * axis**2).sum((1, 2))
    xy = (response * axis[:, None] * axis).sum((1, 2))
    assert float((xy.abs() / (xx * yy).sqrt()).max()) > 0.2
    assert float((xx / yy).log().abs().max()) > 0.5
    assert float(torch.minimum(xx, yy).min()) > 0.2
    assert float(torch.maximum(xx, yy).max()) < 16.5


@pytest.mark.parametrize("task", TASKS)
def test_the_smallest_edge_holds_what_is_drawn_and_one_less_is_refused(task: str):
    divisor = edge_divisor(task)
    edge = -(-smallest_edge(task) // divisor) * divisor
    degradations = small(tasks={task: 1.0}, sizes=(edge, edge), size_multiple=divisor)
    image = torch.randn(2, 1, edge, edge, generator=torch.Generator().manual_seed(0))
    for index in range(60):
        draw_operator(task, image_space(1, edge, edge), 2, Draws.of(1, index))(image)
    assert degradations.sizes == (edge, edge)
    if smallest_edge(task) > 1:
        with pytest.raises(ConfigError, match=f"too small for the kernels of task '{task}'"):
            small(tasks={task: 1.0, "denoising": 1.0}, sizes=(edge - 1, edge - 1), size_multiple=1)
    small(tasks={task: 0.0, "denoising": 1.0}, sizes=(1, 1), size_multiple=1)


def test_crops_must_be_divisible_by_the_factors_of_the_tasks():
    with pytest.raises(ConfigError, match="'super-resolution-3' needs crops that 3 divides"):
        small(size_multiple=4)
    small(size_multiple=4, tasks={"super-resolution-2": 1.0, "block-average-4": 1.0})


def test_inpainting_masks():
    ones = torch.ones(40, 1, 48, 48)
    kept = draw_operator("random-inpainting", SPACE, 40, Draws.of(0, 0))(ones)
    missing = 1 - kept.mean(dim=(1, 2, 3))
    assert 0.295 < float(missing.min()) < 0.4
    assert 0.8 < float(missing.max()) < 0.925
    boxes = draw_operator("box-inpainting", SPACE, 40, Draws.of(0, 0))(ones)[:, 0] == 0
    for box in boxes:
        tall, wide = int(box.any(1).sum()), int(box.any(0).sum())
        assert 16 <= tall <= 24  # at most half of the picture
        assert 16 <= wide <= 24
        assert int(box.sum()) == tall * wide


def test_crops_come_from_the_photographs():
    """Without reduction every crop is a turned or mirrored part of one: a ramp has its slope along one axis."""
    y, x = np.indices((90, 100))
    ramp = (y + 100).astype(np.uint8)[None]
    examples = ImageExamples([ramp], small(rescaling=(1.0, 1.0), tasks={"denoising": 1.0}), seed=0)
    directions = set()
    for index in range(10):
        for image in examples.batch(index).image[:, 0]:
            dy, dx = float(image.diff(dim=0).mean()), float(image.diff(dim=1).mean())
            directions.add((round(dy * 127.5), round(dx * 127.5)))
    assert directions == {(1, 0), (-1, 0), (0, 1), (0, -1)}
    assert x.max() == 99


def test_reduced_crops_stay_in_range(pictures: list[np.ndarray]):
    examples = ImageExamples(pictures, small(rescaling=(0.5, 0.6), sizes=(36, 36)), seed=0)
    spread = []
    for index in range(10):
        image = examples.batch(index).image
        assert float(image.abs().max()) <= 1.0
        spread += image.std(dim=(1, 2, 3)).tolist()
    assert min(spread) < 0.45 < 0.5 < max(spread)  # white noise that is reduced loses contrast


def test_a_task_can_be_held_back(pictures: list[np.ndarray]):
    names = set()
    for weights in ({"denoising": 1.0, "super-resolution-4": 0.0}, {"denoising": 1.0}):
        examples = ImageExamples(pictures, small(tasks=weights), seed=0)
        names |= {type(examples.batch(index).model.operator).__name__ for index in range(10)}
    assert names == {"Identity"}


def test_degradations_can_be_written_in_yaml():
    degradations = from_mapping(ImageDegradations, {"tasks": {"motion-blur": 1}, "sizes": [48, 96], "batch": 2})
    assert degradations.tasks == {"motion-blur": 1}


def test_refusals(pictures: list[np.ndarray]):
    for changes, word in (
        ({"tasks": {"dehazing": 1.0}}, "dehazing"),
        ({"noise": (0.0, 0.1)}, "noise"),
        ({"rescaling": (0.5, 1.5)}, "rescaling"),
        ({"sizes": (37, 47)}, "multiple of 12"),
        ({"batch": 0}, "batch"),
    ):
        with pytest.raises(ConfigError, match=word):
            small(**changes)
    with pytest.raises(ShapeError, match="at least 96"):
        ImageExamples(pictures, small(sizes=(36, 96)), seed=0)
    with pytest.raises(ShapeError, match="one kind"):
        ImageExamples([*pictures, np.zeros((3, 90, 90), np.uint8)], small(), seed=0)


def test_examples_from_specifications():
    if not ROOT.is_dir():
        pytest.skip("the shared data are absent (set MRIRECON_DATA)")
    specs = [SPECS / "set5.yaml"]
    pictures = read_training_photographs(specs, "validation", ROOT)
    batch = ImageExamples(pictures, ImageDegradations(), seed=0).batch(0)
    assert batch.image.shape[:2] == (8, 1)
    assert 96 <= batch.image.shape[-1] <= 128
