"""What can be chosen in a training, with every default that changes a result."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mrirecon.data.image_examples import ImageDegradations
from mrirecon.data.mri_examples import MRISimulation
from mrirecon.errors import ConfigError
from mrirecon.networks.base import Precision
from mrirecon.records import from_mapping, load_record, to_mapping
from mrirecon.training.card import WeightsDtype
from mrirecon.training.models import ModelConfig, ObjectiveConfig, model_kind
from mrirecon.training.settings import Optimisation


@dataclass(frozen=True)
class MRIData:
    """Simulated multi-coil MRI of image volumes.

    Parameters
    ----------
    specs
        Names of data specifications.
    simulation
        What is drawn.
    split
        Which part of the data.
    """

    specs: tuple[str, ...]
    simulation: MRISimulation = field(default_factory=MRISimulation)
    split: str = "train"
    kind: Literal["mri"] = "mri"

    @property
    def normalisation(self) -> str:
        """For the card."""
        return "k-space divided by reconstruction.normalisation.intensity_scale: 99th percentile of CG-SENSE is 1"

    @property
    def operator_families(self) -> tuple[str, ...]:
        """For the card."""
        return tuple(
            f"multi-coil MRI, {name} mask" for name, weight in self.simulation.undersampling.kinds.items() if weight > 0
        )


@dataclass(frozen=True)
class ImageData:
    """Degraded photographs.

    Parameters
    ----------
    specs
        Names of data specifications.
    degradations
        What is drawn.
    split
        Which part of the data.
    """

    specs: tuple[str, ...]
    degradations: ImageDegradations = field(default_factory=ImageDegradations)
    split: str = "train"
    kind: Literal["images"] = "images"

    @property
    def normalisation(self) -> str:
        """For the card."""
        return "pixels from -1 to 1"

    @property
    def operator_families(self) -> tuple[str, ...]:
        """For the card."""
        return tuple(name for name, weight in self.degradations.tasks.items() if weight > 0)


DataChoice = MRIData | ImageData


@dataclass(frozen=True)
class Execution:
    """How the training computes.

    Parameters
    ----------
    precision
        Of the networks; everything else is single precision.
    activation_checkpointing
        Compute activations twice instead of keeping them.
    compile
        Compile the networks: about a minute at the start, a fifth less time per step.
    prefetch, workers
        Batches made ahead, by so many threads; 0 makes them when needed.
    """

    precision: Precision = "bf16"
    activation_checkpointing: bool = False
    compile: bool = False
    prefetch: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        if self.prefetch < 0 or self.workers < 1:
            raise ConfigError(
                f"`prefetch` must not be negative and `workers` be at least 1, got {self.prefetch} and {self.workers}"
            )


@dataclass(frozen=True)
class Validation:
    """What the model is looked at with while it trains.

    Parameters
    ----------
    data
        Examples of people and pictures that are not trained on.
    batches
        How many of their batches.
    minutes
        Time between two looks; the last is at the end.
    levels
        Steps of the sampler; 1 is the posterior mean.
    """

    data: DataChoice
    batches: int = 2
    minutes: float = 20.0
    levels: int = 1

    def __post_init__(self) -> None:
        if self.batches < 1 or self.levels < 1 or not self.minutes > 0:
            raise ConfigError("`batches` and `levels` must be at least 1 and `minutes` positive")


@dataclass(frozen=True)
class Monitoring:
    """What is written while the training runs; nothing here changes its course.

    Parameters
    ----------
    log_every
        Steps per row of the log, which holds their means.
    state_minutes
        Time between two states on disk.
    tensorboard
        Also write a log for TensorBoard.
    weights_dtype
        How the checkpoint stores weights.
    """

    log_every: int = 50
    state_minutes: float = 10.0
    validation: Validation | None = None
    tensorboard: bool = False
    weights_dtype: WeightsDtype = "float32"

    def __post_init__(self) -> None:
        if self.log_every < 1 or not self.state_minutes >= 0:
            raise ConfigError("`log_every` must be at least 1 and `state_minutes` not negative")


@dataclass(frozen=True)
class TrainConfig:
    """A training.

    Parameters
    ----------
    name
        Of the model that comes out.
    model, data, objective, optimisation, execution, monitoring
        Its parts.
    seed
        Of initial weights, data and noise.
    release
        Whether the weights are meant to be published; refused when a licence of the data forbids it.
    """

    name: str
    model: ModelConfig
    data: DataChoice
    objective: ObjectiveConfig
    optimisation: Optimisation
    execution: Execution = field(default_factory=Execution)
    monitoring: Monitoring = field(default_factory=Monitoring)
    seed: int = 0
    release: bool = False

    def __post_init__(self) -> None:
        if not self.name or any(c in self.name for c in "/\\ "):
            raise ConfigError(f"`name` must be a word fit for a file, got {self.name!r}")
        if self.seed < 0:
            raise ConfigError(f"`seed` must not be negative, got {self.seed}")
        wanted = model_kind(self.model.kind).objective
        if not isinstance(self.objective, wanted):
            raise ConfigError(
                f"a model of kind {self.model.kind!r} is trained with {wanted.__name__}, got an objective of kind "
                f"{self.objective.kind!r}"
            )


def load_train_config(path: str | Path) -> TrainConfig:
    """A training configuration from a YAML file; `ConfigError` names file and dotted key."""
    return load_record(TrainConfig, path)


def course(config: TrainConfig, *, processes: int) -> dict[str, Any]:
    """What decides the losses of a training, for comparison of two configurations.

    Left out: name, release, monitoring, how batches are made ahead, and `optimisation.steps`. The number of steps may
    change: the rate then follows the cosine over the new number from where it is. Accumulation counts with the
    processes: only their product matters.
    """
    everything = to_mapping(config)
    kept = {key: everything[key] for key in ("model", "data", "objective", "seed")}
    optimisation = {k: v for k, v in everything["optimisation"].items() if k not in ("steps", "accumulation")}
    kept["optimisation"] = optimisation | {"accumulation x processes": config.optimisation.accumulation * processes}
    kept["execution"] = {"precision": config.execution.precision}
    return kept


def identity(config: TrainConfig, *, processes: int) -> dict[str, Any]:
    """What a state file remembers of its training."""
    return {"configuration": to_mapping(config), "processes": processes}


def require_same_course(stored: Mapping[str, Any], config: TrainConfig, *, processes: int, where: str) -> None:
    """`ConfigError` naming the first difference unless a stored `identity` is one of the same course.

    Settings that the program has learnt since count with their defaults.
    """
    try:
        earlier = from_mapping(TrainConfig, stored["configuration"])
    except ConfigError as error:
        raise ConfigError(f"{where} holds a training of another version of the program: {error}") from error
    difference = first_difference(
        course(earlier, processes=int(stored["processes"])), course(config, processes=processes)
    )
    if difference is not None:
        name, then, now = difference
        raise ConfigError(
            f"{where} holds a training with `{name}` = {then!r}, now it is {now!r}; give the configuration it was "
            "started with, or another folder with --out"
        )


def with_steps(config: TrainConfig, steps: int | None) -> TrainConfig:
    """The configuration with another number of steps, if one is given."""
    if steps is None:
        return config
    return dataclasses.replace(config, optimisation=dataclasses.replace(config.optimisation, steps=steps))


def first_difference(a: Any, b: Any, where: str = "") -> tuple[str, Any, Any] | None:
    """Dotted name and both values of the first place where two nested plain values differ, None if they are equal."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in [*a, *(k for k in b if k not in a)]:
            found = first_difference(a.get(key), b.get(key), f"{where}.{key}" if where else str(key))
            if found is not None:
                return found
        return None
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            found = first_difference(x, y, f"{where}[{i}]")
            if found is not None:
                return found
        return None
    return None if a == b else (where, a, b)
