"""Sensitivity maps from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mrirecon.errors import FormatError
from mrirecon.io.cfl import open_cfl


def read_maps(path: str | Path) -> Tensor:
    """Maps (slice, set, coil, y, x), complex64, from a NumPy or BART file.

    NumPy files hold (coil, y, x), (slice, coil, y, x) or (slice, set, coil, y, x); BART files follow BART's axis order
    with maps on axis 4 and slices on axis 13 or, when there is only one set, z.

    Raises
    ------
    FormatError
        If the file cannot be read or is not complex with three to five axes.
    """
    path = Path(path)
    if path.suffix in (".cfl", ".hdr") or path.with_suffix(".cfl").exists():
        return _from_cfl(path)
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise FormatError(path, f"cannot be read as a NumPy array ({error}); expected .npy or BART cfl") from error
    if not isinstance(array, np.ndarray) or not np.iscomplexobj(array) or not 3 <= array.ndim <= 5:
        shape = getattr(array, "shape", None)
        raise FormatError(path, f"maps must be complex with 3 to 5 axes ([slice, [set,]] coil, y, x), got {shape}")
    maps = torch.from_numpy(np.ascontiguousarray(array)).to(torch.complex64)
    if maps.ndim == 3:
        maps = maps[None]
    return maps[:, None] if maps.ndim == 4 else maps


def _from_cfl(path: Path) -> Tensor:
    array, dims = open_cfl(path)  # axes in reversed order: BART's dimension d is axis 15 - d
    if dims[0] == 1:  # the readout was transformed: rows are phase 2, columns phase 1
        maps = array.reshape(dims[13], dims[4], dims[3], dims[2], dims[1])
    elif dims[13] == 1:
        maps = array.reshape(dims[4], dims[3], dims[2], dims[1], dims[0]).transpose(2, 0, 1, 3, 4)
    elif dims[2] == 1:
        maps = array.reshape(dims[13], dims[4], dims[3], dims[1], dims[0])
    else:
        raise FormatError(path, f"maps cannot have both z ({dims[2]}) and slices ({dims[13]}); split the file")
    return torch.from_numpy(np.ascontiguousarray(maps)).to(torch.complex64)
