"""Solids in patient space with exact Fourier transforms, in the volume and in plane sections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import j1, spherical_jn

from mrirecon.errors import GeometryError

Array: TypeAlias = NDArray[np.float64]
Triple: TypeAlias = tuple[float, float, float]
Axes: TypeAlias = tuple[Triple, Triple, Triple]

_UNIT_AXES: Axes = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_ALIGNED = 1e-6


@dataclass(frozen=True)
class Ellipsoid:
    """A solid ellipsoid.

    Parameters
    ----------
    centre_mm
        LPS position.
    semi_axes_mm
        Half lengths along `axes`.
    intensity
        Added to the image inside.
    axes
        Three orthonormal LPS directions.
    """

    centre_mm: Triple
    semi_axes_mm: Triple
    intensity: float = 1.0
    axes: Axes = _UNIT_AXES

    def contains(self, positions: Array) -> NDArray[np.bool_]:
        """Whether LPS `positions` (..., 3) lie inside."""
        local = (positions - np.array(self.centre_mm)) @ np.array(self.axes).T / np.array(self.semi_axes_mm)
        return np.asarray((local**2).sum(axis=-1) <= 1.0)

    def transform(self, frequencies: Array) -> NDArray[np.complex128]:
        """Fourier integral in mm^3 at `frequencies` (..., 3) in cycles per mm, about the LPS origin."""
        scaled = frequencies @ np.array(self.axes).T * np.array(self.semi_axes_mm)
        argument = 2 * np.pi * np.linalg.norm(scaled, axis=-1)
        volume = 4 / 3 * np.pi * np.prod(self.semi_axes_mm)
        return np.asarray(volume * _ball(argument) * shift_phase(frequencies, self.centre_mm))

    def section_transform(self, origin: Array, plane: Array, frequencies: Array) -> NDArray[np.complex128]:
        """Fourier integral in mm^2 over the section with the plane through `origin` spanned by the rows of `plane`.

        `frequencies` (..., 2) are along the rows of `plane`; the phase reference is `origin`.
        """
        form = np.array(self.axes).T @ np.diag(np.array(self.semi_axes_mm) ** -2.0) @ np.array(self.axes)
        offset = origin - np.array(self.centre_mm)
        inside = plane @ form @ plane.T
        linear = plane @ form @ offset
        centre = -np.linalg.solve(inside, linear)
        level = 1.0 - offset @ form @ offset + linear @ np.linalg.solve(inside, linear)
        if level <= 0:
            return np.zeros(frequencies.shape[:-1], dtype=np.complex128)
        root = np.linalg.cholesky(level * np.linalg.inv(inside))
        argument = 2 * np.pi * np.linalg.norm(frequencies @ root, axis=-1)
        area = np.pi * np.linalg.det(root)
        return np.asarray(area * _disc(argument) * shift_phase(frequencies, centre))


@dataclass(frozen=True)
class Box:
    """A solid box: as `Ellipsoid`, with `size_mm` the full edge lengths along `axes`."""

    centre_mm: Triple
    size_mm: Triple
    intensity: float = 1.0
    axes: Axes = _UNIT_AXES

    def contains(self, positions: Array) -> NDArray[np.bool_]:
        """Whether LPS `positions` (..., 3) lie inside."""
        local = (positions - np.array(self.centre_mm)) @ np.array(self.axes).T / np.array(self.size_mm)
        return np.asarray((np.abs(local) <= 0.5).all(axis=-1))

    def transform(self, frequencies: Array) -> NDArray[np.complex128]:
        """Fourier integral in mm^3 at `frequencies` (..., 3) in cycles per mm, about the LPS origin."""
        size = np.array(self.size_mm)
        sinc = np.sinc(frequencies @ np.array(self.axes).T * size).prod(axis=-1)
        return np.asarray(size.prod() * sinc * shift_phase(frequencies, self.centre_mm))

    def section_transform(self, origin: Array, plane: Array, frequencies: Array) -> NDArray[np.complex128]:
        """As `Ellipsoid.section_transform`, for planes parallel to a face; `GeometryError` for others."""
        axes, size = np.array(self.axes), np.array(self.size_mm)
        through = np.abs(plane @ axes.T).max(axis=0) < _ALIGNED
        if through.sum() != 1:
            raise GeometryError("a box is sectioned only parallel to its faces; align its axes with the slices")
        offset = np.array(self.centre_mm) - origin
        if abs(float((axes[through] @ offset)[0])) > float(size[through][0]) / 2:
            return np.zeros(frequencies.shape[:-1], dtype=np.complex128)
        edges = axes[~through] @ plane.T
        sinc = np.sinc(frequencies @ edges.T * size[~through]).prod(axis=-1)
        return np.asarray(size[~through].prod() * sinc * shift_phase(frequencies, plane @ offset))


Solid: TypeAlias = Ellipsoid | Box


def shift_phase(frequencies: Array, position: Sequence[float] | Array) -> NDArray[np.complex128]:
    """``exp(-2 pi i f . r)``: the transform of a shift by `position`, at `frequencies` (..., dimension)."""
    return np.asarray(np.exp(-2j * np.pi * (frequencies @ np.asarray(position))))


def _ball(argument: Array) -> Array:
    """Transform of the unit ball over its volume: 3 j_1(s) / s, and 1 at the origin."""
    safe = np.where(argument > 0, argument, 1.0)
    return np.where(argument > 0, 3 * spherical_jn(1, safe) / safe, 1.0)


def _disc(argument: Array) -> Array:
    """Transform of the unit disc over its area: 2 J_1(s) / s, and 1 at the origin."""
    safe = np.where(argument > 0, argument, 1.0)
    return np.where(argument > 0, 2 * j1(safe) / safe, 1.0)
