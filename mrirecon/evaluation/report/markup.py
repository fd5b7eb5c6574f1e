"""HTML as values: text is escaped when it enters, so that no name of a subject or a file can become markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeAlias

from mrirecon.errors import ConfigError

VOID = frozenset({"br", "col", "hr", "img", "input", "meta"})
"""Elements that have no content and no end tag."""


@dataclass(frozen=True)
class Markup:
    """HTML that is already escaped."""

    html: str


Content: TypeAlias = "Markup | str | Sequence[Content] | None"
"""What an element holds: markup as it is, text to be escaped, sequences one after the other; None is nothing."""


def text(value: str) -> str:
    """A string for HTML: special characters escaped, control characters and unpaired surrogates replaced.

    >>> text('<script>"&')
    '&lt;script&gt;&quot;&amp;'
    """
    clean = "".join(c if c in "\t\n" or (c >= " " and not "\x7f" <= c <= "\x9f") else "\ufffd" for c in value)
    return escape(clean.encode("utf-8", "replace").decode("utf-8"), quote=True)


def joined(content: Content) -> str:
    """Content as HTML."""
    if content is None:
        return ""
    if isinstance(content, Markup):
        return content.html
    if isinstance(content, str):
        return text(content)
    return "".join(joined(part) for part in content)


def tag(name: str, *content: Content, attributes: Mapping[str, str] | None = None) -> Markup:
    """An element.

    Parameters
    ----------
    name
        Such as ``td``.
    content
        What it holds.
    attributes
        Values are escaped; names are not, and must be the program's own.

    Raises
    ------
    ConfigError
        If an element without content is given some.
    """
    shown = "".join(f' {key}="{text(value)}"' for key, value in (attributes or {}).items())
    if name in VOID:
        if content:
            raise ConfigError(f"<{name}> holds nothing; got {len(content)} things to put into it")
        return Markup(f"<{name}{shown}>")
    return Markup(f"<{name}{shown}>{joined(content)}</{name}>")


def classed(name: str, kind: str, *content: Content) -> Markup:
    """An element with a class."""
    return tag(name, *content, attributes={"class": kind})


def paragraph(*content: Content) -> Markup:
    """A paragraph."""
    return tag("p", *content)


def bullets(items: Sequence[Content]) -> Markup:
    """A list; nothing when there are no items."""
    return tag("ul", [tag("li", item) for item in items]) if items else Markup("")


def section(title: str, anchor: str, *content: Content) -> Markup:
    """A chapter with a heading that can be linked to."""
    return tag("section", tag("h2", title), *content, attributes={"id": anchor})


def folded(summary: Content, *content: Content) -> Markup:
    """Content that opens on a click, and is printed open."""
    return tag("details", tag("summary", summary), *content)


def aside(summary: Content, *content: Content) -> Markup:
    """Content that opens on a click, and is not printed: it says in other words what stands beside it."""
    return tag("details", tag("summary", summary), *content, attributes={"class": "screen"})


def table(
    header: Sequence[Content], rows: Sequence[Sequence[Content]], *, caption: Content = None, words: int = 1
) -> Markup:
    """A table that scrolls inside its own box when it is wider than the page.

    Parameters
    ----------
    words
        How many of the first columns are words: the first heads the row, and the rest holds figures.
    """
    head = tag("tr", [tag("th", cell, attributes={"scope": "col"}) for cell in header])
    lines = []
    for row in rows:
        cells = [tag("th", row[0], attributes={"scope": "row"})]
        cells += [tag("td", cell) if i < words else classed("td", "n", cell) for i, cell in enumerate(row[1:], 1)]
        lines.append(tag("tr", cells))
    content = [tag("caption", caption) if caption else None, tag("thead", head), tag("tbody", lines)]
    return tag("div", tag("table", content), attributes={"class": "scroll", "tabindex": "0"})
