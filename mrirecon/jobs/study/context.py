"""What every worker is told, and the pieces of work it is given; small and made to be sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mrirecon.config.study_schema import StudyConfig
from mrirecon.evaluation.study.records import CellKey
from mrirecon.jobs.study.sources import Source


@dataclass(frozen=True)
class Context:
    """A study, for one who computes a part of it.

    Parameters
    ----------
    token
        Of everything below; contexts are equal if their tokens are.
    config
        The configuration.
    folder
        Of the study, the same for every worker.
    root, specs
        Of the data, and of their specifications.
    lpips
        File of the AlexNet features; None leaves LPIPS out.
    """

    token: str
    config: StudyConfig = field(compare=False)
    folder: Path = field(compare=False)
    root: Path = field(compare=False)
    specs: Path | None = field(default=None, compare=False)
    lpips: Path | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Unit:
    """The least piece of work: it is done, or it is not.

    Parameters
    ----------
    kind
        Prepare an input, try a candidate on a tuning case, or fill a cell.
    key
        Of the cell; of an input only its `input` counts.
    fingerprint
        Of everything that decides the result.
    method
        Name in the configuration.
    candidate
        Which value of its grid.
    """

    kind: Literal["input", "tuning", "cell"]
    key: CellKey
    fingerprint: str
    method: str = ""
    candidate: int = 0

    @property
    def name(self) -> str:
        """For messages."""
        return self.key.input if self.kind == "input" else self.key.name


@dataclass(frozen=True)
class Batch:
    """Units of one input under one mask, done one by one by one worker, who prepares the data once."""

    source: Source
    units: tuple[Unit, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a unit.

    Parameters
    ----------
    unit
        Which.
    hole
        Why there is nothing; empty where it is done.
    written
        Whether the hole, or the result, is on disk.
    disk
        Whether the disk was the reason.
    """

    unit: Unit
    hole: str = ""
    written: bool = True
    disk: bool = False
