"""Which values of a grid are taken: those that did best on other people's images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from mrirecon.evaluation.method_choices import MethodChoice
from mrirecon.evaluation.methods import Hole

NOTHING = float("-inf")
"""The value of a candidate that has no figure."""
Search = Literal["grid", "coarse-to-fine"]
"""Every value of a grid, or those that `coarse_to_fine` asks for."""


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


def coarse_to_fine(count: int, value: Callable[[int], float]) -> dict[int, float]:
    """Look for the greatest of `count` values without asking for all.

    From the middle in strides that are halved, moving while a neighbour one stride away is better. The one it ends at
    has been compared with both its neighbours, and is the greatest where the values rise to one summit and fall again,
    as those of one parameter on an ordered grid mostly do: 5 of 7 values are asked for, 5 to 6 of 9.

    Parameters
    ----------
    value
        Of the candidate with this index; called once for each.

    Returns
    -------
        The values that were asked for, by index.
    """
    known: dict[int, float] = {}

    def of(index: int) -> float:
        if index not in known:
            known[index] = value(index)
        return known[index]

    best, stride = count // 2, 1
    while 4 * stride < count - 1:
        stride *= 2
    while stride:
        around = [i for i in (best, best - stride, best + stride) if 0 <= i < count]
        winner = max(around, key=of)
        if winner == best:
            stride //= 2
        best = winner
    return known
