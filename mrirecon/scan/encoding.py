"""What was encoded and what shall be reconstructed: two grids and the way from one to the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from mrirecon.errors import ShapeError

Triple = tuple[int, int, int]
Lengths = tuple[float, float, float]


@dataclass(frozen=True)
class Encoding:
    """Encoded and reconstructed matrix and field of view, all ordered z, y, x.

    Parameters
    ----------
    encoded_matrix
        Size of the k-space grid delivered by `Scan.read`: (kz or 1, ky, kx), readout oversampling included.
    recon_matrix
        Size of the image the protocol asks for.
    encoded_fov_mm, recon_fov_mm
        Fields of view; along z the slab, or the slice thickness of a 2D scan.
    partial_fourier
        Acquired fraction of ky (and kz) when k-space is asymmetric, 1.0 otherwise; ordered z, y, x.
    readout_axis
        The in-plane axis along which a line is sampled in time and oversampled: "x" (MRD, twix) or "y" (fastMRI files,
        whose columns are phase encoded).
    """

    encoded_matrix: Triple
    recon_matrix: Triple
    encoded_fov_mm: Lengths
    recon_fov_mm: Lengths
    partial_fourier: Lengths = (1.0, 1.0, 1.0)
    readout_axis: Literal["x", "y"] = "x"

    def __post_init__(self) -> None:
        for name in ("encoded_matrix", "recon_matrix", "encoded_fov_mm", "recon_fov_mm"):
            values = getattr(self, name)
            if len(values) != 3 or any(not v > 0 for v in values):
                raise ShapeError(f"`{name}` must be three positive numbers (z, y, x), got {values}")
        if self.readout_axis not in ("x", "y"):
            raise ShapeError(f"`readout_axis` must be 'x' or 'y', got {self.readout_axis!r}")

    @property
    def readout_dim(self) -> int:
        """The readout as a negative tensor axis of k-space and images: -1 for x, -2 for y."""
        return -1 if self.readout_axis == "x" else -2

    @property
    def oversampling(self) -> float:
        """Readout oversampling: encoded over reconstructed field of view along the readout."""
        return self.encoded_fov_mm[self.readout_dim] / self.recon_fov_mm[self.readout_dim]

    @property
    def voxel_size_mm(self) -> Lengths:
        """Voxel size of the encoded grid, z, y, x."""
        z, y, x = (f / n for f, n in zip(self.encoded_fov_mm, self.encoded_matrix, strict=True))
        return z, y, x

    @property
    def readout_size(self) -> int:
        """Samples along the readout that cover the reconstructed field of view at the encoded voxel size.

        Never more than were encoded: a reconstructed field of view that is larger is padded later.
        """
        n = self.encoded_matrix[self.readout_dim]
        return max(1, min(n, round(n / self.oversampling)))

    def without_readout_oversampling(self) -> Encoding:
        """The encoding after cropping the readout to the reconstructed field of view: matrix and field of view."""
        n = self.readout_size
        matrix, fov = list(self.encoded_matrix), list(self.encoded_fov_mm)
        fov[self.readout_dim] *= n / matrix[self.readout_dim]
        matrix[self.readout_dim] = n
        return replace(self, encoded_matrix=(matrix[0], matrix[1], matrix[2]), encoded_fov_mm=(fov[0], fov[1], fov[2]))
