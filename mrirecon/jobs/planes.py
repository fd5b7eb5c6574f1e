"""A scan as a stack of independent two-dimensional problems, whatever its dimensionality.

The readout is fully sampled, so a 3D scan decouples after a Fourier transform along it: plane i of the stack is then
the (kz, ky) plane at readout position i. That hybrid space lives in a file, so memory stays that of a few planes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from mrirecon.errors import FormatError
from mrirecon.jobs.reporting import Reporter
from mrirecon.linalg.fft import ifft
from mrirecon.mri.grid import to_recon_axis
from mrirecon.mri.mask_card import PhaseEncodingAxis
from mrirecon.mri.oversampling import remove_readout_oversampling
from mrirecon.scan import Encoding, Scan

COMPLEX_BYTES = 8


@dataclass(frozen=True)
class PlaneStack:
    """Two-dimensional problems of one scan.

    Parameters
    ----------
    n_planes
        Slices (2D) or readout positions (3D).
    n_coils
        Receive channels, before any compression.
    shape
        Rows and columns of one plane, readout oversampling removed.
    mask
        Acquired samples, bool (rows, columns) with length 1 along constant axes.
    encoding
        The encoding after oversampling removal.
    phase_encoding_axis
        "y" (rows), "x" (columns), or "yx".
    source
        The file, for error messages.
    is_3d
        Whether rows and columns are z and y (3D) or y and x (2D).
    loader
        ``loader(i)`` gives raw k-space (coil, rows, columns), zero where not sampled.
    """

    n_planes: int
    n_coils: int
    shape: tuple[int, int]
    mask: Tensor
    encoding: Encoding
    phase_encoding_axis: PhaseEncodingAxis
    source: Path
    is_3d: bool
    loader: Callable[[int], Tensor] = field(repr=False)

    def read(self, index: int) -> Tensor:
        """Raw k-space of plane `index`, shape (coil, rows, columns); `FormatError` if it is not finite."""
        plane = self.loader(index)
        if not bool(torch.isfinite(torch.view_as_real(plane)).all()):
            raise FormatError(self.source, f"plane {index} holds NaN or infinite samples; the file is damaged")
        return plane

    def restricted(self, mask: Tensor) -> PlaneStack:
        """The stack with only the samples in `mask`, for retrospective undersampling."""
        loader, kept = self.loader, mask & self.mask
        return replace(self, mask=kept, loader=lambda index: loader(index) * kept)


def slice_stack(scan: Scan, *, remove_oversampling: bool, slices: range | None = None) -> PlaneStack:
    """The slices of a 2D scan."""
    encoding = scan.encoding.without_readout_oversampling() if remove_oversampling else scan.encoding
    readout = scan.encoding.readout_dim
    size = encoding.encoded_matrix[readout]
    chosen = slices if slices is not None else range(scan.n_slices)
    mask = scan.mask[0]
    if size != scan.encoding.encoded_matrix[readout]:
        mask = mask.any(dim=readout, keepdim=True)

    def load(index: int) -> Tensor:
        return remove_readout_oversampling(scan.read(chosen[index]), size, axis=readout)

    axis: PhaseEncodingAxis = "yx" if min(mask.shape) > 1 else scan.protocol.phase_encoding_axis
    rows, columns = encoding.encoded_matrix[1:]
    return PlaneStack(len(chosen), scan.n_coils, (rows, columns), mask, encoding, axis, scan.source, False, load)


@dataclass(frozen=True)
class HybridFile:
    """Hybrid space on disk: complex64 (kz, x, coil, ky), written partition by partition, read plane by plane."""

    path: Path
    n_partitions: int
    n_positions: int
    n_coils: int
    n_lines: int

    @property
    def block(self) -> int:
        """Bytes of one (coil, ky) block."""
        return self.n_coils * self.n_lines * COMPLEX_BYTES

    @property
    def size(self) -> int:
        return self.n_partitions * self.n_positions * self.block

    def fill(self, partitions: Iterable[Tensor]) -> None:
        """Write all partitions (x, coil, ky); the file gets its name only when it is complete."""
        temporary = self.path.with_suffix(".writing")
        with temporary.open("wb") as file:
            for partition in partitions:
                file.write(partition.contiguous().numpy().tobytes())
        temporary.replace(self.path)

    def read(self, position: int) -> Tensor:
        """(coil, kz, ky) at one readout position."""
        handle = os.open(self.path, os.O_RDONLY)
        try:
            parts = [
                os.pread(handle, self.block, (kz * self.n_positions + position) * self.block)
                for kz in range(self.n_partitions)
            ]
        finally:
            os.close(handle)
        flat = torch.frombuffer(bytearray(b"".join(parts)), dtype=torch.complex64)
        return flat.reshape(self.n_partitions, self.n_coils, self.n_lines).permute(1, 0, 2).contiguous()


def volume_stack(scan: Scan, *, remove_oversampling: bool, workspace: Path, reporter: Reporter) -> PlaneStack:
    """The readout positions of a 3D scan, at the voxel size of the reconstruction along the readout."""
    encoding = scan.encoding.without_readout_oversampling() if remove_oversampling else scan.encoding
    n_z, n_y, n_x = scan.encoding.encoded_matrix
    keep = encoding.encoded_matrix[2]
    recon_length = encoding.recon_matrix[2] if remove_oversampling else keep
    hybrid = HybridFile(workspace / "hybrid.bin", n_z, recon_length, scan.n_coils, n_y)

    def transformed(partition: int) -> Tensor:
        image = ifft(scan.read(partition), (-1,))
        image = image[..., n_x // 2 - keep // 2 :][..., :keep]
        fov = encoding.encoded_fov_mm[2]
        recon_fov = encoding.recon_fov_mm[2] if remove_oversampling else fov
        image = to_recon_axis(image, -1, encoded_fov=fov, recon_length=recon_length, recon_fov=recon_fov)
        return image.permute(2, 0, 1)

    if not (hybrid.path.exists() and hybrid.path.stat().st_size == hybrid.size):
        hybrid.fill(
            transformed(i) for i in reporter.track(range(n_z), total=n_z, label="Fourier transform of the readout")
        )
    _, fov_y, fov_x = encoding.encoded_fov_mm
    encoding = replace(
        encoding,
        encoded_matrix=(n_z, n_y, recon_length),
        encoded_fov_mm=(
            encoding.encoded_fov_mm[0],
            fov_y,
            encoding.recon_fov_mm[2] if remove_oversampling else fov_x,
        ),
    )
    mask = scan.mask.any(dim=-1)
    if mask.shape[0] == 1 or mask.shape[1] == 1:
        axis: PhaseEncodingAxis = "x" if mask.shape[0] == 1 else "y"
    else:
        axis = "yx"
    return PlaneStack(recon_length, scan.n_coils, (n_z, n_y), mask, encoding, axis, scan.source, True, hybrid.read)
