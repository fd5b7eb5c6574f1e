"""Siemens raw files of a known object, simulated here and written by twixtools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import twixtools
from numpy.typing import NDArray
from twixtools.mdb import Mdb_local

ASCCONV = "### ASCCONV BEGIN ###\n{}\n### ASCCONV END ###"


@dataclass
class Line:
    """One readout to write: samples (coil, column), counters and flags."""

    data: NDArray[np.complexfloating]
    counters: dict[str, int] = field(default_factory=dict)
    flags: Sequence[str] = ()
    centre_col: int = 0
    centre_lin: int = 0
    centre_par: int = 0
    position: Sequence[float] = (0.0, 0.0, 0.0)
    quaternion: Sequence[float] = (1.0, 0.0, 0.0, 0.0)
    time: int = 0


def header_text(yaps: str, meas: str = "", config: str = "", dicom: str = "") -> bytes:
    """A header block: buffers with names, lengths and text."""
    buffers = {
        "Config": config,
        "Dicom": dicom,
        "Meas": meas,
        "MeasYaps": ASCCONV.format(yaps),
    }
    body = b""
    for name, text in buffers.items():
        blob = text.encode("latin1")
        body += name.encode() + b"\0" + np.uint32(len(blob)).tobytes() + blob
    length = 8 + len(body)
    padding = -length % 32
    return np.array([length + padding, len(buffers)], dtype="<u4").tobytes() + body + b"\0" * padding


def protocol(
    *,
    base: int,
    lines: int,
    partitions: int = 1,
    images: int = 1,
    fov: tuple[float, float, float] = (5.0, 160.0, 200.0),
    slices: Sequence[tuple[Sequence[float], Sequence[float], float]] = (((0, 0, 0), (0, 0, 1), 0.0),),
    extra: str = "",
) -> str:
    """The protocol in ASCCONV form; `fov` is thickness, phase, read; slices are (position, normal, rotation)."""
    rows = [
        'tSequenceFileName = "%SiemensSeq%\\gre"',
        'tProtocolName = "gre"',
        f"sKSpace.lBaseResolution = {base}",
        f"sKSpace.lPhaseEncodingLines = {lines}",
        f"sKSpace.lPartitions = {partitions}",
        f"sKSpace.lImagesPerSlab = {images}",
        "sKSpace.ucTrajectory = 1",
        "alTR[0] = 500000",
        "alTE[0] = 5000",
        "alTE[1] = 7500",
        "adFlipAngleDegree[0] = 30.0",
        "sRXSPEC.alDwellTime[0] = 5000",
    ]
    for i, (position, normal, rotation) in enumerate(slices):
        entry = f"sSliceArray.asSlice[{i}]"
        rows += [f"{entry}.dThickness = {fov[0]}", f"{entry}.dPhaseFOV = {fov[1]}", f"{entry}.dReadoutFOV = {fov[2]}"]
        rows += [f"{entry}.dInPlaneRot = {rotation}"]
        for name, p, n in zip(("dSag", "dCor", "dTra"), position, normal, strict=True):
            rows += [f"{entry}.sPosition.{name} = {p}", f"{entry}.sNormal.{name} = {n}"]
    return "\n".join([*rows, extra])


IDENTIFIERS = (
    '<ParamString."tPatientName"> { "CANARYNAME" }\n<ParamString."PatientID"> { "CANARYID" }\n'
    '<ParamString."DeviceSerialNumber"> { "424242" }\n<ParamString."tFrameOfReference"> { "1.3.12.2.99.424242.1" }\n'
)
OVERSAMPLING = '<ParamDouble."flReadoutOSFactor"> { <Precision> 6 2.0 }\n'


def write(path: Path, measurements: Sequence[tuple[bytes, Sequence[Line]]]) -> Path:
    """Write measurements (header, lines) to a VD/VE file."""
    scans: list[dict[str, Any]] = []
    for header, lines in measurements:
        blocks = []
        for line in lines:
            block = Mdb_local(np.atleast_2d(line.data).astype(np.complex64))
            for name, value in line.counters.items():
                setattr(block.mdh.Counter, name, value)
            for name in line.flags:
                block.add_flag(name)
            block.mdh.CenterCol, block.mdh.CenterLin, block.mdh.CenterPar = (
                line.centre_col,
                line.centre_lin,
                line.centre_par,
            )
            sag, cor, tra = line.position
            block.mdh.SliceData.SlicePos.Sag, block.mdh.SliceData.SlicePos.Cor = sag, cor
            block.mdh.SliceData.SlicePos.Tra = tra
            block.mdh.SliceData.Quaternion[:] = np.asarray(line.quaternion, dtype=np.float32)
            block.mdh.TimeStamp = line.time
            blocks.append(block)
        entry = np.zeros(1, dtype=twixtools.hdr_def.MrParcRaidFileEntry)[0]
        scans.append({"hdr_str": np.frombuffer(header, dtype="S1"), "mdb": blocks, "raidfile_hdr": entry})
    twixtools.write_twix(scans, str(path))
    return path


def siemens_kspace(image: NDArray[np.complexfloating], axes: Sequence[int]) -> NDArray[np.complex128]:
    """K-space as Siemens stores it: positive exponent from image to k-space, origin at n // 2."""
    axes = tuple(axes)
    shifted = np.fft.ifftshift(image, axes=axes)
    return np.fft.fftshift(np.fft.ifftn(shifted, axes=axes, norm="ortho"), axes=axes)
