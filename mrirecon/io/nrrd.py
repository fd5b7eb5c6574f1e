"""Read NRRD volumes: a text header and raw or gzip-compressed samples, attached or in a file beside it."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import FormatError, GeometryError
from mrirecon.scan.geometry import Geometry

_TO_LPS = {
    **dict.fromkeys(("left-posterior-superior", "lps"), (1.0, 1.0, 1.0)),
    **dict.fromkeys(("right-anterior-superior", "ras"), (-1.0, -1.0, 1.0)),
    **dict.fromkeys(("left-anterior-superior", "las"), (1.0, -1.0, 1.0)),
}
"""Patient spaces of NRRD: what turns their axes to LPS."""

_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    "float": "f4",
    "double": "f8",
}


_LONGEST_HEAD = 1 << 16


def read_nrrd(path: str | Path) -> tuple[NDArray[np.float32], tuple[float, float, float]]:
    """A scalar volume as float32 (z, y, x), and its voxel size in mm along (z, y, x).

    The file's fastest axis becomes x; nothing is flipped.

    Raises
    ------
    FormatError
        If it is no NRRD file, is damaged, or uses what this reader does not know (other types, encodings, detached
        data, more or fewer than three axes).

    References
    ----------
    .. [1] http://teem.sourceforge.net/nrrd/format.html
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error})") from error
    if not content.startswith(b"NRRD000"):
        raise FormatError(path, "is not NRRD: it must begin with NRRD000; give a .nrrd file")
    head, separator, rest = content.partition(b"\n\n")
    if b"\r\n\r\n" in content[: len(head) + 4]:
        head, separator, rest = content.partition(b"\r\n\r\n")
    fields = _fields(head.decode("ascii", "replace"))
    if not separator or "data file" in fields or "datafile" in fields:
        raise FormatError(path, "its samples are in another file; attach them (unu save -f nrrd)", key="data file")
    sizes = _sizes(path, fields)
    dtype = _dtype(path, fields)
    raw = _decoded(path, fields, rest)
    expected = int(np.prod(sizes)) * dtype.itemsize
    if len(raw) != expected:
        raise FormatError(path, f"must hold {expected} bytes of samples, got {len(raw)}; copy it again", key="sizes")
    values = np.frombuffer(raw, dtype).reshape(sizes[::-1]).astype(np.float32)
    return values, _spacing(path, fields)


def nrrd_geometry(path: str | Path) -> Geometry | None:
    """Where the voxels of `read_nrrd` lie; None if the header names no patient space, origin or grid of right angles.

    Raises
    ------
    FormatError
        If the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(_LONGEST_HEAD)
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error})") from error
    fields = _fields(head.replace(b"\r\n", b"\n").partition(b"\n\n")[0].decode("ascii", "replace"))
    signs = _TO_LPS.get(fields.get("space", "").lower())
    if signs is None or not {"space directions", "space origin"} <= set(fields):
        return None
    affine = np.eye(4)
    try:
        affine[:3, :3] = np.array(_vectors(fields["space directions"]))[::-1].T
        (affine[:3, 3],) = _vectors(fields["space origin"])
        affine[:3] *= np.array(signs)[:, None]
        return Geometry(affine, float(np.linalg.norm(affine[:3, 0])))
    except (ValueError, GeometryError):
        return None


def _vectors(text: str) -> list[list[float]]:
    """``(1,0,0) (0,1,0)``"""
    return [[float(c) for c in v.strip("()").split(",")] for v in text.replace(", ", ",").split()]


def _fields(head: str) -> dict[str, str]:
    lines = [line for line in head.splitlines()[1:] if not line.startswith("#")]
    return {
        name.strip().lower(): value.strip() for name, mark, value in (line.partition(": ") for line in lines) if mark
    }


def _sizes(path: Path, fields: dict[str, str]) -> tuple[int, ...]:
    try:
        sizes = tuple(int(size) for size in fields.get("sizes", "").split())
    except ValueError:
        sizes = ()
    if len(sizes) != 3 or fields.get("dimension") != "3" or min(sizes) < 1:
        found = f"{fields.get('dimension')} axes of sizes {fields.get('sizes')}"
        raise FormatError(path, f"must have three axes, got {found}; extract one scalar volume", key="sizes")
    return sizes


def _dtype(path: Path, fields: dict[str, str]) -> np.dtype[np.generic]:
    code = _TYPES.get(fields.get("type", ""))
    if code is None:
        raise FormatError(path, f"its sample type is {fields.get('type')!r}; convert it to short or float", key="type")
    order = {"little": "<", "big": ">"}.get(fields.get("endian", ""), "" if code.endswith("1") else None)
    if order is None:
        raise FormatError(path, f"the byte order must be little or big, got {fields.get('endian')!r}", key="endian")
    return np.dtype(order + code)


def _decoded(path: Path, fields: dict[str, str], rest: bytes) -> bytes:
    encoding = fields.get("encoding", "")
    if any(fields.get(skip, "0") != "0" for skip in ("line skip", "lineskip", "byte skip", "byteskip")):
        raise FormatError(path, "skips lines or bytes before its samples; save it again without", key="byte skip")
    if encoding == "raw":
        return rest
    if encoding not in ("gzip", "gz"):
        raise FormatError(path, f"its encoding is {encoding!r}; save it again as raw or gzip", key="encoding")
    try:
        return gzip.decompress(rest)
    except (OSError, EOFError, zlib.error) as error:
        raise FormatError(path, f"its samples cannot be decompressed ({error}); copy it again") from error


def _spacing(path: Path, fields: dict[str, str]) -> tuple[float, float, float]:
    """Voxel size along (z, y, x), from the axes' directions or spacings."""
    try:
        if "space directions" in fields:
            x, y, z = (float(np.linalg.norm(vector)) for vector in _vectors(fields["space directions"]))
        else:
            x, y, z = (float(value) for value in fields.get("spacings", "").split())
    except ValueError as error:
        raise FormatError(path, "must say how large its voxels are, in three axes", key="space directions") from error
    if not min(x, y, z) > 0:
        raise FormatError(path, f"voxel sizes must be positive, got {(z, y, x)}", key="space directions")
    return z, y, x
