"""Confidence intervals as values: how they are to be made, what they are, and when they are not to be trusted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from mrirecon.errors import ConfigError
from mrirecon.evaluation.statistics.wording import number, percent

IntervalMethod: TypeAlias = Literal["auto", "studentised", "bca", "percentile", "t"]
METHOD_WORDS = {
    "auto": "chosen by the number of subjects",
    "studentised": "studentised bootstrap",
    "bca": "BCa bootstrap",
    "percentile": "percentile bootstrap",
    "t": "Student t",
}
MANY_SUBJECTS = 20
"""Below it BCa and percentile intervals are visibly too short."""

ENOUGH_TO_RESAMPLE = 10
"""Subjects from which on ``auto`` resamples. With fewer the pivots of resamples that repeat one subject have so heavy a
tail that studentised limits lie far outside the data: the 95 % quantile of the length is 2 to 4 times that of Student's
t with 5 subjects, 1.1 to 1.8 times with 10."""


class NoIntervalError(ConfigError):
    """The subjects do not carry an interval; the message says why."""


@dataclass(frozen=True)
class IntervalOptions:
    """How intervals are made.

    Parameters
    ----------
    method
        ``studentised`` (means only), ``bca``, ``percentile``, or ``t`` (means only; assumes normal differences).
        ``auto`` (means only) is ``t`` with fewer than `ENOUGH_TO_RESAMPLE` subjects, else ``studentised``.
    level
        Two-sided confidence.
    n_resamples
        Of the bootstrap.
    seed
        Of the bootstrap: the same seed gives the same interval.
    """

    method: IntervalMethod = "auto"
    level: float = 0.95
    n_resamples: int = 9999
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHOD_WORDS:
            raise ConfigError(f"`method` of an interval must be one of {', '.join(METHOD_WORDS)}; got {self.method!r}")
        if not 0 < self.level < 1:
            raise ConfigError(f"`level` must lie between 0 and 1, such as 0.95; got {self.level}")
        if self.n_resamples < 200:
            raise ConfigError(f"`n_resamples` must be at least 200, got {self.n_resamples}; 9999 are usual")

    def method_for(self, n_subjects: int) -> IntervalMethod:
        """The method for the mean of so many subjects."""
        if self.method != "auto":
            return self.method
        return "t" if n_subjects < ENOUGH_TO_RESAMPLE else "studentised"


@dataclass(frozen=True)
class Interval:
    """Confidence limits and where they come from.

    Parameters
    ----------
    low, high
        Limits.
    level
        Two-sided confidence.
    method
        See `IntervalOptions`.
    n_resamples
        Resamples used; 0 for Student's t.
    n_undefined
        Resamples left out because the statistic does not exist there.
    """

    low: float
    high: float
    level: float
    method: IntervalMethod
    n_resamples: int = 0
    n_undefined: int = 0

    def within(self, lowest: float, highest: float) -> Interval:
        """The part of it that is possible: coverage stays, as the parameter cannot lie in what is cut off."""
        return replace(self, low=min(max(self.low, lowest), highest), high=min(max(self.high, lowest), highest))

    def words(self, decimals: int) -> str:
        """``95 % CI 0.80 to 1.66, studentised bootstrap``."""
        limits = f"{number(self.low, decimals)} to {number(self.high, decimals)}"
        return f"{percent(self.level)} CI {limits}, {METHOD_WORDS[self.method]}"


def few_subjects(n_subjects: int, interval: Interval | None) -> tuple[str, ...]:
    """The warning that belongs to intervals whose method needs more subjects than there are."""
    if interval is None or interval.method not in ("bca", "percentile") or n_subjects >= MANY_SUBJECTS:
        return ()
    name = METHOD_WORDS[interval.method]
    return (f"{name} intervals from fewer than {MANY_SUBJECTS} subjects tend to be too short; here {n_subjects}",)
