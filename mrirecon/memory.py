"""Giving freed memory back to the system between planes."""

from __future__ import annotations

import ctypes
import sys


def release_freed_memory() -> None:
    """Ask the C library to return freed blocks; does nothing where it cannot be asked.

    glibc keeps blocks of a few megabytes for reuse, and arrays of many sizes fragment them: without this a long job
    grows by hundreds of megabytes although nothing is held.
    """
    if not sys.platform.startswith("linux"):
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
