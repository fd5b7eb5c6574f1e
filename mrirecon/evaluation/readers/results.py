"""What a reader study found, as the report shows it.

``STUDY/readers/results.json`` holds one `ReaderResults`; beside it lie ``ratings.csv`` (one row per score: reader,
subject, input, setting, method, criterion, score, repeat, item, position, comment) and ``preferences.csv`` (reader,
subject, input, setting, first, second, preferred, item, position, comment), unblinded. A report asks
`load_reader_results(study folder)` and gets None where no sheets were imported.

Names: a `setting` is that of the study, as ``random R4``; the fully sampled image takes part under the method name
``reference``, at the setting "" in `ScoreSummary` (it belongs to none), and as the partner of every setting elsewhere.
Every `sentence` can be printed as it is. Scores run from 1 to 5, 5 the best, for all criteria.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mrirecon.errors import ConfigError, FormatError
from mrirecon.io.atomic import atomic_file
from mrirecon.records import from_mapping, to_mapping

FOLDER = "readers"
FILE = "results.json"


@dataclass(frozen=True)
class CriterionRecord:
    """A criterion: column name, title in words, question, meanings of 1 to 5."""

    name: str
    title: str
    question: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class ScoreSummary:
    """Scores of one method at one setting, over readers and subjects, repetitions left out.

    Parameters
    ----------
    setting, method, criterion
        Which; setting "" of the reference.
    counts
        How often 1, 2, 3, 4, 5 were given.
    median, mean
        Of the scores; the mean is for orientation, scores are categories.
    reader_means
        By reader.
    """

    setting: str
    method: str
    criterion: str
    counts: tuple[int, ...]
    median: float
    mean: float
    reader_means: dict[str, float]


@dataclass(frozen=True)
class AgreementSummary:
    """Quadratic weighted kappa.

    Parameters
    ----------
    kind
        ``inter``: between readers, mean over their pairs; ``intra``: of one reader's first and second showing.
    reader
        Of intra-reader agreement; empty else.
    criterion
        Which.
    kappa, low, high
        None where it does not exist; limits of the interval, None where there is none.
    exact, within_one
        Shares of equal, and of at most neighbouring categories.
    n_images, n_subjects
        What it rests on.
    sentence
        Ready to print.
    """

    kind: Literal["inter", "intra"]
    reader: str
    criterion: str
    kappa: float | None
    low: float | None
    high: float | None
    exact: float
    within_one: float
    n_images: int
    n_subjects: int
    sentence: str


@dataclass(frozen=True)
class GradingSummary:
    """Visual grading of a method against the baseline: area under the VGC curve, above 0.5 the method is better.

    Parameters
    ----------
    setting, criterion, method, baseline
        Which.
    area, low, high
        With limits of the interval, None where there is none.
    p, p_adjusted
        Permutation within subjects; Holm over all gradings of the same criterion.
    curve
        Points (share of the baseline's, share of the method's scores at least as good).
    n_subjects
        What it rests on.
    sentence
        Ready to print.
    """

    setting: str
    criterion: str
    method: str
    baseline: str
    area: float
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None
    curve: tuple[tuple[float, float], ...]
    n_subjects: int
    sentence: str


@dataclass(frozen=True)
class PreferenceSummary:
    """Sign test of two methods shown side by side, the subject being the unit.

    Parameters
    ----------
    setting, first, second
        Which.
    for_first, for_second, undecided
        Subjects.
    choices
        Single choices for the first, the second, neither.
    share, low, high
        Of the decided subjects for the first, exact interval; None if none is decided.
    p, p_adjusted
        Exact two-sided; Holm over all pairs of the study.
    sentence
        Ready to print.
    """

    setting: str
    first: str
    second: str
    for_first: int
    for_second: int
    undecided: int
    choices: tuple[int, int, int]
    share: float | None
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None
    sentence: str


@dataclass(frozen=True)
class RankSummary:
    """All methods of a setting on one scale of preference (Bradley-Terry), the most preferred first.

    Parameters
    ----------
    setting, baseline
        The baseline has strength 0.
    methods, strengths
        Log odds of being preferred to the baseline.
    low, high
        Limits of the strengths; None for the baseline and where there is none.
    sentence
        Ready to print.
    """

    setting: str
    baseline: str
    methods: tuple[str, ...]
    strengths: tuple[float, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    sentence: str


@dataclass(frozen=True)
class ReaderResults:
    """A scored reader study.

    Parameters
    ----------
    study
        Name of the study at export.
    seal
        SHA-256 of the key, as published with the images.
    readers, methods, settings
        Who read what; `methods` with ``reference`` last if it was shown, `settings` without the reference's.
    baseline
        What methods are graded against.
    criteria
        In the order of the sheet.
    n_subjects, n_inputs, n_series, n_repeats, n_pairs
        What each reader saw.
    complete
        Whether every reader of the export answered everything before the key was opened.
    scores, agreement, gradings, preferences, ranks
        Criteria outermost, settings next; `preferences` and `ranks` are empty where none were asked for.
    remarks
        Sentences that belong beside the figures.
    """

    study: str
    seal: str
    readers: tuple[str, ...]
    methods: tuple[str, ...]
    settings: tuple[str, ...]
    baseline: str
    criteria: tuple[CriterionRecord, ...]
    n_subjects: int
    n_inputs: int
    n_series: int
    n_repeats: int
    n_pairs: int
    complete: bool
    scores: tuple[ScoreSummary, ...] = ()
    agreement: tuple[AgreementSummary, ...] = ()
    gradings: tuple[GradingSummary, ...] = ()
    preferences: tuple[PreferenceSummary, ...] = ()
    ranks: tuple[RankSummary, ...] = ()
    remarks: tuple[str, ...] = ()


def load_reader_results(folder: str | Path) -> ReaderResults | None:
    """The imported reader results of the study in `folder`; None where there are none.

    Raises
    ------
    FormatError
        If the file is damaged.
    """
    path = Path(folder) / FOLDER / FILE
    if not path.is_file():
        return None
    try:
        return from_mapping(ReaderResults, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ConfigError) as error:
        raise FormatError(path, f"cannot be read ({error}); import the sheets again") from error


def save_reader_results(results: ReaderResults, folder: str | Path) -> Path:
    """Write `results` into the study in `folder`, in place of earlier ones."""
    path = Path(folder) / FOLDER / FILE
    text = json.dumps(to_mapping(results), indent=1, allow_nan=False, ensure_ascii=False)
    with atomic_file(path, overwrite=True) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return path
