"""Periodic wavelet transforms in n dimensions: orthonormal, and undecimated as a Parseval frame."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.linalg.lattice import Lattice


def wavelet_analysis(
    x: Tensor, lattice: Lattice, *, n_levels: int, spatial_ndim: int = 2
) -> tuple[Tensor, list[Tensor]]:
    """Orthonormal multi-level transform of the last `spatial_ndim` axes, of any lengths.

    Parameters
    ----------
    x
        Real, shape (*batch, [z,] y, x).
    lattice
        The filter bank (`wavelet_lattice`).
    n_levels
        How often the approximation is split again.
    spatial_ndim
        Number of trailing axes to transform.

    Returns
    -------
    approximation
        Shape (*batch, *coarse), with ``ceil(n / 2**n_levels)`` samples for an axis of n.
    details
        Finest level first, each of shape (2**spatial_ndim - 1, *batch, *size); the first axis counts in binary
        which axes were high-passed, x being the lowest bit.

    Raises
    ------
    ShapeError
        If an axis is shorter than ``2**n_levels``.

    Notes
    -----
    Equals PyWavelets' "periodization" mode where all lengths are even. The last sample of an axis of odd length is
    passed on to the approximation unfiltered and its detail is zero, so that the map stays an isometry (W^T W = I).
    """
    _check_levels(x, n_levels, spatial_ndim)
    details = []
    for _ in range(n_levels):
        for axis in range(-1, -spatial_ndim - 1, -1):
            x = torch.stack(_split(x, lattice, axis))
        bands = x.flatten(0, spatial_ndim - 1)
        x = bands[0]
        details.append(bands[1:])
    return x, details


def wavelet_synthesis(
    approximation: Tensor, details: Sequence[Tensor], lattice: Lattice, *, shape: Sequence[int]
) -> Tensor:
    """Inverse (and adjoint) of `wavelet_analysis`.

    Parameters
    ----------
    approximation, details
        As returned by the analysis.
    lattice
        The same filter bank.
    shape
        Spatial shape of the image, [z,] y, x.
    """
    spatial_ndim = len(shape)
    sizes = [tuple(-(-n // 2**level) for n in shape) for level in range(len(details))]
    x = approximation
    for size, bands in zip(reversed(sizes), reversed(list(details)), strict=True):
        x = _unstack(x, bands, spatial_ndim)
        for axis, n in zip(range(-spatial_ndim, 0), size, strict=True):
            x = _join(x[0], x[1], lattice, axis, n)
    return x


def undecimated_analysis(
    x: Tensor, lattice: Lattice, *, n_levels: int, spatial_ndim: int = 2
) -> tuple[Tensor, list[Tensor]]:
    """Shift-invariant transform: no subsampling, filters spread by ``2**level``; a Parseval frame, W^T W = I.

    Parameters and returned values are those of `wavelet_analysis`, except that every band has the size of the image
    and every level carries another factor ``2**(-spatial_ndim / 2)``. Any length is exact.
    """
    _check_levels(x, n_levels, spatial_ndim)
    details = []
    for level in range(n_levels):
        for axis in range(-1, -spatial_ndim - 1, -1):
            x = torch.stack(_split_undecimated(x, lattice, axis, 2**level))
        bands = x.flatten(0, spatial_ndim - 1).mul_(2 ** (-spatial_ndim / 2))
        x = bands[0]
        details.append(bands[1:])
    return x, details


def undecimated_synthesis(
    approximation: Tensor, details: Sequence[Tensor], lattice: Lattice, *, spatial_ndim: int = 2
) -> Tensor:
    """Adjoint of `undecimated_analysis`, and its left inverse."""
    x = approximation
    for level in range(len(details) - 1, -1, -1):
        x = _unstack(x, details[level], spatial_ndim)
        for axis in range(-spatial_ndim, 0):
            x = _join_undecimated(x[0], x[1], lattice, axis, 2**level)
        x = x * 2 ** (-spatial_ndim / 2)
    return x


def _check_levels(x: Tensor, n_levels: int, spatial_ndim: int) -> None:
    shape = tuple(x.shape[x.ndim - spatial_ndim :])
    if x.ndim < spatial_ndim or min(shape) < 2**n_levels:
        raise ShapeError(
            f"{n_levels} wavelet levels need at least {2**n_levels} samples along each of {spatial_ndim} axes, "
            f"got shape {tuple(x.shape)}; take fewer levels"
        )


def _unstack(approximation: Tensor, details: Tensor, spatial_ndim: int) -> Tensor:
    """All bands of a level with one axis of length 2 per spatial axis, the slowest first."""
    return torch.cat([approximation[None], details]).view((2,) * spatial_ndim + approximation.shape)


def _periodic(x: Tensor, axis: int, start: int, length: int) -> Tensor:
    """``x[start : start + length]`` of the periodic continuation along `axis`."""
    n = x.shape[axis]
    if start == 0 and length == n:
        return x
    pieces = []
    position = start % n
    while length > 0:
        size = min(n - position, length)
        pieces.append(x.narrow(axis, position, size))
        position, length = 0, length - size
    return torch.cat(pieces, dim=axis)


def _offsets(lattice: Lattice) -> tuple[int, int, int]:
    """Parity of the samples that enter the lattice as "even", and how far even and odd ones are set back."""
    reach = lattice.n_stages - 1
    parity = reach % 2
    return parity, (reach + parity) // 2, (reach - parity) // 2


def _polyphase(x: Tensor, axis: int, parity: int) -> tuple[Tensor, Tensor]:
    """Views of every second sample, starting with number `parity` and with the other one."""
    paired = x.view(*x.shape[: x.ndim + axis], x.shape[axis] // 2, 2, *x.shape[x.ndim + axis + 1 :])
    pair = x.ndim + axis + 1
    return paired.select(pair, parity), paired.select(pair, 1 - parity)


def _split(x: Tensor, lattice: Lattice, axis: int) -> tuple[Tensor, Tensor]:
    n = x.shape[axis]
    half = n // 2
    parity, even_back, odd_back = _offsets(lattice)
    even, odd = _polyphase(x.narrow(axis, 0, 2 * half), axis, parity)
    length = half + lattice.n_stages - 1
    low, high = lattice.analyse(
        _periodic(even, axis, -even_back, length), _periodic(odd, axis, -odd_back, length), axis=axis
    )
    if n % 2:
        last = x.narrow(axis, n - 1, 1)
        low, high = torch.cat([low, last], dim=axis), torch.cat([high, torch.zeros_like(last)], dim=axis)
    return low, high


def _join(low: Tensor, high: Tensor, lattice: Lattice, axis: int, n: int) -> Tensor:
    half = n // 2
    reach = lattice.n_stages - 1
    parity, _, odd_back = _offsets(lattice)
    start, length = odd_back - reach, half + reach + parity
    even, odd = lattice.synthesise(
        _periodic(low.narrow(axis, 0, half), axis, start, length),
        _periodic(high.narrow(axis, 0, half), axis, start, length),
        axis=axis,
    )
    out = low.new_empty([*low.shape[: low.ndim + axis], n, *low.shape[low.ndim + axis + 1 :]])
    for position, samples in enumerate((even.narrow(axis, parity, half), odd.narrow(axis, 0, half))):
        # A view taken before the other was written would not know that the image now has a history.
        _polyphase(out.narrow(axis, 0, 2 * half), axis, parity)[position].copy_(samples)
    if n % 2:
        out.narrow(axis, n - 1, 1).copy_(low.narrow(axis, half, 1))
    return out


def _split_undecimated(x: Tensor, lattice: Lattice, axis: int, spacing: int) -> tuple[Tensor, Tensor]:
    n, reach = x.shape[axis], lattice.n_stages - 1
    length = n + 2 * spacing * reach
    padded = _periodic(x, axis, -reach * spacing, length + spacing)
    even, odd = padded.narrow(axis, 0, length), padded.narrow(axis, spacing, length)
    return lattice.analyse(even, odd, axis=axis, delay=2 * spacing)


def _join_undecimated(low: Tensor, high: Tensor, lattice: Lattice, axis: int, spacing: int) -> Tensor:
    n, reach = low.shape[axis], lattice.n_stages - 1
    start, length = -(reach + 1) * spacing, n + (2 * reach + 1) * spacing
    even, odd = lattice.synthesise(
        _periodic(low, axis, start, length), _periodic(high, axis, start, length), axis=axis, delay=2 * spacing
    )
    return even.narrow(axis, spacing, n) + odd.narrow(axis, 0, n)
