"""A figure of captioned grey tiles in one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mrirecon.errors import ConfigError
from mrirecon.io.atomic import atomic_file

_GAP, _LINE, _FONT_SIZE = 6, 17, 13
_BACKGROUND, _INK = 16, 220


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture (y, x) from 0 to 1, values outside clipped, and the lines of text below it."""

    picture: NDArray[np.floating]
    caption: tuple[str, ...]


def write_panel(path: str | Path, rows: Sequence[Sequence[Tile]], *, title: str, smallest: int = 320) -> None:
    """Write rows of tiles, all equally enlarged by a whole number; an existing file is replaced.

    Parameters
    ----------
    path
        The PNG file.
    rows
        From top to bottom; rows may differ in length.
    title
        One line at the top.
    smallest
        Tiles are enlarged until the narrower edge of the first has at least so many pixels.

    Raises
    ------
    ConfigError
        If there is no tile.
    OutputError
        If the file cannot be written.
    """
    if not rows or not rows[0]:
        raise ConfigError("a panel needs at least one tile")
    factor = max(1, -(-smallest // min(rows[0][0].picture.shape)))
    font = ImageFont.load_default(size=_FONT_SIZE)
    widths = [[_width(tile, factor, font) for tile in row] for row in rows]
    heights = [max(tile.picture.shape[0] for tile in row) * factor for row in rows]
    captions = [max(len(tile.caption) for tile in row) * _LINE for row in rows]
    total = max(sum(own) + _GAP * (len(own) + 1) for own in widths), 2 * _GAP + _LINE
    sheet = Image.new("L", (total[0], total[1] + sum(heights) + sum(captions) + _GAP * len(rows)), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, _GAP), title, font=font, fill=_INK)
    top = total[1]
    for row, own, height, caption in zip(rows, widths, heights, captions, strict=True):
        left = _GAP
        for tile, width in zip(row, own, strict=True):
            grey = np.rint(255 * np.clip(np.nan_to_num(tile.picture), 0, 1)).astype(np.uint8)
            sheet.paste(Image.fromarray(np.kron(grey, np.ones((factor, factor), np.uint8))), (left, top))
            for number, text in enumerate(tile.caption):
                draw.text((left, top + height + number * _LINE), text, font=font, fill=_INK)
            left += width + _GAP
        top += height + caption + _GAP
    with atomic_file(path, overwrite=True) as temporary:
        sheet.save(temporary, format="PNG")


def _width(tile: Tile, factor: int, font: Any) -> int:
    """Of the picture or of its text, whichever is wider."""
    widths: list[int] = [tile.picture.shape[1] * factor, *(int(font.getlength(text)) + 1 for text in tile.caption)]
    return max(widths)
