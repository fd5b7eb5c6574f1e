"""From readout lines to k-space planes: where every sample of an MRD file belongs on the encoded grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.errors import FormatError
from mrirecon.io.extent import shortest_mask
from mrirecon.io.ismrmrd.header import EncodedSpace, Limit
from mrirecon.io.ismrmrd.index import DATA, XML, Lines, has_flag
from mrirecon.io.ismrmrd.samples import Samples
from mrirecon.scan.encoding import Triple

_BLOCK = 256

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class PlaneReader:
    """Reads planes of k-space; opens the file for every plane, so that it can be copied to worker processes.

    Acquisition ``number[i]`` of `samples` has ``size[i]`` samples. Those from ``first[i]`` on, ``length[i]`` of them
    (counted after reversal), go to plane ``plane[i]``, row ``ky[i]``, columns from ``kx[i]``. Lines are sorted by
    plane, then by number.
    """

    samples: Samples
    shape: Triple
    number: Ints
    plane: Ints
    ky: Ints
    kx: Ints
    first: Ints
    length: Ints
    size: Ints
    reverse: NDArray[np.bool_]
    conjugate: bool

    @property
    def path(self) -> Path:
        """The file, for messages."""
        return self.samples.path

    def __call__(self, index: int) -> Tensor:
        """K-space of one plane, complex64 (coil, ky, kx): lines that share a place are averaged."""
        start, stop = np.searchsorted(self.plane, [index, index + 1])
        n_coils, ny, nx = self.shape
        total = np.zeros((ny, n_coils, nx), np.complex64)
        count = np.zeros((ny, 1, nx), np.float32)
        with self.samples.opened() as read:
            for block in range(int(start), int(stop), _BLOCK):
                here = slice(block, min(block + _BLOCK, int(stop)))
                for i, values in zip(range(here.start, here.stop), read(self.number[here]), strict=True):
                    line = self._line(i, values)
                    ky, kx = int(self.ky[i]), slice(int(self.kx[i]), int(self.kx[i] + self.length[i]))
                    total[ky, :, kx] += line
                    count[ky, :, kx] += 1
        total /= np.maximum(count, 1)
        if not np.isfinite(total.view(np.float32)).all():
            raise FormatError(self.path, f"plane {index} holds samples that are NaN or infinite", key=DATA)
        plane = torch.from_numpy(np.ascontiguousarray(total.transpose(1, 0, 2)))
        return plane.conj().resolve_conj() if self.conjugate else plane

    def _line(self, i: int, values: NDArray[np.float32]) -> NDArray[np.complex64]:
        n_coils, size = self.shape[0], int(self.size[i])
        line = as_complex(values, n_coils, size, path=self.path, number=int(self.number[i]))
        if self.reverse[i]:
            line = line[:, ::-1]
        return line[:, self.first[i] : self.first[i] + self.length[i]]


def as_complex(
    samples: NDArray[np.float32], n_coils: int, size: int, *, path: Path, number: int
) -> NDArray[np.complex64]:
    """The samples of one line as (coil, sample); `FormatError` if there are fewer or more than its header says."""
    if samples.dtype != np.float32 or samples.size != 2 * n_coils * size:
        raise FormatError(
            path,
            f"acquisition {number} must hold 2 x {n_coils} channels x {size} samples of float32, got {samples.size} "
            f"values of {samples.dtype}; the file is damaged or its samples are compressed",
            key=DATA,
        )
    return np.ascontiguousarray(samples).view(np.complex64).reshape(n_coils, size)


@dataclass(frozen=True)
class Readout:
    """The readout axis of the grid, and for every line (after reversal) the samples to keep and that at k = 0."""

    matrix: int
    fov_mm: float
    low: Ints
    high: Ints
    centre: Ints
    notes: tuple[str, ...] = ()


def readout_axis(lines: Lines, space: EncodedSpace) -> Readout:
    """Settle the encoded matrix and field of view along x, where headers and samples often disagree.

    The number of samples decides: a scanner may announce the matrix without oversampling while it sends oversampled
    lines, or announce oversampling that has been removed already. Asymmetric echoes are placed by `center_sample`,
    samples to discard do not count.
    """
    size, pre, post, centre = (
        lines[n].astype(np.int64) for n in ("number_of_samples", "discard_pre", "discard_post", "center_sample")
    )
    reverse = has_flag(lines, "REVERSE")
    low, high = np.where(reverse, post, pre), size - np.where(reverse, pre, post)
    kept = np.maximum(high - low, 0)
    matrix, fov, recon_fov = space.encoded_matrix[2], space.encoded_fov_mm[2], space.recon_fov_mm[2]
    notes: tuple[str, ...] = ()
    unset = (centre == 0) & (kept >= 0.75 * matrix)
    if unset.any():
        centre = np.where(unset, low + kept // 2, centre)
        notes = ("center_sample is not set: k = 0 is taken to be the middle sample of each line",)
    widest = int(kept.max())
    symmetric = bool((centre - low == kept // 2).all())
    announcement = f"the header announces {matrix} samples per line, the lines have {widest}"
    if widest > matrix:
        needed = widest
        if not symmetric:
            needed = matrix * -(-2 * int(np.maximum(centre - low, high - centre).max()) // matrix)
        factor = needed / matrix
        announced = abs(fov / recon_fov - factor) < 0.05 * factor
        stretched = "" if announced else f" and its field of view as {factor:.3g} times that of the header"
        notes = (*notes, f"{announcement}: the encoded matrix along x is taken as {needed}{stretched}")
        return Readout(needed, fov if announced else fov * factor, low, high, centre, notes)
    if symmetric and recon_fov < 0.99 * fov and (kept == round(matrix * recon_fov / fov)).all():
        notes = (*notes, f"{announcement}: readout oversampling was removed before the file was written")
        return Readout(widest, fov * widest / matrix, low, high, centre, notes)
    return Readout(matrix, fov, low, high, centre, notes)


def counter_positions(
    counter: NDArray[np.int32], limit: Limit | None, n: int, *, path: Path, name: str
) -> tuple[Ints, tuple[str, ...]]:
    """Grid indices of an encoding counter, so that its central index comes to ``n // 2``, and what was assumed.

    `FormatError` if an index falls outside the matrix.
    """
    index = counter.astype(np.int64)
    notes: tuple[str, ...] = ()
    centre = n // 2 if limit is None or n == 1 else limit.centre
    fits_plain = int(index.max()) < n
    if limit is None and n > 1:
        notes = (f"the header gives no limits for {name}: its centre is taken as {centre}",)
    elif limit is not None and n > 1 and centre == 0 and fits_plain and int(index.max()) + n // 2 >= n:
        centre = n // 2
        notes = (f"the header gives 0 as the centre of {name}, which cannot be: {centre} is used",)
    position = index - centre + n // 2
    if position.min() < 0 or position.max() >= n:
        raise FormatError(
            path,
            f"{name} runs from {index.min()} to {index.max()} with centre {centre}, which does not fit into the "
            f"encoded matrix of {n}; matrix, encodingLimits or counters are wrong",
            key=XML,
        )
    return position, notes


def plane_reader(
    lines: Lines, readout: Readout, plane: Ints, ky: Ints, *, samples: Samples, ny: int, conjugate: bool
) -> tuple[PlaneReader, int]:
    """The reader of these lines, and the number of samples that fall outside the grid and are left out."""
    nx, n_coils = readout.matrix, int(lines["active_channels"][0])
    size = lines["number_of_samples"].astype(np.int64)
    shift = nx // 2 - readout.centre
    start, stop = np.maximum(readout.low + shift, 0), np.minimum(readout.high + shift, nx)
    outside = int(np.maximum((readout.high - readout.low) - (stop - start), 0).sum())
    if (stop <= start).any():
        bad = int(lines["number"][np.argmax(stop <= start)])
        raise FormatError(
            samples.path,
            f"no sample of acquisition {bad} lies on the encoded grid of {nx}; number_of_samples, center_sample, "
            "discard_pre and discard_post contradict each other",
            key=DATA,
        )
    order = np.lexsort((lines["number"], plane))
    reader = PlaneReader(
        samples=samples,
        shape=(n_coils, ny, nx),
        number=lines["number"][order],
        plane=plane[order],
        ky=ky[order],
        kx=start[order],
        first=(start - shift)[order],
        length=(stop - start)[order],
        size=size[order],
        reverse=has_flag(lines, "REVERSE")[order],
        conjugate=conjugate,
    )
    return reader, outside


def sampling_mask(reader: PlaneReader, n_planes: int, *, same_in_all_planes: bool) -> NDArray[np.bool_]:
    """Which samples were acquired, in its shortest form (kz or 1, ky or 1, kx or 1).

    Slices must have been sampled alike (`same_in_all_planes`), partitions need not.
    """
    _, ny, nx = reader.shape
    extents, which = np.unique(np.stack([reader.kx, reader.kx + reader.length]), axis=1, return_inverse=True)
    which = which.reshape(-1)
    mask = np.zeros((n_planes, ny, 1 if extents.shape[1] == 1 else nx), bool)
    for i, (start, stop) in enumerate(extents.T):
        mine = which == i
        lines = np.zeros((n_planes, ny), bool)
        lines[reader.plane[mine], reader.ky[mine]] = True
        if extents.shape[1] == 1:
            mask |= lines[:, :, None]
        else:
            mask[:, :, start:stop] |= lines[:, :, None]
    if extents.shape[1] == 1 and extents[1, 0] - extents[0, 0] < nx:
        columns = np.zeros(nx, bool)
        columns[extents[0, 0] : extents[1, 0]] = True
        mask = mask & columns
    if same_in_all_planes:
        differing = np.flatnonzero((mask != mask[:1]).any(axis=(1, 2)))
        if differing.size:
            counts = mask.any(axis=2).sum(axis=1)
            raise FormatError(
                reader.path,
                f"all slices must be sampled alike, but {differing.size} of {n_planes} differ from the first (lines "
                f"per slice: {counts.min()} to {counts.max()}); the acquisition is incomplete or uses one pattern per "
                "slice: write the slices into one file each",
                key=DATA,
            )
        mask = mask[:1]
    return shortest_mask(mask)


def per_place(reader: PlaneReader) -> NDArray[np.int64]:
    """How many lines share each place (plane, ky) that was sampled: the averages."""
    _, counts = np.unique(reader.plane * reader.shape[1] + reader.ky, return_counts=True)
    return np.asarray(counts, np.int64)


def without_partitions(space: EncodedSpace) -> EncodedSpace:
    """The encoding of one slice, for headers that put the number of slices into the matrix."""
    nz, mz = space.encoded_matrix[0], space.recon_matrix[0]
    return replace(
        space,
        encoded_matrix=(1, *space.encoded_matrix[1:]),
        encoded_fov_mm=(space.encoded_fov_mm[0] / nz, *space.encoded_fov_mm[1:]),
        recon_matrix=(1, *space.recon_matrix[1:]),
        recon_fov_mm=(space.recon_fov_mm[0] / mz, *space.recon_fov_mm[1:]),
    )
