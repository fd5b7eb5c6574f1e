"""An index of the readout lines of an MRD file: their headers, without their samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import FormatError
from mrirecon.io.hdf5 import dataset, read_field

DATA = "dataset/data"
XML = "dataset/xml"
_BLOCK = 4096

FLAGS = {
    "NOISE_MEASUREMENT": 19,
    "PARALLEL_CALIBRATION": 20,
    "PARALLEL_CALIBRATION_AND_IMAGING": 21,
    "REVERSE": 22,
    "NAVIGATION_DATA": 23,
    "PHASECORR_DATA": 24,
    "HPFEEDBACK_DATA": 26,
    "DUMMYSCAN_DATA": 27,
    "RTFEEDBACK_DATA": 28,
    "SURFACECOILCORRECTIONSCAN_DATA": 29,
    "PHASE_STABILIZATION_REFERENCE": 30,
    "PHASE_STABILIZATION": 31,
    "COMPRESSION1": 53,
    "COMPRESSION2": 54,
    "COMPRESSION3": 55,
    "COMPRESSION4": 56,
}
NOT_IMAGING = (
    "NOISE_MEASUREMENT",
    "NAVIGATION_DATA",
    "PHASECORR_DATA",
    "HPFEEDBACK_DATA",
    "DUMMYSCAN_DATA",
    "RTFEEDBACK_DATA",
    "SURFACECOILCORRECTIONSCAN_DATA",
    "PHASE_STABILIZATION_REFERENCE",
    "PHASE_STABILIZATION",
)
COMPRESSED = tuple(name for name in FLAGS if name.startswith("COMPRESSION"))

COUNTERS = (
    "kspace_encode_step_1",
    "kspace_encode_step_2",
    "average",
    "slice",
    "contrast",
    "phase",
    "repetition",
    "set",
)
_SCALARS = {
    "flags": "<u8",
    "number_of_samples": "<i4",
    "active_channels": "<i4",
    "discard_pre": "<i4",
    "discard_post": "<i4",
    "center_sample": "<i4",
    "encoding_space_ref": "<i4",
    "trajectory_dimensions": "<i4",
    "sample_time_us": "<f4",
}
_VECTORS = ("position", "read_dir", "phase_dir", "slice_dir", "patient_table_position")
LINE = np.dtype(
    [
        ("number", "<i8"),
        *_SCALARS.items(),
        *((name, "<i4") for name in COUNTERS),
        *((name, "<f4", 3) for name in _VECTORS),
    ]
)
Lines = NDArray[np.void]


def index_lines(file: Any, path: str | Path) -> Lines:
    """The header fields of all readout lines, with their `number` in the file.

    Parameters
    ----------
    file
        The open HDF5 file.
    path
        For messages.

    Returns
    -------
        Records of type `LINE`, about 150 bytes each; the samples stay on the disk.

    Raises
    ------
    FormatError
        If the data set is missing, empty, or has not the fields of MRD acquisitions.
    """
    source = dataset(file, DATA, path)
    _check_fields(source, path)
    count = source.shape[0]
    if count == 0:
        raise FormatError(path, "the file holds no acquisitions; the scan was not recorded", key=DATA)
    lines = np.empty(count, LINE)
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        lines[start:stop] = lines_of_heads(read_field(source, "head", start, stop))
    lines["number"] = np.arange(count)
    return lines


def lines_of_heads(heads: NDArray[np.void]) -> Lines:
    """The index of acquisitions whose complete headers are at hand, numbered from 0."""
    lines = np.empty(heads.size, LINE)
    lines["number"] = np.arange(heads.size)
    for name in (*_SCALARS, *_VECTORS):
        lines[name] = heads[name]
    for name in COUNTERS:
        lines[name] = heads["idx"][name]
    return lines


def _check_fields(source: Any, path: str | Path) -> None:
    names = source.dtype.names or ()
    missing = [n for n in ("head", "data") if n not in names]
    if not missing:
        head = source.dtype["head"]
        known = set(head.names or ())
        missing = [f"head.{n}" for n in (*_SCALARS, *_VECTORS, "idx") if n not in known]
        if "idx" in known:
            missing += [f"head.idx.{n}" for n in COUNTERS if n not in (head["idx"].names or ())]
    if missing or source.ndim != 1:
        found = f"fields {', '.join(missing)} are missing" if missing else f"it has {source.ndim} dimensions"
        raise FormatError(path, f"these are not MRD acquisitions (one record per readout line): {found}", key=DATA)


def has_flag(lines: Lines, *names: str) -> NDArray[np.bool_]:
    """Which lines carry at least one of the flags (names as in `FLAGS`)."""
    bits = np.uint64(sum(1 << (FLAGS[name] - 1) for name in names))
    carried: NDArray[np.bool_] = (lines["flags"] & bits) != 0
    return carried


def is_imaging(lines: Lines) -> NDArray[np.bool_]:
    """Which lines belong to the image: no auxiliary data, and not for calibration only."""
    calibration = has_flag(lines, "PARALLEL_CALIBRATION") & ~has_flag(lines, "PARALLEL_CALIBRATION_AND_IMAGING")
    return ~has_flag(lines, *NOT_IMAGING) & ~calibration


def flag_counts(lines: Lines) -> dict[str, int]:
    """How many lines carry each flag of `FLAGS`; flags that none carries are left out."""
    counts = {name: int(has_flag(lines, name).sum()) for name in FLAGS}
    return {name: n for name, n in counts.items() if n}
