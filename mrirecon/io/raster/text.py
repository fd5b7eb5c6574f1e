"""Plain text for pictures: characters that the built-in font has, broken into lines."""

from __future__ import annotations

import unicodedata
from typing import Any


def wrapped(text: str, font: Any, width: float) -> list[str]:
    """Lines of `text` no wider than `width` pixels; a word that is wider by itself is broken."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        pieces = _pieces(word, font, width)
        lines = [*([] if lines == [""] else lines), *pieces]
    return lines


def ascii_text(text: str) -> str:
    """`text` on one line in ASCII; accents are dropped."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " ".join(plain.split())


def _pieces(word: str, font: Any, width: float) -> list[str]:
    pieces = [""]
    for character in word:
        if pieces[-1] and font.getlength(pieces[-1] + character) > width:
            pieces.append(character)
        else:
            pieces[-1] += character
    return pieces
