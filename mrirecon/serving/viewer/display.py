"""The space that a viewer shows: patient space turned so that the acquired axes lie along the screen.

A viewer that cuts along patient axes shows an oblique stack as slanted sections through its thick slices. Here the
whole study is turned rigidly instead, so that the slices appear as they were acquired, and the letters at the edges say
where they point in the patient.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mrirecon.io.grid import edge_letters, export_affine
from mrirecon.scan.geometry import Geometry

Plane = Literal["axial", "coronal", "sagittal"]
_PLANES: tuple[Plane, Plane, Plane] = ("sagittal", "coronal", "axial")
_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Display:
    """A rigid motion from patient space to the space of the screen, both LPS in millimetres.

    Parameters
    ----------
    motion
        4x4 matrix, patient to screen.
    plane
        The plane of the screen space in which the acquired slices lie.
    tilt_deg
        Angle of the rotation.
    """

    motion: NDArray[np.float64]
    plane: Plane
    tilt_deg: float

    def affine_ras(self, geometry: Geometry, shape: tuple[int, int, int]) -> NDArray[np.float64]:
        """Index (x, y, z) to screen space in RAS, as NIfTI wants it, of a volume of `shape` (z, y, x)."""
        affine: NDArray[np.float64] = _RAS @ self.motion @ export_affine(geometry, shape)[:, [2, 1, 0, 3]]
        return affine

    def letters(self) -> dict[str, tuple[str, str]]:
        """Patient directions at the start and the end of the screen's x, y and z axes (LPS)."""
        found = {}
        for axis, name in enumerate("xyz"):
            end, start = edge_letters(self.motion[axis, :3])
            found[name] = start, end
        return found


def display_of(geometry: Geometry, shape: tuple[int, int, int]) -> Display:
    """The motion about the centre of the volume that lays its axes along the nearest patient axes.

    Of the signed permutations with the handedness of the grid, the one closest to its directions is taken; so the
    motion is a rotation and never a reflection.
    """
    affine = export_affine(geometry, shape)[:, [2, 1, 0, 3]]
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    nearest = max(_signed_permutations(np.linalg.det(directions)), key=lambda p: float(np.trace(p.T @ directions)))
    rotation = nearest @ directions.T
    centre = affine @ np.array([*((n - 1) / 2 for n in shape[::-1]), 1.0])
    motion = np.eye(4)
    motion[:3, :3] = rotation
    motion[:3, 3] = centre[:3] - rotation @ centre[:3]
    tilt = np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1)))
    return Display(motion, _PLANES[int(np.abs(nearest[:, 2]).argmax())], float(tilt))


def _signed_permutations(determinant: float) -> list[NDArray[np.float64]]:
    found = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[list(order), range(3)] = signs
            if np.linalg.det(matrix) * determinant > 0:
                found.append(matrix)
    return found
