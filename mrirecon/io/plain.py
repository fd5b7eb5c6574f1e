"""What k-space arrays without a header tell by themselves: the sampling mask, and whether they are Cartesian."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from mrirecon.errors import FormatError
from mrirecon.io.extent import partial_fourier_fraction, shortest_mask
from mrirecon.memory import release_freed_memory

_FLAT = 0.25
_FEWEST_LINES = 8
_TRIM_EVERY = 8  # planes


def sampled_positions(path: Path, reader: Callable[[int], Tensor], n_planes: int, *, three_d: bool) -> Tensor:
    """The positions that hold data in any coil, as a mask; zero means not sampled. Reads every plane once.

    Shape (kz, ky, kx), length 1 along every axis on which it is constant.

    Raises
    ------
    FormatError
        If nothing is sampled, values are not finite, slices differ in their sampling, or the data look non-Cartesian.
    """
    masks, energy = [], None
    for index in range(n_planes):
        plane = reader(index)
        if not bool(torch.isfinite(torch.view_as_real(plane)).all()):
            raise FormatError(path, f"plane {index} holds values that are not finite; mend the file")
        power = plane.real.double().square().add(plane.imag.double().square()).sum(0)
        energy = power if energy is None else energy + power
        masks.append((plane != 0).any(0))
        if index % _TRIM_EVERY == _TRIM_EVERY - 1:
            release_freed_memory()
    mask = torch.stack(masks)
    if energy is None or not bool(mask.any()):
        raise FormatError(path, "holds only zeros")
    if not three_d:
        if bool((mask != mask[0]).any()):
            counts = mask.sum((1, 2)).tolist()
            raise FormatError(path, f"its slices are sampled differently: {counts} positions; store them one by one")
        mask = mask[:1]
    refuse_flat_lines(path, energy)
    return torch.from_numpy(shortest_mask(mask.numpy()))


def partial_fourier(mask: Tensor) -> tuple[float, float, float]:
    """Acquired fraction along kz, ky and kx of an asymmetric k-space, 1.0 where it is symmetric."""
    sampled = [mask.any(1).any(1), mask.any(0).any(1), mask.any(0).any(0)]
    z, y, x = (partial_fourier_fraction(axis.numpy()) for axis in sampled)
    return z, y, x


def refuse_flat_lines(path: Path, energy: Tensor) -> None:
    """Refuse data whose lines all carry about the same energy.

    In Cartesian k-space the lines near the centre hold nearly all energy. Spokes of a radial scan all pass through the
    centre, so that even the weakest tenth of them has more than a quarter of the strongest one's energy.

    Parameters
    ----------
    energy
        Energy (ky, kx), summed over coils and planes.

    Raises
    ------
    FormatError
        If the lines along either axis are that even.
    """
    for axis, name in ((1, "rows"), (0, "columns")):
        lines = energy.sum(axis)
        lines = lines[lines > 0]
        if len(lines) < _FEWEST_LINES:
            continue
        weakest = float(torch.quantile(lines, 0.1) / lines.max())
        if weakest > _FLAT:
            raise FormatError(
                path,
                f"looks non-Cartesian: all {len(lines)} {name} pass through the centre of k-space (the weakest tenth "
                f"has {weakest:.0%} of the strongest one's energy; Cartesian data have a few per cent); radial, spiral "
                "and reference data are not read, grid them with another tool",
            )
