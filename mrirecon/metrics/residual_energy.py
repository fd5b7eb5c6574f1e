"""The whitened residual of an image summed over the lines and over the coils of k-space."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

import torch
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.metrics.residual_noise import ResidualNoise, squares
from mrirecon.operators.base import ForwardOperator

LineAxis = Literal["ky", "kx"]


@dataclass(frozen=True)
class ResidualEnergy:
    """Sums of squares of one plane, in units of the noise variance per real component; ready for JSON.

    Parameters
    ----------
    axis
        Which axis the lines are counted along.
    lines
        Positions that were measured, 0 is the first of the grid.
    line_energy, line_samples
        Over all channels of a line: sum of squares, and number of complex samples.
    coil_energy, coil_samples
        Of every receive coil.
    line_data, coil_data
        Sums of squares of the data themselves.
    share
        Measured share of the samples of the grid.
    empty_lines
        Positions that the mask calls measured and where the data are exactly 0 in every coil, which noise never is.
    image_energy, image_data
        Sums of squares of A^H of the residual and of the data; None where they were not asked for.
    """

    axis: LineAxis
    lines: tuple[int, ...]
    line_energy: tuple[float, ...]
    line_samples: tuple[int, ...]
    coil_energy: tuple[float, ...]
    coil_samples: int
    line_data: tuple[float, ...]
    coil_data: tuple[float, ...]
    share: float
    empty_lines: tuple[int, ...] = ()
    image_energy: float | None = None
    image_data: float | None = None

    @property
    def energy(self) -> float:
        """Of the whole plane."""
        return sum(self.line_energy)

    @property
    def data_energy(self) -> float:
        """Of the data of the whole plane."""
        return sum(self.line_data)

    @property
    def samples(self) -> int:
        """Complex samples of the whole plane, all channels."""
        return sum(self.line_samples)


def residual_energies(
    residual: Tensor, data: Tensor, operator: ForwardOperator, *, noise: ResidualNoise, axis: LineAxis | None = None
) -> tuple[ResidualEnergy, ...]:
    """The sums of every batch item.

    Parameters
    ----------
    residual
        Data minus prediction, shape (*batch, coil, ky, kx), complex; what stands where nothing was measured is
        ignored.
    data
        The data, same shape.
    operator
        What knows where data were measured.
    noise
        Of the data.
    axis
        Along which lines are counted; when omitted, the axis on which the mask varies, ``kx`` if that is both or none.

    Raises
    ------
    ShapeError
        If shapes disagree, values are not finite, nothing was measured, or the noise is unknown.
    """
    kept = measured(data, operator)
    axis = axis or line_axis(kept)
    claimed = by_line(operator.keep_measured(torch.ones_like(data)) != 0, axis).any(dim=-1).any(dim=-1)
    residual, known = residual * kept, data * kept
    sums, line_data = (_line_sums(squares(noise.white(v)), axis) for v in (residual, known))
    coils, coil_data = noise.coil_energy(residual), noise.coil_energy(known)
    counts = by_line(kept, axis).sum(dim=(-2, -1))
    if not bool(torch.isfinite(sums).all()):
        raise ShapeError("the residual must be finite, got NaN or infinity; check the reconstruction and the scan")
    n_channels = data.shape[-3]
    found = []
    for line, coil, count, claim, of_lines, of_coils in zip(
        sums.reshape(-1, sums.shape[-1]),
        coils.reshape(-1, coils.shape[-1]),
        counts.reshape(-1, counts.shape[-1]),
        claimed.reshape(-1, claimed.shape[-1]),
        line_data.reshape(-1, line_data.shape[-1]),
        coil_data.reshape(-1, coil_data.shape[-1]),
        strict=True,
    ):
        places = torch.nonzero(count).flatten()
        samples = count[places]
        found.append(
            ResidualEnergy(
                axis,
                tuple(places.tolist()),
                tuple(line[places].tolist()),
                tuple(samples.tolist()),
                tuple(coil.tolist()),
                int(samples.sum()) // n_channels,
                tuple(of_lines[places].tolist()),
                tuple(of_coils.tolist()),
                float(samples.sum()) / prod(kept.shape[-3:]),
                tuple(torch.nonzero(claim & (count == 0)).flatten().tolist()),
            )
        )
    return tuple(found)


def _line_sums(energy: Tensor, axis: LineAxis) -> Tensor:
    """(*batch, coil, ky, kx) to (*batch, line): first over the coils, whose addition is fast."""
    sums: Tensor = energy.sum(dim=-3).sum(dim=-1 if axis == "ky" else -2, dtype=torch.float64)
    return sums


def measured(data: Tensor, operator: ForwardOperator) -> Tensor:
    """Which entries of `data` were measured, bool, its shape: what the operator keeps and is not 0 in every coil.

    Exact zeros are no measurements: the missing part of an asymmetric echo, zero padding, or a mask that is wrong.

    Raises
    ------
    ShapeError
        If the data are not complex multi-coil k-space of this operator, or nothing was measured.
    """
    space = operator.codomain
    space.check(data, "data")
    if space.ndim != 3 or not space.is_complex or space.axes[0] != "coil":
        raise ShapeError(f"a certificate needs k-space with axes (coil, ky, kx), got {space.axes}")
    kept = (operator.keep_measured(torch.ones_like(data)) != 0) & (data != 0).any(dim=-3, keepdim=True)
    empty = ~kept.flatten(-3).any(dim=-1)
    if bool(empty.any()):
        raise ShapeError("no data: the mask keeps nothing, or all measured values are 0; a residual says nothing then")
    return kept


def line_axis(kept: Tensor) -> LineAxis:
    """The axis on which a mask (*batch, coil, ky, kx) of lines varies; ``kx`` where that is both or none."""
    plane = kept.reshape(-1, *kept.shape[-2:]).any(dim=0)
    rows_differ = bool((plane != plane[:1]).any())
    columns_differ = bool((plane != plane[:, :1]).any())
    return "ky" if rows_differ and not columns_differ else "kx"


def by_line(values: Tensor, axis: LineAxis) -> Tensor:
    """(*batch, coil, ky, kx) to (*batch, line, coil, along the line)."""
    return values.movedim(-2 if axis == "ky" else -1, -3)
