"""Whether an image agrees with the data it was made from: residuals in k-space, which need no reference."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.metrics.measures import ResidualMeasure
from mrirecon.metrics.passport import MetricDefinition
from mrirecon.metrics.residual_noise import whitened
from mrirecon.metrics.score import Score
from mrirecon.operators.base import ForwardOperator

MISFIT, RELATIVE, CHI_SQUARE = (
    MetricDefinition(
        ResidualMeasure(normalisation=normalisation), scope="volume", values="complex", reference="k-space"
    )
    for normalisation in ("none", "data", "noise")
)


def residual_scores(
    image: Tensor,
    data: Tensor,
    operator: ForwardOperator,
    *,
    sigma: float | None = None,
    covariance: Tensor | None = None,
) -> list[Score]:
    """`MISFIT`, `RELATIVE` and, where the noise is known, `CHI_SQUARE`: one value each for the whole batch.

    Parameters
    ----------
    image
        Shape (*batch, *domain), in the units in which A x is comparable with the data: complex, of the coils' own
        phase. A root sum of squares has lost that and cannot be checked.
    data
        Measured data, shape (*batch, *codomain).
    operator
        A, with the sampling mask of the data.
    sigma
        Noise standard deviation per real component, the same in all channels; 1 for whitened data.
    covariance
        Instead of `sigma`: E[n n^H] between coils, shape (coil, coil), as `mri.whitening.noise_covariance` gives it.

    Returns
    -------
        The chi-square is not corrected for the parameters of the fit: reconstructions of few data fall below 1.
        Of N measured real components, that of the true image is 1 with standard deviation sqrt(2 / N).

    Raises
    ------
    ShapeError
        If shapes disagree, values are not finite, nothing was measured, or the noise is not positive (definite) or
        given twice.
    """
    operator.codomain.check(data, "data")
    with torch.no_grad():
        residual = operator.keep_measured(operator(image) - data)
        measured = operator.keep_measured(data)
        ones = torch.ones((1,) * (data.ndim - operator.codomain.ndim) + operator.codomain.shape, dtype=data.dtype)
        kept = operator.keep_measured(ones.to(data.device).expand(data.shape))
    for name, values in (("residual", residual), ("data", measured)):
        if not bool(torch.isfinite(torch.view_as_real(values) if values.is_complex() else values).all()):
            raise ShapeError(f"the {name} must be finite, got NaN or infinity; check the reconstruction and the scan")
    components = int(kept.count_nonzero()) * (2 if data.is_complex() else 1)
    size, total = _norm(residual), _norm(measured)
    if components == 0 or total == 0:
        raise ShapeError("no data: the mask keeps nothing, or all measured values are 0; a residual says nothing then")
    scores = [Score(size, MISFIT), Score(size / total, RELATIVE)]
    if sigma is not None and covariance is not None:
        raise ShapeError("give the noise once, as `sigma` or as `covariance`, not both")
    if sigma is not None:
        if not 0 < sigma < math.inf:
            raise ShapeError(f"`sigma` must be positive and finite, got {sigma}")
        scores.append(Score((size / sigma) ** 2 / components, CHI_SQUARE))
    if covariance is not None:
        scores.append(Score(_norm(_whitened(residual, covariance, operator)) ** 2 / components, CHI_SQUARE))
    return scores


def _norm(values: Tensor) -> float:
    parts = torch.view_as_real(values.resolve_conj()) if values.is_complex() else values
    return float(torch.linalg.vector_norm(parts.double()))


def _whitened(residual: Tensor, covariance: Tensor, operator: ForwardOperator) -> Tensor:
    axes = operator.codomain.axes
    if "coil" not in axes:
        raise ShapeError(f"a `covariance` goes with data of several coils, got the axes {axes}; give `sigma`")
    return whitened(residual, covariance, axis=axes.index("coil") - len(axes))
