"""Write k-space as MRD (ISMRMRD) raw data: header, noise scan, and one acquisition per line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ismrmrd.hdf5 import acquisition_dtype
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.io.atomic import atomic_file
from mrirecon.io.hdf5 import create_hdf5, text_type
from mrirecon.io.ismrmrd.index import DATA, XML
from mrirecon.io.ismrmrd.write_header import header_xml
from mrirecon.scan.encoding import Encoding
from mrirecon.scan.geometry import Geometry
from mrirecon.scan.protocol import Protocol

_BLOCK = 256
_NOISE_LINE = 512
_MAX = 65535
# The flags that the format's own generator sets; some readers drop lines that carry those of encoding step 2 (3 and 4).
_FIRST_STEP_1, _FIRST_SLICE, _FIRST_REPETITION, _NOISE, _LAST = 1, 7, 13, 19, 25


def write_ismrmrd(
    path: str | Path,
    kspace: Tensor,
    *,
    encoding: Encoding,
    geometry: Geometry,
    protocol: Protocol,
    mask: Tensor | None = None,
    noise: Tensor | None = None,
    noise_bandwidth_ratio: float = 1.0,
    interleaved: bool = True,
    simulated: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write one volume of Cartesian k-space so that `read_ismrmrd`, and others, read the same scan back.

    Parameters
    ----------
    path
        The file to make.
    kspace
        Shape ([average,] plane, coil, ky, kx), complex, k = 0 at index ``n // 2``; planes are the slices of a 2D scan
        in spatial order or the kz partitions of a 3D scan, as `protocol.dimensionality` says.
    encoding
        Matrices and fields of view; readout along x.
    geometry
        The encoded grid. A nominal one is written as missing positions and directions, not as if it were known.
    protocol
        Goes to the header as far as MRD has a place for it. Names and frame of reference need `patient_position`.
    mask
        Which samples to write, bool, shape (kz, ky, kx) with 1 along constant axes; all when omitted. Lines without
        samples are not written; the samples of a line must be contiguous.
    noise
        Samples of a noise scan, (coil, n), written before the lines.
    noise_bandwidth_ratio
        Variance of one average of k-space over that of `noise`; becomes the ratio of the dwell times.
    interleaved
        Acquire 2D slices line by line in the order 0, 2, 4, ..., 1, 3, 5, ... and count them in this order, as
        scanners do; otherwise slice after slice.
    simulated
        Mark the file as made from images; `read_ismrmrd` then sets `Scan.simulated`.
    overwrite
        Replace an existing file.

    Returns
    -------
        The path.

    Raises
    ------
    ShapeError
        If array, mask, encoding and geometry disagree, or k-space is not complex and finite.
    ConfigError
        If the protocol cannot be expressed in MRD.
    OutputError
        If the file cannot be written; nothing is left behind then.
    """
    data = _checked(kspace, encoding, protocol)
    plan = _plan(data.shape, encoding, protocol, mask, interleaved=interleaved and not geometry.nominal)
    dwell, noise_dwell = _dwell_times(encoding, protocol, noise, noise_bandwidth_ratio)
    heads = _heads(plan, data.shape, geometry, encoding, is_3d=protocol.dimensionality == "3D", dwell_us=dwell)
    noise_lines = _noise_lines(noise, data.shape[2], heads[:1], noise_dwell)
    heads["scan_counter"] = np.arange(len(heads)) + len(noise_lines) + 1
    header = header_xml(encoding, geometry, protocol, data.shape, simulated=simulated)
    path = Path(path)
    with atomic_file(path, overwrite=overwrite) as temporary, create_hdf5(temporary) as file:
        file.create_dataset(XML, (1,), dtype=text_type())[0] = header
        n = len(noise_lines) + len(heads)
        target = file.create_dataset(DATA, (n,), maxshape=(None,), chunks=(min(n, _BLOCK),), dtype=acquisition_dtype)
        if noise_lines:
            _write_block(target, 0, np.concatenate([h for h, _ in noise_lines]), [s for _, s in noise_lines])
        for start in range(0, len(heads), _BLOCK):
            rows = slice(start, start + _BLOCK)
            samples = [
                data[a, p, :, ky, first:last]
                for a, p, ky, first, last in zip(
                    plan.average[rows], plan.plane[rows], plan.ky[rows], plan.first[rows], plan.last[rows], strict=True
                )
            ]
            _write_block(target, len(noise_lines) + start, heads[rows], samples)
    return path


@dataclass(frozen=True)
class _Plan:
    """Lines in the order of acquisition; `counter` is the slice counter, `last` is exclusive."""

    average: NDArray[np.int64]
    plane: NDArray[np.int64]
    counter: NDArray[np.int64]
    ky: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]


