"""Pictures are chosen by rule and shown on common scales."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mrirecon.evaluation.report.columns import Setting, score_columns
from mrirecon.evaluation.report.examples import example, shown_settings, typical_and_hardest
from mrirecon.evaluation.report.plots_examples import plot_example
from mrirecon.evaluation.report.section_pictures import Budget, example_block
from mrirecon.evaluation.study.results import StudyResults, open_study
from tests.evaluation.report.html_check import check
from tests.evaluation.study_folder import SyntheticStudy, write_study

STUDY = SyntheticStudy(
    subjects=("s1", "s2", "s3"),
    methods={"zero-filled": 1.0, "tv": 0.4, "unfolded": 0.2},
    accelerations=(2.0, 4.0),
    matrix=(48, 40),
    holes={"s1/random-R4-s0/tv": "diverged"},
    n_metrics=2,
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    return open_study(write_study(tmp_path_factory.mktemp("study"), STUDY))


def test_typical_is_the_median_and_hardest_the_worst(results: StudyResults) -> None:
    psnr = score_columns(results, results.cells)[1]
    mean = {
        name: np.mean([r.value for r in psnr.rows if r.slice == name and r.value is not None]) for name in ("s2", "s3")
    }
    worse, better = sorted(mean, key=mean.__getitem__)
    assert psnr.label == "PSNR"
    found = typical_and_hardest(psnr, ["s1", "s2", "s3"])
    assert [name for name, _ in found] == [worse]  # s1 has a hole: it is not compared with the others
    assert "of two scans" in found[0][1]
    assert better != worse


def test_all_methods_share_a_window_and_an_error_scale(results: StudyResults) -> None:
    column = score_columns(results, results.cells)[1]
    shown = example(results, "s1", why="w", settings=column.settings, methods=column.methods, column=column)
    assert shown is not None
    assert shown.reference is not None
    reference = results.reference("s1")
    assert reference is not None
    assert shown.place == 1
    assert np.array_equal(shown.reference, reference[1])
    assert shown.largest == reference.max()
    key = shown.settings[1][1][0].key
    assert shown.settings[1][0].effective == results.mask_record(key).effective_acceleration
    tv = shown.settings[1][1][1]
    assert (tv.key.method, tv.image, tv.hole) == ("tv", None, "diverged")
    zero = shown.settings[0][1][0]
    assert zero.image is not None
    expected = np.abs(zero.image - reference[1]) / (shown.error_share * reference.max())
    assert np.allclose(shown.error_of(zero.image), expected)
    beyond = [
        (np.abs(s.image - reference[1]) > shown.error_share * reference.max()).mean()
        for _, own in shown.settings for s in own if s.image is not None
    ]  # fmt: skip
    assert shown.beyond == pytest.approx(np.mean(beyond))
    assert shown.beyond < 0.05
    score = next(
        s.value for c in results.cells if c.key == zero.key for s in c.scores if s.definition == column.definition
    )
    assert zero.caption == f"PSNR {score:.1f} dB"
    assert shown.deviation_top > 0


def test_the_block_shows_the_hole_and_every_scale(results: StudyResults) -> None:
    column = score_columns(results, results.cells)[1]
    shown = example(results, "s1", why="By rule.", settings=column.settings, methods=column.methods, column=column)
    assert shown is not None
    page = check(example_block(shown, Budget(10**7)).html)
    assert page.wrong == []
    words = " ".join(page.words)
    assert "No picture: diverged" in words
    assert "left edge R, right L, top A, bottom P" in words
    assert "lie beyond it" in words
    reference, classical, learned = 2 + 2, 3, 4  # image and zoom with two colour scales; with error; with deviation
    assert len(page.images) == (reference + 2 * classical + learned) + (reference + classical + learned)
    assert example_block(shown, Budget(1000)).html.count("Left out to keep this page small") == 2


def test_the_figure_for_a_paper(results: StudyResults) -> None:
    column = score_columns(results, results.cells)[1]
    shown = example(results, "s1", why="w", settings=column.settings[1:], methods=column.methods, column=column)
    assert shown is not None
    plot = plot_example(shown, *shown.settings[0], name="e", title="Typical scan")
    assert plot.png.startswith(b"\x89PNG")
    assert plot.svg.count(b"<image") >= 8  # reference and two methods: image and zoom each, two errors
    assert "zero-filled" in plot.alternative


def test_accelerations_shown() -> None:
    settings = [Setting(f"r R{r}", "r", float(r), float(r), r, r, 1) for r in (2, 3, 4, 6, 8)]
    assert [s.nominal for s in shown_settings(settings)] == [2.0, 4.0, 8.0]
    assert [s.nominal for s in shown_settings(settings, (3.0, 8.0))] == [3.0, 8.0]
    assert [s.nominal for s in shown_settings(settings[:2])] == [2.0, 3.0]


def test_an_input_without_pictures_has_no_example(tmp_path: Path) -> None:
    study = SyntheticStudy(
        subjects=("s1",), methods={"tv": 1.0}, accelerations=(2.0,), holes={"s1/random-R2-s0/tv": "no memory"}
    )
    results = open_study(write_study(tmp_path, study))
    assert example(results, "s1", why="", settings=(), methods=("tv",), column=None) is None
