"""A normal distribution of features given covariates, fitted to examples and small enough for a model card."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import ConfigError

Floats = NDArray[np.float64]
_DIGITS = 6


@dataclass(frozen=True)
class FeatureModel:
    """f given c is normal with mean B c and the covariance (L^T L)^-1.

    Parameters
    ----------
    coefficients
        B, a row per feature, a column per covariate.
    whitening
        L, square.
    examples
        How many it was fitted to.
    """

    coefficients: tuple[tuple[float, ...], ...]
    whitening: tuple[tuple[float, ...], ...]
    examples: int = 0

    def __post_init__(self) -> None:
        n = len(self.coefficients)
        if n == 0 or len(self.whitening) != n or any(len(row) != n for row in self.whitening):
            raise ConfigError(f"a model of {n} features needs {n} x {n} whitening; fit it again")

    @classmethod
    def fit(cls, features: Floats, covariates: Floats) -> FeatureModel:
        """Least squares, and the covariance of the rest shrunk towards its diagonal as far as Ledoit and Wolf say [1]_.

        Parameters
        ----------
        features
            (example, feature).
        covariates
            (example, covariate), a column of ones among them.

        Raises
        ------
        ConfigError
            If there are not more examples than covariates, or a feature does not vary.

        References
        ----------
        .. [1] Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance matrices, J Multivar Anal
           88 (2004) 365-411; here on features of unit variance.
        """
        n = len(features)
        if n <= covariates.shape[1] + 1:
            raise ConfigError(f"{n} examples are too few for {covariates.shape[1]} covariates; simulate more")
        coefficients = np.linalg.lstsq(covariates, features, rcond=None)[0].T.astype(np.float64)
        rest = features - covariates @ coefficients.T
        spread = rest.std(axis=0)
        if not bool((spread > 0).all()):
            raise ConfigError("a feature is the same in all examples; leave its level or band out")
        whitening = np.linalg.cholesky(np.linalg.inv(shrunk_covariance(rest / spread))).T / spread
        return cls(_rows(coefficients), _rows(whitening), n)

    def distance(self, features: Floats, covariates: Floats) -> Floats:
        """Mean square of the whitened deviations, per example: 1 on average where the model holds."""
        coefficients, whitening = np.array(self.coefficients), np.array(self.whitening)
        if features.shape[-1] != len(whitening) or covariates.shape[-1] != coefficients.shape[1]:
            raise ConfigError(
                f"the model has {len(whitening)} features and {coefficients.shape[1]} covariates, got "
                f"{features.shape[-1]} and {covariates.shape[-1]}"
            )
        deviations = (features - covariates @ coefficients.T) @ whitening.T
        found: Floats = np.square(deviations).mean(axis=-1)
        return found


def shrunk_covariance(centred: Floats) -> Floats:
    """Covariance of centred examples (example, feature), shrunk towards a multiple of the identity."""
    n, p = centred.shape
    sample = centred.T @ centred / n
    mean = float(np.trace(sample)) / p
    distance = float(np.square(sample - mean * np.eye(p)).sum())
    squares = np.square(centred).sum(axis=1)
    error = float((np.square(squares) - 2 * np.einsum("ij,jk,ik->i", centred, sample, centred)).sum())
    error = (error + n * float(np.square(sample).sum())) / n**2
    share = min(1.0, error / distance) if distance > 0 else 1.0
    shrunk: Floats = share * mean * np.eye(p) + (1 - share) * sample
    return shrunk


def _rows(matrix: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(f"{value:.{_DIGITS}g}") for value in row) for row in matrix)
