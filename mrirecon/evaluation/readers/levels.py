"""Brightness: one window and one stored factor for all series of a scan, and one rule by which each is scaled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import ShapeError
from mrirecon.evaluation.readers.options import ReaderOptions

Volume = NDArray[np.float32]
_OBJECT = 0.1


@dataclass(frozen=True, eq=False)
class InputLevels:
    """How the series of one scan become stored numbers.

    Parameters
    ----------
    guide
        Volume that factor and window are taken from: the reference, or the median of the series.
    tissue
        Where it is above a tenth of its 99th percentile.
    black
        Where all series are made zero.
    options
        Which rule.
    """

    guide: Volume
    tissue: NDArray[np.bool_]
    black: NDArray[np.bool_]
    options: ReaderOptions

    def shown(self, image: Volume) -> tuple[Volume, float]:
        """The volume as it is stored, and the number it was multiplied by.

        Matched levels: the median of image over guide in the brighter half of the tissue becomes 1. Noise and folding
        move it little, and magnitudes are not biased by noise there.
        """
        scale = 1.0
        if self.options.levels == "matched" and self.tissue.any():
            bright = self.tissue & (self.guide >= np.median(self.guide[self.tissue]))
            ratio = float(np.median(image[bright] / self.guide[bright]))
            scale = 1 / ratio if ratio > 0 else 1.0
        result = (image * np.float32(scale)).astype(np.float32)
        result[self.black] = 0
        return result, scale


def input_levels(volumes: list[tuple[str, Volume]], *, reference: Volume | None, options: ReaderOptions) -> InputLevels:
    """The common rule of one scan.

    Parameters
    ----------
    volumes
        All series that will be shown of it, with a name for messages; (z, y, x), magnitude.
    reference
        The fully sampled image, also where it is not shown; None where there is none.

    Raises
    ------
    ShapeError
        If the volumes differ in shape, or hold negative or infinite values.
    """
    shape = volumes[0][1].shape if reference is None else reference.shape
    for name, volume in volumes:
        if volume.shape != shape or volume.ndim != 3:
            raise ShapeError(
                f"{name} has shape {volume.shape}, the other series of its scan {shape}; run the cell again"
            )
        if not np.isfinite(volume).all() or (volume < 0).any():
            raise ShapeError(f"{name} holds negative, infinite or undefined values; a magnitude image is expected")
    guide = np.median(np.stack([v for _, v in volumes]), axis=0) if reference is None else reference
    positive = guide[guide > 0]
    level = _OBJECT * float(np.percentile(positive, 99)) if positive.size else np.inf
    tissue = guide >= level
    black = np.zeros(shape, dtype=bool)
    if options.same_background:
        for _, volume in volumes:
            black |= volume == 0
        black &= ~tissue
    return InputLevels(guide.astype(np.float32), tissue, black, options)
