"""From the encoded image grid to the grid the protocol asks for."""

from __future__ import annotations

from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.linalg.fft import crop_or_pad, fft, ifft


def resampled_length(encoded_length: int, encoded_fov: float, recon_length: int, recon_fov: float) -> int:
    """Samples that cover the encoded field of view at the voxel size of the reconstruction.

    >>> resampled_length(160, 320.0, 256, 256.0)
    320
    """
    return max(1, round(encoded_fov * recon_length / recon_fov))


def to_recon_axis(
    image: Tensor,
    axis: int,
    *,
    encoded_fov: float,
    recon_length: int,
    recon_fov: float,
) -> Tensor:
    """One image axis from the encoded to the reconstructed matrix, by zero-filling k-space and cropping the image.

    First the voxel size changes over the same field of view (k-space is zero-padded or cropped), then the field of
    view changes at that voxel size (the image is cropped or zero-padded). The voxel ``n // 2`` stays at the origin
    throughout, and image values keep their scale.

    Parameters
    ----------
    image
        Complex image, any axes.
    axis
        The axis to change.
    encoded_fov, recon_fov
        Fields of view in millimetres before and after.
    recon_length
        Samples after.

    Raises
    ------
    ShapeError
        If a length or field of view is not positive.
    """
    if not (encoded_fov > 0 and recon_fov > 0 and recon_length > 0):
        raise ShapeError(f"fields of view and lengths must be positive, got {encoded_fov}, {recon_fov}, {recon_length}")
    n = image.shape[axis]
    target = resampled_length(n, encoded_fov, recon_length, recon_fov)
    if target != n:
        resized = ifft(crop_or_pad(fft(image, (axis,)), axis, target), (axis,))
        image = resized * (target / n) ** 0.5
    return crop_or_pad(image, axis, recon_length)
