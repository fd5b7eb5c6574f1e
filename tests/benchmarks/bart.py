"""BART's command line as a peer: cfl files in a folder, commands timed as whole processes (start-up about 3 ms)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

AVAILABLE = shutil.which("bart") is not None


def write(path: Path, array: NDArray[np.complexfloating]) -> None:
    """(coil, y, x) or (y, x) as BART's (x, y, 1, coil)."""
    dims = (array.shape[-1], array.shape[-2], 1, array.shape[0] if array.ndim == 3 else 1)
    path.with_suffix(".hdr").write_text("# Dimensions\n" + " ".join(map(str, dims)) + "\n")
    path.with_suffix(".cfl").write_bytes(np.ascontiguousarray(array, dtype=np.complex64).tobytes())


def read(path: Path) -> NDArray[np.complex64]:
    """An image (y, x), or coil images (coil, y, x)."""
    dims = [int(n) for n in path.with_suffix(".hdr").read_text().splitlines()[1].split()]
    array = np.fromfile(path.with_suffix(".cfl"), dtype=np.complex64)
    image = array.reshape(dims[3], dims[1], dims[0])
    return image[0] if dims[3] == 1 else image


def run(folder: Path, *arguments: str) -> None:
    subprocess.run(["bart", *arguments], cwd=folder, check=True, capture_output=True)
