"""What an archive said about one object, in the status codes that C-STORE and STOW-RS share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DUPLICATE = 0x0111
_EXACT = {
    0x0000: "stored",
    0x0001: "the archive wants storage commitment to be asked for",
    0x0110: "processing failure",
    0x0111: "the archive says that it holds an object of this identifier already",
    0x0112: "no such object instance",
    0x0117: "invalid object instance",
    0x0118: "no such SOP class",
    0x0119: "class and instance conflict",
    0x0122: "SOP class not supported",
    0x0124: "not authorised",
    0x0131: "commitment: duplicate transaction",
    0x0210: "duplicate invocation",
    0x0211: "unrecognised operation",
    0x0212: "mistyped argument",
    0x0213: "resource limitation",
    0xA770: "referenced data element missing",
    0xB000: "data elements were coerced",
    0xB006: "data elements were discarded",
    0xB007: "data set does not match its SOP class",
}
_RANGES = (
    (0xA700, 0xA7FF, "out of resources"),
    (0xA900, 0xA9FF, "data set does not match its SOP class"),
    (0xB000, 0xBFFF, "stored with a warning"),
    (0xC000, 0xC0FF, "cannot understand the data set"),
    (0xC122, 0xC122, "transfer syntax not supported"),
    (0xC100, 0xCFFF, "cannot understand the data set"),
)


@dataclass(frozen=True)
class Outcome:
    """The answer to one object.

    Parameters
    ----------
    kind
        ``stored``: the archive took it; ``refused``: it did not; ``unclear``: only a query can tell.
    code
        DICOM status or failure reason, None where there was none.
    text
        What it means; never text that the archive chose, which may hold names of patients.
    transient
        Whether sending it again later may help.
    """

    kind: Literal["stored", "refused", "unclear"]
    code: int | None
    text: str
    transient: bool = False

    @property
    def warning(self) -> bool:
        """Whether it was stored, and not as it was sent, or on a condition."""
        return self.kind == "stored" and bool(self.code)

    def __str__(self) -> str:
        return self.text if self.code is None else f"{self.text} (0x{self.code:04X})"


def status_text(code: int) -> str:
    """What a status of PS3.4 annex B, PS3.7 annex C or PS3.18 table 10.5.3-2 means."""
    if code in _EXACT:
        return _EXACT[code]
    return next(
        (text for first, last, text in _RANGES if first <= code <= last), "a status that is not in the standard"
    )


def outcome_of(code: int) -> Outcome:
    """The outcome that a status or failure reason stands for.

    Warnings (0xB..., 0x0001, 0x0107, 0x0116) mean that the object was stored. A duplicate is unclear: the object may
    have arrived in an attempt whose answer was lost, or be another one of the same identifier.
    """
    text = status_text(code)
    if code == DUPLICATE:
        return Outcome("unclear", code, text)
    if code in (0x0000, 0x0001, 0x0107, 0x0116) or 0xB000 <= code <= 0xBFFF:
        return Outcome("stored", code, text)
    return Outcome("refused", code, text, transient=code == 0x0213 or (0xA700 <= code <= 0xA7FF and code != 0xA770))
