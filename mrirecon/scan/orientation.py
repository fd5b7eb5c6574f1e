"""The view that radiologists expect: the same voxels in the same places, stored in another order.

A scanner encodes along whichever axes suit the sequence, so the raw grid may show the patient upside down or mirrored.
Every viewer labels such a series correctly, and every reader turns it round. Reordering image and index-to-LPS matrix
together changes no position; `Geometry.flipped` and the axis exchange below are the only two steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrirecon.scan.geometry import Geometry
from mrirecon.scan.protocol import Protocol

_STANDARD = {
    # slice normal's main patient axis -> (patient axis, sign) of growing x and of growing y, in LPS
    2: ((0, 1.0), (1, 1.0)),  # transverse: x to the left, y to posterior
    1: ((0, 1.0), (2, -1.0)),  # coronal: x to the left, y to the feet
    0: ((1, 1.0), (2, -1.0)),  # sagittal: x to posterior, y to the feet
}


@dataclass(frozen=True)
class Reordering:
    """Exchange y and x, or not; then flip y, flip x, or not."""

    exchange: bool
    flip_y: bool
    flip_x: bool

    @property
    def is_identity(self) -> bool:
        return not (self.exchange or self.flip_y or self.flip_x)

    def describe(self) -> str:
        """What was done, for the record."""
        named = {"x and y exchanged": self.exchange, "y reversed": self.flip_y, "x reversed": self.flip_x}
        steps = [text for text, done in named.items() if done]
        return f"Stored in the standard radiological view ({', '.join(steps)}; every voxel keeps its position)."


def standard_view(geometry: Geometry) -> Reordering:
    """The reordering that shows slices as radiologists do: feet first from below, nose left, head up."""
    plane = int(np.abs(geometry.normal).argmax())
    (x_axis, x_sign), (y_axis, y_sign) = _STANDARD[plane]
    row, column = geometry.row_direction, geometry.column_direction
    straight = abs(row[x_axis]) + abs(column[y_axis])
    crossed = abs(column[x_axis]) + abs(row[y_axis])
    exchange = bool(crossed > straight + 1e-9)
    if exchange:
        row, column = column, row
    return Reordering(exchange, bool(column[y_axis] * y_sign < 0), bool(row[x_axis] * x_sign < 0))


def reordered(
    image: NDArray[np.float32], geometry: Geometry, protocol: Protocol, how: Reordering
) -> tuple[NDArray[np.float32], Geometry, Protocol]:
    """Image (z, y, x), grid and phase-encoding axis after `how`; every voxel value keeps its place in the patient."""
    if how.exchange:
        image = image.transpose(0, 2, 1)
        geometry = replace(geometry, affine=geometry.affine[:, [0, 2, 1, 3]])
        protocol = replace(protocol, phase_encoding_axis="x" if protocol.phase_encoding_axis == "y" else "y")
    for axis, flip in ((1, how.flip_y), (2, how.flip_x)):
        if flip:
            image = np.flip(image, axis)
            geometry = geometry.flipped(axis, image.shape[axis])
    return np.ascontiguousarray(image), geometry, protocol
