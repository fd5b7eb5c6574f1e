"""What a reader study shows, to how many, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mrirecon.errors import ConfigError

REFERENCE = "reference"
"""Name under which the fully sampled image takes part."""


@dataclass(frozen=True)
class ReaderOptions:
    """The design of a reader study.

    Parameters
    ----------
    readers
        How many; each gets an order of its own.
    methods, settings, inputs
        Names, as ``tv``, ``random R4``, ``brain``; empty for all of the study.
    reference
        Whether the fully sampled images are shown too, as blind as the rest.
    repeats
        Share of the series that every reader sees a second time, for the agreement of readers with themselves.
    pairs
        Which series are shown side by side for a preference: all pairs of methods (the reference among them if it is
        shown) of an input and a setting, each method against the reference only, or none.
    levels
        ``matched``: each series is scaled by one number so that its tissue is as bright as the reference's (without
        one, as the median of the series), since arbitrary units would give methods away. ``common``: as reconstructed.
    same_background
        Where one series of an input is exactly zero outside the object, make all so: masked sensitivity maps blacken
        the air, and would give a method away.
    mask_seed
        Which draw of the masks is shown; None for the first that is complete.
    seed
        Repeats an export; None takes the system's entropy. Who knows it can unblind the readers.
    """

    readers: int = 2
    methods: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    reference: bool = True
    repeats: float = 0.2
    pairs: Literal["all", "reference", "none"] = "all"
    levels: Literal["matched", "common"] = "matched"
    same_background: bool = True
    mask_seed: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.readers < 1:
            raise ConfigError(f"`readers` must be at least 1, got {self.readers}; 2 to 4 are usual")
        if not 0 <= self.repeats <= 1:
            raise ConfigError(f"`repeats` must be a share between 0 and 1, got {self.repeats}; 0.2 is usual")
        if self.pairs not in ("all", "reference", "none"):
            raise ConfigError(f"`pairs` must be 'all', 'reference' or 'none', got {self.pairs!r}")
        if self.levels not in ("matched", "common"):
            raise ConfigError(f"`levels` must be 'matched' or 'common', got {self.levels!r}")
        if self.pairs == "reference" and not self.reference:
            raise ConfigError("`pairs`: 'reference' needs `reference`: true")
        if REFERENCE in self.methods:
            raise ConfigError(f"{REFERENCE!r} is no method; whether it is shown says `reference`")

    @property
    def reader_names(self) -> tuple[str, ...]:
        """R1, R2, ..."""
        return tuple(f"R{number}" for number in range(1, self.readers + 1))
