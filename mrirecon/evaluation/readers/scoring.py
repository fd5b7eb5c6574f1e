"""Agreement, visual grading and preference of named answers, as the report wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from mrirecon.errors import ConfigError
from mrirecon.evaluation.readers.criteria import CRITERIA, SCALE
from mrirecon.evaluation.readers.key import ReaderKey
from mrirecon.evaluation.readers.options import REFERENCE
from mrirecon.evaluation.readers.results import (
    AgreementSummary,
    CriterionRecord,
    GradingSummary,
    PreferenceSummary,
    RankSummary,
    ReaderResults,
    ScoreSummary,
)
from mrirecon.evaluation.readers.unblinding import ScoreRow, Unblinded
from mrirecon.evaluation.statistics.bradley_terry import preference_scale
from mrirecon.evaluation.statistics.interval import IntervalOptions
from mrirecon.evaluation.statistics.kappa import Agreement, reader_agreement
from mrirecon.evaluation.statistics.multiplicity import holm
from mrirecon.evaluation.statistics.preference import preference_test
from mrirecon.evaluation.statistics.ratings import Preference, Rating
from mrirecon.evaluation.statistics.visual_grading import visual_grading
from mrirecon.evaluation.statistics.wording import listed, p_value

S = TypeVar("S", GradingSummary, PreferenceSummary)
T = TypeVar("T")


def score_readers(
    answers: Unblinded,
    key: ReaderKey,
    *,
    baseline: str | None = None,
    complete: bool = True,
    options: IntervalOptions = IntervalOptions("bca"),
) -> ReaderResults:
    """Everything that can be said of the answers.

    Repetitions serve intra-reader agreement alone; all else uses first showings.

    Parameters
    ----------
    baseline
        What methods are graded and ranked against; the reference if it was shown, else the first method.
    complete
        Whether all sheets are in and filled.
    options
        Of all intervals.

    Raises
    ------
    ConfigError
        If the baseline was not shown, or there is no score at all.
    """
    singles = [item for item in key.items if item.kind == "score" and not item.repeat_of]
    shown = [item.shown[0] for item in singles]
    known = {s.method for s in shown}
    methods = tuple(m for m in _methods(key) if m in known)
    base = baseline or (REFERENCE if REFERENCE in known else methods[0])
    if base not in known:
        raise ConfigError(f"the baseline {base!r} was not shown; there are: {listed(methods)}")
    settings = tuple(dict.fromkeys(s.setting for s in sorted(shown, key=lambda s: (s.mask, s.acceleration)) if s.mask))
    if not any(row.score is not None for row in answers.scores):
        raise ConfigError("the sheets hold no score; give filled ones")
    remarks: list[str] = [*key.left_out]
    if not complete:
        remarks.append("The key was opened before all readers had answered everything; later answers are not blind")
    return ReaderResults(
        study=key.study,
        seal=key.seal,
        readers=answers.readers,
        methods=methods,
        settings=settings,
        baseline=base,
        criteria=tuple(CriterionRecord(c.name, c.title, c.question, c.answers) for c in CRITERIA),
        n_subjects=len({s.subject for s in shown}),
        n_inputs=len({s.input for s in shown}),
        n_series=len(singles),
        n_repeats=sum(bool(item.repeat_of) for item in key.items),
        n_pairs=sum(item.kind == "preference" for item in key.items),
        complete=complete,
        scores=_summaries(answers.scores, methods, settings),
        agreement=_agreement(answers.scores, answers.readers, options, remarks),
        gradings=_gradings(answers.scores, methods, settings, base, options, remarks),
        preferences=_preferences(answers, settings, methods, options),
        ranks=_ranks(answers, settings, base, options),
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _methods(key: ReaderKey) -> tuple[str, ...]:
    """In the order of the study; the reference last."""
    known = sorted({s.method for item in key.items for s in item.shown} - {REFERENCE})
    asked = [m for m in key.options.methods if m in known]
    return (*(asked or known), REFERENCE)


def _summaries(rows: Sequence[ScoreRow], methods: Sequence[str], settings: Sequence[str]) -> tuple[ScoreSummary, ...]:
    found = []
    for criterion in CRITERIA:
        for setting in (*settings, ""):
            for method in methods:
                given = [
                    (r.reader, r.score)
                    for r in rows
                    if not r.repeat
                    and r.score is not None
                    and (r.criterion, r.shown.setting, r.shown.method) == (criterion.name, setting, method)
                ]
                if not given:
                    continue
                values = np.array([score for _, score in given])
                found.append(
                    ScoreSummary(
                        setting,
                        method,
                        criterion.name,
                        tuple(int((values == category).sum()) for category in SCALE),
                        float(np.median(values)),
                        float(values.mean()),
                        {
                            reader: float(np.mean([s for who, s in given if who == reader]))
                            for reader in dict.fromkeys(who for who, _ in given)
                        },
                    )
                )
    return tuple(found)


def _agreement(
    rows: Sequence[ScoreRow], readers: Sequence[str], options: IntervalOptions, remarks: list[str]
) -> tuple[AgreementSummary, ...]:
    found: list[AgreementSummary] = []
    repeated = {(r.reader, r.shown, r.criterion) for r in rows if r.repeat and r.score is not None}
    for criterion in CRITERIA:
        mine = [r for r in rows if r.criterion == criterion.name]
        if len(readers) > 1:
            inter = _try(
                lambda mine=mine: reader_agreement(  # type: ignore[misc]
                    [_rating(r, r.reader) for r in mine if not r.repeat], categories=SCALE, options=options
                ),
                f"agreement between readers on {criterion.title}",
                remarks,
            )
            found += [] if inter is None else [_agreed("inter", "", criterion.name, inter)]
        for reader in readers:
            twice = [
                _rating(r, "second showing" if r.repeat else "first showing")
                for r in mine
                if r.reader == reader and (reader, r.shown, criterion.name) in repeated
            ]
            if not twice:
                continue
            intra = _try(
                lambda twice=twice: reader_agreement(twice, categories=SCALE, options=options),  # type: ignore[misc]
                f"agreement of {reader} with the second showing on {criterion.title}",
                remarks,
            )
            found += [] if intra is None else [_agreed("intra", reader, criterion.name, intra)]
    return tuple(found)


def _agreed(kind: str, reader: str, criterion: str, agreement: Agreement) -> AgreementSummary:
    interval = agreement.interval
    sentence = agreement.sentence()
    if kind == "intra":
        sentence = sentence.replace("of 2 readers", f"of {reader}'s first and second showing")
    return AgreementSummary(
        kind,  # type: ignore[arg-type]
        reader,
        criterion,
        agreement.kappa,
        None if interval is None else interval.low,
        None if interval is None else interval.high,
        agreement.exact,
        agreement.within_one,
        agreement.n_images,
        agreement.n_subjects,
        sentence,
    )


def _gradings(
    rows: Sequence[ScoreRow],
    methods: Sequence[str],
    settings: Sequence[str],
    baseline: str,
    options: IntervalOptions,
    remarks: list[str],
) -> tuple[GradingSummary, ...]:
    found: list[GradingSummary] = []
    for criterion in CRITERIA:
        family: list[GradingSummary] = []
        for setting in settings:
            here = [
                Rating(r.reader, r.shown.subject, r.shown.input, r.shown.method, r.score)
                for r in rows
                if r.criterion == criterion.name and not r.repeat and r.shown.setting in (setting, "")
            ]
            for method in methods:
                if method in (baseline, REFERENCE) or not any(r.method == method for r in here):
                    continue
                graded = _try(
                    lambda here=here, method=method: visual_grading(  # type: ignore[misc]
                        here, new=method, reference=baseline, categories=SCALE, options=options
                    ),
                    f"{criterion.title} of {method} at {setting}",
                    remarks,
                )
                if graded is None:
                    continue
                interval = graded.interval
                family.append(
                    GradingSummary(
                        setting,
                        criterion.name,
                        method,
                        baseline,
                        graded.area,
                        None if interval is None else interval.low,
                        None if interval is None else interval.high,
                        graded.p,
                        None,
                        graded.curve,
                        graded.n_subjects,
                        graded.sentence(),
                    )
                )
        found += _adjusted(family)
    return tuple(found)


def _preferences(
    answers: Unblinded, settings: Sequence[str], methods: Sequence[str], options: IntervalOptions
) -> tuple[PreferenceSummary, ...]:
    found: list[PreferenceSummary] = []
    for setting in settings:
        rows = _choices(answers, setting)
        shown = {frozenset((r.first, r.second)) for r in rows}
        pairs = [(a, b) for i, a in enumerate(methods) for b in methods[i + 1 :] if frozenset((a, b)) in shown]
        for first, second in pairs:
            test = preference_test(rows, first=first, second=second, level=options.level)
            found.append(
                PreferenceSummary(
                    setting,
                    first,
                    second,
                    int(test.for_first),
                    int(test.for_second),
                    int(test.undecided),
                    test.choices,
                    test.share,
                    test.low,
                    test.high,
                    test.p,
                    None,
                    test.sentence(),
                )
            )
    return tuple(_adjusted(found))


def _ranks(
    answers: Unblinded, settings: Sequence[str], baseline: str, options: IntervalOptions
) -> tuple[RankSummary, ...]:
    found = []
    for setting in settings:
        rows = _choices(answers, setting)
        shown = list(dict.fromkeys(m for r in rows for m in (r.first, r.second)))
        if len(shown) < 3:  # two methods: the sign test says it all
            continue
        base = baseline if baseline in shown else shown[0]
        scale = preference_scale(rows, baseline=base, options=options)
        found.append(
            RankSummary(
                setting,
                base,
                scale.methods,
                scale.strengths,
                tuple(None if i is None else i.low for i in scale.intervals),
                tuple(None if i is None else i.high for i in scale.intervals),
                scale.sentence(),
            )
        )
    return tuple(found)


def _choices(answers: Unblinded, setting: str) -> list[Preference]:
    return [
        Preference(r.reader, r.first.subject, r.first.input, r.first.method, r.second.method, r.preferred)
        for r in answers.choices
        if r.setting == setting and r.preferred is not None
    ]


def _adjusted(family: Iterable[S]) -> list[S]:
    """Holm's correction over those that have a p-value, said in the sentence too."""
    rows = list(family)
    tested = [i for i, row in enumerate(rows) if row.p is not None]
    for i, p in zip(tested, holm([rows[i].p or 0.0 for i in tested]), strict=True):
        sentence = rows[i].sentence
        if len(tested) > 1:
            sentence += f" Holm over {len(tested)} tests: {p_value(float(p))}."
        rows[i] = replace(rows[i], p_adjusted=float(p), sentence=sentence)
    return rows


def _rating(row: ScoreRow, reader: str) -> Rating:
    image = f"{row.shown.input} {row.shown.setting}".strip()
    return Rating(reader, row.shown.subject, image, row.shown.method, row.score)


def _try(make: Callable[[], T], what: str, remarks: list[str]) -> T | None:
    """What cannot be computed becomes a remark: one empty column must not hide the others."""
    try:
        return make()
    except ConfigError as error:
        remarks.append(f"No {what}: {error}")
        return None
