"""What still counts as agreement."""

from __future__ import annotations

from dataclasses import dataclass

from mrirecon.errors import ConfigError


@dataclass(frozen=True)
class Tolerances:
    """Largest differences, and least likeness, of two series that agree.

    Parameters
    ----------
    orientation_deg
        Between the axes of the grids, whichever way they run.
    position_mm
        Between the centres of the volumes; None for half a pixel in the plane and a quarter of the slice step
        along the normal.
    size_percent
        Of field of view, pixel spacing and slice step.
    shift_mm
        By which the pictures may lie beside each other; None for `shift_voxels` of the coarser grid.
    shift_voxels
        See `shift_mm`.
    correlation
        Least correlation after the fit of brightness, over the object.
    margin
        By how much another orientation must be better to be called the right one.
    shading_order
        Degree of the smooth shading that the fit of brightness allows; 0 for a factor and an offset.
    study
        "auto": study and frame of reference are compared unless one series says that its identifiers were removed;
        "required" or "ignored".

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    orientation_deg: float = 0.5
    position_mm: float | None = None
    size_percent: float = 1.0
    shift_mm: float | None = None
    shift_voxels: float = 0.3
    correlation: float = 0.9
    margin: float = 0.02
    shading_order: int = 2
    study: str = "auto"

    def __post_init__(self) -> None:
        for name in ("orientation_deg", "position_mm", "size_percent", "shift_mm", "shift_voxels"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(f"tolerance `{name}` must be positive and finite, got {value}")
        if not 0 < self.correlation < 1:
            raise ConfigError(f"`correlation` must lie between 0 and 1, got {self.correlation}")
        if not 0 <= self.margin < 1:
            raise ConfigError(f"`margin` must lie between 0 and 1, got {self.margin}")
        if self.shading_order not in range(4):
            raise ConfigError(f"`shading_order` must be 0 to 3, got {self.shading_order}")
        if self.study not in ("auto", "required", "ignored"):
            raise ConfigError(f"`study` must be auto, required or ignored, got {self.study!r}")
