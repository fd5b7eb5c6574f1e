"""HDF5 files that no reader may take, and what each must say of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mrirecon.errors import FormatError


def assert_damaged_files_are_refused(read: Callable[[Path], object], good: Path) -> None:
    """Missing, empty, foreign and truncated files beside `good`, which is a readable one."""
    whole = good.read_bytes()
    files = {
        "nowhere.h5": (None, "no such file"),
        "empty.h5": (b"", "empty"),
        "text.h5": (b"this is not raw data\n" * 90, "not an HDF5 file"),
        "cut.h5": (whole[: len(whole) // 2], "truncated or damaged"),
    }
    for name, (content, words) in files.items():
        path = good.parent / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(FormatError, match=words) as caught:
            read(path)
        assert caught.value.path == path
