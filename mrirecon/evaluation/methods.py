"""The table of methods: how a choice becomes a `Reconstructor`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mrirecon.diffusion.conditional import ConditionalDenoiser
from mrirecon.diffusion.guidance.ddnm import DDNM
from mrirecon.diffusion.guidance.dds import DDS
from mrirecon.diffusion.guidance.diffpir import DiffPIR
from mrirecon.diffusion.guidance.dps import DPS
from mrirecon.diffusion.schedule import karras_levels, sampling_levels
from mrirecon.errors import ConfigError
from mrirecon.evaluation.dncnn import DnCNNDenoising, load_dncnn
from mrirecon.evaluation.method_choices import (
    Counts,
    DnCNNPeer,
    Grid,
    GuidedDDNM,
    GuidedDDS,
    GuidedDiffPIR,
    GuidedDPS,
    Learned,
    MethodChoice,
    Sampling,
    Source,
    SparseWavelet,
    Tikhonov,
    TotalVariation,
    TrainedNetwork,
    UnfoldedSampling,
    ZeroFilled,
    candidates,
)
from mrirecon.linalg.cg import CGOptions
from mrirecon.priors.base import Denoiser
from mrirecon.priors.wavelet import Wavelet as WaveletPrior
from mrirecon.reconstruction.base import Reconstructor
from mrirecon.reconstruction.linear import LeastSquares, MatchedFilter
from mrirecon.reconstruction.posterior import PosteriorSampler
from mrirecon.reconstruction.primal_dual import PrimalDualTV
from mrirecon.reconstruction.splitting import ProximalGradient, cycle_spinning
from mrirecon.reconstruction.unfolding import UnfoldedScore


@dataclass(frozen=True)
class Hole:
    """Why there is no figure."""

    reason: str


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network, the SHA-256 of its weights, and the range of noise levels it knows (None: not stated)."""

    module: nn.Module
    sha256: str
    levels: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Method:
    """A method ready to run, and what identifies it, ready for JSON."""

    reconstructor: Reconstructor
    identity: dict[str, Any]


LoadNetwork = Callable[[str], Network | Hole]


def build_method(choice: MethodChoice, *, setting: str, family: str, load: LoadNetwork, root: Path) -> Method | Hole:
    """A method for one setting, or why it cannot be had.

    Parameters
    ----------
    choice
        With one value for every parameter.
    setting, family
        Of the cases; they choose among several checkpoints.
    load
        Gives a network by name or path.
    root
        Folder of the data.

    Raises
    ------
    ConfigError
        If a grid is left, or a network is of another kind than the method needs.
    """
    if len(candidates(choice)) != 1:
        raise ConfigError(f"{choice.kind} still has several values for a parameter; tune it first")
    if isinstance(choice, ZeroFilled | Tikhonov | SparseWavelet | TotalVariation):
        return Method(_classical(choice), {})
    if isinstance(choice, DnCNNPeer):
        path = root / choice.weights
        if not path.is_file():
            return Hole(f"no file {choice.weights}")
        return Method(DnCNNDenoising(load_dncnn(path), choice.sigma), {"bytes": path.stat().st_size})
    name = checkpoint_of(choice.checkpoint, setting, family)
    network = Hole(f"no checkpoint is named for {setting}") if name is None else load(name)
    if isinstance(network, Hole):
        return network
    reconstructor = _learned(choice, network, str(name))
    return Method(reconstructor, {"weights_sha256": network.sha256, **_visited(choice, reconstructor)})


def _classical(choice: ZeroFilled | Tikhonov | SparseWavelet | TotalVariation) -> Reconstructor:
    if isinstance(choice, ZeroFilled):
        return MatchedFilter()
    if isinstance(choice, Tikhonov):
        return LeastSquares(_number(choice.regularisation), CGOptions(_count(choice.iterations), choice.tolerance))
    if isinstance(choice, SparseWavelet):
        prior = WaveletPrior(_number(choice.weight), wavelet=choice.wavelet, n_levels=choice.levels)
        return ProximalGradient(cycle_spinning(prior), max_iterations=choice.iterations, tolerance=choice.tolerance)
    return PrimalDualTV(_number(choice.weight), max_iterations=choice.iterations, tolerance=choice.tolerance)


