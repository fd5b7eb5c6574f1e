"""How well a score tells two groups apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from mrirecon.errors import ConfigError


def auroc(lower: ArrayLike, higher: ArrayLike) -> float:
    """Probability that a score of `higher` exceeds one of `lower`, ties counted half: the area under the ROC curve."""
    a, b = np.asarray(lower, dtype=np.float64).ravel(), np.asarray(higher, dtype=np.float64).ravel()
    if not len(a) or not len(b) or not np.isfinite(a).all() or not np.isfinite(b).all():
        raise ConfigError(f"an AUROC needs finite scores in both groups, got {len(a)} and {len(b)} scores")
    ranks = rankdata(np.concatenate([a, b]))
    return float((ranks[len(a) :].sum() - len(b) * (len(b) + 1) / 2) / (len(a) * len(b)))


def auroc_interval(
    lower: ArrayLike, higher: ArrayLike, *, seed: int, level: float = 0.95, n_resamples: int = 2000
) -> tuple[float, float]:
    """Percentile interval of the AUROC from resampled scores, each group by itself.

    Scores count as independent. Where several come from one subject the interval says how exactly this subject is
    told apart, not how other subjects would be.
    """
    a, b = np.asarray(lower, dtype=np.float64).ravel(), np.asarray(higher, dtype=np.float64).ravel()
    numbers = np.random.default_rng(seed)
    found = [
        auroc(a[numbers.integers(len(a), size=len(a))], b[numbers.integers(len(b), size=len(b))])
        for _ in range(n_resamples)
    ]
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
