"""PNG in memory: what goes in comes out."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mrirecon.errors import ShapeError
from mrirecon.io.raster.png import grey_png, mask_png, palette_png


def pixels(content: bytes, mode: str) -> NDArray[np.uint8]:
    with Image.open(BytesIO(content)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert(mode))


def test_greys_are_clipped_and_rounded() -> None:
    plane = np.array([[-1.0, 0.0, 0.5], [1.0, 2.0, np.nan]])
    assert pixels(grey_png(plane), "L").tolist() == [[0, 0, 128], [255, 255, 0]]


def test_colours_come_from_the_palette() -> None:
    palette = np.array([[0, 0, 0], [10, 20, 30], [255, 254, 253]], np.uint8)
    found = pixels(palette_png(np.array([[0.0, 0.5, 1.0, 7.0]]), palette), "RGB")
    assert found[0].tolist() == [[0, 0, 0], [10, 20, 30], [255, 254, 253], [255, 254, 253]]


def test_masks_are_kept_exactly() -> None:
    mask = np.random.default_rng(0).random((7, 13)) > 0.5
    assert np.array_equal(pixels(mask_png(mask), "L") > 0, mask)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(y, x\)"):
        grey_png(np.zeros((2, 3, 4)))
    with pytest.raises(ShapeError, match="palette"):
        palette_png(np.zeros((2, 2)), np.zeros((300, 3), np.uint8))
