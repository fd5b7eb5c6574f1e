"""The part of a model card with which the shift alarm judges scans."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

import numpy as np

from mrirecon.errors import ConfigError
from mrirecon.metrics.feature_model import FeatureModel, Floats


@dataclass(frozen=True)
class ShiftSeparation:
    """How well the score tells one group of scans from the calibration scans.

    Parameters
    ----------
    group
        What they show.
    auroc, low, high
        Area under the curve of hits over false alarms, and its 95 % interval from resampled scans.
    detected
        Share of the group above the threshold.
    scans, subjects
        Simulated or undersampled scans, and of how many people or objects.
    """

    group: str
    auroc: float
    low: float
    high: float
    detected: float
    scans: int
    subjects: int


@dataclass(frozen=True)
class ShiftCard:
    """Calibration of the shift alarm.

    Parameters
    ----------
    levels, bands
        Of the profiles, see `evaluation.shift_profile`.
    usual
        Distribution of the features of usual scans, given acceleration and noise.
    threshold
        Scores above it are unusual.
    false_alarm_rate
        Share of usual scans above it.
    scores
        Of the calibration scans, rising.
    subjects
        Of the calibration scans; the weights were not trained on them.
    contrast
        Range of the contrast of the calibration scans.
    field_strength_t
        Range of the field strengths of the images behind the weights and this calibration, where they are known.
    separations
        What the alarm finds of other scans.
    command
        What makes these figures.
    """

    levels: tuple[float, ...]
    bands: tuple[float, ...]
    usual: FeatureModel
    threshold: float
    false_alarm_rate: float
    scores: tuple[float, ...]
    subjects: tuple[str, ...]
    contrast: tuple[float, float]
    field_strength_t: tuple[float, float] | None
    separations: tuple[ShiftSeparation, ...]
    command: str

    def __post_init__(self) -> None:
        if not 0 < self.false_alarm_rate < 1 or not self.scores or list(self.scores) != sorted(self.scores):
            raise ConfigError("a shift calibration needs 0 < false_alarm_rate < 1 and rising scores")

    def score(self, features: Floats, log_acceleration: Floats, log_noise: Floats) -> Floats:
        """Scores of profiles, features (scan, feature); see `shift_score`."""
        return shift_score(self.usual, features, log_acceleration, log_noise)

    def p_value(self, score: float) -> float:
        """Share of the calibration scans that score at least as high, with this one counted."""
        return (len(self.scores) - bisect_left(self.scores, score) + 1) / (len(self.scores) + 1)


def shift_score(usual: FeatureModel, features: Floats, log_acceleration: Floats, log_noise: Floats) -> Floats:
    """Root mean square deviation of profiles from those of usual scans, in standard deviations: about 1 if usual."""
    found: Floats = np.sqrt(usual.distance(features, covariates(log_acceleration, log_noise)))
    return found


def covariates(log_acceleration: Floats, log_noise: Floats) -> Floats:
    """What the features of a profile depend on beside the image: (scan, covariate)."""
    a, n = np.atleast_1d(log_acceleration), np.atleast_1d(log_noise)
    return np.stack([np.ones_like(a), a, n], axis=-1)


@dataclass(frozen=True)
class TrainedRanges:
    """What a card says that its weights were trained on; None where it does not say.

    Parameters
    ----------
    acceleration, matrix
        Smallest and largest.
    masks
        Kinds.
    """

    acceleration: tuple[float, float] | None
    matrix: tuple[int, int] | None
    masks: tuple[str, ...] | None


def trained_ranges(training: dict[str, Any]) -> TrainedRanges:
    """The ranges in the training configuration of a card of an MRI model."""
    data: Any = training.get("data")
    simulation: Any = data.get("simulation") if isinstance(data, dict) else None
    simulation = simulation if isinstance(simulation, dict) else {}
    undersampling: Any = simulation.get("undersampling")
    undersampling = undersampling if isinstance(undersampling, dict) else {}
    acceleration, sizes, kinds = undersampling.get("acceleration"), simulation.get("sizes"), undersampling.get("kinds")
    return TrainedRanges(
        None if acceleration is None else (float(acceleration[0]), float(acceleration[1])),
        None if sizes is None else (int(sizes[0]), int(sizes[1])),
        None if kinds is None else tuple(kind for kind, weight in kinds.items() if weight > 0),
    )
