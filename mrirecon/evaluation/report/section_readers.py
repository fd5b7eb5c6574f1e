"""What blinded readers found."""

from __future__ import annotations

from mrirecon.evaluation.readers.results import ReaderResults
from mrirecon.evaluation.report.images import figure_of
from mrirecon.evaluation.report.markup import (
    Content,
    Markup,
    aside,
    bullets,
    classed,
    folded,
    paragraph,
    section,
    table,
    tag,
)
from mrirecon.evaluation.report.plots_readers import reader_bars
from mrirecon.evaluation.report.plots_style import Plot
from mrirecon.evaluation.report.tables import NOTHING, shown_p
from mrirecon.evaluation.statistics.wording import counted, number


def readers_section(results: ReaderResults, plot: Plot | None) -> Markup:
    """Design, agreement, scores, grading against the baseline, preferences and ranks."""
    parts: list[Content] = [
        paragraph(
            f"{counted(len(results.readers), 'reader')} scored {results.n_series} series "
            f"of {counted(results.n_inputs, 'scan')} of {counted(results.n_subjects, 'subject')} blinded and in random "
            f"order, {results.n_repeats} of them twice; {counted(results.n_pairs, 'pair')} were shown side by side. "
            "Scores run from 1 to 5, 5 is best. The key was sealed before the reading, SHA-256 ",
            tag("code", results.seal),
            ".",
        )
    ]
    if not results.complete:
        parts.append(
            classed(
                "div",
                "warn",
                "The key was opened before every reader had answered everything: later answers are not blind.",
            )
        )
    if results.remarks:
        parts.append(bullets([_full_stop(remark) for remark in results.remarks]))
    if plot is not None:
        parts.append(figure_of(plot, "Scores of all readers, repetitions left out, by method and setting."))
    parts += [tag("h3", "Scores"), *_scores(results), tag("h3", "Agreement"), *_agreement(results)]
    parts += [tag("h3", f"Visual grading against {results.baseline}"), *_gradings(results)]
    if results.preferences:
        parts += [tag("h3", "Preference side by side"), *_preferences(results)]
    questions: list[Content] = [[tag("b", c.title), f": {c.question} ", "; ".join(c.answers)] for c in results.criteria]
    parts.append(folded("The questions", bullets(questions)))
    return section("Reader study", "readers", parts)


def _scores(results: ReaderResults) -> list[Content]:
    tables: list[Content] = []
    for criterion in results.criteria:
        found = {(s.setting, s.method): s for s in results.scores if s.criterion == criterion.name}
        rows: list[list[Content]] = []
        for place in reader_bars(results):
            s = found.get(place)
            if s is None:
                continue
            single = "; ".join(f"{reader} {number(mean, 2)}" for reader, mean in s.reader_means.items())
            setting = place[0] or "fully sampled"
            rows.append([place[1], setting, single, f"{s.median:g}", number(s.mean, 2), " / ".join(map(str, s.counts))])
        caption: list[Content] = [tag("b", criterion.title), ", all readers together; means are for orientation."]
        header: list[Content] = ["method", "setting", "mean by reader", "median", "mean", "times 1 / 2 / 3 / 4 / 5"]
        tables.append(table(header, rows, caption=caption, words=3))
    return tables


def _agreement(results: ReaderResults) -> list[Content]:
    titles = {c.name: c.title for c in results.criteria}
    rows: list[list[Content]] = []
    for a in results.agreement:
        who = "between readers" if a.kind == "inter" else f"{a.reader}, first and second reading"
        rows.append(
            [
                titles.get(a.criterion, a.criterion),
                who,
                _with_limits(a.kappa, a.low, a.high),
                f"{100 * a.exact:.0f} %",
                f"{100 * a.within_one:.0f} %",
                f"{a.n_images} ({a.n_subjects})",
            ]
        )
    header: list[Content] = [
        "criterion",
        "who",
        "weighted kappa (95 % interval)",
        "equal",
        "within one",
        "images (subjects)",
    ]
    return [
        table(header, rows, caption="Quadratic weights.", words=2) if rows else paragraph("None could be computed."),
        aside("The same in sentences", bullets([a.sentence for a in results.agreement])),
    ]


def _gradings(results: ReaderResults) -> list[Content]:
    tables: list[Content] = []
    for criterion in results.criteria:
        own = [g for g in results.gradings if g.criterion == criterion.name]
        rows: list[list[Content]] = [
            [
                g.setting,
                g.method,
                _with_limits(g.area, g.low, g.high),
                str(g.n_subjects),
                shown_p(g.p),
                shown_p(g.p_adjusted),
            ]
            for g in own
        ]
        caption: list[Content] = [
            tag("b", criterion.title),
            "; area under the visual grading curve: 0.5 is no difference, below it the baseline has the better scores.",
        ]
        header: list[Content] = ["setting", "method", "AUC-VGC (95 % interval)", "subjects", "p", "adjusted p (Holm)"]
        if rows:
            tables.append(table(header, rows, caption=caption, words=2))
    return [*tables, aside("The same in sentences", bullets([g.sentence for g in results.gradings]))]


def _preferences(results: ReaderResults) -> list[Content]:
    rows: list[list[Content]] = [
        [
            p.setting,
            f"{p.first} or {p.second}",
            f"{p.for_first} / {p.for_second} / {p.undecided}",
            _with_limits(p.share, p.low, p.high),
            shown_p(p.p),
            shown_p(p.p_adjusted),
        ]
        for p in results.preferences
    ]
    header: list[Content] = [
        "setting",
        "pair",
        "subjects for the first / second / neither",
        "share for the first (95 % interval)",
        "p",
        "adjusted p (Holm)",
    ]
    sentences = [*(p.sentence for p in results.preferences), *(r.sentence for r in results.ranks)]
    return [
        table(header, rows, words=2),
        aside("The same in sentences, and all methods on one scale", bullets(sentences)),
    ]


def _with_limits(value: float | None, low: float | None, high: float | None) -> Content:
    if value is None:
        return NOTHING
    limits = None if low is None or high is None else tag("small", f" ({number(low, 2)} to {number(high, 2)})")
    return [number(value, 2), limits]


def _full_stop(sentence: str) -> str:
    return sentence if sentence.endswith(".") else f"{sentence[:1].upper()}{sentence[1:]}."
