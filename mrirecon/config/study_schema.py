"""What can be chosen of a study: inputs, masks, methods, metrics."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mrirecon.errors import ConfigError
from mrirecon.evaluation.method_choices import MethodChoice, candidates
from mrirecon.evaluation.report.choices import ReportChoices
from mrirecon.metrics.presets import PRESETS, preset
from mrirecon.networks.base import Precision
from mrirecon.records import load_record

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Names that are fit for files everywhere."""

MaskKind = Literal["random", "equispaced", "equispaced-fraction", "magic", "magic-fraction", "gaussian", "poisson-disc"]
Slices = int | tuple[int, ...]


@dataclass(frozen=True)
class LabelMap:
    """Regions: integers on the grid of the scan's images.

    Parameters
    ----------
    path
        NIfTI, which is taken to the images by its geometry where both have one, or ``.npy`` (z, y, x).
    names
        Label -> name; only these are scored. All but 0 when left out.
    """

    path: str
    names: dict[str, str] | None = None

    def __post_init__(self) -> None:
        for label in self.names or {}:
            if not label.isdigit():
                raise ConfigError(f"`names` must map whole numbers to names, got {label!r}")


@dataclass(frozen=True)
class ScanInput:
    """Raw data of scanners.

    Parameters
    ----------
    files
        A file or a pattern with ``*``, below the root of the data. Every file is one input.
    subject
        Whose images they are: every ``file`` another person's, one person per ``folder``, or ``all`` of one.
    slices
        How many, spread evenly, or which (counted from 0); all when left out. Of 3D scans planes across the readout.
    contrast, repetition
        Which echo and repetition.
    sampled
        Whether the data are complete, so that there is a reference; ``auto`` looks at the lines.
    coil_reference
        A scan of the same geometry through the body coil, from which sensitivity maps are measured; otherwise they are
        estimated from the calibration lines of the undersampled data, as for a user.
    virtual_coils
        Compress to so many; all when left out.
    labels
        Regions from a label map.
    boxes
        Regions from a fastMRI+ table.
    """

    files: str
    subject: Literal["file", "folder", "all"] = "file"
    slices: Slices | None = None
    contrast: int = 0
    repetition: int = 0
    sampled: Literal["auto", "fully", "undersampled"] = "auto"
    coil_reference: str | None = None
    virtual_coils: int | None = None
    labels: LabelMap | None = None
    boxes: str | None = None
    kind: Literal["scan"] = "scan"

    def __post_init__(self) -> None:
        _check_slices(self.slices)
        if min(self.contrast, self.repetition) < 0 or (self.virtual_coils is not None and self.virtual_coils < 1):
            raise ConfigError("`contrast` and `repetition` must not be negative, `virtual_coils` at least 1")


@dataclass(frozen=True)
class SimulatedInput:
    """Multi-coil data simulated from the image volumes of a data specification, one input per volume.

    Parameters
    ----------
    spec, split
        Name of the specification, and which part of it.
    slices
        How many of those with content, spread evenly.
    coils, family
        Their number and kind.
    noise
        Sigma per real component where the 99th percentile of a slice is 1.
    phase_encoding
        Axis of lines.
    seed
        Of phase, coils and noise.
    """

    spec: str
    split: str = "validation"
    slices: int = 3
    coils: int = 12
    family: Literal["loops", "birdcage"] = "loops"
    noise: float = 0.018
    phase_encoding: Literal["x", "y"] = "y"
    seed: int = 0
    kind: Literal["simulated"] = "simulated"

    def __post_init__(self) -> None:
        if self.slices < 1 or self.coils < 1 or not 0 < self.noise < float("inf") or self.seed < 0:
            raise ConfigError("`slices`, `coils` and `noise` must be positive, `seed` not negative")


InputChoice = ScanInput | SimulatedInput


