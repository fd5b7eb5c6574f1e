"""Restoration problems: what the data are, that operators explain them, and how pictures are cut out."""

from typing import get_args

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve, zoom

from mrirecon.cli.restore import RESTORATION_TASKS
from mrirecon.data.restoration_tasks import (
    Severity,
    TaskName,
    observed_problem,
    restoration_tasks,
    simulated_problem,
)
from mrirecon.errors import ConfigError
from mrirecon.operators.kernels import gaussian_kernel, motion_kernel


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def scene(height, width, *, channels=1):
    """Smooth, not periodic, -1 to 1."""
    y, x = np.mgrid[:height, :width]
    planes = [np.sin(0.11 * y + 0.3 * c) * np.cos(0.07 * x) * 0.6 + 0.4 * x / width for c in range(channels)]
    return torch.from_numpy(np.stack(planes)).float().clamp(-1, 1)


def test_the_command_line_offers_exactly_the_table():
    assert tuple(restoration_tasks()) == RESTORATION_TASKS == get_args(TaskName)


@pytest.mark.parametrize("name", RESTORATION_TASKS)
@pytest.mark.parametrize("size", [(64, 72), (63, 70)])
def test_a_simulation_is_operator_plus_noise_and_cut_back_to_its_size(name, size):
    task = restoration_tasks()[name]
    clean = scene(*size, channels=3)
    known = task.typical(size, Severity(), generator(1))
    quiet = simulated_problem(task, clean, known, sigma=0.0, generator=generator())
    noisy = simulated_problem(task, clean, known, sigma=0.1, generator=generator())
    assert quiet.data.shape[:2] == (3, 1)
    whole = torch.nn.functional.pad(clean[:, None], (0, -size[1] % 4, 0, -size[0] % 4), mode="reflect")
    domain = whole if task.factor == 4 else clean[:, None]
    torch.testing.assert_close(quiet.data, quiet.operator.keep_measured(quiet.operator(domain)))
    assert torch.equal(quiet.cut(domain), clean[:, None])
    difference = noisy.data - quiet.data
    measured = quiet.operator.keep_measured(torch.ones_like(difference)) > 0
    assert float(difference[measured].std()) == pytest.approx(0.1, rel=0.1)
    assert not difference[~measured].any(), "what is not measured has no noise"
    again = simulated_problem(task, clean, known, sigma=0.1, generator=generator())
    assert torch.equal(again.data, noisy.data)


@pytest.mark.parametrize("size", [(40, 52), (41, 37)])
@pytest.mark.parametrize(
    "kernel", [gaussian_kernel(1.5, size=9), motion_kernel(11, intensity=0.4, generator=generator(3))]
)
def test_deblurring_explains_a_photograph_whose_scene_goes_on(kernel, size):
    """Blur a larger scene as a camera does, by another program; inside, the model must be exact."""
    margin = max(kernel.shape)
    large = scene(size[0] + 2 * margin, size[1] + 2 * margin)
    seen = convolve(large[0].double().numpy(), kernel.double().numpy(), mode="constant")
    seen = torch.from_numpy(seen[margin:-margin, margin:-margin]).float()[None]
    problem = observed_problem(restoration_tasks()["deblur-motion"], seen, kernel)
    torch.testing.assert_close(problem.cut(problem.data)[:, 0], seen)
    truth = large[:, margin:-margin, margin:-margin]
    extended = torch.zeros_like(problem.data)
    extended[..., problem.corner[0] :, problem.corner[1] :][..., : size[0], : size[1]] = truth
    half = margin // 2 + 1
    inner = (..., slice(half, -half), slice(half, -half))
    torch.testing.assert_close(
        problem.cut(problem.operator(extended))[inner], seen[:, None][inner], rtol=1e-4, atol=1e-4
    )


def test_the_continuation_is_periodic_without_a_seam():
    data = scene(40, 48)
    problem = observed_problem(restoration_tasks()["deblur-gauss"], data, gaussian_kernel(2.0, size=13))
    steps = []
    for axis, inner in ((-2, data.diff(dim=-2)), (-1, data.diff(dim=-1))):
        wrapped = torch.cat([problem.data, problem.data.narrow(axis, 0, 1)], dim=axis).diff(dim=axis)
        steps.append(float(wrapped.abs().max() / inner.abs().max()))
    assert max(steps) < 3, "no jump much larger than those of the picture"
    jump = torch.cat([data, data[..., :1]], dim=-1).diff(dim=-1).abs().max() / data.diff(dim=-1).abs().max()
    assert float(jump) > 5, "the picture alone does jump from its end to its start"


def test_super_resolution_is_four_times_larger_and_bicubic():
    clean = scene(48, 64)
    task = restoration_tasks()["sr4"]
    small = simulated_problem(task, clean, torch.empty(0), sigma=0.0, generator=generator()).data[:, 0]
    assert small.shape == (1, 12, 16)
    back = zoom(small[0].numpy(), 4, order=1, mode="nearest", grid_mode=True)
    assert np.abs(back - clean[0].numpy())[8:-8, 8:-8].mean() < 0.03
    problem = observed_problem(task, small, torch.empty(0))
    assert problem.size == (48, 64)
    torch.testing.assert_close(problem.operator(clean[None])[0], small, rtol=1e-4, atol=1e-5)


def test_inpainting_forgets_what_the_mask_hides():
    data = scene(20, 24)
    known = torch.rand(20, 24, generator=generator()) < 0.5
    problem = observed_problem(restoration_tasks()["inpaint-random"], data, known)
    assert torch.equal(problem.data[0, 0], data[0] * known)


def test_typical_masks():
    table = restoration_tasks()
    box = table["inpaint-box"].typical((40, 60), Severity(), generator())
    assert int((~box).sum()) == 10 * 15
    assert not box[20, 30]
    scattered = table["inpaint-random"].typical((40, 60), Severity(), generator())
    assert int((~scattered).sum()) == round(0.8 * 2400)
    harder = Severity(motion_size=61, missing=0.92, box_share=2)
    assert int((~table["inpaint-box"].typical((40, 60), harder, generator())).sum()) == 20 * 30
    assert int((~table["inpaint-random"].typical((40, 60), harder, generator())).sum()) == round(0.92 * 2400)
    assert table["deblur-motion"].typical((80, 90), harder, generator()).shape == (61, 61)
    assert table["deblur-motion"].typical((40, 60), harder, generator()).shape == (40, 40), "as large as fits"


def test_a_kernel_larger_than_the_picture_is_refused():
    task = restoration_tasks()["deblur-gauss"]
    with pytest.raises(ConfigError, match="61 x 61 is larger than the picture of 40 x 80"):
        observed_problem(task, scene(40, 80), task.assumed())
    with pytest.raises(ConfigError, match="61 x 61"):
        simulated_problem(task, scene(40, 80), task.assumed(), sigma=0.1, generator=generator())
    with pytest.raises(ConfigError, match="too small"):
        simulated_problem(restoration_tasks()["sr4"], scene(1, 9), torch.empty(0), sigma=0.1, generator=generator())
