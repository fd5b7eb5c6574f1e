"""A contact sheet: every slice of a series in one PNG, windowed alike, with orientation letters in the margins.

A picture to look at, not to measure: 8 bits, resampled to square pixels. Nothing is drawn on the image and nothing is
flipped; slices are shown as stored, in the order of the DICOM files.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import mrirecon
from mrirecon.errors import ConfigError, OutputError
from mrirecon.io.atomic import atomic_file
from mrirecon.io.grid import edge_letters, slice_order
from mrirecon.io.intensity import series_intensity
from mrirecon.io.raster.text import ascii_text, wrapped
from mrirecon.scan.series import ImageSeries

_SIDE, _MARGIN = 34, 22  # beside and above a picture: room for three letters, for one line
_LABEL_HEIGHT = 18
_HEADER_HEIGHT = 30
_LINE_HEIGHT = 20
_FONT_SIZE = 13
_BACKGROUND, _INK, _SIGNAL = (16, 16, 16), (220, 220, 220), (255, 190, 60)


def write_contact_sheet(
    series: ImageSeries,
    path: str | Path,
    *,
    columns: int | None = None,
    tile_size: int = 256,
    max_slices: int = 60,
    overwrite: bool = False,
) -> None:
    """Write the slices of `series` as one PNG.

    Every slice uses the window of the series. The letters at the edges (R, L, A, P, H, F) come from the geometry; they
    are question marks when it is nominal. The margin also says what a reader must know: nominal geometry, simulated
    data, research use.

    Parameters
    ----------
    series
        Volume and grid.
    path
        Ends in ``.png``.
    columns
        Tiles per row; default about square.
    tile_size
        Pixels along the longer side of a slice.
    max_slices
        Show at most this many, evenly spaced; the sheet says which.
    overwrite
        Replace an existing file.

    Raises
    ------
    ConfigError
        If a number is not positive.
    OutputError
        If the name has another suffix, the file exists, or it cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() != ".png":
        raise OutputError(f"{target.name}: a contact sheet's name must end in .png")
    for name, value in (("columns", columns), ("tile_size", tile_size), ("max_slices", max_slices)):
        if value is not None and value < 1:
            raise ConfigError(f"`{name}` must be positive, got {value}")
    sheet = _sheet(series, columns, tile_size, max_slices)
    with atomic_file(target, overwrite=overwrite) as temporary:
        sheet.save(temporary, format="PNG", optimize=False)


def _sheet(series: ImageSeries, columns: int | None, tile_size: int, max_slices: int) -> Any:
    order = slice_order(series.geometry, len(series.image))
    shown = _evenly_spaced(len(order), max_slices)
    width, height = _tile_shape(series, tile_size)
    cell_width, cell_height = width + 2 * _SIDE, height + 2 * _MARGIN + _LABEL_HEIGHT
    n_columns = min(columns or math.ceil(math.sqrt(len(shown) * cell_height / cell_width)), len(shown))
    n_rows = math.ceil(len(shown) / n_columns)
    font = ImageFont.load_default(size=_FONT_SIZE)
    sheet_width = n_columns * cell_width
    header = wrapped(_title(series), font, sheet_width - 12)
    footer = wrapped(_footer(series, len(order), len(shown)), font, sheet_width - 12)
    top = _HEADER_HEIGHT - _LINE_HEIGHT + _LINE_HEIGHT * len(header)
    sheet_height = top + n_rows * cell_height + _LINE_HEIGHT * len(footer) + 8
    sheet = Image.new("RGB", (sheet_width, sheet_height), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for line, text in enumerate(header):
        draw.text((6, 5 + _LINE_HEIGHT * line), text, font=font, fill=_SIGNAL)
    for line, text in enumerate(footer):
        draw.text((6, top + n_rows * cell_height + _LINE_HEIGHT * line), text, font=font, fill=_INK)
    grey = series_intensity(series)
    letters = _letters(series)
    for place, number in enumerate(shown):
        left, upper = place % n_columns * cell_width, top + place // n_columns * cell_height
        picture = Image.fromarray(grey.grey(series.image[order[number]])).resize(
            (width, height), Image.Resampling.BILINEAR
        )
        sheet.paste(picture, (left + _SIDE, upper + _MARGIN))
        _annotate(draw, (left, upper, width, height), letters, f"{number + 1} / {len(order)}", font)
    return sheet


def _annotate(draw: Any, tile: tuple[int, int, int, int], letters: tuple[str, ...], label: str, font: Any) -> None:
    left, upper, width, height = tile
    middle_x, middle_y = left + _SIDE + width // 2, upper + _MARGIN + height // 2
    half = _MARGIN // 2
    edge_left, edge_right, edge_top, edge_bottom = letters
    draw.text((left + _SIDE // 2, middle_y), edge_left, font=font, fill=_INK, anchor="mm")
    draw.text((left + _SIDE + width + _SIDE // 2, middle_y), edge_right, font=font, fill=_INK, anchor="mm")
    draw.text((middle_x, upper + half), edge_top, font=font, fill=_INK, anchor="mm")
    draw.text((middle_x, upper + _MARGIN + height + half), edge_bottom, font=font, fill=_INK, anchor="mm")
    below = upper + 2 * _MARGIN + height + _LABEL_HEIGHT // 2
    draw.text((middle_x, below - 4), label, font=font, fill=_INK, anchor="mm")


def _letters(series: ImageSeries) -> tuple[str, str, str, str]:
    """Left, right, top, bottom edge."""
    if series.geometry.nominal:
        return "?", "?", "?", "?"
    right, left = edge_letters(series.geometry.row_direction)
    bottom, top = edge_letters(series.geometry.column_direction)
    return left, right, top, bottom


def _tile_shape(series: ImageSeries, tile_size: int) -> tuple[int, int]:
    _, dy, dx = series.geometry.voxel_size_mm
    height_mm, width_mm = series.image.shape[1] * dy, series.image.shape[2] * dx
    scale = tile_size / max(height_mm, width_mm)
    return max(1, round(width_mm * scale)), max(1, round(height_mm * scale))


def _evenly_spaced(available: int, wanted: int) -> list[int]:
    picked: NDArray[np.int64] = np.rint(np.linspace(0, available - 1, min(available, wanted))).astype(np.int64)
    return picked.tolist() if wanted > 1 else [available // 2]


def _title(series: ImageSeries) -> str:
    words = [ascii_text(series.description)]
    words += ["standard deviation"] if series.quantity == "standard_deviation" else []
    words += ["SIMULATED DATA"] if series.derivation.simulated else []
    words += ["NOMINAL GEOMETRY: left/right unknown"] if series.geometry.nominal else []
    return "   |   ".join(word for word in words if word)


def _footer(series: ImageSeries, available: int, shown: int) -> str:
    centre, width = series_intensity(series).window
    thickness, step = series.geometry.slice_thickness_mm, series.geometry.voxel_size_mm[0]
    words = [f"window {centre:g} / {width:g}", f"slice thickness {thickness:.3g} mm, step {step:.3g} mm"]
    words += [f"{shown} of {available} slices shown"] if shown < available else []
    words += ["research use only, not for diagnosis", f"mrirecon {mrirecon.__version__}"]
    return "   |   ".join(words)
