"""One run per study folder: two would do everything twice."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mrirecon.errors import OutputError

LOCK = ".running"
"""A file by which the folder of a study is known from its first moment."""


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Holds the folder; the system lets go of it when the process ends, however it ends.

    Does nothing where the system or its file system cannot lock files.

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
    try:
        file = path.open("a")
    except OSError as error:
        raise OutputError(f"{folder.name} cannot be written ({error.strerror}); choose another folder") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(
                f"another run works in {folder.name}; wait for it, or look with `mrirecon study status {folder.name}`"
            ) from error
        except OSError:  # a file system without locks
            pass
        yield
