"""Whether one file is what a data specification says: its format, and the arrays in it, without reading the data."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mrirecon.data.spec import WHOLE_FILE, ArraySpec, DataSpec, Reader
from mrirecon.errors import FormatError, MrireconError
from mrirecon.io.base import detect_format, open_scan
from mrirecon.io.hdf5 import StoredArray, stored_arrays

Found = tuple[Literal["format", "key", "shape", "dtype", "damaged"], str]
_AGAIN = "download it again"
_HDF5: tuple[Reader, ...] = ("fastmri", "ismrmrd", "calgary-campinas", "skm-tea", "cmrxrecon")
_SIGNATURES: dict[Reader, tuple[bytes, ...]] = {
    "nrrd": (b"NRRD",),
    "mat": (b"MATLAB",),
    "image": (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*", b"GIF8"),
}


def content_problems(spec: DataSpec, split: str, path: Path) -> Iterator[Found]:
    """What is wrong with one file of a split: its format, or keys, shapes and types of its arrays."""
    try:
        _check_format(spec.reader, path)
        stored = _stored(spec.reader, path)
    except FormatError as error:
        yield "format", f"{_without_path(error)}; {_AGAIN}"
        return
    if spec.reader == "cfl" or not spec.arrays:
        return
    lengths: dict[str, tuple[str, int]] = {}
    for array in spec.arrays:
        found = stored.get(array.key)
        if found is None:
            if not array.optional and (not array.splits or split in array.splits):
                yield "key", _missing_key(array.key, stored, split)
            continue
        if array.dtype != "bytes":
            yield from _axes(array, found, lengths)
        if found.dtype not in array.dtypes:
            yield "dtype", f"`{array.key}` must be {array.dtype}, got {found.dtype}; {_AGAIN} and do not convert it"


def open_problems(spec: DataSpec, path: Path) -> Iterator[Found]:
    """What the reader of the format says about a file, and about one plane of data in its middle."""
    try:
        _open(spec.reader, path)
    except MrireconError as error:
        yield "damaged", f"its reader refuses it: {_without_path(error)}; {_AGAIN}"


def _axes(array: ArraySpec, found: StoredArray, lengths: dict[str, tuple[str, int]]) -> Iterator[Found]:
    """Number of axes, fixed lengths, and lengths that must agree with those of another array of the file."""
    if len(found.shape) != len(array.axes):
        yield "shape", f"`{array.key}` must have the axes ({', '.join(array.axes)}), got the shape {found.shape}"
        return
    for axis, n in zip(array.axes, found.shape, strict=True):
        allowed = (array.sizes or {}).get(axis)
        if n == 0:
            yield "shape", f"`{array.key}` is empty along {axis}: its shape is {found.shape}; {_AGAIN}"
        elif allowed is not None and n not in allowed:
            sizes = " or ".join(str(a) for a in allowed)
            yield "shape", f"`{array.key}` must have {sizes} along {axis}, got {n}; its shape is {found.shape}"
        other, length = lengths.setdefault(axis, (array.key, n))
        if length != n:
            yield "shape", f"`{array.key}` has {n} along {axis}, but `{other}` has {length}; {_AGAIN}"


def _missing_key(key: str, stored: dict[str, StoredArray], split: str) -> str:
    near = difflib.get_close_matches(key, stored, n=1)
    hint = f" (is {near[0]!r} meant?)" if near else ""
    return f"lacks `{key}`, which files of [{split}] must have; it holds {', '.join(stored) or 'nothing'}{hint}"


def _check_format(reader: Reader, path: Path) -> None:
    """`FormatError` if a file is not of the format that its reader is for."""
    if path.stat().st_size == 0:
        raise FormatError(path, "is empty (0 bytes)")
    if reader in _SIGNATURES:
        with path.open("rb") as file:
            head = file.read(16)
        if not head.startswith(_SIGNATURES[reader]):
            raise FormatError(path, f"does not begin as a file of format {reader} does")
        return
    found = detect_format(path)
    if found != reader:
        raise FormatError(path, f"is of format {found}, expected {reader}")


def _stored(reader: Reader, path: Path) -> dict[str, StoredArray]:
    if reader in _HDF5:
        return stored_arrays(path)
    if reader == "cfl":
        from mrirecon.io.cfl import open_cfl

        open_cfl(path)
    if reader == "mat":
        arrays = {key: a for key, a in _mat(path).items() if isinstance(a, np.ndarray)}
        return {key: StoredArray(a.shape, "struct" if a.dtype.names else a.dtype.name) for key, a in arrays.items()}
    if reader == "npy":
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise FormatError(path, f"is not a complete NumPy array file: {error}") from None
        return {WHOLE_FILE: StoredArray(array.shape, array.dtype.name)}
    return {}


def _mat(path: Path) -> dict[str, Any]:
    """The variables of a MATLAB file up to version 7.2, whose headers do not say whether they are complex."""
    from scipy.io import loadmat

    try:
        content: dict[str, Any] = loadmat(path)
    except Exception as error:  # whatever this parser makes of a damaged file
        raise FormatError(path, f"cannot be read as a MATLAB file ({type(error).__name__})") from error
    return content


def _open(reader: Reader, path: Path) -> None:
    if reader in ("nifti", "nrrd", "dicom", "image"):
        _image_readers()[reader](path)
    elif reader != "mat":
        scan = open_scan(path)
        scan.read(scan.n_planes // 2)


def _image_readers() -> dict[str, Callable[[Path], object]]:
    from mrirecon.io.dicom.images import read_dicom_series
    from mrirecon.io.nifti.reader import read_nifti
    from mrirecon.io.nrrd import read_nrrd
    from mrirecon.io.picture import read_picture

    return {
        "nifti": read_nifti,
        "nrrd": read_nrrd,
        "dicom": lambda path: read_dicom_series([path]),
        "image": read_picture,
    }


def _without_path(error: MrireconError) -> str:
    """The message of an error; the path of the file stands elsewhere."""
    text = str(error)
    return text.removeprefix(f"{error.path}").removeprefix(": ").strip() if isinstance(error, FormatError) else text
