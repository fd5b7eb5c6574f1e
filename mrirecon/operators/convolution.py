"""Circular convolution, diagonal under the FFT."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.linalg.cg import CGOptions
from mrirecon.linalg.division import above, divide_or_zero
from mrirecon.linalg.space import Space
from mrirecon.operators.base import DEFAULT_CG, LinearOperator


def transfer_function(kernel: Tensor, space: Space, *, origin: tuple[int, int] | None = None) -> Tensor:
    """The Fourier transform of a convolution kernel on the grid of `space`.

    Parameters
    ----------
    kernel
        Point spread function, shape (height, width), or (*batch, channel or 1, height, width); no larger than the
        image; real when the space is real.
    space
        The images, axes (..., channel, y, x).
    origin
        Index of the kernel's origin, ``(height // 2, width // 2)`` when omitted.

    Returns
    -------
        Shape (..., y, x // 2 + 1) on a real space (half spectrum), (..., y, x) on a complex one; not shifted.

    Raises
    ------
    ShapeError
        If the kernel is larger than the image, has other channels, or is complex on a real space.
    """
    height, width = kernel.shape[-2:]
    rows, columns = space.shape[-2:]
    if height > rows or width > columns:
        raise ShapeError(f"the kernel must not exceed the image {(rows, columns)}, got {(height, width)}; crop it")
    if kernel.ndim > 2 and kernel.shape[-3] not in (1, *space.shape[-3:-2]):
        raise ShapeError(
            f"a batched kernel must have shape (*batch, channel or 1, y, x) for images {space.axes} {space.shape}, "
            f"got {tuple(kernel.shape)}; insert a channel axis"
        )
    if kernel.is_complex() and not space.is_complex:
        raise ShapeError(f"the kernel must be real on a space of {space.dtype}, got {kernel.dtype}")
    top, left = (height // 2, width // 2) if origin is None else origin
    full = torch.nn.functional.pad(kernel, (0, columns - width, 0, rows - height))
    full = full.roll((-top, -left), dims=(-2, -1))
    spectrum: Tensor = torch.fft.fft2(full) if space.is_complex else torch.fft.rfft2(full)
    return spectrum


def multiply_spectrum(x: Tensor, multiplier: Tensor) -> Tensor:
    """Multiply the spectrum of the last two axes: half of it when `x` is real, all of it when complex."""
    filtered: Tensor
    if x.is_complex():
        filtered = torch.fft.ifft2(torch.fft.fft2(x) * multiplier)
    else:
        filtered = torch.fft.irfft2(torch.fft.rfft2(x) * multiplier, s=x.shape[-2:])
    return filtered


@dataclass(frozen=True, eq=False)
class CircularConvolution(LinearOperator):
    """A x = h * x with periodic boundary, each channel by itself; every solve is one division in the spectrum.

    Parameters
    ----------
    transfer
        Spectrum of the kernel, made by `transfer_function`.
    space
        Domain and codomain, axes (..., y, x).
    cutoff
        Frequencies where the modulus of `transfer` is at most this fraction of its maximum count as zero in the
        pseudo-inverse, which then amplifies noise by at most 1 / cutoff (relative to the strongest frequency).
    """

    transfer: Tensor
    space: Space
    cutoff: float

    def __post_init__(self) -> None:
        rows, columns = self.space.shape[-2:]
        expected = (rows, columns if self.space.is_complex else columns // 2 + 1)
        if tuple(self.transfer.shape[-2:]) != expected:
            raise ShapeError(
                f"`transfer` must end with {expected} for images {(rows, columns)}, got {tuple(self.transfer.shape)}; "
                "make it with `transfer_function`"
            )

    @property
    def domain(self) -> Space:
        return self.space

    @property
    def codomain(self) -> Space:
        return self.space

    def forward(self, x: Tensor) -> Tensor:
        return multiply_spectrum(x, self.transfer)

    def adjoint(self, y: Tensor) -> Tensor:
        return multiply_spectrum(y, self.transfer.conj())

    def normal(self, x: Tensor) -> Tensor:
        return multiply_spectrum(x, self.transfer.abs().square())

    def norm_squared_bound(self) -> float:
        return float(self.transfer.detach().abs().amax()) ** 2

    def solve_normal(
        self, b: Tensor, rho: Tensor | float, *, x0: Tensor | None = None, cg: CGOptions = DEFAULT_CG
    ) -> Tensor:
        if not constant_in_plane(rho):
            return self.solve_normal_iteratively(b, rho, x0=x0, cg=cg).solution
        power = self.transfer.abs().square()
        return multiply_spectrum(b, divide_or_zero(torch.ones_like(power), power + rho))

    def regularised_inverse(self, y: Tensor, rho: Tensor | float, *, cg: CGOptions = DEFAULT_CG) -> Tensor:
        if not constant_in_plane(rho):
            return self.solve_normal(self.adjoint(y), rho, cg=cg)
        return multiply_spectrum(y, divide_or_zero(self.transfer.conj(), self.transfer.abs().square() + rho))

    def pseudo_inverse(self, y: Tensor, *, cg: CGOptions = DEFAULT_CG) -> Tensor:
        modulus = self.transfer.abs()
        power = torch.where(above(modulus, self.cutoff, (-2, -1)), modulus.square(), 0.0)
        return multiply_spectrum(y, divide_or_zero(self.transfer.conj(), power))


def constant_in_plane(rho: Tensor | float) -> bool:
    """Whether `rho` does not vary along the last two axes, so that it commutes with a convolution."""
    return not isinstance(rho, Tensor) or all(n == 1 for n in rho.shape[-2:])
