"""BART's cfl/hdr pairs: a text header with dimensions, and complex floats in column-major order.

BART's dimensions are read (0), phase 1 (1), phase 2 (2), coil (3), maps (4), echo (5), ..., time (10), slice (13).
Column-major (x, y, z, coil) is our (coil, z, y, x) byte for byte.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.errors import ConfigError, FormatError, OutputError, ShapeError
from mrirecon.io.atomic import atomic_file
from mrirecon.io.checksum import file_pseudonym
from mrirecon.io.plain import partial_fourier, sampled_positions
from mrirecon.io.source import existing_file
from mrirecon.scan.encoding import Encoding
from mrirecon.scan.geometry import Geometry
from mrirecon.scan.protocol import Protocol
from mrirecon.scan.scan import Scan
from mrirecon.scan.subject import Subject

_READ, _PHASE, _PARTITION, _COIL, _ECHO, _TIME, _SLICE = 0, 1, 2, 3, 5, 10, 13
_N_DIMS = 16
_VECTOR_COMPONENTS = 3


def read_cfl(
    path: str | Path,
    *,
    contrast: int = 0,
    repetition: int = 0,
    third_axis: Literal["partition", "slice"] = "partition",
) -> Scan:
    """Cartesian k-space from a cfl/hdr pair.

    - Read dimension > 1: kx is BART's dimension 0, ky its dimension 1. Slices lie in dimension 13. A dimension 2 > 1
      is phase encoded (a 3D scan), unless `third_axis` says that it counts slices.
    - Read dimension 1: the readout has been transformed and one plane with two phase encodings is left; kx is BART's
      dimension 1, ky its dimension 2.

    The format has neither positions nor sizes: the geometry is nominal and the voxel size is set to 1 mm. Zero means
    not sampled.

    Parameters
    ----------
    path
        The pair, with or without `.cfl` or `.hdr`.
    contrast, repetition
        Index along the echo (5) and time (10) dimension.
    third_axis
        What dimension 2 counts when dimension 0 is larger than 1.

    Raises
    ------
    FormatError
        If a file is missing, the sizes disagree, another dimension is larger than 1, or the data are not Cartesian.
    ConfigError
        If the file does not hold the contrast or repetition asked for.
    """
    _, dims = open_cfl(path)
    stem = _stem(path)
    source = stem.with_name(stem.name + ".cfl")
    for name, dim, index in (("contrast", _ECHO, contrast), ("repetition", _TIME, repetition)):
        if not 0 <= index < dims[dim]:
            raise ConfigError(f"{source}: {name} {index} does not exist, choose one of 0 to {dims[dim] - 1}")
    expected = {_READ, _PHASE, _PARTITION, _COIL, _ECHO, _TIME, _SLICE}
    other = {d: n for d, n in enumerate(dims) if n > 1 and d not in expected}
    if other:
        raise FormatError(source, f"dimensions {other} are larger than 1; extract one entry with `bart slice`")
    _refuse_trajectory(source, dims)

    projected = dims[_READ] == 1
    as_slices = projected or third_axis == "slice"
    three_d = not projected and not as_slices and dims[_PARTITION] > 1
    if dims[_SLICE] > 1 and dims[_PARTITION] > 1 and not projected:
        raise FormatError(
            source, f"dimensions 2 ({dims[2]}) and 13 ({dims[13]}) are both larger than 1; split the file"
        )
    if min(dims[_PHASE], dims[_PARTITION] if projected else dims[_READ]) < 2:
        raise FormatError(
            source, f"has no plane of k-space: dimensions {dims[:4]}, expected two of the first three > 1"
        )

    ny, nx = (dims[_PARTITION], dims[_PHASE]) if projected else (dims[_PHASE], dims[_READ])
    n_slices = dims[_SLICE] if projected or dims[_SLICE] > 1 else dims[_PARTITION] if not three_d else 1
    nz = dims[_PARTITION] if three_d else 1
    reader = _CflReader(source, dims, contrast, repetition, projected, dims[_SLICE] > 1 or projected)
    n_planes = nz if three_d else n_slices
    mask = sampled_positions(source, reader, n_planes, three_d=three_d)
    notes = [
        "The format has no geometry: orientation, position and voxel size (1 mm) are nominal.",
        "Cartesian sampling is assumed; positions where all coils are zero count as not sampled.",
    ]
    if projected:
        notes.append("The readout was transformed before: rows are BART's phase 2, columns its phase 1, both encoded.")
    matrix, fov = (nz, ny, nx), (float(nz), float(ny), float(nx))
    return Scan(
        source=source,
        format="cfl",
        n_slices=n_slices,
        n_coils=dims[_COIL],
        encoding=Encoding(matrix, matrix, fov, fov, partial_fourier(mask)),
        geometry=Geometry.placeholder(shape=(n_planes, ny, nx), voxel_size_mm=(1.0, 1.0, 1.0), slice_thickness_mm=1.0),
        protocol=Protocol(phase_encoding_axis="y", dimensionality="3D" if three_d else "2D"),
        subject=Subject(file_pseudonym(source)),
        mask=mask,
        reader=reader,
        notes=tuple(notes),
        details={"dimensions": list(dims), "contrasts": dims[_ECHO], "repetitions": dims[_TIME]},
    )


def open_cfl(path: str | Path) -> tuple[NDArray[np.complex64], tuple[int, ...]]:
    """The array, memory mapped in reversed (C) order with 16 axes, and BART's dimensions.

    Raises
    ------
    FormatError
        If one of the two files is missing, the header is not BART's, or its dimensions do not match the data.
    """
    stem = _stem(path)
    header = existing_file(stem.with_name(stem.name + ".hdr"))
    data = existing_file(stem.with_name(stem.name + ".cfl"))
    dims = read_dimensions(header)
    need, have = 8 * math.prod(dims), data.stat().st_size
    if need != have:
        raise FormatError(
            data,
            f"dimensions {_trimmed(dims)} need {need} bytes, the file has {have}: it is truncated or belongs to "
            "another header; copy the pair again",
        )
    return np.memmap(data, dtype="<c8", mode="r", shape=tuple(reversed(dims))), dims


def read_dimensions(header: Path) -> tuple[int, ...]:
    """The dimensions in a `.hdr` file, filled with ones to 16.

    Raises
    ------
    FormatError
        If there is no line of positive whole numbers after "# Dimensions".
    """
    try:
        lines = header.read_text(encoding="utf-8").splitlines()
        fields = lines[[line.strip() for line in lines].index("# Dimensions") + 1].split()
        dims = tuple(int(field) for field in fields)
    except (ValueError, IndexError):
        raise FormatError(
            header, "is not a BART header: no line of whole numbers after '# Dimensions'", key="Dimensions"
        ) from None
    if not dims or len(dims) > _N_DIMS or min(dims) < 1:
        raise FormatError(header, f"needs 1 to 16 positive dimensions, got {fields}", key="Dimensions")
    return dims + (1,) * (_N_DIMS - len(dims))


def write_cfl(path: str | Path, array: NDArray[np.complexfloating] | Tensor, *, overwrite: bool = False) -> Path:
    """Write an array as a cfl/hdr pair, last axis first: (..., coil, z, y, x) becomes BART's (x, y, z, coil, ...).

    Parameters
    ----------
    path
        The pair, with or without `.cfl` or `.hdr`.
    array
        Complex, at most 16 axes; stored in single precision.
    overwrite
        Replace an existing pair.

    Returns
    -------
        The path of the `.cfl` file.

    Raises
    ------
    ShapeError
        If the array is real, empty or has more than 16 axes.
    OutputError
        If the pair exists or cannot be written.
    """
    values = array.detach().cpu().resolve_conj().numpy() if isinstance(array, Tensor) else np.asarray(array)
    if not np.iscomplexobj(values) or values.size == 0 or values.ndim > _N_DIMS:
        raise ShapeError(
            f"a cfl file holds a complex array with 1 to 16 axes, got {values.dtype} with shape {values.shape}"
        )
    stem = _stem(path)
    dims = tuple(reversed(values.shape)) + (1,) * (_N_DIMS - values.ndim)
    target, header = stem.with_name(stem.name + ".cfl"), stem.with_name(stem.name + ".hdr")
    if not overwrite and (target.exists() or header.exists()):
        raise OutputError(f"{target}: exists already; choose another name or overwrite")
    with atomic_file(target, overwrite=overwrite) as draft:
        np.ascontiguousarray(values, dtype="<c8").tofile(draft)
    with atomic_file(header, overwrite=overwrite) as draft:
        draft.write_text("# Dimensions\n" + " ".join(map(str, dims)) + "\n", encoding="utf-8")
    return target


@dataclass(frozen=True)
class _CflReader:
    """``reader(i)`` gives plane `i` as complex64 (coil, ky, kx).

    The file is mapped anew for every plane: pages of a lasting map would count as memory of the process.
    """

    source: Path
    dims: tuple[int, ...]
    contrast: int
    repetition: int
    projected: bool
    by_slice: bool

    def __call__(self, index: int) -> Tensor:
        axes: list[int | slice] = [0] * _N_DIMS
        axes[_COIL] = axes[_PARTITION] = axes[_PHASE] = axes[_READ] = slice(None)
        axes[_ECHO], axes[_TIME] = self.contrast, self.repetition
        axes[_SLICE] = index if self.by_slice else 0
        data = np.memmap(self.source, dtype="<c8", mode="r", shape=tuple(reversed(self.dims)))
        block = data[tuple(reversed(axes))]
        plane = block[..., 0] if self.projected else block[:, 0 if self.by_slice else index]
        return torch.from_numpy(np.array(plane, dtype=np.complex64))


def _refuse_trajectory(source: Path, dims: tuple[int, ...]) -> None:
    """Refuse k-space for which a trajectory with matching sizes lies in the same folder."""
    if dims[_READ] != 1:
        return
    for header in sorted(source.parent.glob("*.hdr")):
        try:
            theirs = read_dimensions(header)
        except (FormatError, OSError):
            continue
        if theirs[_READ] == _VECTOR_COMPONENTS and theirs[1:3] == dims[1:3]:
            raise FormatError(
                source,
                f"non-Cartesian: the trajectory beside it ({header.name}) has one coordinate per sample; "
                "grid the data with another tool",
            )


def _trimmed(dims: tuple[int, ...]) -> list[int]:
    last = max((d for d, n in enumerate(dims) if n > 1), default=0)
    return list(dims[: last + 1])


def _stem(path: str | Path) -> Path:
    path = Path(path)
    return path.with_suffix("") if path.suffix in (".cfl", ".hdr") else path
