"""Free text of a raw header that repeats who was examined."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORD = re.compile(r"[^\W_]+")
_INSIDE = 5  # letters from which on a name counts inside of longer words too
_WHOLE = 3  # letters of a name that counts as a word of its own; shorter ones are too common


def without_identifiers(text: str | None, identifiers: Iterable[str]) -> str | None:
    """`text`, or None where it holds a word of an identifying value: a name, a number, a date.

    Examples
    --------
    >>> without_identifiers("t2_tse_tra", ["Doe^Jane", "1970-01-01"])
    't2_tse_tra'
    >>> without_identifiers("t2_DOE_19700101", ["Doe^Jane"])
    """
    if text is None:
        return None
    lowered = text.lower()
    words = set(_WORD.findall(lowered))
    compact = "".join(_WORD.findall(lowered))
    for value in identifiers:
        parts = _WORD.findall(value.lower())
        joined = "".join(parts)
        if len(joined) >= _INSIDE and joined in compact:
            return None
        for part in parts:
            if (len(part) >= _INSIDE and part in lowered) or (len(part) >= _WHOLE and part in words):
                return None
    return text
