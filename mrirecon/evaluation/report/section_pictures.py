"""The chapters of pictures: scans by all methods on common scales, and the masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrirecon.evaluation.report.columns import mask_of
from mrirecon.evaluation.report.data import ReportData
from mrirecon.evaluation.report.examples import Example, Shown
from mrirecon.evaluation.report.images import data_uri, picture
from mrirecon.evaluation.report.markup import Content, Markup, classed, folded, paragraph, section, tag
from mrirecon.evaluation.report.plots_style import deviation_palette, error_palette
from mrirecon.evaluation.report.views import ERROR_QUANTILE, WINDOW_TOP, Letters, letters_of, pixel_aspect
from mrirecon.evaluation.statistics.wording import percent
from mrirecon.evaluation.study.records import CellKey
from mrirecon.io.raster.png import grey_png, mask_png, palette_png

BAR = np.tile(np.linspace(0, 1, 256, dtype=np.float32), (8, 1))


@dataclass
class Budget:
    """Bytes of pictures that the page may still take; what does not fit is said, and lies among the figures."""

    left: int

    def take(self, parts: Markup) -> Markup | None:
        """The parts, or None if they do not fit."""
        size = len(parts.html)
        if size > self.left:
            return None
        self.left -= size
        return parts


def pictures_section(examples: Sequence[tuple[str, Example]], budget: Budget) -> Markup:
    """Every example with its image, zoom, error and deviation by method, at its accelerations."""
    if not examples:
        return Markup("")
    parts: list[Content] = [
        paragraph(
            "All pictures of a scan share one window, all its error maps one scale, at every acceleration. The window, "
            "the zoom (yellow box: the square of finest structure away from the rim) and the slice (the middle one) "
            "come from the reference by fixed rules, before any method is looked at. Look for structure in the error "
            "maps: edges of the anatomy in an error are lost or invented detail, evenly spread grain is noise."
        )
    ]
    for title, example in examples:
        parts += [tag("h3", title), example_block(example, budget)]
    return section("Pictures", "pictures", parts)


def example_block(example: Example, budget: Budget) -> Markup:
    """One scan: what it is, then a row of tiles per acceleration."""
    record = example.record
    letters = letters_of(record)
    scan_slice = record.slices[example.place] if example.place < len(record.slices) else example.place
    words = [
        f"Subject {record.subject}, scan {record.name}, slice {scan_slice}. {example.why}",
        f"White is the {percent(WINDOW_TOP)} quantile of the object in the reference ({example.white:.3g}), black is 0."
        if example.reference is not None
        else f"White is {example.white:.3g}, the {percent(WINDOW_TOP)} quantile of the object in the methods' mean.",
    ]
    if example.reference is not None:
        words.append(
            f"Error maps: |reconstruction − reference| from 0 (black) to {percent(example.error_share)} of the "
            f"reference's maximum (bright yellow), the smallest round step that {percent(ERROR_QUANTILE)} of the "
            f"voxels stay below; {percent(round(example.beyond, 4))} lie beyond it."
        )
    if example.deviation_top > 0:
        words.append(
            f"Standard deviations that a method predicts: from 0 (dark blue) to {example.deviation_top:.3g} (yellow), "
            "in the units of the image."
        )
    words.append(_orientation(letters))
    blocks: list[Content] = [classed("p", "note", " ".join(words))]
    for number, (setting, shown) in enumerate(example.settings):
        heading = tag("h4", f"{setting.name}, effective {setting.words()}")
        tiles = budget.take(_tiles(example, shown, letters))
        if tiles is None:
            tiles = classed(
                "p", "note", "Left out to keep this page small; the figure of these pictures is in figures/."
            )
        block = [heading, tiles]
        blocks.append(block if number < 3 else folded(f"{setting.name}", block))
    return tag("div", blocks)


def _orientation(letters: Letters) -> str:
    if not letters.known:
        return "The geometry of the scan is unknown: left and right of the patient cannot be told from these pictures."
    return (
        f"Shown as stored: left edge {letters.left}, right {letters.right}, top {letters.top}, bottom {letters.bottom} "
        "of the patient."
    )


def _tiles(example: Example, shown: tuple[Shown, ...], letters: Letters) -> Markup:
    aspect = pixel_aspect(example.record)
    tiles: list[Content] = []
    if example.reference is not None:
        tiles.append(_reference_tile(example, example.reference, letters, aspect))
    tiles += [_method_tile(example, own, aspect) for own in shown]
    return classed("div", "tiles", tiles)


def _reference_tile(example: Example, plane: NDArray[np.float32], letters: Letters, aspect: float) -> Markup:
    named = [(word, kind) for kind, word in vars(letters).items() if letters.known]
    view = [
        _grey(plane, example, f"Fully sampled reference of {example.record.name}", aspect),
        _box(example, plane.shape),
        *[classed("span", f"letter {kind}", word) for word, kind in named],
    ]
    rows: list[Content] = [
        tag("figcaption", tag("b", "reference"), "fully sampled"),
        classed("div", "view", view),
        _zoom(plane, example, f"Zoom of the reference of {example.record.name}", aspect),
        _bar(error_palette(), f"{percent(example.error_share)}", "|error|"),
    ]
    if example.deviation_top > 0:
        rows.append(_bar(deviation_palette(), f"{example.deviation_top:.3g}", "predicted standard deviation"))
    return classed("figure", "tile", rows)


def _method_tile(example: Example, own: Shown, aspect: float) -> Markup:
    method = own.key.method
    caption = tag("figcaption", tag("b", method), own.caption or ("" if own.image is not None else "hole"))
    plane = own.image
    if plane is None or (example.reference is not None and plane.shape != example.reference.shape):
        reason = own.hole or "its matrix differs from that of the reference"
        return classed("figure", "tile", caption, classed("div", "absent", f"No picture: {reason}"))
    where = f"{method} at {own.key.setting} of {example.record.name}"
    rows: list[Content] = [caption, _grey(plane, example, f"Image by {where}. {own.caption}".strip(), aspect)]
    rows.append(_zoom(plane, example, f"Zoom of the image by {where}", aspect))
    if example.reference is not None:
        error = palette_png(example.error_of(plane), error_palette())
        rows.append(picture(error, f"Absolute error of {where}", shape=_shape(plane), aspect=aspect))
    if own.deviation is not None and example.deviation_top > 0:
        deviation = palette_png(own.deviation / example.deviation_top, deviation_palette())
        rows.append(picture(deviation, f"Predicted deviation of {where}", shape=_shape(plane), aspect=aspect))
    return classed("figure", "tile", rows)


def _grey(plane: NDArray[np.float32], example: Example, alternative: str, aspect: float) -> Markup:
    return picture(grey_png(plane / example.white), alternative, shape=_shape(plane), aspect=aspect)


def _zoom(plane: NDArray[np.float32], example: Example, alternative: str, aspect: float) -> Markup:
    part = example.zoom.of(plane)
    return picture(
        grey_png(part / example.white), alternative, shape=_shape(part), aspect=aspect, css="pixels"
    )  # fmt: skip


def _shape(plane: NDArray[Any]) -> tuple[int, int]:
    return int(plane.shape[0]), int(plane.shape[1])


def _box(example: Example, shape: tuple[int, ...]) -> Markup:
    height, width = shape
    box = example.zoom
    places = {
        "left": box.left / width,
        "top": box.top / height,
        "width": (box.right - box.left) / width,
        "height": (box.bottom - box.top) / height,
    }
    style = "; ".join(f"{key}: {100 * value:.2f}%" for key, value in places.items())
    return tag("div", attributes={"class": "box", "style": style})


def _bar(palette: NDArray[np.uint8], top: str, quantity: str) -> Markup:
    source = data_uri(palette_png(BAR, palette), "png")
    image = tag("img", attributes={"src": source, "alt": f"Colour scale of the {quantity}, 0 to {top}"})
    return classed("div", "scale", tag("span", quantity), classed("div", "bar", "0", image, top))


def masks_section(data: ReportData) -> Markup:
    """A picture of one mask per setting, with the numbers of its card."""
    chosen: dict[str, CellKey] = {}
    for key in data.planned:
        if key.setting not in chosen and mask_of(data.results, key) is not None:
            chosen[key.setting] = key
    if not chosen:
        return Markup("")
    figures = [_mask_figure(data, setting, key) for setting, key in chosen.items()]
    return section(
        "Sampling masks",
        "masks",
        paragraph(
            "One mask of every setting, that of the first scan and seed: white points of k-space (rows ky, columns kx) "
            "are sampled. All masks, with the cards from which they can be made again, are listed at the end."
        ),
        classed("div", "masks", figures),
    )


def _mask_figure(data: ReportData, setting: str, key: CellKey) -> Markup:
    record, mask = data.results.mask_record(key), data.results.mask(key)
    plane = np.broadcast_to(mask, data.results.inputs[key.input].matrix) if mask.ndim == 2 else mask.reshape(1, -1)
    centre = record.card.get("centre_lines")
    lines = f", {centre} centre lines" if centre else ""
    words = f"effective R = {record.effective_acceleration:.3g}{lines}, seed {key.seed}"
    origin = "sampled by the scanner" if record.prospective else "retrospective"
    alternative = f"Sampling mask {setting}: {words}"
    return tag(
        "figure",
        picture(mask_png(np.ascontiguousarray(plane)), alternative, shape=_shape(plane)),
        tag("figcaption", tag("b", setting), tag("br"), f"{words}; {origin}"),
    )
