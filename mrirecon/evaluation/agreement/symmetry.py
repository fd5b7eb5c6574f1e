"""The sixteen ways to turn a stack of slices over: eight in the plane, with the slices in either order."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrirecon.io.grid import edge_letters
from mrirecon.scan.geometry import Geometry

_WORDS = {"L": "left", "R": "right", "A": "anterior", "P": "posterior", "H": "head", "F": "feet"}
_ORDER = "LRAPHF"


@dataclass(frozen=True)
class Symmetry:
    """Exchange the axes in the plane (first), then reverse rows, columns and slices.

    `columns` reverses the column index x, `rows` the row index y, `slices` the slice index z.
    """

    exchange: bool = False
    rows: bool = False
    columns: bool = False
    slices: bool = False

    @property
    def is_identity(self) -> bool:
        return self == Symmetry()

    def apply(self, volume: NDArray[Any]) -> NDArray[Any]:
        """The array (z, y, x) turned over."""
        turned = volume.swapaxes(1, 2) if self.exchange else volume
        axes = tuple(axis for axis, on in enumerate((self.slices, self.rows, self.columns)) if on)
        return np.asarray(np.flip(turned, axes))

    def inverse(self) -> Symmetry:
        """What undoes it: with an exchange, rows and columns trade places."""
        if not self.exchange:
            return self
        return Symmetry(True, self.columns, self.rows, self.slices)

    def matrix(self) -> NDArray[np.float64]:
        """``apply(v)(p) = v(matrix @ p)`` for positions p = (z, y, x) about the centre of a square grid."""
        signs = [-1.0 if on else 1.0 for on in (self.slices, self.rows, self.columns)]
        turned = np.diag(signs)
        return turned[[0, 2, 1]] if self.exchange else turned


def symmetries(*, slices: bool) -> tuple[Symmetry, ...]:
    """All of them, the identity first; with `slices` both orders of the slices."""
    both = (False, True)
    return tuple(
        Symmetry(exchange, rows, columns, order)
        for order, exchange, rows, columns in itertools.product(both if slices else (False,), both, both, both)
    )


def describe(symmetry: Symmetry, geometry: Geometry) -> str:
    """How an image differs from the one on `geometry` that it shows turned over, as a phrase after "the image is".

    Rows and columns are those of `geometry`, as displayed: columns to the right, rows downwards.
    """
    words = []
    across = axis_words(geometry.row_direction)
    down = axis_words(geometry.column_direction)
    match symmetry.exchange, symmetry.rows, symmetry.columns:
        case False, False, True:
            words.append(f"mirrored along columns ({across})")
        case False, True, False:
            words.append(f"mirrored along rows ({down})")
        case False, True, True:
            words.append(f"rotated by 180 degrees in the plane ({across} and {down} reversed)")
        case True, False, False:
            words.append("mirrored about the diagonal (rows and columns exchanged)")
        case True, True, True:
            words.append("mirrored about the other diagonal (rows and columns exchanged and both reversed)")
        case True, False, True:
            words.append("rotated by 90 degrees clockwise in the plane")
        case True, True, False:
            words.append("rotated by 90 degrees counter-clockwise in the plane")
        case _:
            pass
    if symmetry.slices:
        words.append(f"in reversed slice order ({axis_words(geometry.affine[:3, 0])})")
    return " and ".join(words) or "in the same orientation"


def axis_words(direction: NDArray[np.float64]) -> str:
    """The patient axis that a direction follows most.

    Examples
    --------
    >>> import numpy as np
    >>> axis_words(np.array([-1.0, 0.2, 0.0]))
    'left-right'
    """
    end, start = (letters[0] for letters in edge_letters(direction))
    first, second = sorted((end, start), key=_ORDER.index)
    return f"{_WORDS[first]}-{_WORDS[second]}"
