"""Matrices of a MATLAB file of version 7.3, which is HDF5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from mrirecon.io.hdf5 import open_hdf5


def matlab_matrices(path: str | Path) -> list[NDArray[Any]]:
    """Every real two-dimensional array of the variables, in cells or by itself, in the order of MATLAB's rows.

    Raises
    ------
    FormatError
        If it is no HDF5 file, or damaged.
    """
    found: list[NDArray[Any]] = []
    with open_hdf5(path) as file:
        variables = [item for name, item in file.items() if not name.startswith("#")]
        for variable in variables:
            if not isinstance(variable, h5py.Dataset):
                continue
            cells = [variable]
            if h5py.check_ref_dtype(variable.dtype) is h5py.Reference:
                cells = [file[reference] for reference in variable[()].T.ravel() if reference]
            found += [cell[()].T for cell in cells if _is_matrix(cell)]
    return found


def _is_matrix(item: object) -> bool:
    if not isinstance(item, h5py.Dataset) or item.ndim != 2 or item.attrs.get("MATLAB_empty", 0):
        return False
    return np.dtype(item.dtype).kind in "biuf" and item.attrs.get("MATLAB_class") != b"char"
