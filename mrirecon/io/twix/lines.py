"""Which lines of a Siemens measurement make the image, where each goes, and which run backwards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.errors import FormatError
from mrirecon.io.twix import header as header_of
from mrirecon.io.twix.file import COUNTERS, Measurement, flag
from mrirecon.io.twix.grid import Grid

_TICK_MS = 2.5
_EPI_SPACING_MS = 2.0
_IN_PLACE_REFERENCE = 2


def sort_lines(
    path: Path, scan: Measurement, notes: list[str]
) -> tuple[NDArray[np.void], NDArray[np.void], dict[str, int]]:
    """Imaging lines, echo-planar reference lines, and how many lines of each kind there are.

    Lines that only calibrate parallel imaging join the imaging lines when the protocol acquired them in place, where
    no imaging line lies; otherwise they are left out. What was done is appended to `notes`.
    """
    lines = scan.lines
    noise, corrections = flag(lines, "NOISEADJSCAN"), flag(lines, "PHASCOR")
    feedback = flag(lines, "RTFEEDBACK") | flag(lines, "HPFEEDBACK") | flag(lines, "NAVIGATOR")
    stabilisation = flag(lines, "PHASESTABSCAN") | flag(lines, "REFPHASESTABSCAN")
    reference = flag(lines, "PATREFSCAN") & ~flag(lines, "PATREFANDIMASCAN")
    image = ~(noise | corrections | feedback | stabilisation | reference)
    extra = reference & ~(noise | corrections | feedback | stabilisation)
    counts = {
        "imaging": int(image.sum()),
        "noise": int(noise.sum()),
        "phase_correction": int(corrections.sum()),
        "calibration": int(extra.sum()),
        "navigator": int(((feedback | stabilisation) & ~corrections).sum()),
    }
    if not image.any():
        raise FormatError(path, f"has no imaging lines, only {counts}; it may be an adjustment scan")
    chosen = lines[image]
    shapes = set(zip(chosen["channels"].tolist(), chosen["samples"].tolist(), strict=True))
    if len(shapes) > 1:
        raise FormatError(path, f"its imaging lines differ in (channels, samples): {sorted(shapes)}")
    if extra.any():
        usable = extra & (lines["samples"] == chosen["samples"][0]) & (lines["channels"] == chosen["channels"][0])
        mode = int(header_of.number(scan.header, "sPat", "ucRefScanMode") or 0)
        if mode == _IN_PLACE_REFERENCE and usable.any():
            keys = ("Lin", "Par", "Sli", "Eco", "Rep", "Phs", "Set", "Ave")
            taken = {tuple(int(line[k]) for k in keys) for line in chosen}
            places = [tuple(int(line[k]) for k in keys) for line in lines]
            new = usable & np.array([place not in taken for place in places])
            chosen = lines[image | new]
            counts["calibration_used"] = int(new.sum())
            notes.append(f"{int(new.sum())} in-place calibration lines complete the centre of k-space.")
        else:
            notes.append(f"{int(extra.sum())} separate calibration lines were left out.")
    return chosen, lines[corrections & ~noise & ~flag(lines, "PATREFSCAN")], counts


@dataclass(frozen=True)
class Cell:
    """The lines that fill one k-space position: row in the plane, and which lines are averaged there."""

    row: int
    lines: NDArray[np.void]


def plan_planes(path: Path, image: NDArray[np.void], grid: Grid, order: list[int]) -> list[list[Cell]]:
    """For every plane (slice in spatial `order`, or partition) the rows to fill; averages of a row belong together.

    Raises
    ------
    FormatError
        If readouts share a position in k-space without being averages.
    """
    rows = image["Lin"].astype(int) + grid.y.offset
    keys = image["Par"].astype(int) + grid.z.offset if grid.three_d else image["Sli"].astype(int)
    indices = list(range(grid.z.size)) if grid.three_d else order
    found: dict[int, list[Cell]] = {key: [] for key in indices}
    sequence = np.lexsort((rows, keys))  # stable: readouts of one place stay in the order of acquisition
    starts = np.flatnonzero((np.diff(keys[sequence], prepend=-1) != 0) | (np.diff(rows[sequence], prepend=-1) != 0))
    for members in np.split(sequence, starts[1:]):
        here = image[members]
        if len(here) > 1 and len(np.unique(here["Ave"])) < len(here):
            varying = [c for c in COUNTERS if len(np.unique(here[c])) > 1]
            raise FormatError(
                path,
                f"{len(here)} readouts share one k-space position (line {int(here['Lin'][0])}) without being "
                f"averages; counters that tell them apart: {varying or 'none'}; such data cannot be sorted",
            )
        found[int(keys[members[0]])].append(Cell(int(rows[members[0]]), here))
    return [found[key] for key in indices]


def acquired_mask(path: Path, planes: list[list[Cell]], grid: Grid) -> Tensor:
    """Acquired samples, bool (kz or 1, ky, kx or 1).

    Raises
    ------
    FormatError
        If the slices of a 2D scan were sampled differently.
    """
    acquired = torch.zeros(len(planes), grid.y.size, dtype=torch.bool)
    for k, cells in enumerate(planes):
        acquired[k, [cell.row for cell in cells]] = True
    if not grid.three_d:
        if bool((acquired != acquired[0]).any()):
            counts = acquired.sum(1).tolist()
            raise FormatError(
                path,
                f"its slices have different lines ({min(counts)} to {max(counts)} each): the acquisition was "
                "interrupted or segmented; choose complete slices with `slices`",
            )
        acquired = acquired[:1]
    columns = torch.zeros(grid.x.size, dtype=torch.bool)
    columns[grid.x.offset : grid.x.offset + grid.x.acquired] = True
    return acquired[:, :, None] & (columns[:1] if bool(columns.all()) else columns)


def averaging(planes: list[list[Cell]]) -> tuple[float, int]:
    """Mean reciprocal number of averages (what averaging leaves of the noise variance), and the largest number."""
    counts = np.array([len(cell.lines) for cells in planes for cell in cells])
    return float((1 / counts).mean()), int(counts.max())


def reflected_lines(
    path: Path, image: NDArray[np.void], choice: str, *, pulseq: bool, notes: list[str]
) -> frozenset[int]:
    """File offsets of the lines that run backwards.

    Parameters
    ----------
    choice
        "header": as marked; "odd" or "even": every second line of a slice in the order of acquisition; "none".
    pulseq
        Whether marks may be missing; lines that follow each other faster than 2 ms are then refused without them.

    Raises
    ------
    FormatError
        If a Pulseq scan looks echo-planar and no line is marked.
    """
    marked = flag(image, "REFLECT")
    if choice == "none":
        return frozenset()
    if choice in ("odd", "even"):
        chosen = np.zeros(len(image), dtype=bool)
        for s in np.unique(image["Sli"]):
            mine = np.flatnonzero(image["Sli"] == s)
            chosen[mine[1 if choice == "odd" else 0 :: 2]] = True
        notes.append(f"Every second line ({choice}) was reversed because the caller said so.")
        return frozenset(image["offset"][chosen].tolist())
    if not marked.any() and pulseq and len(image) > 8:
        one = image[image["Sli"] == image["Sli"][0]]
        spacing = float(one["time"].max() - one["time"].min()) * _TICK_MS / (len(one) - 1)
        if 0 < spacing < _EPI_SPACING_MS:
            raise FormatError(
                path,
                f"its lines follow each other every {spacing:.2f} ms as in echo-planar imaging, but none is marked "
                "as reflected; say which run backwards with `reflected` ('odd', 'even' or 'none')",
            )
    return frozenset(image["offset"][marked].tolist())
