"""Free text that leaves the machine: no folder, no control character."""

from __future__ import annotations

import re

_PATH = re.compile(r"(?<![\w.:/\\])(?:[A-Za-z]:[\\/]|~[\\/]|[\\/]{1,2})[^\s'\",;|]*[^\s'\",;:|.)\]]")


def without_paths(text: str, *, keep_name: bool = False) -> str:
    r"""`text` with absolute paths replaced by ``[path]``, or by their last part.

    Relative words with a slash, such as left/right, stay.

    Examples
    --------
    >>> without_paths("maps from /home/doe/maps.npy, left/right")
    'maps from [path], left/right'
    >>> without_paths("C:\\data\\scan.h5: no noise scan", keep_name=True)
    'scan.h5: no noise scan'
    """

    def replacement(match: re.Match[str]) -> str:
        if not keep_name:
            return "[path]"
        return re.split(r"[\\/]", match.group().rstrip("\\/"))[-1]

    return _PATH.sub(replacement, text)
