"""What every reader asks of its input before looking inside."""

from __future__ import annotations

from pathlib import Path

from mrirecon.errors import FormatError


def existing_file(path: str | Path) -> Path:
    """The path, if it is a readable file that is not empty.

    Raises
    ------
    FormatError
        If it is missing, a folder, empty, or may not be read.
    """
    path = Path(path)
    if not path.exists():
        raise FormatError(path, "there is no such file; check the path")
    if path.is_dir():
        raise FormatError(path, "is a folder, expected one raw data file; name the file inside it")
    try:
        with path.open("rb") as file:
            first = file.read(1)
    except OSError as error:
        raise FormatError(path, f"cannot be read: {error.strerror or error}; check the permissions") from None
    if not first:
        raise FormatError(path, "is empty (0 bytes); copy it again")
    return path
