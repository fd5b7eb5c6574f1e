"""MRD (ISMRMRD) raw data: Cartesian 2D multi-slice and 3D scans, read lazily; the writer is beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.errors import ConfigError, FormatError
from mrirecon.io.checksum import file_pseudonym
from mrirecon.io.extent import partial_fourier_fraction
from mrirecon.io.hdf5 import dataset, open_hdf5, text_of
from mrirecon.io.ismrmrd.geometry import place
from mrirecon.io.ismrmrd.header import EncodedSpace, RawHeader, parse_header
from mrirecon.io.ismrmrd.index import (
    COMPRESSED,
    COUNTERS,
    DATA,
    NOT_IMAGING,
    XML,
    Lines,
    flag_counts,
    has_flag,
    index_lines,
    is_imaging,
)
from mrirecon.io.ismrmrd.lines import (
    PlaneReader,
    counter_positions,
    per_place,
    plane_reader,
    readout_axis,
    sampling_mask,
    without_partitions,
)
from mrirecon.io.ismrmrd.noise import noise_samples, noise_scale
from mrirecon.io.ismrmrd.samples import FileSamples, Samples
from mrirecon.io.ismrmrd.write import write_ismrmrd
from mrirecon.scan.encoding import Encoding
from mrirecon.scan.geometry import Geometry
from mrirecon.scan.scan import Scan
from mrirecon.scan.subject import Subject

__all__ = ["VOLUME_COUNTERS", "read_ismrmrd", "scan_of_lines", "write_ismrmrd"]

VOLUME_COUNTERS = ("contrast", "repetition", "set", "phase")
"""The counters of the line headers that tell the volumes of a measurement apart."""


def read_ismrmrd(
    path: str | Path,
    *,
    contrast: int = 0,
    repetition: int = 0,
    set_index: int = 0,
    cardiac_phase: int = 0,
    conjugate: bool = False,
) -> Scan:
    """One volume of an MRD file.

    The header and the headers of all lines are read now, samples plane by plane on request. Averages are combined by
    their mean, reflected lines are reversed, k = 0 comes to index ``n // 2``. Noise scans go to `Scan.noise`;
    navigators, phase correction, dummies, feedback and lines for calibration only are left out.

    Parameters
    ----------
    path
        The HDF5 file, with its data in the group "dataset".
    contrast, repetition, set_index, cardiac_phase
        Which volume, by the counters of the line headers.
    conjugate
        Take the complex conjugate of all samples, which mirrors the image about voxel ``n // 2`` on every encoded
        axis. MRD does not define the sign of the Fourier exponent; files converted from some vendors' raw data need
        the other one. Compare with an image from the scanner.

    Raises
    ------
    FormatError
        If the file is damaged, is not MRD, has no imaging lines, is not Cartesian, or header and data disagree.
    GeometryError
        If slices are not parallel and equally spaced.
    ConfigError
        If the file does not hold the volume asked for.

    Notes
    -----
    EPI is refused: it needs ramp regridding and phase correction first. The pseudonym comes from a checksum of the
    file. The MRD format: Inati et al., Magn Reson Med 77 (2017) 411-421, doi:10.1002/mrm.26089.
    """
    path = Path(path)
    with open_hdf5(path) as file:
        header = parse_header(text_of(dataset(file, XML, path)), path=path, key=XML)
        lines = index_lines(file, path)
    wanted = {"contrast": contrast, "repetition": repetition, "set": set_index, "phase": cardiac_phase}
    return scan_of_lines(header, lines, FileSamples(path), wanted=wanted, conjugate=conjugate)


def scan_of_lines(
    header: RawHeader, lines: Lines, samples: Samples, *, wanted: Mapping[str, int], conjugate: bool = False
) -> Scan:
    """One volume of the acquisitions that `lines` indexes, wherever their samples are.

    Parameters
    ----------
    header
        Of the whole measurement.
    lines
        All acquisitions, auxiliary ones included, in the order in which they were made.
    samples
        Their samples, under the lines' numbers.
    wanted
        Which volume: a value for each of `VOLUME_COUNTERS`.
    conjugate
        As `read_ismrmrd`.

    Raises
    ------
    FormatError, GeometryError, ConfigError
        As `read_ismrmrd`.
    """
    path = samples.path
    noise_lines = lines[has_flag(lines, "NOISE_MEASUREMENT")]
    noise = noise_samples(samples, noise_lines)
    imaging, notes = _imaging_lines(lines, wanted, path)
    space, is_3d, more = _space(imaging, header, path)
    notes += more
    volume = _volume(imaging, space, is_3d=is_3d, conjugate=conjugate, header=header, samples=samples)
    notes += volume.notes + _sign_notes(header, conjugate)
    n_coils = int(imaging["active_channels"][0])
    averages = per_place(volume.reader)
    noise, ratio, more = noise_scale(noise, noise_lines, imaging, averages, header)
    notes += more
    dwell = float(imaging["sample_time_us"][0])
    bandwidth = 1e6 / (dwell * volume.encoding.encoded_matrix[2]) if dwell > 0 else None
    return Scan(
        source=path,
        format="ismrmrd",
        n_slices=1 if is_3d else len(volume.slices),
        n_coils=n_coils,
        encoding=volume.encoding,
        geometry=volume.geometry,
        protocol=header.protocol(
            contrast=wanted["contrast"],
            dimensionality="3D" if is_3d else "2D",
            pixel_bandwidth_hz=bandwidth,
            n_averages=int(averages.max()),
        ),
        subject=Subject(file_pseudonym(path), header.identifiers_present, header.study_instance_uid),
        mask=volume.mask,
        reader=volume.reader,
        noise=noise.conj().resolve_conj() if conjugate and noise is not None else noise,
        noise_bandwidth_ratio=ratio,
        simulated=header.simulated,
        notes=tuple(notes),
        details=_details(lines, imaging, header, volume, averages),
    )


@dataclass(frozen=True)
class _Volume:
    encoding: Encoding
    geometry: Geometry
    slices: tuple[int, ...]
    mask: Tensor
    reader: PlaneReader
    notes: list[str]


def _imaging_lines(lines: Lines, wanted: Mapping[str, int], path: Path) -> tuple[Lines, list[str]]:
    imaging = lines[is_imaging(lines)]
    counts = flag_counts(lines)
    if imaging.size == 0:
        raise FormatError(path, f"none of the {lines.size} acquisitions is for imaging; flags: {counts}", key=DATA)
    if has_flag(imaging, *COMPRESSED).any():
        raise FormatError(path, "the samples are compressed, which is not supported; decompress the file", key=DATA)
    notes = []
    left_out = lines.size - imaging.size
    dropped = {name: counts[name] for name in NOT_IMAGING if name in counts and name != "NOISE_MEASUREMENT"}
    if dropped:
        text = ", ".join(f"{n} {name}" for name, n in dropped.items())
        notes.append(f"auxiliary lines were left out: {text}")
    calibration = left_out - int(has_flag(lines, *NOT_IMAGING).sum())
    if calibration:
        notes.append(f"{calibration} lines for parallel-imaging calibration only were left out of the imaging k-space")
    for name, value in wanted.items():
        present = np.unique(imaging[name])
        if value not in present:
            shown = ", ".join(str(p) for p in present[:20])
            raise ConfigError(f"{path}: `{name}` {value} is not in the file, which has {shown}; choose one of these")
        if present.size > 1:
            notes.append(f"the file holds {present.size} values of `{name}`: {value} was read")
        imaging = imaging[imaging[name] == value]
    channels = np.unique(imaging["active_channels"])
    if channels.size > 1 or channels[0] == 0:
        raise FormatError(
            path,
            f"imaging lines must all have the same number of channels, at least one; got {channels.tolist()}",
            key=DATA,
        )
    return imaging, notes


def _space(imaging: Lines, header: RawHeader, path: Path) -> tuple[EncodedSpace, bool, list[str]]:
    """The encoding that the lines refer to, and whether it is 3D."""
    references = np.unique(imaging["encoding_space_ref"])
    if references.size > 1:
        raise FormatError(
            path,
            f"the imaging lines refer to several encodings ({references.tolist()}), expected one; split the file",
            key=DATA,
        )
    reference = int(references[0])
    if reference >= len(header.encodings):
        raise FormatError(
            path, f"the lines refer to encoding {reference}, the header has {len(header.encodings)}", key=XML
        )
    space, notes = header.encodings[reference], []
    if space.trajectory == "epi":
        raise FormatError(
            path,
            "EPI is not supported for this format: its lines need ramp regridding and phase correction first",
            key=XML,
        )
    if space.trajectory != "cartesian":
        raise FormatError(
            path,
            f"the trajectory is {space.trajectory!r}: non-Cartesian data are not supported yet, expected 'cartesian'",
            key=XML,
        )
    if imaging["trajectory_dimensions"].any():
        notes.append("the lines carry a trajectory, but the header says Cartesian: the encoding counters are used")
    is_3d = space.encoded_matrix[0] > 1
    n_slices = np.unique(imaging["slice"]).size
    if is_3d and n_slices > 1:
        if np.ptp(imaging["kspace_encode_step_2"]):
            raise FormatError(
                path, f"{n_slices} slabs with encoded partitions in one file, expected one; split the file", key=DATA
            )
        notes.append(
            f"the header gives {space.encoded_matrix[0]} partitions, but the lines encode {n_slices} slices: read as 2D"
        )
        space, is_3d = without_partitions(space), False
    return space, is_3d, notes


def _volume(
    imaging: Lines, space: EncodedSpace, *, is_3d: bool, conjugate: bool, header: RawHeader, samples: Samples
) -> _Volume:
    path = samples.path
    readout = readout_axis(imaging, space)
    nz, ny, nx = *space.encoded_matrix[:2], readout.matrix
    names = ("kspace_encode_step_1", "kspace_encode_step_2")
    ky, notes_y = counter_positions(
        imaging[names[0]], space.limits.get("kspace_encoding_step_1"), ny, path=path, name=names[0]
    )
    kz, notes_z = counter_positions(
        imaging[names[1]], space.limits.get("kspace_encoding_step_2"), nz, path=path, name=names[1]
    )
    encoding = Encoding(
        encoded_matrix=(nz, ny, nx),
        recon_matrix=space.recon_matrix,
        encoded_fov_mm=(*space.encoded_fov_mm[:2], readout.fov_mm),
        recon_fov_mm=space.recon_fov_mm,
    )
    placement = place(
        imaging,
        path=path,
        is_3d=is_3d,
        matrix=encoding.encoded_matrix,
        voxel_size_mm=encoding.voxel_size_mm,
        frame_of_reference_uid=header.frame_of_reference_uid,
    )
    plane = kz
    if not is_3d:
        rank = {counter: i for i, counter in enumerate(placement.slices)}
        plane = np.array([rank[int(s)] for s in imaging["slice"]], np.int64)
    reader, outside = plane_reader(imaging, readout, plane, ky, samples=samples, ny=ny, conjugate=conjugate)
    n_planes = nz if is_3d else len(placement.slices)
    mask = sampling_mask(reader, n_planes, same_in_all_planes=not is_3d)
    notes = [*readout.notes, *notes_y, *notes_z, *placement.notes]
    if outside:
        notes.append(f"{outside} samples lie beyond the encoded matrix along x and were left out")
    full = np.broadcast_to(mask, (nz, ny, nx))
    fractions = [partial_fourier_fraction(_sampled(full, axis)) for axis in range(3)]
    encoding = replace(encoding, partial_fourier=(fractions[0], fractions[1], fractions[2]))
    return _Volume(encoding, placement.geometry, placement.slices, torch.from_numpy(mask.copy()), reader, notes)


def _sampled(mask: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    """Which indices of an axis hold any sample."""
    return np.asarray(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))


def _sign_notes(header: RawHeader, conjugate: bool) -> list[str]:
    if conjugate:
        return ["all samples were conjugated on request (opposite sign of the Fourier exponent)"]
    if "siemens" in (header.vendor or "").lower():
        return [
            "MRD does not define the sign of the Fourier exponent and the raw data come from Siemens: compare with a "
            "scanner image; if all encoded axes are mirrored, read with conjugate=True"
        ]
    return []


def _details(
    lines: Lines, imaging: Lines, header: RawHeader, volume: _Volume, averages: NDArray[np.int64]
) -> dict[str, Any]:
    everything = lines[is_imaging(lines)]
    space = header.encodings[int(imaging["encoding_space_ref"][0])]
    return {
        "acquisitions": int(lines.size),
        "imaging_acquisitions": int(everything.size),
        "acquisitions_in_volume": int(imaging.size),
        "flags": flag_counts(lines),
        "counters": {name: int(np.unique(everything[name]).size) for name in COUNTERS},
        "encodings": len(header.encodings),
        "trajectory": space.trajectory,
        "header_encoded_matrix_zyx": list(space.encoded_matrix),
        "header_acceleration": None if space.acceleration is None else list(space.acceleration),
        "readout_oversampling": round(volume.encoding.oversampling, 4),
        "averages": int(averages.max()),
        "noise_scan": bool(has_flag(lines, "NOISE_MEASUREMENT").any()),
        "slice_counters_in_order": list(volume.slices),
        "table_position_mm": [round(float(v), 3) for v in imaging["patient_table_position"][0]],
        "sample_time_us": float(imaging["sample_time_us"][0]),
        "fourier_sign": "conjugated" if volume.reader.conjugate else "as stored (not defined by MRD)",
    }
