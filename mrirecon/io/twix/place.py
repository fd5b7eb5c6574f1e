"""The encoded grid of a Siemens scan: its matrix and fields of view, and where it lies in the patient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import FormatError, GeometryError
from mrirecon.io.twix import header as header_of
from mrirecon.io.twix.file import Header
from mrirecon.io.twix.geometry import rotation_from_normal, rotation_from_quaternion, spatial_order
from mrirecon.io.twix.grid import Axis, Grid, readout_axis, step_axis
from mrirecon.scan.encoding import Encoding
from mrirecon.scan.geometry import Geometry

Placement = tuple[NDArray[np.float64], NDArray[np.float64]]
_UNVERIFIED = "Directions follow the documented Siemens convention, not verified against the scanner's own images."
_PULSEQ_PLACE = (
    "Pulseq scan: position and orientation are those planned on the scanner; whether the sequence followed them cannot "
    "be known from the file, so the geometry is nominal."
)


def encoded_grid(path: Path, header: Header, image: NDArray[np.void], *, three_d: bool, notes: list[str]) -> Grid:
    """Matrices, fields of view and the place of every counter; of a Pulseq scan only the fields of view are believed.

    Raises
    ------
    FormatError
        If the protocol has no field of view, or the lines contradict themselves about the centre of k-space.
    """
    entries = header_of.header_slices(header)
    if not entries or min(entries[0].read_fov_mm, entries[0].phase_fov_mm, entries[0].thickness_mm) <= 0:
        raise FormatError(path, "the field of view or slice thickness is missing", key="sSliceArray.asSlice")
    entry, pulseq = entries[0], header_of.is_pulseq(header)

    def planned(name: str) -> float | None:
        return None if pulseq else header_of.number(header, "sKSpace", name)

    base = planned("lBaseResolution")
    stated = header_of.number(header, "flReadoutOSFactor", buffers=("Dicom", "Meas")) or 1.0
    x, oversampling = readout_axis(path, image[0], base=base, stated=stated)
    if abs(oversampling - stated) > 0.01:
        notes.append(f"Readout oversampling is {oversampling:g} by the data; the header says {stated:g}.")
    if pulseq:
        notes.append(
            "Pulseq scan: the matrix was taken from the lines and the field of view from the header, "
            f"with readout oversampling {oversampling:g} as the header states it."
        )
    y = step_axis(path, image, "Lin", "centre_lin", planned=planned("lPhaseEncodingLines"))
    z = step_axis(path, image, "Par", "centre_par", planned=planned("lPartitions")) if three_d else Axis(1, 0, 1)
    phase_extra = planned("dPhaseOversamplingForDialog") or 0.0
    slab_extra = (planned("dSliceOversamplingForDialog") or 0.0) if three_d else 0.0
    recon_x = round(x.size / oversampling)
    recon_y = y.size if base is None else max(1, round(recon_x * entry.phase_fov_mm / entry.read_fov_mm))
    recon_z = int(planned("lImagesPerSlab") or round(z.size / (1 + slab_extra))) if three_d else 1
    encoding = Encoding(
        encoded_matrix=(z.size, y.size, x.size),
        recon_matrix=(recon_z, recon_y, recon_x),
        encoded_fov_mm=(
            entry.thickness_mm * (1 + slab_extra),
            entry.phase_fov_mm * (1 + phase_extra),
            entry.read_fov_mm * oversampling,
        ),
        recon_fov_mm=(entry.thickness_mm, entry.phase_fov_mm, entry.read_fov_mm),
    )
    return Grid(encoding, z, y, x, three_d)


def place(
    path: Path, header: Header, image: NDArray[np.void], grid: Grid, *, conjugate: bool, notes: list[str]
) -> tuple[list[int], Geometry]:
    """Slice counters in spatial order, and the geometry of the encoded grid.

    Without conjugation the image is reversed along every encoded axis, and so are the directions given here.

    Raises
    ------
    FormatError
        If the slices do not form one evenly spaced stack.
    """
    counters = np.unique(image["Sli"])
    first = image[[int(np.flatnonzero(image["Sli"] == s)[0]) for s in counters]]
    entries = header_of.header_slices(header)
    placements, known = _placements(entries, first, notes)
    rotation = placements[0][0]
    if any(np.abs(other - rotation).max() > 1e-3 for other, _ in placements):
        groups: dict[bytes, list[int]] = {}
        for s, (other, _) in zip(counters, placements, strict=True):
            groups.setdefault((np.round(other, 2) + 0.0).tobytes(), []).append(int(s))
        raise FormatError(path, f"its slices are not parallel; choose one group with `slices`: {list(groups.values())}")
    if grid.three_d and len(counters) > 1:
        raise FormatError(path, f"holds {len(counters)} slabs; choose one with `slices`: {counters.tolist()}")
    z, y, x = grid.encoding.voxel_size_mm
    thickness = z if grid.three_d else entries[0].thickness_mm
    positions = np.stack([position for _, position in placements])
    try:
        order, step = spatial_order(positions, rotation[:, 2], thickness_mm=thickness)
    except GeometryError as error:
        raise FormatError(path, f"{error}; choose a part of the stack with `slices`") from None
    n = grid.z.size if grid.three_d else len(order)
    pulseq = header_of.is_pulseq(header)
    nominal = pulseq or not known
    sign = 1.0 if conjugate else -1.0
    geometry = Geometry.from_centre(
        [float(v) for v in positions[0 if grid.three_d else order[n // 2]]],
        (sign * rotation[:, 1]).tolist(),
        (sign * rotation[:, 0]).tolist(),
        ((sign if grid.three_d else 1.0) * rotation[:, 2]).tolist(),
        shape=(n, grid.y.size, grid.x.size),
        voxel_size_mm=(step, y, x),
        slice_thickness_mm=thickness,
        nominal=nominal,
        frame_of_reference_uid=None if nominal else header_of.frame_of_reference(header),
    )
    if known:
        notes.append(_PULSEQ_PLACE if pulseq else _UNVERIFIED)
    if np.abs(first["table_mm"]).max() > 0:
        notes.append("Positions are relative to the isocentre; the table position was not added.")
    return [int(counters[i]) for i in order], geometry


def _placements(
    entries: list[header_of.HeaderSlice], first: NDArray[np.void], notes: list[str]
) -> tuple[list[Placement], bool]:
    """Rotation and position of every slice, from the lines, else from the protocol; and whether they are known."""
    try:
        played = [(rotation_from_quaternion(s["quaternion"]), s["position"].astype(np.float64)) for s in first]
    except GeometryError:
        played = []
    planned = []
    for entry in (entries[int(s["Sli"])] for s in first if int(s["Sli"]) < len(entries)):
        if entry.normal is not None:
            turned = rotation_from_normal(entry.normal, entry.in_plane_rotation_rad)
            planned.append((turned, np.array(entry.position)))
    if played:
        if len(planned) == len(played) and _disagree(played, planned):
            notes.append("The line headers place the slices elsewhere than the protocol; the line headers were used.")
        return played, True
    if len(planned) == len(first):
        notes.append("The lines carry no orientation; the protocol's slice positions, normals and rotations were used.")
        return planned, True
    notes.append("Neither the lines nor the protocol carry an orientation; the geometry is nominal.")
    spacing = entries[0].thickness_mm
    axial = rotation_from_normal((0.0, 0.0, 1.0))
    return [(axial, np.array([0.0, 0.0, spacing * k])) for k in range(len(first))], False


def _disagree(played: list[Placement], planned: list[Placement]) -> bool:
    """Whether the two sets of slices differ by more than 0.5 mm or 0.01 rad, whatever the order of acquisition."""
    turned = float(np.abs(played[0][0] - planned[0][0]).max())
    distances = [min(float(np.linalg.norm(p - q)) for _, q in planned) for _, p in played]
    return turned > 0.01 or max(distances) > 0.5
