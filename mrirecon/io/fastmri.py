"""fastMRI files: HDF5 with ``kspace`` [slice, (coil,) readout, phase], and header, mask and attributes beside it.

The array is taken as it is: rows (our y) are the oversampled readout, columns (our x) are phase encoded. Positions and
orientation are not in these files, so their geometry is always nominal.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.errors import FormatError
from mrirecon.io.checksum import file_pseudonym
from mrirecon.io.extent import partial_fourier_fraction, shortest_mask
from mrirecon.io.hdf5 import dataset, has_dataset, open_hdf5, text_of
from mrirecon.io.ismrmrd.header import EncodedSpace, RawHeader, parse_header
from mrirecon.io.withheld import without_identifiers
from mrirecon.scan.encoding import Encoding
from mrirecon.scan.geometry import Geometry
from mrirecon.scan.protocol import Protocol
from mrirecon.scan.scan import Scan
from mrirecon.scan.subject import Subject

KSPACE = "kspace"
HEADER = "ismrmrd_header"
MASK = "mask"
TARGETS = ("reconstruction_rss", "reconstruction_esc", "reconstruction")
_IDENTIFYING = re.compile("patient|birth|physician|operator|institution|hospital|station|serial", re.I)
_PROBED_ROWS = 8
_PROBED_SLICES = 3


def read_fastmri(path: str | Path) -> Scan:
    """A volume of the fastMRI data sets (multi-coil or single-coil; training, validation or test).

    Parameters
    ----------
    path
        The HDF5 file.

    Returns
    -------
        A 2D scan with ``encoding.readout_axis == "y"`` and ``protocol.phase_encoding_axis == "x"``; slices are read
        one at a time. A file without header gets the matrix of its stored reconstruction (else the central square)
        and voxels of 1 mm, and says so in its notes.

    Raises
    ------
    FormatError
        If the file is damaged, `kspace` is missing or has the wrong shape or type, or header, mask and array
        contradict each other; on reading a slice, if it holds NaN.

    Notes
    -----
    Sampled columns are those that the mask names and that hold data in the first, middle or last slice; without a mask
    the data decide. Columns that are zero throughout are padding or were not acquired. The pseudonym comes from a
    checksum of the file. Knoll et al., Radiol Artif Intell 2 (2020) e190007, doi:10.1148/ryai.2020190007.
    """
    path = Path(path)
    with open_hdf5(path) as file:
        source = dataset(file, KSPACE, path)
        shape = _shape(source, path)
        header = None
        if has_dataset(file, HEADER):
            header = parse_header(text_of(file[HEADER]), path=path, key=HEADER)
        target = next((tuple(file[k].shape) for k in TARGETS if has_dataset(file, k)), None)
        columns, mask_notes = _columns(file, source, shape, path)
        attributes = _without_names({name: _plain(value) for name, value in file.attrs.items()})
        stored = str(source.dtype)
    n_slices, n_coils, rows, width = shape
    matrix_notes, encoding = _encoding(header, target, shape, path)
    mask = shortest_mask(columns[None, None, :])
    encoding = replace(encoding, partial_fourier=(1.0, 1.0, partial_fourier_fraction(columns)))
    geometry = Geometry.placeholder(
        shape=(n_slices, rows, width),
        voxel_size_mm=encoding.voxel_size_mm,
        slice_thickness_mm=encoding.encoded_fov_mm[0],
    )
    notes = [
        *matrix_notes,
        *mask_notes,
        "fastMRI files carry no positions or directions: orientation, left and right, slice gap and slice order are "
        "nominal",
    ]
    reader = SliceReader(path, shape, None if columns.all() else columns)
    return Scan(
        source=path,
        format="fastmri",
        n_slices=n_slices,
        n_coils=n_coils,
        encoding=encoding,
        geometry=geometry,
        protocol=_protocol(header, attributes),
        subject=Subject(
            file_pseudonym(path),
            _identifiers(header, attributes),
            None if header is None else header.study_instance_uid,
        ),
        mask=torch.from_numpy(mask.copy()),
        reader=reader,
        simulated=False if header is None else header.simulated,
        notes=tuple(notes),
        details=_details(header, attributes, shape, stored, target, columns),
    )


@dataclass(frozen=True)
class SliceReader:
    """Reads one slice of k-space; opens the file each time, so that it can be copied to worker processes."""

    path: Path
    shape: tuple[int, int, int, int]
    columns: NDArray[np.bool_] | None

    def __call__(self, index: int) -> Tensor:
        """K-space of a slice, complex64 (coil, ky, kx); columns that were not sampled are zero."""
        with open_hdf5(self.path) as file:
            plane = np.asarray(dataset(file, KSPACE, self.path)[index], np.complex64)
        plane = plane.reshape(self.shape[1:])
        if not np.isfinite(plane.view(np.float32)).all():
            raise FormatError(self.path, f"slice {index} holds samples that are NaN or infinite", key=KSPACE)
        if self.columns is not None:
            plane *= self.columns
        return torch.from_numpy(plane)


def _shape(source: Any, path: Path) -> tuple[int, int, int, int]:
    """(slice, coil, readout, phase), with one coil for single-coil files."""
    if source.dtype.kind != "c":
        raise FormatError(path, f"k-space must be complex64, got {source.dtype}; store it as complex", key=KSPACE)
    if source.ndim not in (3, 4) or 0 in source.shape:
        raise FormatError(
            path,
            f"k-space must have shape (slice, coil, readout, phase), or (slice, readout, phase) for one coil, no axis "
            f"empty; got {tuple(source.shape)}",
            key=KSPACE,
        )
    n = tuple(int(v) for v in source.shape)
    return (n[0], 1, n[1], n[2]) if len(n) == 3 else (n[0], n[1], n[2], n[3])


def _columns(
    file: Any, source: Any, shape: tuple[int, int, int, int], path: Path
) -> tuple[NDArray[np.bool_], list[str]]:
    """Which columns were sampled, by the mask and by what is not zero."""
    width = shape[3]
    filled = _filled_columns(source, shape)
    if not filled.any():
        raise FormatError(path, "the first, middle and last slice hold nothing but zeros", key=KSPACE)
    if not has_dataset(file, MASK):
        empty = width - int(filled.sum())
        return filled, [f"{empty} of {width} columns are zero: not sampled"] if empty else []
    mask = np.asarray(file[MASK][()]).reshape(-1)
    if mask.size != width or mask.dtype.kind not in "biuf":
        raise FormatError(
            path, f"the mask must have one number per column ({width}), got {mask.size} of {mask.dtype}", key=MASK
        )
    wanted = mask.astype(np.float64) > 0
    columns = wanted & filled
    if not columns.any():
        raise FormatError(path, "no column that the mask names holds data", key=MASK)
    notes = []
    if (wanted & ~filled).any():
        notes.append(f"{int((wanted & ~filled).sum())} columns that the mask names hold only zeros: not sampled")
    if (filled & ~wanted).any():
        notes.append(f"{int((filled & ~wanted).sum())} columns hold data that the mask leaves out: set to zero")
    return columns, notes


def _filled_columns(source: Any, shape: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """Columns with data in the middle rows of a few slices."""
    n_slices, _, rows, width = shape
    count = min(_PROBED_ROWS, rows)
    start = rows // 2 - count // 2
    filled = np.zeros(width, bool)
    for index in {0, n_slices // 2, n_slices - 1} if n_slices >= _PROBED_SLICES else range(n_slices):
        middle = source[index, ..., start : start + count, :]
        filled |= (middle != 0).reshape(-1, width).any(axis=0)
    return filled


def _encoding(
    header: RawHeader | None, target: tuple[int, ...] | None, shape: tuple[int, int, int, int], path: Path
) -> tuple[list[str], Encoding]:
    rows, width = shape[2:]
    if header is None:
        return _without_header(target, rows, width)
    space, notes = header.encodings[0], []
    if space.trajectory != "cartesian":
        raise FormatError(
            path, f"the trajectory is {space.trajectory!r}; only Cartesian data are supported", key=HEADER
        )
    _, lines, samples = space.encoded_matrix
    z, fov_x, fov_y = space.encoded_fov_mm  # the header's y is phase encoded: our x
    if rows != samples:
        if rows != space.recon_matrix[2]:
            raise FormatError(
                path,
                f"k-space has {rows} rows, the header announces {samples} readout samples (or "
                f"{space.recon_matrix[2]} without oversampling); header and data belong to different scans",
                key=HEADER,
            )
        notes.append(f"the header announces {samples} readout samples, k-space has {rows}: oversampling was removed")
        fov_y = space.recon_fov_mm[2]
    _check_lines(space, width, path)
    if width != lines:
        notes.append(f"the header announces {lines} phase-encoding lines, k-space has {width}: k-space is used")
    _, recon_lines, recon_samples = space.recon_matrix
    recon = (recon_samples, recon_lines)
    if target is not None and tuple(target[-2:]) != recon:
        notes.append(
            f"the reconstruction in the file has {target[-2]} x {target[-1]} pixels, the header asks for {recon[0]} x "
            f"{recon[1]}: the header is used"
        )
    recon_fov = space.recon_fov_mm
    return notes, Encoding(
        encoded_matrix=(1, rows, width),
        recon_matrix=(1, *recon),
        encoded_fov_mm=(z, fov_y, fov_x),
        recon_fov_mm=(recon_fov[0], recon_fov[2], recon_fov[1]),
        readout_axis="y",
    )


def _check_lines(space: EncodedSpace, width: int, path: Path) -> None:
    limit = space.limits.get("kspace_encoding_step_1")
    if limit is None or limit.maximum == 0:
        return
    first = width // 2 - limit.centre + limit.minimum
    last = width // 2 - limit.centre + limit.maximum
    if first < 0 or last >= width:
        raise FormatError(
            path,
            f"the header's lines {limit.minimum} to {limit.maximum} about {limit.centre} do not fit into the {width} "
            "columns of k-space; header and data belong to different scans",
            key=HEADER,
        )


def _without_header(target: tuple[int, ...] | None, rows: int, width: int) -> tuple[list[str], Encoding]:
    side = min(rows, width)
    recon = (int(target[-2]), int(target[-1])) if target is not None and len(target) >= 2 else (side, side)
    origin = "of the stored reconstruction" if target is not None else "of the central square"
    note = (
        f"the file has no header: the reconstructed matrix is that {origin} ({recon[0]} x {recon[1]}), and sizes in "
        "millimetres are made up (1 mm voxels)"
    )
    return [note], Encoding(
        encoded_matrix=(1, rows, width),
        recon_matrix=(1, *recon),
        encoded_fov_mm=(1.0, float(rows), float(width)),
        recon_fov_mm=(1.0, float(recon[0]), float(recon[1])),
        readout_axis="y",
    )


def _protocol(header: RawHeader | None, attributes: dict[str, Any]) -> Protocol:
    name = attributes.get("acquisition")
    contrast = name if isinstance(name, str) and name else None
    if header is None:
        return Protocol(phase_encoding_axis="x", contrast=contrast)
    return header.protocol(phase_encoding_axis="x", contrast_name=contrast)


def _identifiers(header: RawHeader | None, attributes: dict[str, Any]) -> tuple[str, ...]:
    named = () if header is None else header.identifiers_present
    filled = sorted(name for name in attributes if _IDENTIFYING.search(name) and attributes[name] not in (None, ""))
    return (*named, *(f"attribute {name}" for name in filled))


def _without_names(attributes: dict[str, Any]) -> dict[str, Any]:
    """The name of the contrast only where it holds nobody's."""
    names = [str(value) for name, value in attributes.items() if _IDENTIFYING.search(name) and value not in (None, "")]
    contrast = attributes.get("acquisition")
    if isinstance(contrast, str):
        attributes["acquisition"] = without_identifiers(contrast, names)
    return attributes


