"""How much memory there is, and giving freed memory back to the system between planes."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path


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


def available_bytes() -> int | None:
    """Memory that new processes may take without swapping, within the limit of a container; None where unknown."""
    found = [_meminfo("MemAvailable"), _container_bytes()]
    known = [value for value in found if value is not None]
    return min(known) if known else None


def _meminfo(name: str) -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
    except (OSError, ValueError, StopIteration):
        return None


def _container_bytes() -> int | None:
    """What a control group leaves; its page cache counts as free."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = int((folder / "memory.max").read_text(encoding="ascii"))
        used = int((folder / "memory.current").read_text(encoding="ascii"))
        kept = (line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
        cached = next((int(words[1]) for words in kept if words[0] == "inactive_file"), 0)
    except (OSError, ValueError):  # no such group, or no limit ("max")
        return None
    return max(0, limit - used + cached)
