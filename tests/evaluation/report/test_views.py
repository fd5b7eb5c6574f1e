"""Windows, zooms, error scales and orientation letters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrirecon.evaluation.report.views import (
    ERROR_STEPS,
    error_top,
    letters_of,
    object_of,
    pixel_aspect,
    window_top,
    zoom_box,
)
from mrirecon.evaluation.study.records import InputRecord

RECORD = InputRecord("a", "a", "a.h5", "", "measured", True, (0,), (64, 64), 8)


def test_a_few_bright_vessels_do_not_set_the_window() -> None:
    plane = np.zeros((100, 100), np.float32)
    plane[20:80, 20:80] = 1.0
    plane[50, 50:60] = 9.0
    assert window_top(plane) == 1.0
    assert object_of(plane).sum() == 3600


def test_an_empty_image_has_a_window_and_a_zoom() -> None:
    plane = np.zeros((40, 30), np.float32)
    assert window_top(plane) == 1.0
    box = zoom_box(plane)
    assert box.of(plane).shape == (8, 8)


def test_the_zoom_finds_structure_and_not_the_rim() -> None:
    y, x = np.meshgrid(np.arange(120), np.arange(120), indexing="ij")
    plane = (np.hypot(y - 60, x - 60) < 52).astype(np.float32)
    plane[70:84, 38:52] += 0.3 * ((y + x)[70:84, 38:52] % 2)
    box = zoom_box(plane)
    assert (box.top, box.left) <= (70, 38)
    assert (box.bottom, box.right) >= (84, 52)
    assert box.bottom - box.top == round(0.28 * 120)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (16, 16)])
def test_the_zoom_lies_inside_any_image(shape: tuple[int, int]) -> None:
    plane = np.random.default_rng(0).random(shape).astype(np.float32)
    box = zoom_box(plane)
    assert 0 <= box.top < box.bottom <= shape[0]
    assert 0 <= box.left < box.right <= shape[1]


def test_the_error_scale_is_a_round_step_above_most_voxels() -> None:
    errors = [np.linspace(0, 0.4, 1000), np.linspace(0, 0.2, 1000)]
    share = error_top(errors, 2.0)  # the 95 % quantile of both is 0.36, which is 0.18 of 2
    assert share == 0.2
    assert share in ERROR_STEPS
    assert error_top([], 1.0) == 1.0
    assert error_top([np.full(5, 9.0)], 1.0) == 1.0


def test_letters_say_what_lies_at_the_edges() -> None:
    # columns of the matrix are x, y, z: x runs to the patient's left, y to the feet, as in a coronal slice
    rows = ((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, -1.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    letters = letters_of(replace(RECORD, affine_lps=rows))
    assert (letters.left, letters.right, letters.top, letters.bottom) == ("R", "L", "H", "F")
    assert letters.known
    assert not letters_of(RECORD).known


def test_pixels_keep_their_shape() -> None:
    assert pixel_aspect(replace(RECORD, voxel_size_mm=(5.0, 1.5, 1.0))) == 1.5
    assert pixel_aspect(RECORD) == 1.0
