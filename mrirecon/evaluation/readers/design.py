"""Items that readers see, which of them twice, side by side on which side, and in which order: all drawn at random."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal

import numpy as np

from mrirecon.evaluation.readers.choice import ShownSeries
from mrirecon.evaluation.readers.options import REFERENCE, ReaderOptions
from mrirecon.evaluation.readers.secret import Secret

LEAST_DISTANCE = 20
"""Items from a series to its repetition, or a quarter of the list where that is shorter."""
_RESTARTS = 30


@dataclass(frozen=True)
class Item:
    """One thing to be read.

    Parameters
    ----------
    code
        Its only name towards the reader.
    kind
        ``score``: one series; ``preference``: two, side by side.
    shown
        One series, or those on side A and on side B.
    setting
        Of a preference: the setting at which methods compete.
    repeat_of
        Code of the item that shows the same; empty for a first showing.
    """

    code: str
    kind: Literal["score", "preference"]
    shown: tuple[ShownSeries, ...]
    setting: str = ""
    repeat_of: str = ""


@dataclass(frozen=True)
class Reading:
    """All items, by code, and the order in which each reader sees them."""

    items: tuple[Item, ...]
    orders: dict[str, tuple[str, ...]]


def plan_reading(series: Sequence[ShownSeries], options: ReaderOptions, secret: Secret) -> Reading:
    """Draw codes, repetitions, pairs, sides and orders.

    Every random value belongs to the place of a series in the list, never to a name. Repetitions are spread evenly over
    methods and settings. Each of two methods is on side A as often as on B, give or take one. Scores come before
    preferences; neighbours in an order are of different inputs where that is possible, and a repetition comes long
    after its first showing.

    Parameters
    ----------
    series
        From `choose_series`, in that order.
    """
    shown = list(series)
    twice = _repeated(shown, options.repeats, secret.generator("repeats"))
    pairs = _pairs(shown, options)
    sides = _sides(pairs, secret.generator("sides"))
    codes = iter(secret.codes(len(shown) + len(twice) + len(pairs)))
    scores = [Item(next(codes), "score", (one,)) for one in shown]
    scores += [Item(next(codes), "score", (shown[i],), repeat_of=scores[i].code) for i in twice]
    preferences = [
        Item(next(codes), "preference", (b, a) if swap else (a, b), setting=a.setting or b.setting)
        for (a, b), swap in zip(pairs, sides, strict=True)
    ]
    orders = {
        name: tuple(
            item.code
            for part, items in (("scores", scores), ("preferences", preferences))
            for item in _order(items, secret.generator("order", part, name))
        )
        for name in options.reader_names
    }
    return Reading(tuple(sorted([*scores, *preferences], key=lambda item: item.code)), orders)


def _repeated(shown: Sequence[ShownSeries], share: float, generator: np.random.Generator) -> list[int]:
    """Places of the series to show twice: at random, each method and setting as often as the others."""
    count = int(np.ceil(share * len(shown) - 1e-9))
    groups: dict[tuple[str, str], list[int]] = {}
    for i in generator.permutation(len(shown)):
        groups.setdefault((shown[i].setting, shown[i].method), []).append(int(i))
    rounds = max((len(g) for g in groups.values()), default=0)
    ranked = [group[r] for r in range(rounds) for group in groups.values() if r < len(group)]
    return sorted(ranked[:count])


def _pairs(shown: Sequence[ShownSeries], options: ReaderOptions) -> list[tuple[ShownSeries, ShownSeries]]:
    if options.pairs == "none":
        return []
    references = {s.input: s for s in shown if s.method == REFERENCE}
    blocks: dict[tuple[str, str], list[ShownSeries]] = {}
    for one in shown:
        if one.method != REFERENCE:
            blocks.setdefault((one.input, one.setting), []).append(one)
    found = []
    for (name, _), block in blocks.items():
        reference = references.get(name)
        if options.pairs == "all":
            found += list(combinations(block, 2))
        found += [] if reference is None else [(one, reference) for one in block]
    return found


def _sides(pairs: Sequence[tuple[ShownSeries, ShownSeries]], generator: np.random.Generator) -> list[bool]:
    """Whether to exchange each pair: half of those of the same two methods."""
    groups: dict[frozenset[str], list[int]] = {}
    for i, (a, b) in enumerate(pairs):
        groups.setdefault(frozenset((a.method, b.method)), []).append(i)
    swapped = [False] * len(pairs)
    for places in groups.values():
        half = (len(places) + int(generator.integers(2))) // 2
        for place in generator.permutation(places)[:half]:
            swapped[int(place)] = True
    return swapped


def _order(items: Sequence[Item], generator: np.random.Generator) -> list[Item]:
    """A random order with few neighbours of one input and repetitions far from their first showing."""
    best: list[Item] = []
    fewest = -1
    for _ in range(_RESTARTS):
        order = _walk(items, generator)
        faults = _faults(order)
        if fewest < 0 or faults < fewest:
            best, fewest = order, faults
        if faults == 0:
            break
    return best


def _walk(items: Sequence[Item], generator: np.random.Generator) -> list[Item]:
    """One step after another at random among what is allowed; what is shown twice comes first in time for that."""
    left = [items[i] for i in generator.permutation(len(items))]
    distance = _distance(len(items))
    waiting = {item.repeat_of for item in items if item.repeat_of}
    order: list[Item] = []
    while left:
        last = order[-1].shown[0].input if order else None
        recent = {item.code for item in order[-distance:]} if distance else set()
        counts = Counter(item.shown[0].input for item in left)
        crowded = {name for name, count in counts.items() if 2 * count > len(left) and name != last}
        unseen = {item.code for item in left}
        possible = [item for item in left if item.repeat_of not in unseen]
        urgent = [item for item in possible if item.code in waiting]
        if len(left) - len(urgent) > 2 * distance:
            urgent = []
        fitting = [
            [item for item in some if item.shown[0].input != last and item.repeat_of not in recent]
            for some in (urgent, possible)
        ]
        chosen = _first(
            [item for some in fitting for item in some if not crowded or item.shown[0].input in crowded],
            *fitting,
            possible,
        )
        left.remove(chosen)
        order.append(chosen)
    return order


def _first(*choices: Sequence[Item]) -> Item:
    return next(some[0] for some in choices if some)


def _distance(count: int) -> int:
    return min(LEAST_DISTANCE, count // 4)


def _faults(order: Sequence[Item]) -> int:
    places = {item.code: i for i, item in enumerate(order)}
    same = sum(a.shown[0].input == b.shown[0].input for a, b in pairwise(order))
    near = sum(i - places[item.repeat_of] <= _distance(len(order)) for i, item in enumerate(order) if item.repeat_of)
    return same + near
