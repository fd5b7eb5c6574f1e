"""Single pictures as PNG in memory, to be put into a page."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mrirecon.errors import ShapeError


def grey_png(picture: NDArray[np.floating]) -> bytes:
    """A picture (y, x) from 0 (black) to 1 (white) in 256 greys; values outside are clipped, NaN is black."""
    return _png(Image.fromarray(_levels(picture, 255)))


def palette_png(picture: NDArray[np.floating], palette: NDArray[np.uint8]) -> bytes:
    """A picture (y, x) from 0 to 1 in the colours of a palette.

    Parameters
    ----------
    palette
        Red, green, blue, shape (n, 3) with n from 2 to 256: the colours of 0 to 1, equally spaced.

    Raises
    ------
    ShapeError
        If the picture is no plane, or the palette has another shape.
    """
    if palette.ndim != 2 or palette.shape[1] != 3 or not 2 <= len(palette) <= 256:
        raise ShapeError(f"`palette` must have shape (2 to 256, 3), got {palette.shape}")
    image = Image.fromarray(_levels(picture, len(palette) - 1))
    image.putpalette(palette.astype(np.uint8).tobytes())
    return _png(image)


def mask_png(mask: NDArray[np.bool_]) -> bytes:
    """A mask (y, x) in black and white, one bit a point."""
    return _png(Image.fromarray(_levels(mask.astype(np.float32), 255)).convert("1", dither=Image.Dither.NONE))


def _levels(picture: NDArray[np.floating], most: int) -> NDArray[np.uint8]:
    if picture.ndim != 2 or not picture.size:
        raise ShapeError(f"a picture must have shape (y, x), got {picture.shape}")
    levels: NDArray[np.uint8] = np.rint(most * np.clip(np.nan_to_num(picture), 0, 1)).astype(np.uint8)
    return levels


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
