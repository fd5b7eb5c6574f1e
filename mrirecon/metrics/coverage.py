"""Whether predicted standard deviations mean what they say: coverage, calibration curves, one conformal factor.

Errors and standard deviations are compared entry by entry, in the same units. Complex errors count as two real ones,
with the standard deviation per real component. A `mask` (bool, broadcastable to the error) keeps the object only:
background, where both are zero, would make every prediction look calibrated. An entry of standard deviation 0 is
covered only if its error is 0.

References
----------
.. [1] Kuleshov, Fenner, Ermon, Accurate uncertainties for deep learning using calibrated regression, ICML 2018.
.. [2] Lei et al., Distribution-free predictive inference for regression, J Am Stat Assoc 113 (2018) 1094-1111.
.. [3] Angelopoulos, Bates, A gentle introduction to conformal prediction, arXiv 2107.07511.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import erfinv
from scipy.stats import rankdata
from torch import Tensor

from mrirecon.errors import ConfigError, ShapeError

MEAN_ABSOLUTE_DEVIATION = sqrt(2 / np.pi)
"""Mean absolute error of a calibrated Gaussian prediction, in standard deviations: the line of `error_by_std`."""

Values = NDArray[np.float64]


def gaussian_half_width(level: float) -> float:
    """Half the width of the Gaussian central interval of probability `level`, in standard deviations; 0.9: 1.645."""
    return sqrt(2) * float(erfinv(_probability(level, "level")))


def coverage(
    error: Tensor, std: Tensor, *, level: float = 0.9, factor: float | None = None, mask: Tensor | None = None
) -> float:
    """The fraction of entries with |error| <= factor * std.

    Parameters
    ----------
    error
        Estimate minus truth, any shape, real or complex.
    std
        Predicted standard deviation (per real component), broadcastable to `error`, not negative.
    level
        The nominal coverage.
    factor
        Half width of the interval in standard deviations: that of the Gaussian interval of probability `level` when
        omitted, or what `conformal_factor` returned for the level.
    mask
        Bool, broadcastable to `error`, true on the entries that count.

    Raises
    ------
    ShapeError
        If shapes do not broadcast, `std` is negative or not real, or the mask is empty.
    ConfigError
        If `level` is not in (0, 1).

    Examples
    --------
    >>> coverage(torch.tensor([0.0, 1.0, -1.0, 2.0]), torch.ones(4), level=0.9)
    0.75
    """
    half_width = gaussian_half_width(level)
    return float(np.mean(_ratios(error, std, mask) <= (half_width if factor is None else factor)))


def calibration_curve(error: Tensor, std: Tensor, levels: Sequence[float], *, mask: Tensor | None = None) -> Values:
    """`coverage` at each of `levels`; the diagonal is calibrated, above it the prediction is too cautious."""
    ratios = np.sort(_ratios(error, std, mask))
    widths = [gaussian_half_width(level) for level in levels]
    return np.searchsorted(ratios, widths, side="right") / ratios.size


def conformal_factor(error: Tensor, std: Tensor, *, level: float = 0.9, mask: Tensor | None = None) -> float:
    """The half width, in standard deviations, that covers `level` of a calibration set: split conformal prediction.

    The ceil((n + 1) level)-th smallest of the n ratios |error| / std. Use it as the `factor` of `coverage`; dividing by
    `gaussian_half_width(level)` gives the factor by which to multiply the standard deviations.

    Raises
    ------
    ConfigError
        If there are too few entries for the level (n < level / (1 - level)), or the factor is infinite because too
        many predicted standard deviations are 0.

    Notes
    -----
    An entry that is exchangeable with the n calibration entries is covered with probability at least `level`.
    Neighbouring pixels are alike, and all pixels of a subject share its difficulties: pooled pixels of few slices are
    *not* exchangeable with those of a new slice, and the guarantee then fails, although the factor remains a fair
    estimate of the average over slices. `conformal_factor_over_slices` has a guarantee for slices.
    """
    return _upper_quantile(_ratios(error, std, mask), level, "entries")


def conformal_factor_over_slices(
    error: Tensor, std: Tensor, *, level: float = 0.9, confidence: float = 0.9, mask: Tensor | None = None
) -> float:
    """The half width, in standard deviations, that covers `level` of a new slice, for `confidence` of the slices.

    The score of a slice is the `level` quantile of its |error| / std: the smallest half width that covers this fraction
    of it. The factor is the ceil((n + 1) confidence)-th smallest of the n scores.

    Parameters
    ----------
    error, std, mask
        As in `coverage`, with the slice (or the subject) as first axis; slices outside the mask are left out.
    level
        The fraction of a slice to be covered.
    confidence
        The fraction of slices for which it shall be.

    Raises
    ------
    ConfigError
        If there are fewer than confidence / (1 - confidence) slices: 9 for 90 %.

    Notes
    -----
    If the new slice is exchangeable with the calibration slices, then with probability at least `confidence` (over
    both) at least the fraction `level` of its pixels is covered, whatever the dependence between pixels. Slices of one
    subject are not exchangeable with slices of another: for a statement about new subjects, let the first axis be the
    subject.
    """
    _probability(level, "level")
    scores = []
    whole = torch.broadcast_tensors(error, std, torch.ones((), dtype=torch.bool) if mask is None else mask)
    for one_error, one_std, one_mask in zip(*whole, strict=True):
        if mask is None or bool(one_mask.any()):
            ratios = _ratios(one_error, one_std, one_mask)
            rank = ceil(round(level * ratios.size, 9))  # 0.55 x 100 is a little more than 55
            scores.append(np.partition(ratios, rank - 1)[rank - 1])
    return _upper_quantile(np.asarray(scores), confidence, "slices")


@dataclass(frozen=True)
class ErrorByStd:
    """Per bin of predicted standard deviation: its mean, the mean absolute error, and the number of entries."""

    std: Values
    absolute_error: Values
    counts: NDArray[np.int64]


def error_by_std(error: Tensor, std: Tensor, *, n_bins: int = 10, mask: Tensor | None = None) -> ErrorByStd:
    """Mean absolute error against predicted standard deviation, in bins of (nearly) equal count.

    A calibrated Gaussian prediction lies on absolute_error = sqrt(2 / pi) std.

    Raises
    ------
    ConfigError
        If there are fewer entries than bins.
    """
    absolute, spread = _entries(error, std, mask)
    if not 1 <= n_bins <= absolute.size:
        raise ConfigError(f"`n_bins` must be between 1 and the {absolute.size} entries, got {n_bins}")
    bins = np.array_split(np.argsort(spread, kind="stable"), n_bins)
    return ErrorByStd(
        np.array([spread[b].mean() for b in bins]),
        np.array([absolute[b].mean() for b in bins]),
        np.array([b.size for b in bins]),
    )


def rank_correlation(error: Tensor, std: Tensor, *, mask: Tensor | None = None) -> float:
    """Spearman's correlation of |error| and std: whether larger predictions go with larger errors; NaN if constant."""
    absolute, spread = _entries(error, std, mask)
    a, b = (ranks - ranks.mean() for ranks in (rankdata(absolute), rankdata(spread)))
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else float("nan")


