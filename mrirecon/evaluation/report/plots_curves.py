"""Figures of scores over effective acceleration: means with intervals, lines of subjects, paired differences."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np

from mrirecon.evaluation.report.columns import ScoreColumn
from mrirecon.evaluation.report.directions import arrow
from mrirecon.evaluation.report.findings import MethodCurve
from mrirecon.evaluation.report.plots_style import DOUBLE_COLUMN, Look, Plot, drawing, finished
from mrirecon.evaluation.statistics.curves import SubjectCurve
from mrirecon.evaluation.statistics.wording import counted
from mrirecon.metrics.measures import ResidualMeasure

DODGE = 0.012
"""Shift between the markers of neighbouring methods, in logarithms of R, so that intervals do not hide each other."""

MOST_PER_ROW = 3
LINE_LETTERS = 100
"""Of headings that fit side by side over the whole width."""


def plot_quality(
    columns: Sequence[tuple[ScoreColumn, Sequence[MethodCurve]]], look: Mapping[str, Look], *, name: str, title: str
) -> Plot:
    """Mean over subjects with its interval, one panel per metric, one line per method."""
    with drawing() as figure_class:
        n_rows, n_columns = _grid(len(columns))
        figure = figure_class(figsize=(DOUBLE_COLUMN, 2.25 * n_rows + 0.55), layout="constrained")
        axes = _axes(figure, n_rows, n_columns, len(columns))
        for axis, (column, curves) in zip(axes, columns, strict=True):
            middle = (len(curves) - 1) / 2
            for place, found in enumerate(curves):
                if found.curve is not None:
                    _mean_line(axis, found.curve, look[found.method], (place - middle) * DODGE)
            measure = column.definition.measure
            if isinstance(measure, ResidualMeasure) and measure.normalisation == "noise":
                axis.axhline(1, color="0.35", linewidth=0.8)  # as large as the noise
            _label_axes(axis, column, f"{column.label}, {arrow(column.definition)}")
            axis.set_ylabel(_quantity(column))
        _legend(figure, [m.method for _, curves in columns[:1] for m in curves], look)
        figure.suptitle(title, fontsize=8.5)
        shown = ", ".join(column.label for column, _ in columns)
        return finished(figure, name, f"{title}: {shown} against effective acceleration, one line per method.")


def plot_subjects(
    column: ScoreColumn, curves: Sequence[MethodCurve], look: Mapping[str, Look], *, name: str, title: str
) -> Plot:
    """One panel per method: a thin line per subject, their mean, and its interval as a band."""
    with drawing() as figure_class:
        n_rows, n_columns = _grid(len(curves), most=4)
        figure = figure_class(figsize=(DOUBLE_COLUMN, 1.95 * n_rows + 0.4), layout="constrained")
        axes = _axes(figure, n_rows, n_columns, len(curves), share=True)
        for axis, found in zip(axes, curves, strict=True):
            heading = found.method
            if found.curve is None:
                _say(axis, "no scores")
            else:
                _subject_lines(axis, found.curve, look[found.method])
                heading = f"{found.method}, {counted(len(found.curve.subjects), 'subject')}"
            _label_axes(axis, column, wrapped(heading, n_columns))
        figure.supylabel(_quantity(column), fontsize=7.5)
        figure.suptitle(title, fontsize=8.5)
        return finished(
            figure, name, f"{title}: {column.label} against effective acceleration, a line per subject, by method."
        )


def plot_differences(
    column: ScoreColumn,
    curves: Sequence[MethodCurve],
    look: Mapping[str, Look],
    *,
    baseline: str,
    name: str,
    title: str,
    margin: float | None = None,
) -> Plot:
    """One panel per method: differences from the baseline of each subject, their mean and its interval."""
    with drawing() as figure_class:
        n_rows, n_columns = _grid(len(curves), most=4)
        figure = figure_class(figsize=(DOUBLE_COLUMN, 1.95 * n_rows + 0.4), layout="constrained")
        axes = _axes(figure, n_rows, n_columns, len(curves), share=True)
        for axis, found in zip(axes, curves, strict=True):
            axis.axhline(0, color="0.35", linewidth=0.8)
            if margin is not None:
                axis.axhline(-column.measure.sign * margin, color="#B00020", linewidth=0.8, linestyle=(0, (4, 2)))
            if found.curve is None:
                _say(axis, "nothing paired")
            else:
                _subject_lines(axis, found.curve, look[found.method])
            _label_axes(axis, column, wrapped(f"{found.method} minus {baseline}", n_columns))
        unit = f", {column.measure.unit}" if column.measure.unit else ""
        figure.supylabel(f"difference in {column.label}{unit}", fontsize=7.5)
        figure.suptitle(title, fontsize=8.5)
        return finished(
            figure, name, f"{title}: difference in {column.label} from {baseline}, a line per subject, by method."
        )


def wrapped(heading: str, n_columns: int) -> str:
    """A heading in as many lines as it needs over one of so many panels side by side."""
    return textwrap.fill(heading, LINE_LETTERS // n_columns)


def _mean_line(axis: Any, curve: SubjectCurve, look: Look, shift: float) -> None:
    x = np.array(curve.acceleration) * np.exp(shift)
    mean = np.array(curve.mean)
    low = np.array([m if b is None else b.low for m, b in zip(mean, curve.bands, strict=True)])
    high = np.array([m if b is None else b.high for m, b in zip(mean, curve.bands, strict=True)])
    ends = np.maximum(np.stack([mean - low, high - mean]), 0)
    axis.errorbar(
        x, mean, yerr=ends, color=look.colour, linestyle=look.dashes, marker=look.marker, elinewidth=0.8, capsize=1.5
    )


def _subject_lines(axis: Any, curve: SubjectCurve, look: Look) -> None:
    x = np.array(curve.acceleration)
    values = curve.array()
    few = len(x) == 1
    for row in values:
        axis.plot(x, row, color="0.55", linewidth=0.5, alpha=0.7, marker="o" if few else None, markersize=2)
    bands = [b for b in curve.bands if b is not None]
    if len(bands) == len(x):
        lows, highs = [b.low for b in bands], [b.high for b in bands]
        axis.fill_between(x, lows, highs, color=look.colour, alpha=0.22, linewidth=0)
        if few:
            axis.vlines(x, lows, highs, color=look.colour, linewidth=2.0)
    axis.plot(x, curve.mean, color=look.colour, linestyle=look.dashes, marker=look.marker, linewidth=1.6)


def _label_axes(axis: Any, column: ScoreColumn, heading: str) -> None:
    axis.set_title(heading, loc="left")
    rates = [s.effective for s in column.settings]
    axis.set_xscale("log")
    axis.minorticks_off()
    axis.set_xticks(rates, [f"{r:.3g}" for r in rates])
    axis.set_xlim(min(rates) * 0.9, max(rates) * 1.12)
    axis.set_xlabel("effective acceleration R")


def _quantity(column: ScoreColumn) -> str:
    return f"{column.label}, {column.measure.unit}" if column.measure.unit else column.label


def _grid(n: int, most: int = MOST_PER_ROW) -> tuple[int, int]:
    n_columns = min(n, most)
    return ceil(n / n_columns), n_columns


def _axes(figure: Any, n_rows: int, n_columns: int, wanted: int, *, share: bool = False) -> list[Any]:
    """Axes in reading order; those that are not wanted are taken away."""
    axes = list(figure.subplots(n_rows, n_columns, squeeze=False, sharey=share).ravel())
    for axis in axes[wanted:]:
        axis.remove()
    return axes[:wanted]


def _say(axis: Any, words: str) -> None:
    axis.text(0.5, 0.5, words, transform=axis.transAxes, ha="center", va="center", color="0.4")


def _legend(figure: Any, methods: Sequence[str], look: Mapping[str, Look]) -> None:
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=look[m].colour, linestyle=look[m].dashes, marker=look[m].marker, label=m) for m in methods
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=min(len(lines), 5))
