"""A page of text as one grey picture: what a reconstruction is, and what speaks for and against it.

White on black for dark rooms; verdicts differ in words and in shape, not in colour, for grey monitors. Half as large,
on 512 x 512 pixels, it can still be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mrirecon.errors import ConfigError
from mrirecon.io.atomic import atomic_file
from mrirecon.io.raster.text import ascii_text, wrapped

SIZE = 1024
Tone: TypeAlias = Literal["good", "bad", "unknown"]
_EDGE, _GAP = 36, 10
_LABELS = 190
_MASK = 190
_SIZES = range(26, 17, -1)
_BLACK, _DIM, _INK, _RULE = 0, 165, 235, 90


@dataclass(frozen=True)
class CertificateSection:
    """One question and its answer.

    Parameters
    ----------
    title
        What was asked.
    verdict
        The answer in one to four words.
    tone
        ``bad`` is drawn black on white, ``good`` in a full frame, ``unknown`` in a broken one.
    text
        Paragraphs.
    limits
        Paragraphs on what the answer cannot say; set off by a bar.
    """

    title: str
    verdict: str
    tone: Tone
    text: tuple[str, ...]
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class CertificatePage:
    """What is drawn.

    Parameters
    ----------
    title
        First line.
    sections
        From top to bottom.
    rows
        Labels and values.
    warnings
        Sentences; the last ones give way when there is no room, and the page says how many did.
    mask
        Sampled points (ky, kx), drawn beside the rows; None for no picture.
    footer
        Last line.
    """

    title: str
    sections: tuple[CertificateSection, ...]
    rows: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    footer: str
    mask: NDArray[np.bool_] | None = None


def certificate_picture(page: CertificatePage) -> NDArray[np.uint8]:
    """The page in grey levels, `SIZE` x `SIZE`, as large as it fits.

    Raises
    ------
    ConfigError
        If it does not fit even in the smallest writing and without any warning.
    """
    for size in _SIZES:
        sheet, height = _drawn(page, page.warnings, size)
        if height <= SIZE:
            return np.asarray(sheet)
    for kept in range(len(page.warnings) - 1, -1, -1):
        more = f"{len(page.warnings) - kept} more: see the record provenance.json"
        sheet, height = _drawn(page, (*page.warnings[:kept], more), _SIZES[-1])
        if height <= SIZE:
            return np.asarray(sheet)
    raise ConfigError(f"the certificate is {height} pixels high, {SIZE} fit; shorten its sentences")


def write_certificate_picture(page: CertificatePage, path: str | Path, *, overwrite: bool = False) -> None:
    """Write the page as a PNG; `OutputError` if the file exists or cannot be written."""
    picture = Image.fromarray(certificate_picture(page))
    with atomic_file(path, overwrite=overwrite) as temporary:
        picture.save(temporary, format="PNG")


def _drawn(page: CertificatePage, warnings: Sequence[str], size: int) -> tuple[Image.Image, int]:
    """The picture and the height that it needs."""
    sheet = Image.new("L", (SIZE, SIZE), _BLACK)
    pen = _Pen(ImageDraw.Draw(sheet), size)
    pen.line(page.title, size=size + 8)
    for section in page.sections:
        pen.rule()
        pen.section(section)
    pen.rule()
    top = pen.top
    with_picture = page.mask is not None
    for label, value in page.rows:
        pen.row(label, value, narrower=_MASK + 2 * _GAP if with_picture else 0)
    if page.mask is not None:
        sheet.paste(_mask_picture(page.mask), (SIZE - _EDGE - _MASK, top))
        pen.draw.rectangle((SIZE - _EDGE - _MASK - 1, top - 1, SIZE - _EDGE, top + _MASK), outline=_RULE)
        pen.top = max(pen.top, top + _MASK + _GAP)
    if warnings:
        pen.rule()
        pen.line("Warnings", ink=_DIM)
        for warning in warnings:
            pen.line(f"- {warning}")
    pen.rule()
    pen.line(page.footer, ink=_DIM)
    return sheet, pen.top + _EDGE // 2


@dataclass(eq=False)
class _Pen:
    """Writes downwards."""

    draw: Any
    size: int
    top: int = _EDGE // 2

    def line(self, text: str, *, ink: int = _INK, size: int | None = None, indent: int = 0) -> None:
        font = ImageFont.load_default(size=size or self.size)
        self._lines(wrapped(ascii_text(text), font, SIZE - 2 * _EDGE - indent), font, _EDGE + indent, ink)

    def rule(self) -> None:
        self.draw.line((_EDGE, self.top + _GAP // 2, SIZE - _EDGE, self.top + _GAP // 2), fill=_RULE, width=2)
        self.top += _GAP + 4

    def section(self, section: CertificateSection) -> None:
        self.line(section.title, ink=_DIM)
        font = ImageFont.load_default(size=self.size + 16)
        verdict = ascii_text(section.verdict)
        box = (_EDGE, self.top + 2, _EDGE + int(font.getlength(verdict)) + 32, self.top + self.size + 36)
        if section.tone == "bad":
            self.draw.rectangle(box, fill=255)
        elif section.tone == "good":
            self.draw.rectangle(box, outline=_INK, width=4)
        else:
            _broken_frame(self.draw, box)
        middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        self.draw.text(middle, verdict, font=font, fill=_BLACK if section.tone == "bad" else 255, anchor="mm")
        self.top = box[3] + _GAP
        for paragraph in section.text:
            self.line(paragraph)
        self.top += _GAP if section.limits else 0
        top = self.top
        for paragraph in section.limits:
            self.line(paragraph, ink=255, indent=2 * _GAP)
        if section.limits:
            self.draw.rectangle((_EDGE, top + 2, _EDGE + 5, self.top), fill=255)
            self.top += _GAP // 2

    def row(self, label: str, value: str, *, narrower: int) -> None:
        font = ImageFont.load_default(size=self.size)
        self.draw.text((_EDGE, self.top), ascii_text(label), font=font, fill=_DIM)
        left = _EDGE + _LABELS
        self._lines(wrapped(ascii_text(value), font, SIZE - _EDGE - left - narrower), font, left, _INK)

    def _lines(self, lines: Sequence[str], font: Any, left: int, ink: int) -> None:
        for text in lines:
            self.draw.text((left, self.top), text, font=font, fill=ink)
            self.top += round(1.24 * font.size)


def _broken_frame(draw: Any, box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    for x in range(left, right, 16):
        for y in (top, bottom):
            draw.line((x, y, min(x + 8, right), y), fill=_INK, width=3)
    for y in range(top, bottom, 16):
        for x in (left, right):
            draw.line((x, y, x, min(y + 8, bottom)), fill=_INK, width=3)


def _mask_picture(mask: NDArray[np.bool_]) -> Image.Image:
    """Sampled points in white, as dense as they are where several fall onto one pixel."""
    grey = Image.fromarray(np.where(mask, 255, 0).astype(np.uint8))
    fine = min(mask.shape) >= _MASK
    return grey.resize((_MASK, _MASK), Image.Resampling.BOX if fine else Image.Resampling.NEAREST)
