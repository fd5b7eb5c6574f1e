"""Periodic convolution followed by decimation: super-resolution with a closed form."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mrirecon.linalg.cg import CGOptions
from mrirecon.linalg.division import above, divide_or_zero
from mrirecon.linalg.space import Space
from mrirecon.operators.base import DEFAULT_CG, LinearOperator
from mrirecon.operators.coisometry import check_divisible, reduced
from mrirecon.operators.convolution import CircularConvolution, constant_in_plane, multiply_spectrum


@dataclass(frozen=True, eq=False)
class CircularDownsampling(LinearOperator):
    """A = S H: periodic convolution, then every `factor`-th pixel of both axes, starting with the first.

    A A^H is itself a circular convolution on the small grid, with eigenvalues g = mean of |transfer|^2 over the
    factor^2 frequencies that alias onto each other, so that A^+ = A^H (A A^H)^+ and, with (A A^H)^+ A A^H = P',
    (A^H A + rho I)^-1 b = A^H ((A A^H)^+ (A A^H + rho I)^-1 A b) + (b - A^H (A A^H)^+ A b) / rho.

    Parameters
    ----------
    transfer
        Spectrum of the kernel on the large grid, made by `transfer_function`.
    space
        Large images, axes (..., y, x).
    factor
        Decimation; divides both lengths.
    cutoff
        Singular values (the roots of g) at most this fraction of the largest count as zero in the pseudo-inverse.

    References
    ----------
    .. [1] Zhao, Wei, Basarab, Dobigeon, Kouamé, Tourneret, Fast single image super-resolution using a new analytical
       solution for l2-l2 problems, IEEE Trans. Image Process. 25 (2016) 3683-3697, 10.1109/TIP.2016.2567075.
    """

    transfer: Tensor
    space: Space
    factor: int
    cutoff: float

    def __post_init__(self) -> None:
        check_divisible(self.space, self.factor)
        CircularConvolution(self.transfer, self.space, self.cutoff)

    @property
    def domain(self) -> Space:
        return self.space

    @property
    def codomain(self) -> Space:
        return reduced(self.space, self.factor)

    def forward(self, x: Tensor) -> Tensor:
        return self._decimate(multiply_spectrum(x, self.transfer))

    def adjoint(self, y: Tensor) -> Tensor:
        spread = y.new_zeros(*y.shape[:-2], *self.space.shape[-2:])
        spread[..., :: self.factor, :: self.factor] = y
        return multiply_spectrum(spread, self.transfer.conj())

    def norm_squared_bound(self) -> float:
        return float(self._gram().detach().amax())

    def solve_normal(
        self, b: Tensor, rho: Tensor | float, *, x0: Tensor | None = None, cg: CGOptions = DEFAULT_CG
    ) -> Tensor:
        if not constant_in_plane(rho):
            return self.solve_normal_iteratively(b, rho, x0=x0, cg=cg).solution
        gram, ab = self._kept_gram(), self.forward(b)
        inverse = divide_or_zero(torch.ones_like(gram), gram)
        seen = self.adjoint(multiply_spectrum(ab, inverse))
        solved = self.adjoint(multiply_spectrum(ab, inverse / torch.where(gram + rho == 0, 1.0, gram + rho)))
        return solved + divide_or_zero(b - seen, rho)

    def regularised_inverse(self, y: Tensor, rho: Tensor | float, *, cg: CGOptions = DEFAULT_CG) -> Tensor:
        if not constant_in_plane(rho):
            return self.solve_normal(self.adjoint(y), rho, cg=cg)
        gram = self._gram() + rho
        return self.adjoint(multiply_spectrum(y, divide_or_zero(torch.ones_like(gram), gram)))

    def pseudo_inverse(self, y: Tensor, *, cg: CGOptions = DEFAULT_CG) -> Tensor:
        gram = self._gram()
        kept = torch.where(above(gram, self.cutoff**2, (-2, -1)), gram, 0.0)
        return self.adjoint(multiply_spectrum(y, divide_or_zero(torch.ones_like(gram), kept)))

    def _decimate(self, x: Tensor) -> Tensor:
        return x[..., :: self.factor, :: self.factor]

    def _gram(self) -> Tensor:
        """Eigenvalues of A A^H on the small grid, from the decimated autocorrelation of the kernel."""
        power = self.transfer.abs().square()
        if self.space.is_complex:
            gram: Tensor = torch.fft.fft2(self._decimate(torch.fft.ifft2(power))).real
        else:
            gram = torch.fft.rfft2(self._decimate(torch.fft.irfft2(power, s=self.space.shape[-2:]))).real
        return gram.clamp_min(0.0)

    def _kept_gram(self) -> Tensor:
        """`_gram` without what is only rounding error."""
        gram = self._gram()
        return torch.where(above(gram, 10 * torch.finfo(gram.dtype).eps, (-2, -1)), gram, 0.0)
