"""The report of a study: figures in its folder, and one page that needs nothing else."""

from __future__ import annotations

from pathlib import Path

from mrirecon.evaluation.readers.results import load_reader_results
from mrirecon.evaluation.report.compose import compose
from mrirecon.evaluation.report.data import report_data
from mrirecon.evaluation.report.gallery import KINDS, figures, prospective_examples, retrospective_examples
from mrirecon.evaluation.report.plots_style import Plot
from mrirecon.evaluation.study.results import open_study
from mrirecon.io.atomic import atomic_file
from mrirecon.jobs.reporting import Reporter

PAGE = "report.html"
FIGURES = "figures"
TABLES = ("scores.csv", "scores.parquet")


def write_report(folder: Path, reporter: Reporter) -> Path:
    """Write ``report.html`` and ``figures/`` of a study in any state, and return the page.

    Parameters
    ----------
    folder
        Of the study, as ``mrirecon study run`` left it; finished or not.
    reporter
        Is told of the progress and of what is missing.

    Raises
    ------
    FormatError
        If the folder holds no study.
    ConfigError
        If the study's ``report`` key names something that is not there.
    MissingDependencyError
        If matplotlib cannot be imported.
    OutputError
        If a file cannot be written.
    """
    results = open_study(folder)
    if not results.complete:
        reporter.warn(
            f"{len(results.missing)} cells were not run, {len(results.holes)} failed; the report shows the holes"
        )
    data = report_data(results)
    with_reference, without = retrospective_examples(data), prospective_examples(data)
    readers = load_reader_results(results.folder)
    makers = list(figures(data, (*with_reference, *without), readers))
    plots: dict[str, Plot] = {}
    for name, draw in reporter.track(makers, total=len(makers), label="figures"):
        plots[name] = draw()
        _write(results.folder / FIGURES / f"{name}.svg", plots[name].svg)
        _write(results.folder / FIGURES / f"{name}.png", plots[name].png)
    _forget_others(results.folder / FIGURES, set(plots))
    names = [name for name in TABLES if (results.folder / name).is_file()]
    html = compose(
        data,
        examples=with_reference,
        prospective=without,
        plots=plots,
        files=[*names, *(f"{FIGURES}/{name}.svg and .png" for name in plots)],
        readers=readers,
    )
    page = results.folder / PAGE
    _write(page, html.encode("utf-8"))
    reporter.say(f"report: {page.name}, {len(plots)} figures in {FIGURES}/")
    return page


def _forget_others(folder: Path, names: set[str]) -> None:
    """Remove figures of earlier reports, which would contradict this one; other people's files stay."""
    for path in folder.glob("*.svg"):
        if path.stem not in names and path.stem.split("-")[0] in KINDS:
            path.unlink()
            path.with_suffix(".png").unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    with atomic_file(path, overwrite=True) as temporary:
        temporary.write_bytes(content)
