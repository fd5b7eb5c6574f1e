"""The picture figure of a paper: image, zoom and error map of every method on common scales."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrirecon.evaluation.report.columns import Setting
from mrirecon.evaluation.report.examples import Example, Shown
from mrirecon.evaluation.report.plots_style import DOUBLE_COLUMN, Plot, drawing, finished
from mrirecon.evaluation.report.views import letters_of, pixel_aspect

TOP = 0.6
"""Inches above the pictures, for the title and the captions of the columns."""

SHORTEST = 12
"""Characters of a caption that fit above a picture are at least so many."""


def plot_example(example: Example, setting: Setting, shown: tuple[Shown, ...], *, name: str, title: str) -> Plot:
    """Columns are the reference and the methods; rows the image, the zoom and, with a reference, the error."""
    with drawing() as figure_class:
        first = 0 if example.reference is None else 1
        n_columns = len(shown) + first
        n_rows = 2 + first
        aspect = pixel_aspect(example.record)
        pictures = [s.image for s in shown if s.image is not None]
        shape = example.reference.shape if example.reference is not None else pictures[0].shape
        width = DOUBLE_COLUMN / n_columns
        full = width * aspect * shape[0] / shape[1]
        box = example.zoom
        part = width * aspect * (box.bottom - box.top) / (box.right - box.left)
        heights = [full, part, full][:n_rows]
        total = sum(heights) + TOP
        figure = figure_class(figsize=(DOUBLE_COLUMN, total))
        axes = figure.subplots(n_rows, n_columns, squeeze=False, height_ratios=heights)
        figure.subplots_adjust(left=0.002, right=0.998, bottom=0.004, top=1 - TOP / total, wspace=0.02, hspace=0.02)
        for axis in axes.ravel():
            axis.set_axis_off()
        if example.reference is not None:
            _grey_pair(axes[:, 0], example, example.reference, aspect)
            _outline(axes[0, 0], example)
            _letters(axes[0, 0], example)
            axes[0, 0].set_title("reference", fontsize=6.5)
        error = None
        for i, own in enumerate(shown, start=first):
            heading = f"{own.key.method}\n{own.caption}" if own.caption else own.key.method
            axes[0, i].set_title(heading, fontsize=max(4.5, min(6.5, 78 * width / max(SHORTEST, *_lengths(heading)))))
            if own.image is None or own.image.shape != shape:
                axes[0, i].text(0.5, 0.5, "hole", transform=axes[0, i].transAxes, ha="center", color="0.4")
                continue
            _grey_pair(axes[:, i], example, own.image, aspect)
            if example.reference is not None:
                error = axes[2, i].imshow(
                    example.error_of(own.image), cmap="inferno", vmin=0, vmax=1, aspect=aspect, interpolation="none"
                )
        if error is not None:
            _error_scale(figure, axes[2, 0], error, example, min(5.5, 5.2 * width))
        heading = f"{title}, {setting.name} (effective {setting.words()})"
        figure.text(0.5, 1 - 0.06 / total, heading, fontsize=8, ha="center", va="top")
        methods = ", ".join(s.key.method for s in shown)
        return finished(figure, name, f"{title} at {setting.name}: image, zoom and error of {methods}.")


def _error_scale(figure: Any, axis: Any, error: Any, example: Example, size: float) -> None:
    bar = figure.colorbar(error, cax=axis.inset_axes((0.12, 0.42, 0.7, 0.06)), orientation="horizontal", ticks=[0, 1])
    bar.ax.set_xticklabels(["0", f"{100 * example.error_share:g} %"], fontsize=size)
    bar.outline.set_visible(False)
    words = "|error| in % of the\nreference's maximum"
    axis.text(0.5, 0.52, words, transform=axis.transAxes, ha="center", va="bottom", fontsize=size)


def _lengths(text: str) -> list[int]:
    return [len(line) for line in text.splitlines()]


def _grey_pair(axes: NDArray[np.object_], example: Example, plane: NDArray[np.floating], aspect: float) -> None:
    for axis, part in ((axes[0], plane), (axes[1], example.zoom.of(plane))):
        axis.imshow(part, cmap="gray", vmin=0, vmax=example.white, aspect=aspect, interpolation="none")


def _outline(axis: Any, example: Example) -> None:
    from matplotlib.patches import Rectangle

    box = example.zoom
    corner = (box.left - 0.5, box.top - 0.5)
    size = (box.right - box.left, box.bottom - box.top)
    axis.add_patch(Rectangle(corner, *size, fill=False, edgecolor="#FFD23F", linewidth=0.7))


def _letters(axis: Any, example: Example) -> None:
    letters = letters_of(example.record)
    if not letters.known:
        return
    for x, y, word in (
        (0.02, 0.5, letters.left), (0.98, 0.5, letters.right), (0.5, 0.98, letters.top), (0.5, 0.02, letters.bottom)
    ):  # fmt: skip
        sideways = "left" if x < 0.1 else "right" if x > 0.9 else "center"
        upright = "top" if y > 0.9 else "bottom" if y < 0.1 else "center"
        axis.text(x, y, word, transform=axis.transAxes, ha=sideways, va=upright, color="#FFD23F", fontsize=5.5)