def _details(
    header: RawHeader | None,
    attributes: dict[str, Any],
    shape: tuple[int, int, int, int],
    stored: str,
    target: tuple[int, ...] | None,
    columns: NDArray[np.bool_],
) -> dict[str, Any]:
    where = np.flatnonzero(columns)
    details: dict[str, Any] = {
        "kspace_shape": list(shape),
        "stored_dtype": stored,
        "header": header is not None,
        "sampled_columns": int(where.size),
        "first_and_last_sampled_column": [int(where[0]), int(where[-1])],
        "reconstruction_shape": None if target is None else list(target),
        "acquisition": attributes.get("acquisition"),
        "max": attributes.get("max"),
        "norm": attributes.get("norm"),
    }
    if header is not None:
        space = header.encodings[0]
        limit = space.limits.get("kspace_encoding_step_1")
        details["header_encoded_matrix_zyx"] = list(space.encoded_matrix)
        details["header_acceleration"] = None if space.acceleration is None else list(space.acceleration)
        if limit is not None:
            left = space.encoded_matrix[1] // 2 - limit.centre
            details["header_padding"] = [left, space.encoded_matrix[1] - left - limit.maximum - 1]
    return details


def _plain(value: Any) -> str | float | None:
    """An attribute as text or number; None for anything else."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    if array.size == 1 and array.dtype.kind in "iuf":
        number = float(array.reshape(()))
        return number if math.isfinite(number) else None
    return None
