"""Which reconstructions of a study are shown: complete blocks only, so that every comparison is paired."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mrirecon.errors import ConfigError
from mrirecon.evaluation.readers.options import REFERENCE, ReaderOptions
from mrirecon.evaluation.statistics.wording import listed
from mrirecon.evaluation.study.records import CellKey


@dataclass(frozen=True, order=True)
class ShownSeries:
    """A reconstructed volume that a reader is shown.

    Parameters
    ----------
    input, subject
        The scan, and whose it is.
    mask, acceleration, mask_seed, method
        Of the cell; "", 1, 0 and ``reference`` for the fully sampled image.
    """

    input: str
    subject: str
    mask: str
    acceleration: float
    mask_seed: int
    method: str

    @property
    def cell(self) -> CellKey:
        """The cell of the study; there is none of the reference."""
        return CellKey(self.input, self.mask, self.acceleration, self.mask_seed, self.method)

    @property
    def setting(self) -> str:
        """As in the study, such as ``random R4``; empty for the reference."""
        return "" if self.method == REFERENCE else self.cell.setting


@dataclass(frozen=True)
class Chosen:
    """Series to show, in a fixed order, and sentences on what was left out."""

    series: tuple[ShownSeries, ...]
    left_out: tuple[str, ...]


def choose_series(
    finished: Iterable[ShownSeries], *, references: Iterable[ShownSeries], options: ReaderOptions
) -> Chosen:
    """The series of every input and setting for which all chosen methods are there.

    Parameters
    ----------
    finished
        Every finished cell.
    references
        The fully sampled image of each input that has one.

    Raises
    ------
    ConfigError
        If a name in `options` is unknown, no block is complete, or fewer than two series would be shown.
    """
    cells = list(finished)
    if any(cell.method == REFERENCE for cell in cells):
        raise ConfigError(f"a method of the study is called {REFERENCE!r}; rename it, the name is taken here")
    methods = _named("methods", options.methods, dict.fromkeys(c.method for c in cells))
    settings = _named("settings", options.settings, dict.fromkeys(c.setting for c in sorted(cells, key=_strength)))
    inputs = _named("inputs", options.inputs, dict.fromkeys(c.input for c in cells))
    known = {r.input: r for r in references}
    chosen: list[ShownSeries] = []
    left_out: list[str] = []
    for name in inputs:
        found: list[ShownSeries] = []
        for setting in settings:
            block, reason = _block([c for c in cells if (c.input, c.setting) == (name, setting)], methods, options)
            found += block
            if reason:
                left_out.append(f"{name}, {setting}: left out, {reason}")
        if found and options.reference:
            if name not in known:
                left_out.append(f"{name}: no fully sampled image, shown without a reference")
            else:
                found.append(known[name])
        chosen += found
    if len(chosen) < 2:
        reasons = "; ".join(left_out) or "the study has no finished cell"
        raise ConfigError(f"a reader study needs at least two series, got {len(chosen)}: {reasons}; run the study on")
    return Chosen(tuple(chosen), tuple(left_out))


def _block(
    cells: Sequence[ShownSeries], methods: Sequence[str], options: ReaderOptions
) -> tuple[list[ShownSeries], str]:
    """The cells of one input and setting, of the first draw of the mask that is complete; or none, and why."""
    seeds = sorted({c.mask_seed for c in cells}) if options.mask_seed is None else [options.mask_seed]
    if not seeds:
        return [], "nothing is finished"
    lacking: list[str] = []
    for seed in seeds:
        by_method = {c.method: c for c in cells if c.mask_seed == seed}
        missing = [m for m in methods if m not in by_method]
        if not missing:
            return [by_method[m] for m in methods], ""
        lacking = lacking or missing
    return [], f"{listed(lacking)} not finished; finish the study, or leave the method out with `methods`"


def _strength(cell: ShownSeries) -> tuple[str, float]:
    return cell.mask, cell.acceleration


def _named(kind: str, wanted: Sequence[str], known: Iterable[str]) -> tuple[str, ...]:
    there = list(known)
    for name in wanted:
        if name not in there:
            near = difflib.get_close_matches(name, there, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {listed(there) or 'none'}"
            raise ConfigError(f"`{kind}`: {name!r} has no finished cell in the study; {hint}")
    return tuple(dict.fromkeys(wanted)) or tuple(there)