def _probability(value: float, name: str) -> float:
    if not 0 < value < 1:
        raise ConfigError(f"`{name}` must be a probability between 0 and 1, got {value}; 90 % is 0.9")
    return value


def _upper_quantile(values: Values, level: float, what: str) -> float:
    """The ceil((n + 1) level)-th smallest of n values."""
    rank = ceil(round((values.size + 1) * _probability(level, "level"), 9))
    if rank > values.size:
        raise ConfigError(
            f"{values.size} calibration {what} are too few for {level:.3g}: at least "
            f"{ceil(round(level / (1 - level), 9))} are needed; add {what} or lower the level"
        )
    factor = float(np.partition(values, rank - 1)[rank - 1])
    if not factor < float("inf"):
        raise ConfigError(
            f"no finite factor covers {level:.3g} of the {what}: too many predicted standard deviations are 0 where "
            "the error is not; restrict the mask to where the method predicts"
        )
    return factor


def _ratios(error: Tensor, std: Tensor, mask: Tensor | None) -> Values:
    """|error| / std of the entries that count; 0 where both vanish, infinite where only std does."""
    absolute, spread = _entries(error, std, mask)
    return np.divide(absolute, spread, out=np.where(absolute > 0, np.inf, 0.0), where=spread > 0)


def _entries(error: Tensor, std: Tensor, mask: Tensor | None) -> tuple[Values, Values]:
    """(|error|, std) of the entries that count, flat; complex errors as their real and imaginary parts."""
    if std.is_complex() or (mask is not None and mask.dtype != torch.bool):
        found = std.dtype if mask is None else f"{std.dtype} and {mask.dtype}"
        raise ShapeError(f"`std` must be real and `mask` bool, got {found}; convert them explicitly")
    kept = torch.ones((), dtype=torch.bool, device=error.device) if mask is None else mask
    try:
        spread, kept = std.expand(error.shape)[None], kept.expand(error.shape)[None]
    except RuntimeError as problem:
        raise ShapeError(
            f"`std` {tuple(std.shape)} and `mask` {tuple(kept.shape)} must broadcast to `error` {tuple(error.shape)}"
        ) from problem
    parts = torch.stack([error.real, error.imag]) if error.is_complex() else error[None]
    kept, spread = kept.expand(parts.shape), spread.expand(parts.shape)
    absolute, chosen = (t[kept].detach().cpu().double().numpy() for t in (parts.abs(), spread))
    if not absolute.size:
        raise ShapeError("no entry is left inside `mask`; give the object's mask, or none")
    if not (np.isfinite(absolute).all() and np.isfinite(chosen).all() and (chosen >= 0).all()):
        raise ShapeError("errors must be finite, standard deviations finite and not negative; mask out what is not")
    return absolute, chosen
