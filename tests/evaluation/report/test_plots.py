"""Figures repeat to the byte, are vector graphics of a journal's width, and tell methods apart."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from mrirecon.evaluation.report.findings import MethodCurve, difference_curves, quality_curves
from mrirecon.evaluation.report.plots_curves import plot_differences, plot_quality, plot_subjects, wrapped
from mrirecon.evaluation.report.plots_readers import plot_reader_scores
from mrirecon.evaluation.report.plots_style import DOUBLE_COLUMN, deviation_palette, drawing, error_palette, looks
from tests.evaluation.report.test_findings import LOSS, OPTIONS, column
from tests.jobs.test_study_report import READERS


def test_figures_are_the_same_every_time() -> None:
    scores = column(5)
    curves = quality_curves(scores, OPTIONS)
    look = looks(tuple(LOSS))
    first, second = (plot_quality([(scores, curves)], look, name="q", title="Q") for _ in range(2))
    assert first == second
    root = ElementTree.fromstring(first.svg)
    assert root.attrib["width"] == f"{7.2 * 72:g}pt"
    assert b"date" not in first.svg.lower()
    with Image.open(BytesIO(first.png)) as image:
        assert image.width == 2160
        assert image.info["dpi"][0] > 299


def test_every_subject_has_a_line_and_a_missing_curve_is_said() -> None:
    scores = column(6)
    curves = (*quality_curves(scores, OPTIONS)[:1], MethodCurve("gone", None, "no scores"))
    plot = plot_subjects(scores, curves, looks(("a", "gone")), name="s", title="S")
    assert plot.svg.count(b"stroke: #8c8c8c") == 6  # thin grey lines
    few = plot_subjects(column(3), quality_curves(column(3), OPTIONS)[:1], looks(("a",)), name="s", title="S")
    assert few.svg.count(b"stroke: #8c8c8c") == 3


def test_differences_show_zero_and_the_margin() -> None:
    scores = column(6)
    curves = difference_curves(scores, "a", OPTIONS)
    look = looks(tuple(LOSS))
    plain = plot_differences(scores, curves, look, baseline="a", name="d", title="D")
    margin = plot_differences(scores, curves, look, baseline="a", name="d", title="D", margin=0.02)
    assert plain.svg.count(b"#b00020") == 0
    assert margin.svg.count(b"#b00020") == 2


def test_long_names_stay_over_their_panel() -> None:
    """The longest line that is drawn, as wide as the figure divided by its panels at most."""
    name = "unfolded, N = 8, mean of 8 samples, checkpoint mri-small"
    lines = wrapped(f"{name} minus cg-sense-with-tikhonov-regularisation", 4).splitlines()
    assert len(lines) > 2
    assert "".join(lines).replace(" ", "") == f"{name}minuscg-sense-with-tikhonov-regularisation".replace(" ", "")
    with drawing() as figure_class:
        figure = figure_class(figsize=(DOUBLE_COLUMN, 2.0), dpi=100)
        drawn = figure.text(0, 0, max(lines, key=len), fontsize=8.0)
        assert drawn.get_window_extent(FigureCanvasAgg(figure).get_renderer()).width < 100 * DOUBLE_COLUMN / 4


def test_sixteen_methods_look_different() -> None:
    found = looks([f"m{i}" for i in range(16)])
    assert len(set(found.values())) == 16
    assert len({look.colour for look in list(found.values())[:8]}) == 8


def test_palettes_rise_in_lightness() -> None:
    for palette in (error_palette(), deviation_palette()):
        assert palette.shape == (256, 3)
        lightness = palette @ np.array([0.2126, 0.7152, 0.0722])
        assert (np.diff(lightness) > -1).all()
        assert lightness[-1] > lightness[0] + 150


def test_long_names_stay_inside_the_figure() -> None:
    """What lies in the outermost half per cent of the raster is white: no label is cut off."""
    long = "unfolded with many steps"
    scores = tuple(replace(s, method=long) if s.method == "tv" else s for s in READERS.scores)
    plot = plot_reader_scores(replace(READERS, scores=scores), name="r")
    with Image.open(BytesIO(plot.png)) as image:
        pixels = np.asarray(image.convert("L"))
    assert pixels[:, :8].min() == 255
    assert pixels[:, 8:200].min() < 100
