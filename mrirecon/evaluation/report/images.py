"""Pictures inside the page: nothing is fetched, every one says in words what it shows."""

from __future__ import annotations

from base64 import b64encode

from mrirecon.evaluation.report.markup import Content, Markup, classed, tag
from mrirecon.evaluation.report.plots_style import Plot


def data_uri(content: bytes, kind: str) -> str:
    """``data:image/png;base64,...``."""
    return f"data:image/{kind};base64,{b64encode(content).decode('ascii')}"


def picture(
    content: bytes, alternative: str, *, shape: tuple[int, int], aspect: float = 1.0, kind: str = "png", css: str = ""
) -> Markup:
    """An image.

    Parameters
    ----------
    shape
        Rows and columns.
    aspect
        Height of a pixel over its width.
    """
    height, width = shape
    attributes = {
        "src": data_uri(content, kind),
        "alt": alternative,
        "width": str(width),
        "height": str(max(1, round(height * aspect))),
        "style": f"aspect-ratio: {width} / {height * aspect:.4g}",
    }
    return tag("img", attributes={**attributes, "class": css} if css else attributes)


def figure_of(plot: Plot, caption: Content) -> Markup:
    """A plot as it lies among the figures, with its caption and the name of its files."""
    image = tag("img", attributes={"src": data_uri(plot.svg, "svg+xml"), "alt": plot.alternative})
    files = f"figures/{plot.name}.svg"
    return tag(
        "figure",
        tag("div", image, attributes={"class": "plot", "tabindex": "0"}),
        tag("figcaption", caption, " ", classed("span", "file", [tag("code", files), " and .png"])),
    )
