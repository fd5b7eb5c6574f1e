"""The whole page."""

from __future__ import annotations

from collections.abc import Sequence

from mrirecon.evaluation.report.markup import Markup, tag, text
from mrirecon.evaluation.report.style import CSS

CHAPTERS = {
    "summary": "Summary",
    "limits": "Limits",
    "quality": "Quality",
    "comparison": "Comparison",
    "margin": "How far?",
    "pictures": "Pictures",
    "masks": "Masks",
    "prospective": "Without ground truth",
    "readers": "Readers",
    "methods": "Methods",
    "holes": "Holes",
    "record": "Record",
}
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""A browser that reads it refuses to load anything from anywhere, whatever might have slipped into the page."""


def page(title: str, header: Markup, sections: Sequence[Markup], *, footer: str) -> str:
    """One HTML document; empty sections are left out of it and of its contents."""
    found = [s for s in sections if s.html]
    links = [
        tag("li", tag("a", name, attributes={"href": f"#{anchor}"}))
        for anchor, name in CHAPTERS.items()
        if any(s.html.startswith(f'<section id="{anchor}"') for s in found)
    ]
    body = tag(
        "main",
        header,
        tag("nav", tag("ul", links), attributes={"aria-label": "Contents"}),
        found,
        tag("footer", footer),
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n{body.html}\n</body>\n</html>\n"
    )
