"""The panel: one window, one error scale, captions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mrirecon.errors import ConfigError
from mrirecon.evaluation.cells import Cell, CellStore
from mrirecon.evaluation.panel import display_window, shown_cases, write_case_panel
from mrirecon.evaluation.problems import Case, Problem
from mrirecon.io.raster.panel import Tile, write_panel
from mrirecon.operators.image import denoising, image_space
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.noise import GaussianNoise


def magnitude() -> Problem:
    reference = torch.zeros(1, 40, 40)
    reference[0, 10:30, 10:30] = 1.0
    reference[0, 10, 10] = 4.0  # one vessel
    model = MeasurementModel(denoising(image_space(1, 40, 40)), GaussianNoise(1.0))
    return Problem(reference, reference, model, 0.0, 4.0, torch.ones(40, 40, dtype=torch.bool))


CASE = Case("a/1/x", "a", "x", "x", {}, magnitude)


def test_the_window_shows_the_organ_rather_than_the_vessel() -> None:
    assert display_window(magnitude()) == (0.0, 1.0)


def test_pictures_share_a_window_and_errors_a_scale(tmp_path: Path) -> None:
    store = CellStore(tmp_path / "cells")
    cells = []
    for method, shift in (("good", 0.1), ("bad", 0.2)):
        cells.append(Cell("a/1/x", "a", "x", method, "f", 30.0, 0.9, 0.1))
        store.put(cells[-1], magnitude().reference + shift)
    cells.append(Cell("a/1/x", "a", "x", "absent", "f", hole="no checkpoint"))
    write_case_panel(tmp_path / "panel.png", CASE, cells, store, error_range=0.1)
    with Image.open(tmp_path / "panel.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.ndim == 2
    tile = 320  # 40 pixels enlarged eight times
    assert pixels.shape[1] == 3 * tile + 4 * 6
    images, errors = 29 + tile // 2, 29 + tile + 2 * 17 + 6 + tile // 2
    middles = [6 + i * (tile + 6) + tile // 2 for i in range(3)]
    assert [int(pixels[images, x]) for x in middles] == [255, 255, 255]
    assert [int(pixels[errors, x]) for x in middles] == [0, round(255 * 0.25), round(255 * 0.5)]


def test_the_middle_case_of_every_group_is_shown() -> None:
    cases = [Case(f"{s}/{i}/x", s, "x", "x", {}, magnitude) for s in "ab" for i in range(5)]
    assert shown_cases(cases) == {"a/2/x", "b/2/x"}


def test_rows_may_differ_and_long_captions_make_room(tmp_path: Path) -> None:
    picture = np.full((8, 8), 0.5)
    rows = [[Tile(picture, ("a caption that is wider than the picture", "second line"))], [Tile(picture, ())] * 2]
    write_panel(tmp_path / "panel.png", rows, title="title", smallest=8)
    with Image.open(tmp_path / "panel.png") as sheet:
        assert sheet.width > 150
        values = np.asarray(sheet)
    assert int((values == 128).sum()) >= 3 * 64
    with pytest.raises(ConfigError, match="at least one tile"):
        write_panel(tmp_path / "none.png", [], title="")
