"""Models of the noise on measurements: how to draw it, and how badly data fit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from mrirecon.errors import ConfigError
from mrirecon.linalg.space import Space
from mrirecon.shapes import Sigma


class NoiseModel(ABC):
    """The distribution of data y given the noiseless measurement A x; `space` is where both live."""

    @abstractmethod
    def sample(self, clean: Tensor, space: Space, generator: torch.Generator) -> Tensor:
        """Noisy data, one draw for every batch item of `clean`."""

    @abstractmethod
    def nll(self, prediction: Tensor, y: Tensor, space: Space) -> Tensor:
        """-log p(y | prediction) up to a constant, one value per batch item."""

    @abstractmethod
    def gradient(self, prediction: Tensor, y: Tensor, space: Space) -> Tensor:
        """Gradient of `nll` with respect to the prediction, shape of the prediction."""


class QuadraticNoise(NoiseModel):
    """Noise whose `nll` is ||prediction - y||^2 / (2 variance), so that data steps are linear problems."""

    @abstractmethod
    def variance(self, space: Space) -> Tensor | float:
        """The weight of the data term, per real component, broadcastable to `space`; 0 means exact data."""


@dataclass(frozen=True, eq=False)
class GaussianNoise(QuadraticNoise):
    """White Gaussian noise, y = A x + n; whitened MRI data have sigma = 1.

    Parameters
    ----------
    sigma
        Standard deviation per real component (|n|^2 of complex noise averages 2 sigma^2), in the units of the data;
        a positive number, or a tensor with one per batch item, shape `*batch`.

    Raises
    ------
    ConfigError
        If a number that is not positive is given; exact data are `Noiseless`.
    """

    sigma: Sigma

    def __post_init__(self) -> None:
        if not isinstance(self.sigma, Tensor) and not self.sigma > 0:
            raise ConfigError(f"sigma must be positive, got {self.sigma}; for exact data use Noiseless()")

    def variance(self, space: Space) -> Tensor | float:
        return space.per_item(self.sigma) ** 2

    def sample(self, clean: Tensor, space: Space, generator: torch.Generator) -> Tensor:
        noise = space.randn(*space.batch_shape(clean), generator=generator)
        return clean + space.per_item(self.sigma) * noise.to(device=clean.device, dtype=clean.dtype)

    def nll(self, prediction: Tensor, y: Tensor, space: Space) -> Tensor:
        return 0.5 * (space.norm(prediction - y) / self.sigma).square()

    def gradient(self, prediction: Tensor, y: Tensor, space: Space) -> Tensor:
        return (prediction - y) / self.variance(space)


@dataclass(frozen=True)
class Noiseless(QuadraticNoise):
    """Exact data, y = A x: data steps project onto the images that agree with y.

    The likelihood is then a point mass; `nll` and `gradient` are those of unit variance instead, so that a
    least-squares misfit can still be reported and descended.
    """

    def variance(self, space: Space) -> float:
        return 0.0

    def sample(self, clean: Tensor, space: Space, generator: torch.Generator) -> Tensor:
        return clean

    def nll(self, prediction: Tensor, y: Tensor, space: Space) -> Tensor:
        return 0.5 * space.norm(prediction - y).square()

    def gradient(self, prediction: Tensor, y: Tensor, space: Space) -> Tensor:
        return prediction - y
