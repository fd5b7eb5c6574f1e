"""Where the lines of a Siemens scan go on the encoded grid: sizes, centres, offsets along each axis."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import FormatError
from mrirecon.scan.encoding import Encoding


@dataclass(frozen=True)
class Axis:
    """One encoded axis.

    Parameters
    ----------
    size
        Grid points; the origin of k-space is at ``size // 2``.
    offset
        Added to a line or partition counter to get the grid index; for the readout, the first acquired column.
    acquired
        Grid points from the first to the last acquired one.
    skip
        Readout: samples dropped at the start of a line.
    """

    size: int
    offset: int
    acquired: int
    skip: int = 0


@dataclass(frozen=True)
class Grid:
    """The encoding and its three axes."""

    encoding: Encoding
    z: Axis
    y: Axis
    x: Axis
    three_d: bool


def readout_axis(path: Path, line: np.void, *, base: float | None, stated: float) -> tuple[Axis, float]:
    """The readout axis and its oversampling.

    Parameters
    ----------
    line
        An imaging line of the index.
    base
        Base resolution of the protocol, None when it is a placeholder; a symmetric readout then counts as complete.
    stated
        Oversampling as the header states it.

    Raises
    ------
    FormatError
        If the centre of k-space lies outside the samples.
    """
    samples, centre = int(line["samples"]), int(line["centre_col"])
    skip, drop = int(line["cut_pre"]), int(line["cut_post"])
    acquired = samples - skip - drop
    if acquired < 2 or not skip <= centre < samples - drop:
        raise FormatError(
            path, f"{samples} samples per line with {skip} and {drop} to discard and the centre at {centre}", key="MDH"
        )
    centre -= skip
    before, after = centre, acquired - centre
    needed = 2 * max(before, after)
    if abs(before - after) <= 1:
        size = acquired
        centre = size // 2
    else:
        size = max(needed, round(base * stated)) if base else needed
    oversampling = size / base if base else stated
    return Axis(size, size // 2 - centre, acquired, skip), max(1.0, oversampling)


def step_axis(path: Path, image: NDArray[np.void], counter: str, centre_name: str, *, planned: float | None) -> Axis:
    """A phase-encoded axis from the line or partition counters.

    Parameters
    ----------
    counter, centre_name
        "Lin" with "centre_lin", or "Par" with "centre_par".
    planned
        Grid points of the protocol, None when the header's number and centre are placeholders; the largest counter
        then sets the size, and the middle is the centre unless the lines name one.
    """
    low, high = int(image[counter].min()), int(image[counter].max())
    centres = np.unique(image[centre_name])
    if len(centres) > 1:
        raise FormatError(path, f"the centre of k-space changes from line to line: {centres.tolist()}", key=centre_name)
    centre = int(centres[0])
    if planned is None and centre == 0:
        centre = (high + 1) // 2
    size = high + 1 if planned is None else int(planned)
    if size // 2 - centre + low < 0 or size // 2 - centre + high >= size:
        size = 2 * max(centre - low, high + 1 - centre)
    return Axis(size, size // 2 - centre, high - low + 1)
