"""One run per study folder: two would do everything twice."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mrirecon.errors import OutputError

LOCK = ".running"
"""A file by which the folder of a study is known until its plan is there; no run that ends by itself leaves it."""


@contextmanager
def only_run(folder: Path, *, begun: Path | None = None) -> Iterator[None]:
    """Holds the folder; the system lets go of it when the process ends, however it ends.

    Does nothing where the system or its file system cannot lock files.

    Parameters
    ----------
    begun
        The file of the lock is removed in the end if this file is there: the folder is known by it then.

    Raises
    ------
    OutputError
        If another run works in the folder.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    path = folder / LOCK
    while True:
        try:
            file = path.open("a")
        except OSError as error:
            raise OutputError(f"{folder.name} cannot be written ({error.strerror}); choose another folder") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise OutputError(
                f"another run works in {folder.name}; wait for it, or look with `mrirecon study status {folder.name}`"
            ) from error
        except OSError:  # a file system without locks
            break
        if _is_at(file, path):
            break
        file.close()  # a run that ended in this moment has removed it
    with file:
        try:
            yield
        finally:
            if begun is not None and begun.is_file():
                path.unlink(missing_ok=True)  # still locked: nobody takes it for free


def _is_at(file: IO[str], path: Path) -> bool:
    """Whether the name still leads to the open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
