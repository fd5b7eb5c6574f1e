"""Siemens raw data (twix, "meas.dat"): from the line index to a Cartesian `Scan`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import ConfigError, FormatError
from mrirecon.io.checksum import file_pseudonym
from mrirecon.io.plain import partial_fourier
from mrirecon.io.twix import header as header_of
from mrirecon.io.twix.file import COUNTERS, Measurement, flag, open_twix
from mrirecon.io.twix.lines import acquired_mask, averaging, plan_planes, reflected_lines, sort_lines
from mrirecon.io.twix.place import encoded_grid, place
from mrirecon.io.twix.samples import PlaneReader, noise_scan, readout_correction
from mrirecon.scan.scan import Scan
from mrirecon.scan.subject import Subject

_CARTESIAN = 1
_TRAJECTORIES = {2: "radial", 4: "spiral", 8: "propeller"}


def read_twix(
    path: str | Path,
    *,
    contrast: int = 0,
    repetition: int = 0,
    cardiac_phase: int = 0,
    set_index: int = 0,
    slices: Sequence[int] | None = None,
    conjugate: bool = True,
    reflected: Literal["header", "odd", "even", "none"] = "header",
) -> Scan:
    """A Cartesian 2D or 3D scan from a Siemens raw data file, read lazily.

    The last measurement of the file is the scan; noise lines are taken from it or from an earlier one. Averages are
    combined, reflected lines reversed, ramp sampling regridded and echo-planar phase errors corrected when the header
    and the reference lines tell how.

    Parameters
    ----------
    path
        The file.
    contrast, repetition, cardiac_phase, set_index
        Which echo, repetition, cardiac phase and set to read; all are counted in `Scan.details`.
    slices
        Protocol slice numbers to read, all by default. Needed for localisers, whose slices are not parallel.
    conjugate
        Whether to conjugate k-space. An inverse Fourier transform of Siemens data is reversed along all encoded axes;
        conjugation undoes it. Without it the geometry's directions are negated instead, so that both are consistent.
    reflected
        Which lines of a slice run backwards: as marked in the file, or every second one in the order of acquisition,
        beginning with the first ("even") or the second ("odd"). Needed for echo-planar files without marks.

    Raises
    ------
    FormatError
        If the file is not Siemens raw data, is truncated or empty, is not Cartesian, or cannot be sorted into planes.
    ConfigError
        If the file does not hold the volume asked for.
    """
    path = Path(path)
    file = open_twix(path)
    scan = file.measurements[-1]
    header, pulseq = scan.header, header_of.is_pulseq(scan.header)
    notes: list[str] = []
    _refuse_unsupported(path, scan)

    image, references, counts = sort_lines(path, scan, notes)
    extent = {name: int(image[name].max()) + 1 for name in COUNTERS}
    image = _choose(
        path, image, contrast=contrast, repetition=repetition, cardiac_phase=cardiac_phase, set_index=set_index
    )
    if slices is not None:
        image = image[np.isin(image["Sli"], list(slices))]
        if len(image) == 0:
            raise FormatError(path, f"has no imaging lines of slices {list(slices)}, only 0 to {extent['Sli'] - 1}")
    references = references[references["Rep"] == repetition]

    grid = encoded_grid(path, header, image, three_d=int(image["Par"].max()) > 0, notes=notes)
    order, geometry = place(path, header, image, grid, conjugate=conjugate, notes=notes)
    planes = plan_planes(path, image, grid, order)
    mask = acquired_mask(path, planes, grid)
    remaining, n_averages = averaging(planes)
    backwards = reflected_lines(path, image, reflected, pulseq=pulseq, notes=notes)
    correction = readout_correction(path, file, header, image, references, grid, backwards=backwards, notes=notes)
    noise, ratio = noise_scan(file, scan, image, conjugate=conjugate, notes=notes)

    if conjugate:
        notes.append(
            "K-space was conjugated, because an inverse Fourier transform of Siemens data is reversed along all axes."
        )
    else:
        notes.append("K-space was not conjugated; the geometry's read, phase and partition directions are negated.")
    if flag(image, "RAWDATACORRECTION").any():
        notes.append("The per-channel raw data correction factors of the header were not applied.")

    n_coils = int(image["channels"][0])
    reader = PlaneReader(file, planes, grid, n_coils, backwards, correction, conjugate)
    protocol = header_of.protocol(
        header,
        contrast=contrast,
        n_samples=grid.x.size,
        n_averages=n_averages,
        dimensionality="3D" if grid.three_d else "2D",
    )
    if pulseq:
        notes.append("Pulseq scan: echo and repetition time, flip angle and bandwidth of the header are placeholders.")
    return Scan(
        source=path,
        format="twix",
        n_slices=1 if grid.three_d else len(planes),
        n_coils=n_coils,
        encoding=replace(grid.encoding, partial_fourier=partial_fourier(mask)),
        geometry=geometry,
        protocol=protocol,
        subject=Subject(file_pseudonym(path), header_of.identifiers_present(header), _study(header)),
        mask=mask,
        reader=reader,
        noise=noise,
        noise_bandwidth_ratio=ratio * remaining,
        notes=tuple(notes),
        details={
            "layout": file.layout,
            "software": header_of.text(header, "SoftwareVersions"),
            "pulseq": pulseq,
            "measurements": len(file.measurements),
            "contrasts": extent["Eco"],
            "repetitions": extent["Rep"],
            "cardiac_phases": extent["Phs"],
            "sets": extent["Set"],
            "averages": n_averages,
            "lines": counts,
            "reflected_lines": int(np.isin(image["offset"], list(backwards)).sum()),
            "table_position_mm": [round(float(v), 3) for v in image["table_mm"][0]],
            "slice_order": order,
        },
    )


def _choose(
    path: Path, image: NDArray[np.void], *, contrast: int, repetition: int, cardiac_phase: int, set_index: int
) -> NDArray[np.void]:
    """The lines of one image out of a series."""
    wanted = {
        "contrast": ("Eco", contrast),
        "repetition": ("Rep", repetition),
        "cardiac_phase": ("Phs", cardiac_phase),
        "set_index": ("Set", set_index),
    }
    for key, (counter, number) in wanted.items():
        present = np.unique(image[counter])
        if number not in present:
            raise ConfigError(f"{path}: {key} {number} does not exist, choose one of {present.tolist()}")
        image = image[image[counter] == number]
    return image


def _study(header: dict[str, Any]) -> str | None:
    uid = header_of.text(header, "StudyInstanceUID")
    return uid if uid and all(part.isdigit() for part in uid.split(".")) else None


def _refuse_unsupported(path: Path, scan: Measurement) -> None:
    if len(scan.lines) == 0:
        raise FormatError(path, "holds a header but no readout lines; the acquisition was aborted or the file is cut")
    if not scan.ended and not flag(scan.lines, "LASTSCANINMEAS").any():
        raise FormatError(
            path, f"ends after {len(scan.lines)} lines without the end mark: it is truncated; copy it again"
        )
    trajectory = int(header_of.number(scan.header, "sKSpace", "ucTrajectory") or _CARTESIAN)
    if trajectory != _CARTESIAN:
        name = _TRAJECTORIES.get(trajectory, f"type {trajectory}")
        raise FormatError(
            path,
            f"non-Cartesian trajectory ({name}); only Cartesian sampling is read, grid the data with another tool",
            key="sKSpace.ucTrajectory",
        )
    bands = int(header_of.number(scan.header, "sSliceAcceleration", "lMultiBandFactor") or 1)
    if bands > 1:
        raise FormatError(
            path,
            f"{bands} slices were excited at once; simultaneous multi-slice data are not separated here",
            key="sSliceAcceleration.lMultiBandFactor",
        )