def _learned(
    choice: Learned,
    network: Network,
    name: str,
) -> Reconstructor:
    module = network.module
    if isinstance(choice, TrainedNetwork):
        if not isinstance(module, Reconstructor):
            raise _wrong_kind(name, module, "a network from data to image, such as varnet")
        return module
    if isinstance(choice, UnfoldedSampling):
        if not isinstance(module, UnfoldedScore):
            raise _wrong_kind(name, module, "an unfolded score")
        levels = unfolded_levels(choice, network, sigma_data=module.config.sigma_data)
        return PosteriorSampler(module, levels=levels, n_samples=choice.samples, method=choice.method)
    if not isinstance(module, Denoiser):
        raise _wrong_kind(name, module, "an unconditional denoiser")
    levels = sampler_levels(choice.sampling, network)
    guided, eta = _guided(choice, module, levels)
    return PosteriorSampler(guided, levels=levels, method="ddim", eta=eta)


def _guided(
    choice: GuidedDPS | GuidedDDNM | GuidedDDS | GuidedDiffPIR, prior: Denoiser, levels: torch.Tensor
) -> tuple[ConditionalDenoiser, float]:
    """The zero-shot method and the sampler's eta."""
    if isinstance(choice, GuidedDiffPIR):
        cg = CGOptions(_count(choice.cg_iterations), 1e-6)
        return DiffPIR(prior, regularisation=_number(choice.regularisation), cg=cg), sqrt(_number(choice.zeta))
    eta = _number(choice.eta)
    if isinstance(choice, GuidedDPS):
        return DPS(prior, levels=levels, zeta=_number(choice.zeta), eta=eta), eta
    if isinstance(choice, GuidedDDNM):
        return DDNM(prior, cg=CGOptions(_count(choice.cg_iterations), 1e-6)), eta
    return DDS(prior, gamma=_number(choice.gamma), cg_steps=_count(choice.cg_iterations)), eta


def sampler_levels(sampling: Sampling, network: Network) -> torch.Tensor:
    """Of the zero-shot methods: Karras levels in the range that is asked for, else in the one the network knows."""
    low, high = _range(sampling, network)
    if sampling.steps == 1:
        return torch.tensor([high], dtype=torch.float64)
    return karras_levels(sampling.steps, sigma_min=low, sigma_max=high)


def unfolded_levels(choice: UnfoldedSampling, network: Network, *, sigma_data: float) -> torch.Tensor:
    """Of an unfolded score with this `sigma_data`, in the same range, as ``recon --method unfolded`` takes them."""
    low, high = _range(choice.sampling, network)
    return sampling_levels(
        choice.sampling.steps, sigma_min=low, sigma_max=high, sigma_data=sigma_data, method=choice.method
    )


def _visited(choice: Learned, reconstructor: Reconstructor) -> dict[str, Any]:
    """The levels of a sampling that chooses them by more than its range: they identify its results."""
    if not isinstance(choice, UnfoldedSampling) or not isinstance(reconstructor, PosteriorSampler):
        return {}
    levels = reconstructor.levels.tolist()
    return {"levels": [round(level, 9) for level in levels]} if len(levels) > 1 else {}


def _range(sampling: Sampling, network: Network) -> tuple[float, float]:
    low, high = network.levels or (0.002, 80.0)
    return sampling.sigma_min or low, sampling.sigma_max or high


def checkpoint_of(source: Source, setting: str, family: str) -> str | None:
    """The checkpoint for a setting, else for a family of operators; None if none is named for either."""
    if isinstance(source, Mapping):
        return source.get(setting, source.get(family))
    return source


def _number(value: Grid) -> float:
    return float(value[0] if isinstance(value, tuple) else value)


def _count(value: Counts) -> int:
    return int(value[0] if isinstance(value, tuple) else value)


def _wrong_kind(name: str, module: nn.Module, expected: str) -> ConfigError:
    return ConfigError(f"checkpoint {name!r} holds a {type(module).__name__}, expected {expected}")
