"""Scanners' raw data as inputs of a study: whitened once, with a reference where the data are complete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.config.schema import Preparation
from mrirecon.config.study_schema import ScanInput
from mrirecon.errors import ConfigError, ShapeError
from mrirecon.evaluation.problems import evenly_spaced
from mrirecon.evaluation.study.layout import Layout
from mrirecon.evaluation.study.records import InputRecord
from mrirecon.evaluation.undersampling import maps_of
from mrirecon.io.base import open_scan
from mrirecon.io.inspection import describe_protocol
from mrirecon.jobs.assemble import final_grid, to_recon_plane
from mrirecon.jobs.calibrate import calibrate
from mrirecon.jobs.planes import PlaneStack, slice_stack, volume_stack
from mrirecon.jobs.reporting import Silent
from mrirecon.jobs.study.prepared import Prepared, affine_of, write_array
from mrirecon.jobs.study.regions import regions_of
from mrirecon.jobs.study.sources import Source
from mrirecon.linalg.fft import ifft
from mrirecon.mri.coils import apply_coil_matrix, root_sum_of_squares
from mrirecon.mri.mask_card import PhaseEncodingAxis
from mrirecon.mri.reference_maps import measured_maps
from mrirecon.operators.mri import cartesian_mri, constant_axes_reduced
from mrirecon.scan import Encoding, Scan

COMPLETE = 0.7
"""Share of an axis that a gapless block of lines must have to count as complete, the rest being zero-filled."""


FILLED = 0.95
"""Share of the samples of that block that must not be 0: files that mark missing samples by zeros have chance ones."""


@dataclass(frozen=True, eq=False)
class MeasuredPlanes:
    """The chosen planes of a scan; see `prepared.Planes`.

    Parameters
    ----------
    stack
        Of these planes alone.
    coil_matrix
        Whitening and compression.
    body
        The same planes through the body coil, None without.
    """

    stack: PlaneStack
    coil_matrix: Tensor
    body: PlaneStack | None = None

    def kspace(self, place: int) -> Tensor:
        return apply_coil_matrix(self.coil_matrix, self.stack.read(place))

    def maps(self, place: int, kspace: Tensor) -> Tensor | None:
        if self.body is None:
            return None
        return measured_maps(ifft(self.kspace(place), (-2, -1)), ifft(self.body.read(place), (-2, -1)))

    def finished(self, image: Tensor) -> Tensor:
        return to_recon_plane(image, self.stack.encoding, is_3d=self.stack.is_3d, crop=True)


def open_measured(source: Source, layout: Layout, prepared: Prepared, *, root: Path) -> MeasuredPlanes:
    """The planes of an input that was prepared before."""
    scan = _opened(source)
    slices = prepared.record.slices
    cached = _cached_planes(layout, source.name)
    stack = _chosen(_shape_only(scan), slices, cached) if scan.is_3d else _chosen(_of_slices(scan), slices)
    if prepared.coil_matrix is None:
        raise ConfigError(f"input {source.name} was prepared without a coil matrix; delete its files and run again")
    return MeasuredPlanes(stack, prepared.coil_matrix, _body(source, stack, slices, root))


def prepare_measured(
    source: Source, layout: Layout, *, root: Path, reference: str, identity: str
) -> tuple[Prepared, NDArray[np.float32] | None]:
    """Read an input once: noise, coils, reference, facts. Planes of 3D scans are kept beside them.

    Raises
    ------
    MrireconError
        If the file is damaged, or its slices, labels or coil reference do not fit.
    """
    choice = cast(ScanInput, source.choice)
    scan = _opened(source)
    with TemporaryDirectory(dir=layout.inputs, prefix=".hybrid-") as folder:
        whole = (
            volume_stack(scan, remove_oversampling=True, workspace=Path(folder), reporter=Silent())
            if (scan.is_3d)
            else _of_slices(scan)
        )
        slices = _slices(choice, whole.n_planes)
        stack = _chosen(whole, slices)
        if scan.is_3d:
            write_array(_cached_planes(layout, source.name), np.stack([stack.read(i) for i in range(len(slices))]))
            stack = _chosen(whole, slices, _cached_planes(layout, source.name))
    calibration = calibrate(scan, stack, Preparation(virtual_coils=choice.virtual_coils), Silent())
    if calibration.noise_sigma is not None:
        sigma = calibration.noise_sigma * calibration.scale
    else:
        sigma = (calibration.noise_bound or 0.0) * calibration.scale
    planes = MeasuredPlanes(stack, calibration.coil_matrix, _body(source, stack, slices, root))
    acquired = _whole_lines(stack.mask)
    share = _gapless_share(acquired)
    complete = choice.sampled == "fully" or (choice.sampled == "auto" and share >= COMPLETE)
    images = None
    if complete:
        images = np.stack([_reference(planes, i, reference) for i in range(len(slices))])
    matrix = tuple(planes.finished(torch.zeros(stack.shape, dtype=torch.complex64)).shape)
    label = ("sense" if planes.body is not None and reference == "mvue" else reference) if complete else ""
    geometry = final_grid(scan, crop=True)
    order = (2, 0, 1) if scan.is_3d else (0, 1, 2)
    sizes = tuple(geometry.voxel_size_mm[axis] for axis in order)
    whole_shape = (whole.n_planes, matrix[0], matrix[1])
    record = InputRecord(
        name=source.name,
        subject=source.subject,
        source=source.label,
        sha256=source.sha256(),
        kind="simulated" if scan.simulated else "measured",
        fully_sampled=complete,
        slices=slices,
        matrix=(matrix[0], matrix[1]),
        coils=scan.n_coils,
        voxel_size_mm=None if _sizes_unknown(scan) else (sizes[0], sizes[1], sizes[2]),
        affine_lps=None if geometry.nominal else affine_of(geometry.affine, order, slices[0]),
        protocol={name: value for name, value in describe_protocol(scan.protocol).items() if value is not None},
        limits=_limits(scan, stack, share, complete=complete, reference=label, notes=calibration.notes),
        reference=label,
    )
    regions, digests = regions_of(source, record, whole_shape, root=root)
    prepared = Prepared(
        record=record,
        identity=identity,
        grid=stack.shape,
        axis=_axis(scan, acquired),
        acquired=acquired,
        sigma=float(sigma),
        coil_matrix=calibration.coil_matrix,
        regions=regions,
        beside=digests,
    )
    return prepared, images


def _reference(planes: MeasuredPlanes, place: int, kind: str) -> NDArray[np.float32]:
    """All acquired lines of a plane combined: magnitude (rows, columns)."""
    kspace = planes.kspace(place)
    if kind == "rss":
        combined = root_sum_of_squares(planes.finished(ifft(kspace, (-2, -1))))[0]
    else:
        maps = planes.maps(place, kspace)
        maps = maps_of(kspace, planes.stack.mask.expand(planes.stack.shape)) if maps is None else maps
        full = cartesian_mri(torch.ones(1, 1, dtype=torch.bool), maps)
        combined = planes.finished(full.adjoint(kspace))[0].abs()
    return combined.float().numpy()


def _opened(source: Source) -> Scan:
    choice = cast(ScanInput, source.choice)
    return open_scan(source.paths[0], contrast=choice.contrast, repetition=choice.repetition)


def _of_slices(scan: Scan) -> PlaneStack:
    return slice_stack(scan, remove_oversampling=True)


def _shape_only(scan: Scan) -> PlaneStack:
    """The stack of a 3D scan whose samples come from elsewhere."""
    encoding = scan.encoding.without_readout_oversampling()
    n_z, n_y, _ = encoding.encoded_matrix
    length = encoding.recon_matrix[2]
    fov_z, fov_y, _ = encoding.encoded_fov_mm
    hybrid: Encoding = replace(
        encoding, encoded_matrix=(n_z, n_y, length), encoded_fov_mm=(fov_z, fov_y, encoding.recon_fov_mm[2])
    )
    mask = scan.mask.any(dim=-1)

    def nothing(index: int) -> Tensor:
        raise ConfigError(f"plane {index} of {scan.source.name} was not kept; delete the input's files and run again")

    return PlaneStack(length, scan.n_coils, (n_z, n_y), mask, hybrid, "yx", scan.source, True, nothing)


def _chosen(stack: PlaneStack, slices: Sequence[int], cached: Path | None = None) -> PlaneStack:
    """The stack of the chosen planes alone, read from a file of them if there is one."""
    loader = stack.loader
    if cached is None:
        return replace(stack, n_planes=len(slices), loader=lambda place: loader(slices[place]))

    def load(place: int) -> Tensor:
        return torch.from_numpy(np.array(np.load(cached, mmap_mode="r", allow_pickle=False)[place]))

    return replace(stack, n_planes=len(slices), loader=load)


def _cached_planes(layout: Layout, name: str) -> Path:
    return layout.inputs / f"{name}.planes.npy"


def _slices(choice: ScanInput, available: int) -> tuple[int, ...]:
    wanted = choice.slices
    if wanted is None:
        return tuple(range(available))
    if isinstance(wanted, int):
        return tuple(evenly_spaced(available, wanted))
    if wanted[-1] >= available:
        raise ConfigError(f"`slices` names {wanted[-1]}, the scan has 0 to {available - 1}")
    return wanted


def _body(source: Source, stack: PlaneStack, slices: Sequence[int], root: Path) -> PlaneStack | None:
    path = source.beside(root).get("coil_reference")
    if path is None:
        return None
    scan = open_scan(path)
    body = slice_stack(scan, remove_oversampling=True)
    if stack.is_3d or body.shape != stack.shape or body.n_planes <= slices[-1]:
        raise ShapeError(
            f"the coil reference {path.name} has {body.n_planes} slices of {body.shape}, the scan slices of "
            f"{stack.shape}; both must be two-dimensional scans with the same protocol"
        )
    return _chosen(body, slices)


def _whole_lines(mask: Tensor) -> Tensor:
    """The mask without single samples that happen to be 0 in files that mark what is missing by zeros."""
    block = mask.any(dim=1, keepdim=True) & mask.any(dim=0, keepdim=True)
    filled = float((mask & block).sum()) / max(1, int(block.sum()))
    return constant_axes_reduced(block, 2) if filled >= FILLED else mask


def _gapless_share(mask: Tensor) -> float:
    """Least share of an axis that is acquired without a gap and about the origin; 0 with gaps, or a pattern in both."""
    shares = []
    rows, columns = mask.any(dim=1, keepdim=True), mask.any(dim=0, keepdim=True)
    for acquired in (rows, columns):
        lines = acquired.flatten()
        kept = torch.nonzero(lines).flatten()
        gapless = len(kept) > 0 and int(kept[-1] - kept[0]) + 1 == len(kept)
        about = gapless and int(kept[0]) <= len(lines) // 2 <= int(kept[-1])
        shares.append(len(kept) / len(lines) if about else 0.0)
    return min(shares) if bool((rows & columns == mask).all()) else 0.0


def _axis(scan: Scan, mask: Tensor) -> PhaseEncodingAxis:
    """Phase encoding of a plane whose lines are whole."""
    if scan.is_3d:
        return "x" if mask.shape[0] == 1 < mask.shape[1] else "y" if mask.shape[1] == 1 < mask.shape[0] else "yx"
    separable = bool((mask.any(dim=1, keepdim=True) & mask.any(dim=0, keepdim=True) == mask).all())
    return scan.protocol.phase_encoding_axis if separable else "yx"


def _sizes_unknown(scan: Scan) -> bool:
    """Whether the reader had to make up voxel sizes, which it says."""
    return scan.geometry.nominal and any("voxel size (1 mm)" in note for note in scan.notes)


def _limits(
    scan: Scan, stack: PlaneStack, share: float, *, complete: bool, reference: str, notes: tuple[str, ...]
) -> tuple[str, ...]:
    found = []
    if scan.simulated:
        found.append("The k-space was simulated from images; it is not a measurement.")
    if complete and 0 < share < 1:
        found.append(
            f"Only {100 * share:.0f} % of the lines of k-space were acquired (without gaps); the rest is zero, in the "
            "reference too: its resolution is that of what was acquired."
        )
    elif complete and share == 0:
        found.append("The acquired samples do not fill k-space; the reference is the zero-filled image of all of them.")
    if complete:
        found.append("The reference is itself measured and noisy; a score says how near an image comes to it.")
        found.append("Undersampling is retrospective: motion, contrast and eddy currents are those of the full scan.")
    if not complete:
        found.append("The scanner undersampled this scan: there is no reference, and no score against one.")
    if reference == "sense":
        found.append("The reference was combined with the measured sensitivity maps that the methods use as well.")
    if stack.is_3d:
        found.append("Slices are planes across the readout of a 3D scan, reconstructed one by one.")
    found += [note for note in notes if "whitened" in note or "noise" in note or "compressed" in note]
    return (*found, *scan.notes)
