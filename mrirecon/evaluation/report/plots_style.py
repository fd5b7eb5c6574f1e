"""How plots of a report look: sizes of a journal's page, colours the colour-blind tell apart, files that repeat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import MissingDependencyError

DOUBLE_COLUMN = 7.2
"""Inches: the usual width of a figure over two columns, 183 mm."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C564B")
"""Okabe and Ito's, yellow replaced by brown, which is seen on white."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", "-.", ":")
RASTER_DPI = 300


@dataclass(frozen=True)
class Look:
    """Colour, marker and dashes of a method, the same in all figures."""

    colour: str
    marker: str
    dashes: str


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """One per method: eight colours with a marker each, then the same with other dashes."""
    n = len(COLOURS)
    return {
        method: Look(COLOURS[i % n], MARKERS[(i + i // n) % n], DASHES[(i // n) % len(DASHES)])
        for i, method in enumerate(methods)
    }


@dataclass(frozen=True)
class Plot:
    """A finished figure.

    Parameters
    ----------
    name
        Of its files, without suffix.
    svg, png
        Its content.
    alternative
        What it shows, for those who cannot see it.
    """

    name: str
    svg: bytes
    png: bytes
    alternative: str


@contextmanager
def drawing() -> Iterator[Any]:
    """The `Figure` class of matplotlib under the report's settings.

    Raises
    ------
    MissingDependencyError
        If matplotlib cannot be imported.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            f"the figures of a report need matplotlib, whose import failed ({error}); install mrirecon[study]"
        ) from error
    settings = {
        "font.family": "DejaVu Sans",
        "font.size": 7.5,
        "axes.titlesize": 8.0,
        "axes.labelsize": 7.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.7,
        "axes.grid": True,
        "grid.color": "0.9",
        "grid.linewidth": 0.5,
        "lines.linewidth": 1.2,
        "lines.markersize": 4.0,
        "legend.frameon": False,
        "svg.fonttype": "path",
        "svg.hashsalt": "mrirecon",
        "text.parse_math": False,
        "text.hinting": "none",
    }
    with matplotlib.rc_context(settings):
        yield Figure


def finished(figure: Any, name: str, alternative: str) -> Plot:
    """The figure as SVG and PNG; the same figure gives the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(RASTER_DPI)
    if figure.get_layout_engine() is not None:  # once for both files, at a resolution that does not stretch letters
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    svg, png = BytesIO(), BytesIO()
    canvas.print_png(png, metadata={"Software": None})
    FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None, "Creator": None})
    return Plot(name, svg.getvalue(), png.getvalue(), alternative)


def error_palette() -> NDArray[np.uint8]:
    """Black to bright yellow, rising evenly in lightness: matplotlib's inferno."""
    return _palette("inferno")


def deviation_palette() -> NDArray[np.uint8]:
    """Dark blue to yellow, not to be mistaken for an error: matplotlib's viridis."""
    return _palette("viridis")


def _palette(name: str) -> NDArray[np.uint8]:
    with drawing():
        from matplotlib import colormaps
    colours: NDArray[np.uint8] = np.rint(255 * colormaps[name](np.linspace(0, 1, 256))[:, :3]).astype(np.uint8)
    return colours
