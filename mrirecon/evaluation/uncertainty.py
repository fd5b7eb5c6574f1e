"""Do standard deviation maps mean what they say? Spread of posterior samples against the error, inside the object.

For complex images both are of the magnitude, which is what a reader of the map sees. The object is where the reference
exceeds a tenth of its maximum, for photographs the whole picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mrirecon.errors import ConfigError
from mrirecon.evaluation.problems import Problem
from mrirecon.evaluation.table import ordered
from mrirecon.metrics.coverage import (
    calibration_curve,
    conformal_factor,
    conformal_factor_over_slices,
    coverage,
    error_by_std,
    gaussian_half_width,
    rank_correlation,
)
from mrirecon.reconstruction.base import Reconstruction
from mrirecon.reconstruction.uncertainty import standard_deviation

CURVE_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
OBJECT_LEVEL = 0.1


@dataclass(frozen=True, eq=False)
class SpreadAndError:
    """Error and predicted standard deviation of one case, pixel by pixel inside the object.

    Parameters
    ----------
    subject, setting
        Of the case.
    error
        Estimate minus reference, (n,), as a share of the data range.
    std
        Predicted standard deviation, (n,), likewise.
    """

    subject: str
    setting: str
    error: Tensor
    std: Tensor


def spread_and_error(problem: Problem, result: Reconstruction, *, subject: str, setting: str) -> SpreadAndError:
    """Compare the spread of a reconstruction's samples with its error.

    Raises
    ------
    ConfigError
        If the reconstruction has fewer than two samples.
    """
    if result.samples is None:
        raise ConfigError("uncertainty needs posterior samples; use a method that draws them, with several steps")
    reference = problem.reference
    inside = problem.support.expand(reference.shape)
    if problem.black >= 0:
        inside = inside & (reference > OBJECT_LEVEL * problem.white)
    error = problem.compared(result.image).cpu() - reference
    std = standard_deviation(result.samples).cpu()
    span = problem.white - problem.black
    return SpreadAndError(subject, setting, error[inside] / span, std[inside] / span)


def uncertainty_report(
    calibration: Sequence[SpreadAndError], validation: Sequence[SpreadAndError], *, level: float = 0.9
) -> dict[str, Any]:
    """One factor for the standard deviations from the calibration set, and what it does on the validation set.

    Parameters
    ----------
    calibration
        Of other subjects than the validation.
    level
        Nominal coverage.

    Returns
    -------
        JSON-ready. ``factor`` multiplies standard deviations so that mean +- z std, with the Gaussian z of the level
        (1.645 for 90 %), covers `level` of the calibration pixels. ``coverage_before`` and ``coverage_after`` are of
        the validation pixels, also by subject and by setting. ``factor_for_slices`` covers the level in 90 % of the
        calibration slices (None with fewer than nine). ``left_out_subjects`` repeats the exercise within the
        validation set: the factor from the other subjects, the coverage of the one left out. The guarantees of
        conformal prediction are for new pixels or slices of the calibration subjects; for new people, whose slices
        are not exchangeable with those, the coverage on the validation set is the evidence there is.

    Raises
    ------
    ConfigError
        If a set is empty or a subject belongs to both.
    """
    if not calibration or not validation:
        raise ConfigError(f"both sets need slices, got {len(calibration)} and {len(validation)}")
    require_other_subjects({s.subject for s in calibration}, {s.subject for s in validation})
    half_width = gaussian_half_width(level)
    width = _factor(calibration, level)
    error, std = _pooled(validation)
    bins = error_by_std(error, std, n_bins=min(12, error.numel()))
    return {
        "level": level,
        "half_width": half_width,
        "factor": width / half_width,
        "factor_for_slices": _factor_for_slices(calibration, level),
        "n_calibration_slices": len(calibration),
        "n_validation_slices": len(validation),
        "calibration_subjects": ordered(s.subject for s in calibration),
        "validation_subjects": ordered(s.subject for s in validation),
        "coverage_before": coverage(error, std, level=level),
        "coverage_after": coverage(error, std, factor=width),
        "by_subject": _grouped(validation, lambda s: s.subject, level, width),
        "by_setting": _grouped(validation, lambda s: s.setting, level, width),
        "left_out_subjects": _left_out(validation, level),
        "mean_absolute_error": float(error.abs().mean()),
        "mean_std": float(std.mean()),
        "rank_correlation": rank_correlation(error, std),
        "curve": {
            "level": list(CURVE_LEVELS),
            "before": calibration_curve(error, std, CURVE_LEVELS).tolist(),
            "after": calibration_curve(error, std * (width / half_width), CURVE_LEVELS).tolist(),
        },
        "error_by_std": {"std": bins.std.tolist(), "absolute_error": bins.absolute_error.tolist()},
    }


def require_other_subjects(calibration: Set[str], validation: Set[str]) -> None:
    """`ConfigError` if somebody belongs to both sets."""
    shared = calibration & validation
    if shared:
        raise ConfigError(f"the subjects {', '.join(sorted(shared))} belong to both sets; calibrate on other people")


def _pooled(slices: Sequence[SpreadAndError]) -> tuple[Tensor, Tensor]:
    return torch.cat([s.error for s in slices]), torch.cat([s.std for s in slices])


def _factor(slices: Sequence[SpreadAndError], level: float) -> float:
    """Half width in standard deviations that covers `level` of the pixels."""
    error, std = _pooled(slices)
    return conformal_factor(error, std, level=level)


def _factor_for_slices(slices: Sequence[SpreadAndError], level: float) -> float | None:
    if len(slices) < 9:
        return None
    longest = max(s.error.numel() for s in slices)
    error, std = torch.zeros(len(slices), longest), torch.ones(len(slices), longest)
    mask = torch.zeros(len(slices), longest, dtype=torch.bool)
    for row, s in enumerate(slices):
        n = s.error.numel()
        error[row, :n], std[row, :n], mask[row, :n] = s.error, s.std, True
    return conformal_factor_over_slices(error, std, level=level, mask=mask) / gaussian_half_width(level)


def _grouped(
    slices: Sequence[SpreadAndError], key: Callable[[SpreadAndError], str], level: float, width: float
) -> dict[str, dict[str, float]]:
    groups: dict[str, dict[str, float]] = {}
    for name in ordered(map(key, slices)):
        error, std = _pooled([s for s in slices if key(s) == name])
        groups[name] = {
            "coverage_before": coverage(error, std, level=level),
            "coverage_after": coverage(error, std, factor=width),
        }
    return groups


def _left_out(slices: Sequence[SpreadAndError], level: float) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for subject in ordered(s.subject for s in slices):
        others = [s for s in slices if s.subject != subject]
        if not others:
            return {}
        width = _factor(others, level)
        error, std = _pooled([s for s in slices if s.subject == subject])
        covered = coverage(error, std, factor=width)
        found[subject] = {"factor": width / gaussian_half_width(level), "coverage_after": covered}
    return found
