"""What comparisons and studies load for their methods and metrics: trained networks, and LPIPS."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from torch import Tensor

from mrirecon.errors import ConfigError, FormatError, MissingDependencyError
from mrirecon.evaluation.methods import Hole, LoadNetwork, Network
from mrirecon.evaluation.scores import PerceptualDistance
from mrirecon.jobs.reporting import Reporter
from mrirecon.metrics.perceptual import Lpips
from mrirecon.networks.base import Precision
from mrirecon.training.checkpoint import find_checkpoint, load_checkpoint
from mrirecon.training.levels import trained_levels


def network_loader(precision: Precision, device: str) -> LoadNetwork:
    """Loads each checkpoint once; an absent one is a hole, a damaged one an error."""

    @cache
    def load(name: str) -> Network | Hole:
        try:
            find_checkpoint(name)
        except ConfigError:
            return Hole(f"no checkpoint {Path(name).name}")
        loaded = load_checkpoint(name, device=device)
        loaded.module.configure_execution(precision=precision)  # type: ignore[operator]
        try:
            levels = trained_levels(loaded.card)
        except ConfigError:
            levels = None
        return Network(loaded.module, loaded.card.weights_sha256, levels)

    return load


def lpips_network(backbone: Path | None, reporter: Reporter) -> Lpips | None:
    """LPIPS, or None with a warning where it cannot be had."""
    try:
        return Lpips(backbone)
    except (MissingDependencyError, FormatError) as error:
        reporter.warn(f"LPIPS is left out: {error}")
        return None


def perceptual_distance(lpips: Lpips | None) -> PerceptualDistance | None:
    """LPIPS of images in a range, None without its network."""
    if lpips is None:
        return None

    def distance(image: Tensor, reference: Tensor, span: tuple[float, float]) -> float:
        return float(lpips(image, reference, data_range=span))

    return distance
