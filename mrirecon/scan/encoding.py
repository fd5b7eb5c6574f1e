"""What was encoded and what shall be reconstructed: two grids and the way from one to the other."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    """

    encoded_matrix: Triple
    recon_matrix: Triple
    encoded_fov_mm: Lengths
    recon_fov_mm: Lengths
    partial_fourier: Lengths = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        for name in ("encoded_matrix", "recon_matrix", "encoded_fov_mm", "recon_fov_mm"):
            values = getattr(self, name)
            if len(values) != 3 or any(not v > 0 for v in values):
                raise ShapeError(f"`{name}` must be three positive numbers (z, y, x), got {values}")

    @property
    def oversampling(self) -> float:
        """Readout oversampling: encoded over reconstructed field of view along x."""
        return self.encoded_fov_mm[2] / self.recon_fov_mm[2]

    @property
    def voxel_size_mm(self) -> Lengths:
        """Voxel size of the encoded grid, z, y, x."""
        z, y, x = (f / n for f, n in zip(self.encoded_fov_mm, self.encoded_matrix, strict=True))
        return z, y, x

    @property
    def readout_size(self) -> int:
        """Samples along x that cover the reconstructed field of view at the encoded voxel size."""
        return max(1, round(self.encoded_matrix[2] / self.oversampling))

    def without_readout_oversampling(self) -> Encoding:
        """The encoding after cropping x to the reconstructed field of view: matrix and field of view together."""
        n = self.readout_size
        z, y, x = self.encoded_fov_mm
        return replace(
            self,
            encoded_matrix=(*self.encoded_matrix[:2], n),
            encoded_fov_mm=(z, y, x * n / self.encoded_matrix[2]),
        )
