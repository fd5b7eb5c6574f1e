"""Only scores of one meaning share a column."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrirecon.evaluation.report.columns import (
    is_prospective,
    planned_keys,
    score_columns,
    settings_of,
)
from mrirecon.evaluation.report.directions import arrow, explained, is_ranked, label, unit
from mrirecon.evaluation.study.prospective import prospective_definitions
from mrirecon.evaluation.study.records import CellResult
from mrirecon.evaluation.study.results import StudyResults, open_study
from mrirecon.metrics.consistency import CHI_SQUARE, MISFIT
from mrirecon.metrics.measures import HfenMeasure
from mrirecon.metrics.presets import preset
from mrirecon.metrics.score import Score
from tests.evaluation.study_folder import SyntheticStudy, write_study

STUDY = SyntheticStudy(
    subjects=("s1", "s2"),
    methods={"zero-filled": 1.0, "tv": 0.4},
    masks=("random", "equispaced"),
    accelerations=(4.0, 2.0),
    seeds=(0, 1),
    matrix=(40, 36),
    n_slices=1,
    prospective=("p1",),
    holes={"s2/random-R4-s1/tv": "diverged"},
    missing=("s1/equispaced-R2-s0/tv",),
    n_metrics=2,
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    return open_study(write_study(tmp_path_factory.mktemp("study"), STUDY))


def with_reference(results: StudyResults) -> list[CellResult]:
    return [c for c in results.cells if not is_prospective(results, c.key)]


def test_columns_are_masks_by_metrics(results: StudyResults) -> None:
    columns = score_columns(results, with_reference(results))
    assert [(c.mask, c.label) for c in columns] == [
        ("random", "NMSE"), ("random", "PSNR"), ("equispaced", "NMSE"), ("equispaced", "PSNR")
    ]  # fmt: skip
    for column in columns:
        kinds = {r.setting.split()[0] for r in column.rows}
        assert kinds == {column.mask}
    assert len(columns[0].rows) == 2 * 2 * 2 * 2 - 1  # subjects, methods, accelerations, seeds; one hole
    assert len(columns[2].rows) == 2 * 2 * 2 * 2 - 1  # one not run


def test_prospective_scans_have_columns_of_their_own(results: StudyResults) -> None:
    cells = [c for c in results.cells if is_prospective(results, c.key)]
    columns = score_columns(results, cells)
    assert [c.label for c in columns] == ["Relative residual", "Reduced chi-square"]
    assert all(r.subject == "p1" for c in columns for r in c.rows)
    assert not any(c.ranked for c in columns)


def test_acceleration_is_the_effective_one(results: StudyResults) -> None:
    keys = [k for k in planned_keys(results) if k.mask == "equispaced"]
    settings = settings_of(results, keys)
    assert [s.nominal for s in settings] == [2.0, 4.0]  # ascending, whatever the order of the study
    for setting in settings:
        rates = [
            36 / results.mask(k)[0].sum()
            for k in keys
            if k.acceleration == setting.nominal and k.method == "zero-filled"
        ]
        assert len(rates) == setting.n_masks == 4
        assert setting.effective == pytest.approx(np.mean(rates))
        assert (setting.lowest, setting.highest) == pytest.approx((min(rates), max(rates)))
        assert setting.effective < setting.nominal


def test_scores_of_another_definition_get_another_column(results: StudyResults) -> None:
    cells = with_reference(results)
    changed = [
        replace(c, scores=tuple(replace(s, definition=replace(s.definition, crop="square")) for s in c.scores))
        if c.key.method == "tv"
        else c
        for c in cells
    ]
    columns = [c for c in score_columns(results, changed) if c.mask == "random"]
    assert len(columns) == 4
    assert all(len({r.method for r in c.rows}) == 1 for c in columns)
    assert len({c.label for c in columns}) == 4  # names tell them apart
    assert "[" in columns[0].label


def test_regions_are_apart_from_the_whole(results: StudyResults) -> None:
    nmse = replace(preset("study")[0], scope="region")
    cells = [
        replace(c, scores=(*c.scores, Score(0.1, nmse, region="lesion"))) for c in with_reference(results) if c.scores
    ]
    labels = [c.label for c in score_columns(results, cells) if c.mask == "random"]
    assert labels == ["NMSE", "PSNR", "NMSE in lesion"]


def test_directions() -> None:
    nmse, psnr, ssim, hfen, vif, haarpsi = preset("study")
    assert [label(d) for d in (nmse, psnr, ssim, hfen, vif, haarpsi)] == [
        "NMSE",
        "PSNR",
        "SSIM",
        "HFEN",
        "VIF",
        "HaarPSI",
    ]
    assert [arrow(d) for d in (nmse, psnr, hfen)] == ["lower is better", "higher is better", "lower is better"]
    assert (unit(psnr), unit(ssim), unit(MISFIT), unit(CHI_SQUARE)) == ("dB", "", "a.u.", "")
    assert unit(replace(hfen, measure=HfenMeasure(normalised=False))) == "a.u."
    assert label(replace(nmse, values="complex")) == "NMSE of complex values"
    assert not is_ranked(CHI_SQUARE)
    without = {label(d): arrow(d) for d in prospective_definitions()}
    assert without["Held-out-line error"] == "lower is better"
    assert without["Repeatability"] == "not ranked"
    assert all(explained(d) != "see its definition" for d in (*prospective_definitions(), *preset("study")))
    assert arrow(CHI_SQUARE) == "not ranked"
