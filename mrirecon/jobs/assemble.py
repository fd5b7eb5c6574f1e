"""From reconstructed planes to a volume on the protocol's grid, image and geometry together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.jobs.planes import PlaneStack
from mrirecon.mri.grid import resampled_length, to_recon_axis
from mrirecon.scan import Encoding, Geometry, Scan


def to_recon_plane(image: Tensor, encoding: Encoding, *, is_3d: bool, crop: bool) -> Tensor:
    """The rows and columns of one complex plane on the reconstructed matrix; unchanged when `crop` is off.

    In 2D rows and columns are y and x, in 3D z and y (x was treated when the readout was transformed).
    """
    if not crop:
        return image
    for axis, spatial in zip((-2, -1), (0, 1) if is_3d else (1, 2), strict=True):
        image = to_recon_axis(
            image,
            axis,
            encoded_fov=encoding.encoded_fov_mm[spatial],
            recon_length=encoding.recon_matrix[spatial],
            recon_fov=encoding.recon_fov_mm[spatial],
        )
    return image


def final_geometry(
    scan: Scan, stack: PlaneStack, planes: Sequence[NDArray[np.float32]], chosen: range, crop: bool
) -> tuple[NDArray[np.float32], Geometry]:
    """The volume (z, y, x) and the grid it lives on.

    The same steps as for the pixels: change the voxel size over the encoded field of view, then crop or pad about the
    origin; finally keep the chosen slices.
    """
    volume = np.stack(planes, axis=2 if scan.is_3d else 0)
    geometry = final_grid(scan, crop=crop).crop((chosen.start, 0, 0))
    if scan.is_3d:
        volume = volume[chosen.start : chosen.stop]
    return np.ascontiguousarray(volume), geometry


def final_grid(scan: Scan, *, crop: bool) -> Geometry:
    """The grid of the whole reconstructed volume; the encoded one when `crop` is off."""
    shape, geometry = scan.grid_shape, scan.geometry
    if crop:
        encoding = scan.encoding
        target = list(shape)
        final = list(shape)
        for axis in (0, 1, 2) if scan.is_3d else (1, 2):
            target[axis] = resampled_length(
                shape[axis],
                encoding.encoded_fov_mm[axis],
                encoding.recon_matrix[axis],
                encoding.recon_fov_mm[axis],
            )
            final[axis] = encoding.recon_matrix[axis]
        resampled = geometry.resampled(shape, (target[0], target[1], target[2]))
        return resampled.centred_crop((target[0], target[1], target[2]), (final[0], final[1], final[2]))
    return geometry