def _checked(kspace: Tensor, encoding: Encoding, protocol: Protocol) -> NDArray[np.complex64]:
    """K-space as complex64 (average, plane, coil, ky, kx)."""
    if kspace.ndim == 4:
        kspace = kspace[None]
    nz, ny, nx = encoding.encoded_matrix
    is_3d = protocol.dimensionality == "3D"
    if encoding.readout_axis != "x":
        raise ShapeError("MRD lines run along x, but the readout axis of this encoding is y; exchange both axes first")
    if kspace.ndim != 5 or not kspace.is_complex() or 0 in kspace.shape:
        raise ShapeError(
            f"`kspace` must be complex with shape ([average,] plane, coil, ky, kx), got {tuple(kspace.shape)} "
            f"{kspace.dtype}"
        )
    if tuple(kspace.shape[-2:]) != (ny, nx) or (is_3d and kspace.shape[1] != nz):
        plane = f"plane={nz}" if is_3d else "plane"
        raise ShapeError(
            f"`kspace` must have shape ([average,] {plane}, coil, ky={ny}, kx={nx}) as its encoding says, got "
            f"{tuple(kspace.shape)}"
        )
    if not is_3d and nz != 1:
        raise ShapeError(f"the encoded matrix of a 2D scan must have one partition, got {nz}")
    if max(kspace.shape) > _MAX:
        raise ShapeError(f"MRD counts with 16 bits, so no axis may be longer than {_MAX}, got {tuple(kspace.shape)}")
    if not torch.isfinite(torch.view_as_real(kspace.resolve_conj())).all():
        raise ShapeError("`kspace` must be finite, but holds NaN or infinite samples")
    return kspace.detach().cpu().to(torch.complex64).resolve_conj().numpy()


