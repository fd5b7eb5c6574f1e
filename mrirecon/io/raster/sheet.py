"""Rows of pictures in one PNG, to look at while a training runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mrirecon.errors import ConfigError
from mrirecon.io.atomic import atomic_file

_GAP, _HEADER, _LABEL = 4, 20, 18
_BACKGROUND, _INK = 16, 220


def write_picture_rows(
    path: str | Path,
    rows: Sequence[Sequence[NDArray[np.floating]]],
    *,
    titles: Sequence[str],
    labels: Sequence[str],
) -> None:
    """Write grey pictures as a table; an existing file is replaced.

    Parameters
    ----------
    path
        The PNG file.
    rows
        Pictures (y, x) from 0 to 1; values outside are clipped. Sizes may differ from row to row.
    titles
        One above every column.
    labels
        One below every row.

    Raises
    ------
    ConfigError
        If there is no picture, or titles or labels do not match.
    OutputError
        If the file cannot be written.
    """
    if not rows or any(len(row) != len(titles) for row in rows) or len(labels) != len(rows):
        raise ConfigError(f"expected rows of {len(titles)} pictures with a label each, got {[len(r) for r in rows]}")
    widths = [max(row[i].shape[1] for row in rows) for i in range(len(titles))]
    heights = [max(picture.shape[0] for picture in row) for row in rows]
    size = (sum(widths) + _GAP * (len(widths) + 1), _HEADER + sum(heights) + _LABEL * len(rows))
    sheet = Image.new("L", size, _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=12)
    lefts = [_GAP + sum(widths[:i]) + _GAP * i for i in range(len(widths))]
    for left, title in zip(lefts, titles, strict=True):
        draw.text((left, 3), title, font=font, fill=_INK)
    top = _HEADER
    for row, height, label in zip(rows, heights, labels, strict=True):
        for left, picture in zip(lefts, row, strict=True):
            grey = np.rint(255 * np.clip(np.nan_to_num(picture), 0, 1)).astype(np.uint8)
            sheet.paste(Image.fromarray(grey), (left, top))
        draw.text((lefts[0], top + height + 1), label, font=font, fill=_INK)
        top += height + _LABEL
    with atomic_file(path, overwrite=True) as temporary:
        sheet.save(temporary, format="PNG")
