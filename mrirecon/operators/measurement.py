"""The measurement model: an operator together with the noise on what it measures."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mrirecon.errors import ConfigError
from mrirecon.linalg.cg import CGOptions
from mrirecon.operators.base import DEFAULT_CG, ForwardOperator, LinearOperator
from mrirecon.operators.noise import Noiseless, NoiseModel, QuadraticNoise


@dataclass(frozen=True)
class MeasurementModel:
    """y = noise(A x).

    Parameters
    ----------
    operator
        A.
    noise
        How the data scatter about A x.

    Examples
    --------
    >>> from mrirecon.operators.image import block_average, image_space
    >>> from mrirecon.operators.noise import GaussianNoise
    >>> model = MeasurementModel(block_average(image_space(1, 4, 4), 2), GaussianNoise(0.1))
    >>> model.simulate(torch.ones(1, 4, 4), torch.Generator().manual_seed(0)).shape
    torch.Size([1, 2, 2])
    """

    operator: ForwardOperator
    noise: NoiseModel

    def simulate(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Draw data for the images `x`; entries that are never measured stay zero.

        Noise is drawn on the generator's device and moved to that of `x`.
        """
        clean = self.operator(x)
        return self.operator.keep_measured(self.noise.sample(clean, self.operator.codomain, generator))

    def residual(self, x: Tensor, y: Tensor) -> Tensor:
        """A x - y."""
        self.operator.codomain.check(y, "y")
        return self.operator(x) - y

    def nll(self, x: Tensor, y: Tensor) -> Tensor:
        """-log p(y | x) up to a constant, one value per batch item; for Gaussian noise ||A x - y||^2 / (2 sigma^2)."""
        self.operator.codomain.check(y, "y")
        return self.noise.nll(self.operator(x), y, self.operator.codomain)

    def data_gradient(self, x: Tensor, y: Tensor) -> Tensor:
        """Gradient of `nll` at `x`; for Gaussian noise A^H (A x - y) / sigma^2.

        For complex images the gradient g is such that nll changes by Re <g, dx>.
        """
        self.operator.codomain.check(y, "y")
        return self.operator.vjp(x, self.noise.gradient(self.operator(x), y, self.operator.codomain))

    def prox(self, z: Tensor, y: Tensor, precision: Tensor | float, *, cg: CGOptions = DEFAULT_CG) -> Tensor:
        """argmin over x of nll(A x, y) + precision/2 ||x - z||^2: the data step of a splitting algorithm.

        Computed as z + (A^H A + rho I)^-1 A^H (y - A z) with rho = sigma^2 precision, in closed form where the
        operator has one. Without noise, or with zero precision, it is the least-squares solution nearest to z,
        z + A^+ (y - A z).

        Parameters
        ----------
        z
            Point to stay close to, shape (*batch, *domain).
        y
            Data, shape (*batch, *codomain).
        precision
            Inverse variance about z per real component; non-negative, a number or one per batch item (shape `*batch`).
        cg
            Stopping rule where the operator has no closed form; iterations start at z.

        Raises
        ------
        ConfigError
            If the operator is nonlinear or the noise not Gaussian: then there is no linear system to solve.
        """
        operator, noise = self.operator, self.noise
        if not isinstance(operator, LinearOperator) or not isinstance(noise, QuadraticNoise):
            raise ConfigError(
                "a proximal data step needs a linear operator and Gaussian noise, got "
                f"{type(operator).__name__} and {type(noise).__name__}; use a gradient step (data_gradient)"
            )
        missing = -self.residual(z, y)
        rho = noise.variance(operator.domain) * operator.domain.per_item(precision)
        if isinstance(noise, Noiseless) or (not isinstance(rho, Tensor) and rho == 0):
            return z + operator.pseudo_inverse(missing)
        return z + operator.regularised_inverse(missing, rho, cg=cg)