def _plan(
    shape: tuple[int, ...], encoding: Encoding, protocol: Protocol, mask: Tensor | None, *, interleaved: bool
) -> _Plan:
    n_averages, n_planes, _, ny, nx = shape
    is_3d = protocol.dimensionality == "3D"
    grid = (n_planes if is_3d else 1, ny, nx)
    if mask is None:
        mask = torch.ones(1, 1, 1, dtype=torch.bool)
    if (
        mask.dtype != torch.bool
        or mask.ndim != 3
        or any(m not in (1, n) for m, n in zip(mask.shape, grid, strict=True))
    ):
        raise ShapeError(
            f"`mask` must be bool and broadcast to (kz, ky, kx) = {grid}, got {tuple(mask.shape)} {mask.dtype}"
        )
    sampled = np.broadcast_to(mask.cpu().numpy(), grid)
    kz, ky = np.nonzero(sampled.any(axis=2))
    if kz.size == 0:
        raise ShapeError("`mask` leaves no sample to write")
    first = sampled.argmax(axis=2)[kz, ky]
    last = nx - sampled[:, :, ::-1].argmax(axis=2)[kz, ky]
    if (sampled.sum(axis=2)[kz, ky] != last - first).any():
        raise ShapeError("the samples of a line must be contiguous along kx; MRD has no place for gaps in a readout")
    if (first > nx // 2).any():
        raise ShapeError("every line must begin at or before k = 0 along kx; the mask leaves it out")
    average = np.arange(n_averages)
    if is_3d:
        a, i = (g.reshape(-1) for g in np.meshgrid(average, np.arange(ky.size), indexing="ij"))
        return _Plan(a, kz[i], np.zeros_like(a), ky[i], first[i], last[i])
    order = np.concatenate([np.arange(0, n_planes, 2), np.arange(1, n_planes, 2)])
    if interleaved:
        a, i, counter = (
            g.reshape(-1) for g in np.meshgrid(average, np.arange(ky.size), np.arange(n_planes), indexing="ij")
        )
        plane = order[counter]
    else:
        counter, a, i = (
            g.reshape(-1) for g in np.meshgrid(np.arange(n_planes), average, np.arange(ky.size), indexing="ij")
        )
        plane = counter
    return _Plan(a, plane, counter, ky[i], first[i], last[i])


def _dwell_times(encoding: Encoding, protocol: Protocol, noise: Tensor | None, ratio: float) -> tuple[float, float]:
    """Microseconds per sample of imaging lines and noise lines; 0 stands for unknown."""
    bandwidth = protocol.pixel_bandwidth_hz
    if bandwidth is None:
        if noise is not None and ratio != 1.0:
            raise ConfigError(
                f"`noise_bandwidth_ratio` {ratio:g} is written as a ratio of dwell times, which needs "
                "`protocol.pixel_bandwidth_hz`; give it, or scale the noise and leave the ratio at 1"
            )
        return 0.0, 0.0
    dwell = 1e6 / (bandwidth * encoding.encoded_matrix[2])
    return dwell, dwell * ratio


def _heads(
    plan: _Plan, shape: tuple[int, ...], geometry: Geometry, encoding: Encoding, *, is_3d: bool, dwell_us: float
) -> NDArray[np.void]:
    n = plan.ky.size
    _, n_planes, n_coils, ny, nx = shape
    heads = np.zeros(n, acquisition_dtype["head"])
    heads["version"] = 1
    heads["available_channels"] = heads["active_channels"] = n_coils
    heads["channel_mask"] = _channel_mask(n_coils)
    heads["number_of_samples"] = plan.last - plan.first
    heads["center_sample"] = nx // 2 - plan.first
    heads["sample_time_us"] = dwell_us
    heads["idx"]["kspace_encode_step_1"] = plan.ky
    heads["idx"]["kspace_encode_step_2"] = plan.plane if is_3d else 0
    heads["idx"]["average"] = plan.average
    heads["idx"]["slice"] = plan.counter
    if not geometry.nominal:
        middle = np.full(n, n_planes // 2) if is_3d else plan.plane
        at = np.stack([middle, np.full(n, ny // 2), np.full(n, nx // 2)])
        heads["position"] = (geometry.affine[:3, :3] @ at).T + geometry.affine[:3, 3]
        heads["read_dir"] = geometry.row_direction
        heads["phase_dir"] = geometry.column_direction
        through = geometry.affine[:3, 0]
        heads["slice_dir"] = through / np.linalg.norm(through)
    flags = np.zeros(n, np.uint64)
    partition = plan.plane if is_3d else np.zeros_like(plan.plane)
    _mark(flags, (plan.average * n_planes + plan.counter) * (partition.max() + 1) + partition, _FIRST_STEP_1)
    _mark(flags, plan.counter, _FIRST_SLICE)
    _mark(flags, np.zeros(n, np.int64), _FIRST_REPETITION)
    flags[-1] |= np.uint64(1 << (_LAST - 1))
    heads["flags"] = flags
    return heads


def _mark(flags: NDArray[np.uint64], group: NDArray[np.int64], first_flag: int) -> None:
    """Set "first in" on the first line of each group and "last in", the next flag, on its last."""
    _, first = np.unique(group, return_index=True)
    _, last = np.unique(group[::-1], return_index=True)
    flags[first] |= np.uint64(1 << (first_flag - 1))
    flags[group.size - 1 - last] |= np.uint64(1 << first_flag)


def _channel_mask(n_coils: int) -> NDArray[np.uint64]:
    bits = np.arange(1024) < n_coils
    return np.packbits(bits, bitorder="little").view("<u8")


def _noise_lines(
    noise: Tensor | None, n_coils: int, like: NDArray[np.void], dwell_us: float
) -> list[tuple[NDArray[np.void], NDArray[np.complex64]]]:
    if noise is None:
        return []
    if noise.ndim != 2 or noise.shape[0] != n_coils or not noise.is_complex() or noise.shape[1] == 0:
        raise ShapeError(f"`noise` must be complex with shape (coil={n_coils}, n), got {tuple(noise.shape)}")
    if not torch.isfinite(torch.view_as_real(noise.resolve_conj())).all():
        raise ShapeError("`noise` must be finite, but holds NaN or infinite samples")
    samples = noise.detach().cpu().to(torch.complex64).resolve_conj().numpy()
    lines = []
    for i, start in enumerate(range(0, samples.shape[1], _NOISE_LINE)):
        part = samples[:, start : start + _NOISE_LINE]
        head = like.copy()
        head["flags"] = np.uint64(1 << (_NOISE - 1))
        head["idx"] = np.zeros(1, head.dtype["idx"])
        head["scan_counter"] = i + 1
        head["number_of_samples"] = part.shape[1]
        head["center_sample"] = part.shape[1] // 2
        head["sample_time_us"] = dwell_us
        lines.append((head, part))
    return lines


def _write_block(target: Any, start: int, heads: NDArray[np.void], samples: list[NDArray[np.complex64]]) -> None:
    block = np.empty(len(heads), acquisition_dtype)
    block["head"] = heads
    for i, values in enumerate(samples):
        block["data"][i] = np.ascontiguousarray(values).view(np.float32).reshape(-1)
        block["traj"][i] = np.empty(0, np.float32)
    target[start : start + len(heads)] = block
