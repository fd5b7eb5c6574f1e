"""A reconstructed volume with all that a viewer and a later reader need to know about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import GeometryError, ShapeError
from mrirecon.scan.geometry import Geometry
from mrirecon.scan.protocol import Protocol
from mrirecon.scan.subject import Subject


@dataclass(frozen=True)
class Derivation:
    """How an image was made, in words and numbers that outlive this program.

    Parameters
    ----------
    method
        Short name, e.g. "sense".
    summary
        One line for DerivationDescription: method, acceleration, calibration, version; no path, no name.
    parameters
        Everything that changed the result, JSON-ready: the configuration, the mask card, the seed.
    input_sha256
        Checksum of the raw data; with `parameters` it makes the UIDs, so that a re-export is idempotent.
    kind
        "linear", "iterative" or "learned": decides ImageType.
    simulated
        True when the input was simulated.
    """

    method: str
    summary: str
    parameters: dict[str, Any]
    input_sha256: str
    kind: Literal["linear", "iterative", "learned"] = "iterative"
    simulated: bool = False


@dataclass(frozen=True, eq=False)
class ImageSeries:
    """A real-valued volume (z, y, x) on a grid in patient space.

    Parameters
    ----------
    image
        float32, arbitrary units (those of the source k-space, scaling undone).
    geometry
        Index-to-LPS of exactly this array.
    quantity
        "magnitude" (non-negative) or "standard_deviation".
    description
        Becomes the series description.
    warnings
        Sentences that must reach the reader of the images.

    Raises
    ------
    ShapeError
        If the image is not a finite float32 volume.
    """

    image: NDArray[np.float32]
    geometry: Geometry
    protocol: Protocol
    subject: Subject
    derivation: Derivation
    description: str
    quantity: Literal["magnitude", "standard_deviation"] = "magnitude"
    warnings: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.dtype != np.float32 or self.image.size == 0:
            raise ShapeError(f"`image` must be a float32 volume (z, y, x), got {self.image.shape} {self.image.dtype}")
        if not np.isfinite(self.image).all():
            bad = int((~np.isfinite(self.image)).sum())
            raise ShapeError(f"`image` must be finite, {bad} voxels are NaN or infinite; check the reconstruction")
        if self.quantity == "magnitude" and (self.image < 0).any():
            raise ShapeError("a magnitude image must not be negative; take the modulus first")
        if not isinstance(self.geometry, Geometry):
            raise GeometryError("an image series needs a geometry; use Geometry.placeholder when it is not known")
