"""Simulated readers of known taste: their order comes back; kappa and means agree with other people's programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mrirecon.errors import ConfigError
from mrirecon.evaluation.readers.answers import write_answers
from mrirecon.evaluation.readers.criteria import CRITERIA
from mrirecon.evaluation.readers.key import ReaderKey
from mrirecon.evaluation.readers.options import REFERENCE, ReaderOptions
from mrirecon.evaluation.readers.results import (
    ReaderResults,
    load_reader_results,
    save_reader_results,
)
from mrirecon.evaluation.readers.scoring import score_readers
from mrirecon.evaluation.readers.unblinding import Unblinded, check_sheets, unblind
from mrirecon.evaluation.statistics.interval import IntervalOptions
from tests.evaluation.readers.simulated import fill_in, key_of, read_rows, series_of, sheets_of

QUICK = IntervalOptions("percentile", n_resamples=300)
TASTE = {"zf": 1.8, "cs": 2.8, "net": 3.5, REFERENCE: 4.3}


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> tuple[ReaderKey, Unblinded, ReaderResults, Path]:
    key = key_of(series_of(12, ("zf", "cs", "net"), (4.0, 8.0)), ReaderOptions(readers=3, repeats=0.5))
    folder = tmp_path_factory.mktemp("readers")
    sheets = sheets_of(fill_in(folder / "sheets", key, TASTE))
    check_sheets(sheets, key)
    answers = unblind(sheets, key)
    write_answers(folder, answers)
    return key, answers, score_readers(answers, key, options=QUICK), folder


def test_the_order_of_taste_comes_back(scored: tuple[ReaderKey, Unblinded, ReaderResults, Path]) -> None:
    _, _, results, _ = scored
    assert results.settings == ("random R4", "random R8")
    assert results.methods == ("cs", "net", "zf", REFERENCE)
    assert [rank.methods for rank in results.ranks] == [(REFERENCE, "net", "cs", "zf")] * 2
    for setting in results.settings:
        means = {s.method: s.mean for s in results.scores if (s.setting, s.criterion) == (setting, "noise")}
        assert means["zf"] < means["cs"] < means["net"]
        areas = {g.method: g.area for g in results.gradings if (g.setting, g.criterion) == (setting, "overall_quality")}
        assert areas["zf"] < areas["cs"] < areas["net"] < 0.5, "all below the reference, in the order of taste"
    worst = next(p for p in results.preferences if {p.first, p.second} == {"zf", REFERENCE})
    assert (worst.for_first, worst.for_second) == (0, 12) if worst.first == "zf" else (12, 0)
    assert worst.p == pytest.approx(2 * 0.5**12)


def test_readers_without_taste_give_no_order(tmp_path: Path) -> None:
    key = key_of(series_of(14, ("a", "b")), ReaderOptions(readers=2, repeats=0))
    sheets = sheets_of(fill_in(tmp_path, key, {"a": 3.0, "b": 3.0, REFERENCE: 3.0}, seed=3))
    results = score_readers(unblind(sheets, key), key, options=QUICK)
    adjusted = [p.p_adjusted for p in (*results.gradings, *results.preferences)]
    assert len(adjusted) == 13
    assert all(p is not None and p > 0.05 for p in adjusted)
    assert not [a for a in results.agreement if a.kind == "intra"]


def test_kappa_is_that_of_other_programs(scored: tuple[ReaderKey, Unblinded, ReaderResults, Path]) -> None:
    """From the exported table alone: scikit-learn's and statsmodels' kappa."""
    _, _, results, folder = scored
    kappa_sklearn = pytest.importorskip("sklearn.metrics").cohen_kappa_score
    kappa_statsmodels = pytest.importorskip("statsmodels.stats.inter_rater").cohens_kappa
    rows = [row for row in read_rows(folder / "ratings.csv") if row["criterion"] == "sharpness"]

    def scores(reader: str, repeat: str) -> dict[tuple[str, ...], int]:
        return {
            (r["input"], r["setting"], r["method"]): int(r["score"])
            for r in rows
            if (r["reader"], r["repeat"]) == (reader, repeat)
        }

    def peers(first: dict[tuple[str, ...], int], second: dict[tuple[str, ...], int]) -> float:
        common = [name for name in first if name in second]
        a, b = [first[n] for n in common], [second[n] for n in common]
        table = np.zeros((5, 5))
        np.add.at(table, (np.array(a) - 1, np.array(b) - 1), 1)
        one = float(kappa_sklearn(a, b, weights="quadratic", labels=[1, 2, 3, 4, 5]))
        assert one == pytest.approx(float(kappa_statsmodels(table, wt="quadratic").kappa))
        return one

    pairs = [("R1", "R2"), ("R1", "R3"), ("R2", "R3")]
    inter = next(a for a in results.agreement if (a.kind, a.criterion) == ("inter", "sharpness"))
    assert inter.kappa == pytest.approx(np.mean([peers(scores(a, "0"), scores(b, "0")) for a, b in pairs]))
    assert inter.n_images == 12 * (3 * 2 + 1)
    for reader in ("R1", "R2", "R3"):
        intra = next(a for a in results.agreement if (a.reader, a.criterion) == (reader, "sharpness"))
        assert intra.kappa == pytest.approx(peers(scores(reader, "0"), scores(reader, "1")))
        assert intra.n_images == 42
        assert f"of {reader}'s first and second showing" in intra.sentence


def test_summaries_are_those_of_the_table(scored: tuple[ReaderKey, Unblinded, ReaderResults, Path]) -> None:
    _, _, results, folder = scored
    rows = read_rows(folder / "ratings.csv")
    summary = next(s for s in results.scores if (s.setting, s.method, s.criterion) == ("random R8", "net", "artefacts"))
    given = [
        (r["reader"], int(r["score"]))
        for r in rows
        if (r["setting"], r["method"], r["criterion"], r["repeat"]) == ("random R8", "net", "artefacts", "0")
    ]
    assert len(given) == 36 == sum(summary.counts)
    assert summary.mean == pytest.approx(np.mean([score for _, score in given]))
    assert summary.median == np.median([score for _, score in given])
    assert summary.reader_means["R2"] == pytest.approx(np.mean([score for who, score in given if who == "R2"]))
    assert summary.counts == tuple(sum(score == c for _, score in given) for c in range(1, 6))


def test_sides_mean_nothing_to_the_result(tmp_path: Path) -> None:
    """Readers who always choose side A prefer nobody: sides are balanced."""
    key = key_of(series_of(10, ("a", "b"), reference=False), ReaderOptions(readers=1, repeats=0))
    paths = fill_in(tmp_path, key, {"a": 3.0, "b": 3.0})
    preferences = next(p for p in paths if p.name == "preferences.csv")
    rows = read_rows(preferences)
    text = "item,preferred,form\n" + "".join(f"{r['item']},A,{r['form']}\n" for r in rows)
    preferences.write_text(text)
    results = score_readers(unblind(sheets_of(paths), key), key, options=QUICK)
    (found,) = results.preferences
    assert (found.for_first, found.for_second, found.p) == (5, 5, 1.0)
    assert results.baseline == "a"
    assert results.ranks == ()


def test_one_setting_does_not_leak_into_another(tmp_path: Path) -> None:
    """A method that is best at R4 and worst at R8 is found so."""
    key = key_of(series_of(8, ("a", "b"), (4.0, 8.0), reference=False), ReaderOptions(readers=2, repeats=0))
    paths = fill_in(tmp_path, key, {"a": 3.0, "b": 3.0})
    items = {item.code: item for item in key.items}
    for path in paths:
        rows = read_rows(path)
        for row in rows:
            shown = items[row["item"]].shown
            better = ["a" if s.acceleration == 4.0 else "b" for s in shown]
            if "preferred" in row:
                row["preferred"] = "A" if shown[0].method == better[0] else "B"
            else:
                row |= {c.name: "5" if shown[0].method == better[0] else "2" for c in CRITERIA}
        path.write_text(
            ";".join(rows[0]) + "\n" + "".join(";".join(row.values()) + "\n" for row in rows), encoding="utf-8"
        )
    results = score_readers(unblind(sheets_of(paths), key), key, options=QUICK)
    areas = {(g.setting, g.method): g.area for g in results.gradings if g.criterion == "noise"}
    assert areas == {("random R4", "b"): 0.0, ("random R8", "b"): 1.0}
    wins = {p.setting: (p.for_first, p.for_second) for p in results.preferences}
    assert wins == {"random R4": (8, 0), "random R8": (0, 8)}


def test_saved_results_load_as_they_were(
    scored: tuple[ReaderKey, Unblinded, ReaderResults, Path], tmp_path: Path
) -> None:
    _, _, results, _ = scored
    assert load_reader_results(tmp_path) is None
    path = save_reader_results(results, tmp_path)
    assert path == tmp_path / "readers/results.json"
    assert load_reader_results(tmp_path) == results
    path.write_text('{"study": 1}')
    with pytest.raises(ValueError, match=r"results\.json"):
        load_reader_results(tmp_path)


def test_an_unknown_baseline_and_empty_sheets_are_refused(
    scored: tuple[ReaderKey, Unblinded, ReaderResults, Path],
) -> None:
    key, answers, _, _ = scored
    with pytest.raises(ConfigError, match=r"'tgv' was not shown; there are: cs, net, zf, reference"):
        score_readers(answers, key, baseline="tgv", options=QUICK)
    with pytest.raises(ConfigError, match="no score"):
        score_readers(Unblinded((), answers.choices), key, options=QUICK)


def test_what_cannot_be_computed_becomes_a_remark(tmp_path: Path) -> None:
    """One reader who gives the same score to everything: no kappa, but all the rest."""
    key = key_of(series_of(5, ("a", "b")), ReaderOptions(readers=1, repeats=1.0))
    paths = fill_in(tmp_path, key, {"a": 3.0, "b": 3.0, REFERENCE: 3.0})
    scores = next(p for p in paths if p.name == "scores.csv")
    rows = read_rows(scores)
    for row in rows:
        row["noise"] = "3"
    scores.write_text(",".join(rows[0]) + "\n" + "".join(",".join(r.values()) + "\n" for r in rows))
    results = score_readers(unblind(sheets_of(paths), key), key, complete=False, options=QUICK)
    flat = next(a for a in results.agreement if a.criterion == "noise")
    assert (flat.kappa, flat.exact) == (None, 1.0)
    assert any("opened before all readers" in remark for remark in results.remarks)
    assert not results.complete
