"""From the encoded to the reconstructed matrix: image and geometry together."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.mri.grid import resampled_length, to_recon_axis
from mrirecon.scan import Encoding, Geometry
from mrirecon.transforms.header import encoding_of, flat_geometry, geometry_of
from mrirecon.transforms.keys import IMAGE, META

IMAGE_GEOMETRY = "image_geometry"


class ToReconMatrixd(MapTransform):  # type: ignore[misc]
    """Bring images to the matrix and field of view that the protocol asks for; their grid is then "image_geometry".

    First the voxel size changes over the encoded field of view (k-space is zero-filled or cropped), then the field of
    view is cropped or padded. In 3D this includes z. Not invertible: what is cropped is gone.

    Parameters
    ----------
    keys
        Images (slice, channel, y, x), or (channel, y, x) of one slice, on the encoded grid.

    Raises
    ------
    ShapeError
        If an image is not on the encoded grid.
    """

    def __init__(self, keys: KeysCollection = IMAGE) -> None:
        super().__init__(keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        meta = out[META]
        encoding, geometry, is_3d = encoding_of(meta), geometry_of(meta), bool(meta["is_3d"])
        for key in self.key_iterator(out):
            image: Tensor = out[key]
            if tuple(image.shape[-2:]) != encoding.encoded_matrix[1:]:
                raise ShapeError(
                    f"`{key}` must be on the encoded grid (y, x) = {encoding.encoded_matrix[1:]}, got "
                    f"{tuple(image.shape)}; use ToReconMatrixd once, after the reconstruction"
                )
            out[key] = _resized(image, encoding, is_3d=is_3d)
            depth = image.shape[0] if image.ndim == 4 else 1
            grid = recon_geometry(geometry, encoding, depth, is_3d=is_3d)
            out[META] = {**meta, IMAGE_GEOMETRY: flat_geometry(grid)}
        return out


def recon_geometry(geometry: Geometry, encoding: Encoding, depth: int, *, is_3d: bool) -> Geometry:
    """The grid after `ToReconMatrixd` of images on the grid `geometry` with `depth` slices."""
    shape = (depth, *encoding.encoded_matrix[1:])
    middle, final = list(shape), list(shape)
    for axis in (0, 1, 2) if is_3d else (1, 2):
        final[axis] = encoding.recon_matrix[axis]
        middle[axis] = resampled_length(
            shape[axis], encoding.encoded_fov_mm[axis], final[axis], encoding.recon_fov_mm[axis]
        )
    resampled = geometry.resampled(shape, (middle[0], middle[1], middle[2]))
    return resampled.centred_crop((middle[0], middle[1], middle[2]), (final[0], final[1], final[2]))


def _resized(image: Tensor, encoding: Encoding, *, is_3d: bool) -> Tensor:
    for axis, spatial in ((-4, 0), (-2, 1), (-1, 2)) if is_3d else ((-2, 1), (-1, 2)):
        resized = to_recon_axis(
            image.to(torch.complex64),
            axis,
            encoded_fov=encoding.encoded_fov_mm[spatial],
            recon_length=encoding.recon_matrix[spatial],
            recon_fov=encoding.recon_fov_mm[spatial],
        )
        image = resized if image.is_complex() else resized.real.contiguous()
    return image
