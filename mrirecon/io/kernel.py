"""Read point spread functions: NumPy arrays, MATLAB files, pictures."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from mrirecon.errors import FormatError
from mrirecon.io.hdf5 import is_hdf5
from mrirecon.io.hdf5_matlab import matlab_matrices
from mrirecon.io.picture_levels import read_photograph

_SMALLEST = 2


def read_kernel(path: str | Path, *, number: int = 0) -> NDArray[np.float32]:
    """A kernel (y, x), scaled to the sum 1.

    Parameters
    ----------
    path
        ``.npy``: one kernel (y, x) or several (kernel, y, x). ``.mat``: every matrix of the file, in cells or by
        itself, in order. Anything else is read as a picture, colours averaged.
    number
        Which one of several, from 0.

    Raises
    ------
    FormatError
        If the file cannot be read, holds no such kernel, or one that is not finite or has no positive sum.
    """
    kernels = _matrices(Path(path))
    if not 0 <= number < len(kernels):
        raise FormatError(path, f"holds {len(kernels)} kernels, numbered from 0; there is no number {number}")
    return _normalised(kernels[number], Path(path))


def read_kernels(path: str | Path) -> tuple[NDArray[np.float32], ...]:
    """All kernels of a file, as `read_kernel` reads one."""
    return tuple(_normalised(kernel, Path(path)) for kernel in _matrices(Path(path)))


def _normalised(matrix: NDArray[Any], path: Path) -> NDArray[np.float32]:
    kernel = np.asarray(matrix, dtype=np.float64)
    if not np.isfinite(kernel).all() or not kernel.sum() > 0:
        raise FormatError(path, "a kernel must be finite with a positive sum; it would otherwise leave no picture")
    scaled: NDArray[np.float32] = (kernel / kernel.sum()).astype(np.float32)
    return scaled


def _matrices(path: Path) -> list[NDArray[Any]]:
    found = _kernels(path)
    if not found:
        raise FormatError(path, "holds no matrix; expected a kernel (y, x)")
    return found


def _kernels(path: Path) -> list[NDArray[Any]]:
    if not path.is_file():
        raise FormatError(path, "there is no such file; expected a kernel as .npy, .mat or picture")
    if path.suffix == ".npy":
        return _from_numpy(path)
    if path.suffix == ".mat":
        return _from_matlab(path)
    return [read_photograph(path).pixels.mean(axis=0, dtype=np.float64)]


def _from_numpy(path: Path) -> list[NDArray[Any]]:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise FormatError(path, f"cannot be read as a NumPy array ({error})") from None
    if not isinstance(array, np.ndarray) or array.ndim not in (2, 3) or array.dtype.kind not in "biuf":
        raise FormatError(path, "expected real numbers of shape (y, x) or (kernel, y, x)")
    return [array] if array.ndim == 2 else list(array)


def _from_matlab(path: Path) -> list[NDArray[Any]]:
    if is_hdf5(path):  # version 7.3
        return _large_enough(matlab_matrices(path))
    try:
        content = loadmat(path)
    except (MatReadError, ValueError, TypeError, OSError, LookupError, EOFError, zlib.error) as error:
        raise FormatError(path, f"cannot be read as a MATLAB file ({error})") from None
    found: list[NDArray[Any]] = []
    for name, value in content.items():
        if name.startswith("__"):
            continue
        cells = value.ravel() if value.dtype == object else [value]
        found += [c for c in cells if isinstance(c, np.ndarray) and c.ndim == 2 and c.dtype.kind in "biuf"]
    return _large_enough(found)


def _large_enough(found: list[NDArray[Any]]) -> list[NDArray[Any]]:
    return [kernel for kernel in found if min(kernel.shape) >= _SMALLEST]
