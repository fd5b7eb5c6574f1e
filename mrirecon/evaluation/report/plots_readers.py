"""How often readers gave each score: one bar per method, from the worst score to the best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mrirecon.evaluation.readers.results import ReaderResults, ScoreSummary
from mrirecon.evaluation.report.plots_style import DOUBLE_COLUMN, Plot, drawing, finished

SCORE_COLOURS = ("#B2182B", "#EF8A62", "#D9D9D9", "#67A9CF", "#2166AC")
"""From the worst to the best: red to blue, which the colour-blind tell apart."""


def plot_reader_scores(results: ReaderResults, *, name: str) -> Plot:
    """One panel per criterion; every bar is all scores of a method at a setting, by share."""
    with drawing() as figure_class:
        bars = reader_bars(results)
        height = 0.19 * len(bars) + 0.55
        figure = figure_class(figsize=(DOUBLE_COLUMN, height * len(results.criteria) + 0.35), layout="constrained")
        axes = figure.subplots(len(results.criteria), 1, squeeze=False, sharex=True)[:, 0]
        for axis, criterion in zip(axes, results.criteria, strict=True):
            found = {(s.setting, s.method): s for s in results.scores if s.criterion == criterion.name}
            for place, (setting, method) in enumerate(bars):
                _bar(axis, place, found.get((setting, method)))
            axis.set_yticks(range(len(bars)), [f"{method}  {setting}".strip() for setting, method in bars])
            axis.set_ylim(len(bars) - 0.4, -0.6)
            axis.set_xlim(0, 100)
            axis.grid(visible=False)
            axis.set_title(criterion.title, loc="left")
        axes[-1].set_xlabel("share of the scores, %")
        from matplotlib.patches import Patch

        words = ["1, worst", "2", "3", "4", "5, best"]
        handles = [Patch(color=colour, label=word) for colour, word in zip(SCORE_COLOURS, words, strict=True)]
        figure.legend(handles=handles, loc="outside lower center", ncols=5)
        criteria = ", ".join(c.title for c in results.criteria)
        return finished(figure, name, f"Distribution of the readers' scores by method and setting, for {criteria}.")


def reader_bars(results: ReaderResults) -> Sequence[tuple[str, str]]:
    """(setting, method), the reference first, then settings with their methods."""
    order = {name: i for i, name in enumerate(("", *results.settings))}
    pairs = dict.fromkeys((s.setting, s.method) for s in results.scores)
    methods = {name: i for i, name in enumerate(results.methods)}
    return sorted(pairs, key=lambda p: (order.get(p[0], len(order)), methods.get(p[1], len(methods))))


def _bar(axis: object, place: int, found: ScoreSummary | None) -> None:
    if found is None or not sum(found.counts):
        return
    shares = 100 * np.array(found.counts) / sum(found.counts)
    starts = np.concatenate([[0.0], np.cumsum(shares)[:-1]])
    for share, start, colour in zip(shares, starts, SCORE_COLOURS, strict=True):
        axis.barh(place, share, left=start, height=0.75, color=colour)  # type: ignore[attr-defined]
