"""Which values of a grid are taken: those that did best on other people's images."""

from __future__ import annotations

from collections.abc import Sequence

from mrirecon.evaluation.method_choices import MethodChoice
from mrirecon.evaluation.methods import Hole

NOTHING = float("-inf")
"""The value of a candidate that has no figure."""


def best_candidate(options: Sequence[MethodChoice], values: Sequence[Sequence[float]]) -> MethodChoice | Hole:
    """The candidate with the greatest mean, the first of equal ones.

    Parameters
    ----------
    options
        The candidates.
    values
        Of every candidate one per tuning case, larger is better; `NOTHING` where it failed, which rules it out.
    """
    totals = [sum(row) for row in values]
    best = max(range(len(options)), key=lambda i: totals[i])
    if totals[best] == NOTHING:
        return Hole("no value of the grid converges on the tuning cases")
    return options[best]
