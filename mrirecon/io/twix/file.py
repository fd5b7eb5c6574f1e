"""The container of Siemens raw data: measurements, their text headers, and an index of their readout lines.

Only headers are read when a file is opened; samples are read line by line on request. Both layouts are understood:
VB (one header per channel) and VD/VE/XA (one header per line, several measurements in one file).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import FormatError
from mrirecon.io.source import existing_file

Header = dict[str, Any]
_BUFFER_NAME = re.compile(rb"([A-Za-z_]\w{3,47})\x00")
_MAX_BUFFERS = 64
_DMA_LENGTH = 2**25
_FIELDS = {
    "flags": "EvalInfoMask",
    "time": "TimeStamp",
    "samples": "SamplesInScan",
    "channels": "UsedChannels",
    "centre_col": "CenterCol",
    "centre_lin": "CenterLin",
    "centre_par": "CenterPar",
    "readout_shift_mm": "ReadOutOffcentre",
}

COUNTERS = ("Lin", "Ave", "Sli", "Par", "Eco", "Phs", "Rep", "Set", "Seg", "Ida", "Idb", "Idc", "Idd", "Ide")
LINE = np.dtype(
    [
        ("offset", "<i8"),
        ("flags", "<u8"),
        ("time", "<u4"),
        ("samples", "<u2"),
        ("channels", "<u2"),
        *((name, "<u2") for name in COUNTERS),
        ("cut_pre", "<u2"),
        ("cut_post", "<u2"),
        ("centre_col", "<u2"),
        ("centre_lin", "<u2"),
        ("centre_par", "<u2"),
        ("readout_shift_mm", "<f4"),
        ("position", "<f4", 3),
        ("quaternion", "<f4", 4),
        ("table_mm", "<f4", 3),
    ]
)

FLAGS = {
    "ACQEND": 0,
    "RTFEEDBACK": 1,
    "HPFEEDBACK": 2,
    "SYNCDATA": 5,
    "RAWDATACORRECTION": 10,
    "LASTSCANINMEAS": 11,
    "REFPHASESTABSCAN": 14,
    "PHASESTABSCAN": 15,
    "PHASCOR": 21,
    "PATREFSCAN": 22,
    "PATREFANDIMASCAN": 23,
    "REFLECT": 24,
    "NOISEADJSCAN": 25,
    "NAVIGATOR": 60,
}


@dataclass(frozen=True)
class Measurement:
    """One measurement of a file: parsed header and line index.

    Parameters
    ----------
    header
        Header buffers by name ("Config", "Dicom", "Meas", "MeasYaps", ...), each a nested dictionary.
    lines
        One `LINE` record per readout, in the order of acquisition, end marks and synchronisation data left out.
    ended
        Whether the end-of-acquisition mark was found.
    """

    header: Header
    lines: NDArray[np.void]
    ended: bool


@dataclass(frozen=True)
class TwixFile:
    """A raw data file; `measurements` are in file order, the last one is the scan itself."""

    path: Path
    layout: str
    measurements: tuple[Measurement, ...]

    def samples(self, lines: NDArray[np.void]) -> list[NDArray[np.complex64]]:
        """The samples of `lines`, each complex64 (coil, column)."""
        with self.path.open("rb") as stream:
            return [self.line(stream, line) for line in lines]

    def line(self, stream: BinaryIO, line: np.void) -> NDArray[np.complex64]:
        """The samples of one line, complex64 (coil, column), as stored, from the open file."""
        first, between = _header_bytes(self.layout)
        block = np.dtype([("skip", f"V{between}"), ("data", "<c8", int(line["samples"]))])
        stream.seek(int(line["offset"]) + first)
        data = np.fromfile(stream, dtype=block, count=int(line["channels"]))["data"]
        if len(data) != line["channels"]:
            raise FormatError(self.path, f"the file ends inside the line at byte {line['offset']}; copy it again")
        return np.ascontiguousarray(data)


def is_twix(path: Path) -> bool:
    """Whether the file starts like a Siemens raw data file of the VB or the VD/VE/XA layout."""
    with path.open("rb") as file:
        return _layout(file, path.stat().st_size) is not None


def flag(lines: NDArray[np.void], name: str) -> NDArray[np.bool_]:
    """Which lines carry the evaluation flag `name`."""
    return np.asarray((lines["flags"] >> np.uint64(FLAGS[name])) & np.uint64(1), dtype=bool)


def open_twix(path: str | Path) -> TwixFile:
    """Parse the headers and index the lines of a file without reading its samples.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    FormatError
        If it is not a Siemens raw data file, or ends in the middle of a header or line.
    """
    path = existing_file(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        layout = _layout(file, size)
        if layout is None:
            raise FormatError(
                path,
                "is not a Siemens raw data file: neither the VB nor the VD/VE/XA file header was found; "
                "export the measurement from the scanner again (twix, 'meas.dat')",
            )
        spans = _measurement_spans(file, path, size, layout)
        measurements = tuple(_measurement(file, path, size, layout, start, end) for start, end in spans)
    return TwixFile(path, layout, measurements)


def header_text_of(path: str | Path) -> str:
    """The header of the last measurement as it is written, for what parsing would change: numbers with leading zeros.

    Raises
    ------
    FormatError
        As `open_twix`.
    """
    path = existing_file(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        layout = _layout(file, size)
        if layout is None:
            raise FormatError(path, "is not a Siemens raw data file")
        start, _ = _measurement_spans(file, path, size, layout)[-1]
        file.seek(start)
        length = struct.unpack("<I", file.read(4))[0]
        return file.read(length).decode("latin1")


def _header_bytes(layout: str) -> tuple[int, int]:
    """Bytes before the first channel, and before the samples of each channel."""
    return (192, 32) if layout == "VD" else (0, 128)


def _layout(file: BinaryIO, size: int) -> str | None:
    """ "VB", "VD" or None, judged by the file header and the name of the first header buffer."""
    file.seek(0)
    head = file.read(8)
    if len(head) < 8:
        return None
    first, second = struct.unpack("<II", head)
    if first < 10000 and 1 <= second <= 64:
        file.seek(8 + 8)
        entry = file.read(8)
        if len(entry) < 8:
            return None
        start = struct.unpack("<Q", entry)[0]
        return "VD" if _starts_header(file, int(start), size) else None
    return "VB" if _starts_header(file, 0, size) else None


def _starts_header(file: BinaryIO, start: int, size: int) -> bool:
    if not 0 <= start < size - 16:
        return False
    file.seek(start)
    length, buffers = struct.unpack("<II", file.read(8))
    return length > 16 and 1 <= buffers <= _MAX_BUFFERS and _BUFFER_NAME.match(file.read(48)) is not None


def _measurement_spans(file: BinaryIO, path: Path, size: int, layout: str) -> list[tuple[int, int]]:
    if layout == "VB":
        return [(0, size)]
    file.seek(4)
    count = struct.unpack("<I", file.read(4))[0]
    table = file.read(152 * count)
    if len(table) < 152 * count:
        raise FormatError(path, f"ends inside its table of {count} measurements; the file is truncated")
    spans = []
    for k in range(count):
        start, length = struct.unpack_from("<QQ", table, 152 * k + 8)
        if start >= size or (length and start + length > size):
            raise FormatError(
                path,
                f"measurement {k + 1} of {count} should end at byte {start + length}, the file has {size}: "
                "it is truncated; copy it again",
            )
        spans.append((start, start + length if length else size))
    return spans


def _measurement(file: BinaryIO, path: Path, size: int, layout: str, start: int, end: int) -> Measurement:
    file.seek(start)
    length = struct.unpack("<I", file.read(4))[0]
    if start + length > size:
        raise FormatError(path, f"its header should have {length} bytes, the file ends before: it is truncated")
    header = _parse_header(file, path, start, length)
    lines, ended = _index(file, path, layout, start + length, min(end, size))
    return Measurement(header, lines, ended)


def _parse_header(file: BinaryIO, path: Path, start: int, length: int) -> Header:
    from twixtools.twixprot import parse_buffer

    file.seek(start)
    blob = file.read(length)
    buffers = struct.unpack_from("<I", blob, 4)[0]
    header: Header = {}
    position = 8
    for number in range(buffers):
        name = _BUFFER_NAME.match(blob, position)
        if name is None or name.end() + 4 > length:
            raise FormatError(path, f"header buffer {number + 1} of {buffers} has no name: the header is damaged")
        n_bytes = struct.unpack_from("<I", blob, name.end())[0]
        position = name.end() + 4
        if position + n_bytes > length:
            raise FormatError(
                path, "the header buffer runs past the end of the header: it is damaged", key=name.group(1).decode()
            )
        header[name.group(1).decode()] = parse_buffer(blob[position : position + n_bytes].decode("latin1"))
        position += n_bytes
    if "MeasYaps" not in header:
        raise FormatError(path, f"the protocol is missing, found {sorted(header)}", key="MeasYaps")
    return header


def _index(file: BinaryIO, path: Path, layout: str, start: int, end: int) -> tuple[NDArray[np.void], bool]:
    """All readouts from `start` on, and whether the end mark was found."""
    from twixtools import mdh_def

    kind = np.dtype(mdh_def.Scan_header if layout == "VD" else mdh_def.VB17_header)
    size, place = kind.itemsize, {name: entry[1] for name, entry in (kind.fields or {}).items()}
    first, between = _header_bytes(layout)
    position, ended = start, False
    heads: list[Any] = []
    offsets: list[int] = []
    while position + size <= end:
        file.seek(position)
        head = file.read(size)
        flags = struct.unpack_from("<Q", head, place["EvalInfoMask"])[0]
        if flags >> FLAGS["ACQEND"] & 1:
            ended = True
            break
        synchronisation = flags >> FLAGS["SYNCDATA"] & 1
        if synchronisation:
            step = struct.unpack_from("<I", head, place["FlagsAndDMALength"])[0] % _DMA_LENGTH
        else:
            samples, channels = struct.unpack_from("<HH", head, place["SamplesInScan"])
            step = first + channels * (between + 8 * samples)
        if step < size or position + step > end:
            raise FormatError(
                path,
                f"line {len(heads) + 1} at byte {position} should have {step} bytes, {end - position} are left: "
                "the file is truncated or damaged; copy it again",
            )
        if not synchronisation:
            heads.append(head)
            offsets.append(position)
        position += step
    return _lines(np.frombuffer(b"".join(heads), dtype=kind), np.array(offsets, dtype=np.int64)), ended


def _lines(heads: NDArray[np.void], offsets: NDArray[np.int64]) -> NDArray[np.void]:
    """The `LINE` records of raw line headers of either layout."""
    lines = np.zeros(len(heads), dtype=LINE)
    lines["offset"] = offsets
    for name, source in _FIELDS.items():
        lines[name] = heads[source]
    for name in COUNTERS:
        lines[name] = heads["Counter"][name]
    lines["cut_pre"], lines["cut_post"] = heads["CutOff"]["Pre"], heads["CutOff"]["Post"]
    for axis, name in enumerate(("Sag", "Cor", "Tra")):
        lines["position"][:, axis] = heads["SliceData"]["SlicePos"][name]
    lines["quaternion"] = heads["SliceData"]["Quaternion"]
    for axis, name in enumerate(("PTABPosX", "PTABPosY", "PTABPosZ")):
        if name in (heads.dtype.names or ()):
            lines["table_mm"][:, axis] = heads[name] / 1000
    return lines
