"""Linear reconstructions: matched filter and regularised least squares (CG-SENSE)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mrirecon.errors import ConfigError
from mrirecon.linalg.cg import CGOptions
from mrirecon.operators.base import LinearOperator
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.reconstruction.base import Reconstruction, Reconstructor, require_finite


def require_linear(model: MeasurementModel, method: str) -> LinearOperator:
    """The model's operator, `ConfigError` if it is not linear."""
    if not isinstance(model.operator, LinearOperator):
        raise ConfigError(f"method {method!r} needs a linear operator, got {type(model.operator).__name__}")
    return model.operator


@dataclass(frozen=True)
class MatchedFilter(Reconstructor):
    """A^H y: the zero-filled, sensitivity-weighted combination; the noise is not amplified, the aliasing stays."""

    def __call__(
        self, y: Tensor, model: MeasurementModel, *, generator: torch.Generator | None = None
    ) -> Reconstruction:
        operator = require_linear(model, "adjoint")
        operator.codomain.check(y, "y")
        return Reconstruction(require_finite(operator.adjoint(y), "adjoint"))


@dataclass(frozen=True)
class LeastSquares(Reconstructor):
    """argmin_x ||A x - y||^2 + regularisation ||x||^2 by conjugate gradients with its residual: CG-SENSE for MRI.

    Operators with a closed form have it as `LinearOperator.regularised_inverse`.

    Parameters
    ----------
    regularisation
        Tikhonov weight, relative to ||A||^2 <= 1; 0 stops by iterations only.
    cg
        Stopping rule.

    References
    ----------
    .. [1] Pruessmann et al., Advances in sensitivity encoding with arbitrary k-space trajectories, Magn Reson Med 46
       (2001) 638-651.
    """

    regularisation: float = 1e-3
    cg: CGOptions = CGOptions(max_iterations=30, tolerance=1e-4)

    def __post_init__(self) -> None:
        if not 0 <= self.regularisation < float("inf"):
            raise ConfigError(f"`regularisation` must be finite and not negative, got {self.regularisation}")

    def __call__(
        self, y: Tensor, model: MeasurementModel, *, generator: torch.Generator | None = None
    ) -> Reconstruction:
        operator = require_linear(model, "sense")
        operator.codomain.check(y, "y")
        result = operator.solve_normal_iteratively(operator.adjoint(y), self.regularisation, cg=self.cg)
        image = require_finite(result.solution, "sense")
        return Reconstruction(image, result.iterations, result.relative_residual, result.converged)
