"""A checkpoint and the choices of a sampler become a reconstruction method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from mrirecon.config.schema import Unfolded
from mrirecon.diffusion.conditional import ConditionalDenoiser
from mrirecon.diffusion.parametrisation import ImageKind
from mrirecon.diffusion.samplers import Churn
from mrirecon.diffusion.schedule import sampling_levels
from mrirecon.errors import ConfigError
from mrirecon.networks.base import Precision
from mrirecon.networks.precision import fast_precision
from mrirecon.reconstruction.base import Reconstructor
from mrirecon.reconstruction.normalised import Normalised
from mrirecon.reconstruction.posterior import PosteriorSampler
from mrirecon.reconstruction.unfolding import UnfoldedConfig, UnfoldedScore
from mrirecon.training.card import Card
from mrirecon.training.checkpoint import load_checkpoint
from mrirecon.training.levels import trained_levels, trained_noise

_TOLERATED = 1.2
_OF_IMAGES = {"complex": "complex images (MRI)", "real": "real images (photographs)"}


@dataclass(frozen=True, eq=False)
class TrainedMethod:
    """A method made of trained weights, and what has to be said about it.

    Parameters
    ----------
    method
        Data to image, or to samples.
    network
        Configuration of the model.
    card
        Where the weights come from.
    levels
        Noise levels visited.
    precision
        In which the networks compute.
    conditional
        The network itself, for those who ask it about the scan.
    """

    method: Reconstructor
    network: UnfoldedConfig
    card: Card
    levels: tuple[float, ...]
    precision: Precision
    conditional: ConditionalDenoiser

    def doubts(self, sigma: float) -> tuple[str, ...]:
        """What speaks against data with noise `sigma`, in the units of the network: one sentence each."""
        trained = trained_noise(self.card)
        if trained is None or sigma <= _TOLERATED * trained[1]:
            return ()
        return (
            f"The data are noisier (sigma {sigma:.2g} where the image is of order 1) than any that {self.card.name} "
            f"was trained on (up to {trained[1]:.2g}): its results and their standard deviation are less reliable.",
        )

    @property
    def spread_factor(self) -> float:
        """By which the standard deviation of its samples is multiplied: the conformal factor of the card, else 1."""
        return 1.0 if self.card.uncertainty is None else self.card.uncertainty.factor

    def record(self) -> dict[str, Any]:
        """What identifies the result's origin, JSON-ready."""
        found = {
            "checkpoint": self.card.name,
            "sha256": self.card.weights_sha256,
            "levels": [round(level, 6) for level in self.levels],
            "precision": self.precision,
            "trained_on": [entry.name for entry in self.card.data],
            "operator_families": list(self.card.operator_families),
        }
        return found if self.card.uncertainty is None else {**found, "spread_factor": self.spread_factor}


def build_unfolded(choice: Unfolded, *, image: ImageKind, device: torch.device | str = "cpu") -> TrainedMethod:
    """Load the checkpoint that a choice names and wrap it into a sampler.

    Parameters
    ----------
    choice
        Checkpoint and sampler.
    image
        "complex" normalises the data by `intensity_scale`, as the model was trained; "real" expects photographs
        from -1 to 1 and leaves them.
    device
        Where the networks compute.

    Raises
    ------
    ConfigError
        If there is no such checkpoint, it is of another kind or for other images, or the levels are impossible.
    FormatError
        If it is damaged.
    """
    checkpoint = load_checkpoint(choice.checkpoint, device=device)
    score, card = checkpoint.module, checkpoint.card
    if not isinstance(score, UnfoldedScore):
        raise ConfigError(f"checkpoint {card.name!r} is of kind {card.kind!r}; method unfolded needs kind 'unfolded'")
    if score.config.image != image:
        raise ConfigError(
            f"checkpoint {card.name!r} is for {_OF_IMAGES[score.config.image]}, needed is one for {_OF_IMAGES[image]}"
        )
    precision = fast_precision(device) if choice.precision == "auto" else choice.precision
    score.configure_execution(precision=precision)
    levels = _levels(choice, card, score.config.sigma_data)
    sampler = PosteriorSampler(
        score,
        levels=levels,
        n_samples=choice.samples,
        method=choice.sampler,
        churn=Churn(choice.churn) if choice.churn > 0 else None,
    )
    method = Normalised(sampler) if image == "complex" else sampler
    return TrainedMethod(method, score.config, card, tuple(levels.tolist()), precision, score)


def _levels(choice: Unfolded, card: Card, sigma_data: float) -> torch.Tensor:
    low, high = choice.sigma_min, choice.sigma_max
    if high is None or (low is None and choice.steps > 1):
        trained = trained_levels(card)
        low, high = trained[0] if low is None else low, trained[1] if high is None else high
    return sampling_levels(
        choice.steps,
        sigma_min=high if low is None else low,  # None only where a single level needs no last one
        sigma_max=high,
        sigma_data=sigma_data,
        method=choice.sampler,
        sigma_jump=choice.sigma_jump,
    )
