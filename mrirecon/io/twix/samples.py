"""Reads the samples of a plane: reversal, regridding, phase correction, averaging, conjugation; and the noise scan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.errors import FormatError, ShapeError
from mrirecon.io.twix import epi as twix_epi
from mrirecon.io.twix import header as header_of
from mrirecon.io.twix.file import Header, Measurement, TwixFile, flag
from mrirecon.io.twix.grid import Grid
from mrirecon.io.twix.lines import Cell

_TRAPEZOID, _SINUSOID = 2, 4
_REGRID_FIELDS = {
    "ramp_up_us": "alRegridRampupTime",
    "flat_top_us": "alRegridFlattopTime",
    "ramp_down_us": "alRegridRampdownTime",
    "delay_us": "alRegridDelaySamplesTime",
    "duration_us": "aflRegridADCDuration",
}


@dataclass(frozen=True)
class ReadoutCorrection:
    """What is done to a line after reversal.

    Parameters
    ----------
    demodulation
        Factor per sample that mends the readout shift on gradient ramps; None without ramp sampling.
    regridding
        (n, n) matrix to the uniform grid; None without ramp sampling.
    phases
        (constant, slope) of the phase to remove from reflected lines, by slice counter.
    """

    demodulation: Tensor | None = None
    regridding: Tensor | None = None
    phases: dict[int, tuple[float, float]] | None = None

    def regrid(self, line: Tensor) -> Tensor:
        """Samples (coil, n) on the uniform grid."""
        if self.demodulation is not None:
            line = line * self.demodulation
        return line if self.regridding is None else line @ self.regridding.T

    def align(self, line: Tensor, slice_counter: int) -> Tensor:
        """A regridded reflected line with the phase of forward lines."""
        phase = (self.phases or {}).get(slice_counter)
        return line if phase is None else twix_epi.remove_phase(line, *phase)


def readout_correction(
    path: Path,
    file: TwixFile,
    header: Header,
    image: NDArray[np.void],
    references: NDArray[np.void],
    grid: Grid,
    *,
    backwards: frozenset[int],
    notes: list[str],
) -> ReadoutCorrection:
    """The corrections that the header and the reference lines call for.

    Raises
    ------
    FormatError
        If the header announces ramp sampling but does not describe it.
    """
    correction = _regridding(path, header, image, grid, notes)
    runs_back = np.isin(image["offset"], list(backwards))
    if not runs_back.any():
        return correction
    slices = [int(s) for s in np.unique(image["Sli"])]
    phases = {}
    for s in slices:
        pair = _reference_pair(file, references[references["Sli"] == s], grid, correction)
        if pair is not None:
            phases[s] = twix_epi.navigator_phase(*pair)
    if len(phases) == len(slices):
        notes.append("Reflected lines were aligned with the others by a linear phase from the reference lines.")
    elif not runs_back.all():
        notes.append(
            f"{len(slices) - len(phases)} of {len(slices)} slices have no reference lines for the phase between "
            "reflected and other lines: expect a ghost at half the field of view."
        )
    return replace(correction, phases=phases)


def _regridding(path: Path, header: Header, image: NDArray[np.void], grid: Grid, notes: list[str]) -> ReadoutCorrection:
    mode = int(header_of.number(header, "alRegridMode", 0, buffers=("Meas",)) or 1)
    if mode <= 1:
        return ReadoutCorrection()
    if mode not in (_TRAPEZOID, _SINUSOID):
        raise FormatError(path, f"unknown kind of ramp sampling, expected 2 or 4, got {mode}", key="alRegridMode")
    times = {key: header_of.number(header, name, 0, buffers=("Meas",)) for key, name in _REGRID_FIELDS.items()}
    missing = [_REGRID_FIELDS[key] for key, value in times.items() if value is None]
    if missing or grid.x.acquired != grid.x.size:
        why = f"the header lacks {missing}" if missing else "the echo is asymmetric"
        raise FormatError(path, f"sampled on gradient ramps, and this cannot be undone: {why}", key="alRegridMode")
    known = {key: float(value) for key, value in times.items() if value is not None}
    try:
        trajectory = twix_epi.ramp_trajectory(
            grid.x.size,
            ramp_up_us=known["ramp_up_us"],
            flat_top_us=known["flat_top_us"],
            ramp_down_us=known["ramp_down_us"],
            delay_us=known["delay_us"],
            duration_us=known["duration_us"],
            sinusoidal=mode == _SINUSOID,
        )
    except ShapeError as error:
        raise FormatError(path, f"the description of ramp sampling is impossible: {error}", key="alRegrid*") from None
    shift = float(image["readout_shift_mm"][0]) / grid.encoding.voxel_size_mm[2]
    notes.append("Readouts sampled on the gradient ramps were regridded by least squares, as the header describes.")
    return ReadoutCorrection(twix_epi.shift_correction(trajectory, shift), twix_epi.regridding_matrix(trajectory))


def _reference_pair(
    file: TwixFile, lines: NDArray[np.void], grid: Grid, correction: ReadoutCorrection
) -> tuple[Tensor, Tensor] | None:
    """Mean forward and mean reversed reference line (coil, kx), None when one is missing."""
    lines = lines[lines["samples"] == grid.x.skip + grid.x.acquired]
    back = flag(lines, "REFLECT")
    if not back.any() or back.all():
        return None
    forward, reversed_ = (
        torch.from_numpy(np.mean(np.stack(file.samples(lines[side])), axis=0)) for side in (~back, back)
    )
    window = slice(grid.x.skip, None)
    return correction.regrid(forward[:, window]), correction.regrid(reversed_.flip(-1)[:, window])


def noise_scan(
    file: TwixFile, scan: Measurement, image: NDArray[np.void], *, conjugate: bool, notes: list[str]
) -> tuple[Tensor | None, float]:
    """Noise samples (coil, n), conjugated like the k-space, and variance in the lines over variance in the noise scan.

    The scan's own noise lines come first, then those of earlier measurements in the file with the same channels.
    """
    for measurement in (scan, *file.measurements[-2::-1]):
        lines = measurement.lines[flag(measurement.lines, "NOISEADJSCAN")]
        if len(lines) == 0:
            continue
        if set(lines["channels"].tolist()) != {int(image["channels"][0])}:
            notes.append("A noise scan with another number of channels was left out.")
            continue
        samples = torch.from_numpy(np.concatenate(file.samples(lines), axis=1))
        ratio = 1.0
        if measurement is scan:
            notes.append("The noise lines were taken to have the receiver bandwidth of the imaging lines.")
        else:
            theirs = header_of.number(measurement.header, "sRXSPEC", "alDwellTime", 0)
            ours = header_of.number(scan.header, "sRXSPEC", "alDwellTime", 0)
            if theirs and ours:
                ratio = theirs / ours
            else:
                notes.append("The dwell time of the noise scan is unknown; equal bandwidths were assumed.")
        return (samples.conj().resolve_conj() if conjugate else samples), ratio
    return None, 1.0


@dataclass(frozen=True)
class PlaneReader:
    """``reader(i)`` gives plane `i` as complex64 (coil, ky, kx)."""

    file: TwixFile
    planes: list[list[Cell]]
    grid: Grid
    n_coils: int
    backwards: frozenset[int]
    correction: ReadoutCorrection
    conjugate: bool

    def __call__(self, index: int) -> Tensor:
        x = self.grid.x
        plane = torch.zeros(self.n_coils, self.grid.y.size, x.size, dtype=torch.complex64)
        with self.file.path.open("rb") as stream:
            for cell in self.planes[index]:
                for line in cell.lines:
                    samples = torch.from_numpy(self.file.line(stream, line))
                    reflected = int(line["offset"]) in self.backwards
                    if reflected:
                        samples = samples.flip(-1)
                    samples = self.correction.regrid(samples[:, x.skip : x.skip + x.acquired])
                    if reflected:
                        samples = self.correction.align(samples, int(line["Sli"]))
                    plane[:, cell.row, x.offset : x.offset + x.acquired] += samples / len(cell.lines)
        return plane.conj().resolve_conj() if self.conjugate else plane