@dataclass(frozen=True)
class MaskGrid:
    """Every kind with every acceleration, drawn once per seed.

    Parameters
    ----------
    accelerations
        Nominal.
    kinds
        See `mri.masks.sampling_mask`; lines run along the phase encoding of the input.
    centre
        Fully sampled share of the phase-encoding axis, one for all accelerations or one for each: ``{4: 0.08, 8:
        0.04}``.
    min_centre_lines
        Fewest fully sampled lines.
    seeds
        Every input gets another mask from the same seed.
    """

    accelerations: tuple[float, ...]
    kinds: tuple[MaskKind, ...] = ("random",)
    centre: float | dict[str, float] = 0.08
    min_centre_lines: int = 8
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        for name in ("accelerations", "kinds", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ConfigError(f"`{name}` must be a list without repetition, got {list(values)}")
        if not min(self.accelerations) >= 1 or min(self.seeds) < 0 or self.min_centre_lines < 0:
            raise ConfigError("`accelerations` must be at least 1, `seeds` and `min_centre_lines` not negative")
        for acceleration in self.accelerations:
            if not 0 <= self.centre_of(acceleration) <= 1:
                raise ConfigError(f"`centre` must be from 0 to 1, got {self.centre_of(acceleration)}")

    def centre_of(self, acceleration: float) -> float:
        """The fully sampled share at an acceleration."""
        if not isinstance(self.centre, dict):
            return self.centre
        given = {float(key): value for key, value in self.centre.items() if _is_number(key)}
        if acceleration not in given:
            raise ConfigError(f"`centre` names no share for the acceleration {acceleration:g}; it has {self.centre}")
        return given[acceleration]


@dataclass(frozen=True)
class MetricsChoice:
    """What is computed of every image.

    Parameters
    ----------
    preset
        Of `metrics.presets`.
    lpips
        LPIPS too, where its network exists.
    object
        Score the object by itself too, a region where the reference exceeds a tenth of its maximum: the air around it
        holds the noise of the reference, and methods that blacken it are punished for that in the whole image.
    """

    preset: str = "study"
    lpips: bool = False
    object: bool = False

    def __post_init__(self) -> None:
        preset(self.preset)


@dataclass(frozen=True)
class TuningChoice:
    """Other people's inputs on which grids of parameters are searched, for every mask kind and acceleration.

    Parameters
    ----------
    inputs
        As of the study, with another subject each.
    metric
        Of the preset; the candidate with the best mean is taken. A measure of error is made small, others large.
    """

    inputs: dict[str, InputChoice]
    metric: str = "psnr"


@dataclass(frozen=True)
class StudyConfig:
    """A study: every input under every mask by every method.

    Parameters
    ----------
    name, description
        For the report.
    inputs
        By name. Several files of one entry are called ``NAME-file``.
    masks
        What is tried on complete inputs; inputs that were undersampled by the scanner keep their own.
    methods
        By name, in the order of the report; see `evaluation.method_choices`.
    metrics
        What is computed.
    reference
        Complete data combined by root sum of squares (``rss``), or with maps from their centre (``mvue``).
    tuning
        Needed where a method gives several values for a parameter.
    precision
        Of networks.
    threads
        For each cell. Results depend on it in the last digits, so it belongs to the study, and the number of workers
        does not.
    seed
        Of samplers, and of masks beside their own.
    report
        What its report compares; changes no cell.
    """

    name: str
    inputs: dict[str, InputChoice]
    masks: MaskGrid
    methods: dict[str, MethodChoice]
    description: str = ""
    metrics: MetricsChoice = field(default_factory=MetricsChoice)
    reference: Literal["rss", "mvue"] = "rss"
    tuning: TuningChoice | None = None
    precision: Precision = "fp32"
    threads: int = 1
    seed: int = 0
    report: ReportChoices = field(default_factory=ReportChoices)

    def __post_init__(self) -> None:
        tuned = {} if self.tuning is None else self.tuning.inputs
        for key, names in (("inputs", self.inputs), ("methods", self.methods), ("tuning.inputs", tuned)):
            for name in names:
                if not NAME.fullmatch(name):
                    raise ConfigError(
                        f"`{key}.{name}`: names must be letters, digits, '.', '_' and '-', because files are called so"
                    )
        if not self.inputs or not self.methods:
            raise ConfigError("`inputs` and `methods` must not be empty")
        if both := set(self.inputs) & set(tuned):
            raise ConfigError(f"`tuning.inputs.{min(both)}` has the name of an input; call it otherwise")
        if self.threads < 1 or self.seed < 0:
            raise ConfigError(f"`threads` must be at least 1, `seed` not negative, got {self.threads} and {self.seed}")
        searched = [name for name, choice in self.methods.items() if len(candidates(choice)) > 1]
        if searched and not tuned:
            raise ConfigError(
                f"`methods.{searched[0]}` has several values for a parameter, and there is no `tuning` to choose with"
            )
        self.report.checked_baseline(tuple(self.methods))
        _check_tuning_metric(self)
        _check_reference(self)


def load_study_config(path: str | Path) -> StudyConfig:
    """A study from a YAML file; `ConfigError` names file and dotted key."""
    return load_record(StudyConfig, path)


def _check_slices(slices: Slices | None) -> None:
    if isinstance(slices, tuple):
        if not slices or min(slices) < 0 or list(slices) != sorted(set(slices)):
            raise ConfigError(f"`slices` must be ascending numbers from 0, or how many, got {list(slices)}")
    elif slices is not None and slices < 1:
        raise ConfigError(f"`slices` must be at least 1, got {slices}")


def _check_tuning_metric(config: StudyConfig) -> None:
    if config.tuning is None:
        return
    known = [definition.name for definition in preset(config.metrics.preset)]
    if config.tuning.metric not in known:
        raise ConfigError(
            f"`tuning.metric` must be one of the preset {config.metrics.preset}, {', '.join(known)}; got "
            f"{config.tuning.metric!r}"
        )


def _check_reference(config: StudyConfig) -> None:
    wanted = {d.reference for d in preset(config.metrics.preset)} - {"unspecified"}
    if wanted and wanted != {config.reference}:
        raise ConfigError(
            f"`reference` must be {min(wanted)} for the preset {config.metrics.preset}, got {config.reference}; the "
            f"preset means that reference and no other (the presets are {', '.join(PRESETS)})"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
