"""A reader study from a study on disk to results in it: what is written where, and everything that is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from mrirecon.errors import ConfigError, FormatError, MrireconError, OutputError
from mrirecon.evaluation.readers.audit import series_folders
from mrirecon.evaluation.readers.criteria import CRITERIA
from mrirecon.evaluation.readers.key import read_key, write_key
from mrirecon.evaluation.readers.options import REFERENCE, ReaderOptions
from mrirecon.evaluation.readers.results import load_reader_results
from mrirecon.evaluation.readers.sheets import write_csv
from mrirecon.evaluation.statistics.interval import IntervalOptions
from mrirecon.evaluation.study.results import open_study
from mrirecon.jobs.reporting import Silent
from mrirecon.jobs.study_readers import ReaderExport, export_readers, import_readers
from tests.evaluation.readers.simulated import read_rows
from tests.evaluation.readers.small_study import METHODS, write_study

OPTIONS = ReaderOptions(readers=2, repeats=0.3, methods=(METHODS[2], METHODS[0]), pairs="all")
QUICK = IntervalOptions("percentile", n_resamples=200)
SUBJECTS = {f"p{n}": [f"p{n}_scan"] for n in range(3)}


class Heard(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def warn(self, message: str) -> None:
        self.warned.append(message)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ReaderExport, Heard]:
    """Study, export and what was said; the sheets in the export are filled in by readers who measure the noise."""
    folder = tmp_path_factory.mktemp("study_readers")
    study = write_study(folder / "study", subjects=SUBJECTS, shape=(1, 20, 24))
    heard = Heard()
    made = export_readers(study, folder / "out", options=OPTIONS, reporter=heard)
    fill_in(made.folder)
    return study, made, heard


def fill_in(export: Path) -> None:
    """Score by what is in the pixels alone, as a reader does: less texture from pixel to pixel is better."""
    for path in sorted(export.glob("reader-*/[sp]*.csv")):
        rows = read_rows(path)
        for row in rows:
            folder = export / "dicom" / row["item"]
            if "preferred" in row:
                a, b = (roughness(folder / side) for side in "AB")
                row["preferred"] = "A" if a < b else "B" if b < a else "none"
            else:
                score = 5 - min(4, int(roughness(folder) * 8))
                row |= {c.name: f"{score},0" for c in CRITERIA}
        write_csv(path, list(rows[0]), [list(row.values()) for row in rows])


def roughness(folder: Path) -> float:
    values = np.stack([pydicom.dcmread(p).pixel_array for p in folder.iterdir()]).astype(float)[:, 5:15, 6:18]
    return float(np.abs(np.diff(values, axis=-1)).mean() / values.mean())


def copy_of(exported: tuple[Path, ReaderExport, Heard], tmp_path: Path) -> tuple[Path, Path]:
    """Study and sheets, to be spoilt."""
    study, made, _ = exported
    shutil.copytree(study, tmp_path / "study")
    for folder in made.folder.glob("reader-*"):
        shutil.copytree(folder, tmp_path / "sheets" / folder.name)
    return tmp_path / "study", tmp_path / "sheets"


def test_an_export_holds_what_readers_need_and_the_key_lies_elsewhere(
    exported: tuple[Path, ReaderExport, Heard],
) -> None:
    study, made, heard = exported
    assert {p.name for p in made.folder.iterdir()} == {
        *("README.txt", "SEAL.txt", "definitions.csv", "dicom", "reader-R1", "reader-R2")
    }
    assert made.key == study / "readers" / f"reader-key-{made.seal[:20]}.json"
    assert made.seal in (made.folder / "SEAL.txt").read_text()
    assert (made.n_series, made.n_repeats, made.n_pairs) == (9, 3, 9)
    worklists = [read_rows(made.folder / f"reader-R{n}/worklist.csv") for n in (1, 2)]
    assert [r["item"] for r in worklists[0]] != [r["item"] for r in worklists[1]]
    assert all({(made.folder / r["folder"]).is_dir() for r in rows} == {True} for rows in worklists)
    assert {r["task"]: r["series"] for r in worklists[0]} == {"score": "1", "compare": "A and B"}
    readme = (made.folder / "README.txt").read_text()
    assert "SCORING (12 items" in readme
    assert "COMPARING (9 items" in readme
    assert len(heard.said) == 1
    assert heard.warned == []
    heads = [pydicom.dcmread(p, stop_before_pixels=True) for p in made.folder.rglob("*.dcm")]
    assert {h.ImageOrientationPatient[1] for h in heads} == {1.0}, "sagittal, as radiologists show it: x to posterior"
    assert all(h.ImageOrientationPatient[5] < -0.9 for h in heads), "y to the feet"


def test_pixels_lie_where_the_study_says(exported: tuple[Path, ReaderExport, Heard]) -> None:
    """The reference in the export is the reference of the study, voxel by voxel at its LPS position."""
    study, made, _ = exported
    results = open_study(study)
    key = read_key(made.key)
    item = next(i for i in key.items if i.kind == "score" and i.shown[0].method == REFERENCE)
    (folder,) = series_folders(made.folder / "dicom", item)
    head = pydicom.dcmread(folder / "0001.dcm")
    record = results.inputs[item.shown[0].input]
    volume = results.reference(record.name)
    assert volume is not None
    to_index = np.linalg.inv(np.array(record.affine_lps))
    row, column = np.array(head.ImageOrientationPatient, float).reshape(2, 3)
    dy, dx = map(float, head.PixelSpacing)
    pixels = head.pixel_array
    ratio = []
    for r, c in [(5, 6), (9, 14), (16, 10), (12, 12), (3, 11)]:
        lps = np.array(head.ImagePositionPatient, float) + c * dx * row + r * dy * column
        x, y, z = np.rint((to_index @ [*lps, 1.0])[:3]).astype(int)
        ratio.append(pixels[r, c] / volume[z, y, x])
    np.testing.assert_allclose(ratio, ratio[0], rtol=2e-3)


def test_sheets_come_back_scored(exported: tuple[Path, ReaderExport, Heard], tmp_path: Path) -> None:
    study, sheets = copy_of(exported, tmp_path)
    heard = Heard()
    results = import_readers(study, [sheets], export=exported[1].folder, intervals=QUICK, reporter=heard)
    assert load_reader_results(study) == results
    assert results.complete
    assert results.readers == ("R1", "R2")
    assert results.methods == (METHODS[2], METHODS[0], REFERENCE), "the order asked for"
    assert (results.n_subjects, results.n_series, results.n_repeats, results.n_pairs) == (3, 9, 3, 9)
    assert results.ranks[0].methods == (REFERENCE, METHODS[0], METHODS[2]), "the noise grows along METHODS"
    assert all(a.exact == 1.0 for a in results.agreement), "readers who measure agree with each other and themselves"
    rows = read_rows(study / "readers/ratings.csv")
    assert len(rows) == 2 * 12 * len(CRITERIA)
    assert {r["method"] for r in rows} == set(results.methods)
    choices = read_rows(study / "readers/preferences.csv")
    assert len(choices) == 18
    assert {r["preferred"] for r in choices} == {REFERENCE, METHODS[0]}
    again = import_readers(study, [sheets], baseline=METHODS[0], intervals=QUICK)
    assert again.baseline == METHODS[0], "the same sheets may be imported again"


def test_nothing_is_named_before_all_answers_are_in(exported: tuple[Path, ReaderExport, Heard], tmp_path: Path) -> None:
    study, sheets = copy_of(exported, tmp_path)
    with pytest.raises(ConfigError, match=r"R2: 69 answers, .* would unblind readers who are not done"):
        import_readers(study, [sheets / "reader-R1"], intervals=QUICK)
    assert load_reader_results(study) is None
    assert not (study / "readers/ratings.csv").exists()
    heard = Heard()
    results = import_readers(study, [sheets / "reader-R1"], allow_incomplete=True, intervals=QUICK, reporter=heard)
    assert not results.complete
    assert any("opened before" in text for text in heard.warned)
    assert results.readers == ("R1",)


def test_sheets_key_and_study_must_belong_together(exported: tuple[Path, ReaderExport, Heard], tmp_path: Path) -> None:
    study, sheets = copy_of(exported, tmp_path)
    key = read_key(exported[1].key)
    swapped = replace(key, items=(replace(key.items[0], shown=key.items[1].shown), *key.items[1:]))
    forged = write_key(swapped, tmp_path / "forged.json")
    with pytest.raises(FormatError, match="made no export with the seal"):
        import_readers(study, [sheets], key=forged)
    published = study / "readers/seals" / f"{swapped.seal[:20]}.json"
    published.write_text(json.dumps({"seal": swapped.seal}))
    with pytest.raises(FormatError, match="belongs to another export, or was changed"):
        import_readers(study, [sheets], key=forged)
    sheet = sheets / "reader-R1/scores.csv"
    good = sheet.read_text(encoding="utf-8-sig")
    sheet.write_text(good.replace("-R1", "-R7"))
    with pytest.raises(FormatError, match=r"scores\.csv: is of reader 'R7'; the export has R1, R2"):
        import_readers(study, [sheets])
    code = read_rows(exported[1].folder / "reader-R1/scores.csv")[0]["item"]
    sheet.write_text(good.replace(code, "ZZZZZZ"))
    with pytest.raises(FormatError, match=r"\[item\]: ZZZZZZ was not shown"):
        import_readers(study, [sheets])
    sheet.write_text(good)
    shutil.copy(sheet, sheets / "scores-again.csv")
    with pytest.raises(FormatError, match="is of the same reader and kind"):
        import_readers(study, [sheets])
    (study / "readers" / exported[1].key.name).unlink()
    with pytest.raises(ConfigError, match="holds no key with the seal"):
        import_readers(study, [sheets / "reader-R1"])


def test_an_export_that_was_changed_is_found(exported: tuple[Path, ReaderExport, Heard], tmp_path: Path) -> None:
    study, sheets = copy_of(exported, tmp_path)
    key = read_key(exported[1].key)
    shutil.copytree(exported[1].folder, tmp_path / "out")
    scores = [item for item in key.items if item.kind == "score"]
    one, two = (series_folders(tmp_path / "out/dicom", item)[0] for item in scores[:2])
    one.rename(tmp_path / "kept")
    two.rename(one)
    (tmp_path / "kept").rename(two)
    with pytest.raises(FormatError, match="its images are not those that were exported"):
        import_readers(study, [sheets], export=tmp_path / "out")
    (tmp_path / "out/SEAL.txt").write_text("SEAL\n\nsha-256 " + "0" * 64)
    with pytest.raises(FormatError, match=r"SEAL\.txt: carries the seal 0000"):
        import_readers(study, [sheets], export=tmp_path / "out")


def test_results_of_another_export_are_kept_unless_told(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", subjects=SUBJECTS, shape=(1, 12, 14))
    options = replace(OPTIONS, readers=1, repeats=0.0, pairs="none")
    for name in ("one", "two"):
        fill_in(export_readers(study, tmp_path / name, options=options).folder)
    import_readers(study, [tmp_path / "one"], intervals=QUICK)
    with pytest.raises(ConfigError, match="has the results of another export"):
        import_readers(study, [tmp_path / "two"], intervals=QUICK)
    with pytest.raises(ConfigError, match="the sheets are of 2 exports"):
        import_readers(study, [tmp_path / "one", tmp_path / "two"], intervals=QUICK)
    before = load_reader_results(study)
    after = import_readers(study, [tmp_path / "two"], replace=True, intervals=QUICK)
    assert before is not None
    assert before.seal != after.seal
    assert read_rows(study / "readers/preferences.csv") == []


def test_holes_leave_whole_blocks_out_and_are_told(tmp_path: Path) -> None:
    hole = f"p1_scan/equispaced-R4-s0/{METHODS[0]}"
    study = write_study(tmp_path / "study", subjects=SUBJECTS, shape=(1, 12, 14), holes=(hole,), affine=None)
    heard = Heard()
    options = ReaderOptions(readers=1, repeats=0, pairs="none", seed=3)
    made = export_readers(study, tmp_path / "out", options=options, key=tmp_path / "key.json", reporter=heard)
    assert made.n_series == 2 * 4
    assert heard.warned[0].startswith("p1_scan, equispaced R4: left out, zerofilled_adjoint not finished")
    assert any("who knows it and the study can unblind" in text for text in heard.warned)
    assert sum("GEOM-NOMINAL" in text for text in heard.warned) == 2
    assert made.key == tmp_path / "key.json"


def test_prospective_studies_have_no_reference(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", subjects=SUBJECTS, shape=(1, 12, 14), references=False)
    made = export_readers(study, tmp_path / "out", options=ReaderOptions(readers=1, repeats=0, pairs="none"))
    assert made.n_series == 9
    fill_in(made.folder)
    results = import_readers(study, [made.folder], intervals=QUICK)
    assert REFERENCE not in results.methods
    assert results.methods == METHODS[:3], "in the order of the study"
    assert results.baseline == METHODS[0]


def test_bad_places_leave_nothing(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", subjects={"p": ["p_scan"]}, shape=(1, 12, 14))
    options = ReaderOptions(readers=1, repeats=0, pairs="none")
    with pytest.raises(ConfigError, match="must not lie in out, which the readers get"):
        export_readers(study, tmp_path / "out", options=options, key=tmp_path / "out/key.json")
    with pytest.raises(FormatError, match="holds no study"):
        export_readers(tmp_path, tmp_path / "out")
    (tmp_path / "key.json").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        export_readers(study, tmp_path / "out", options=options, key=tmp_path / "key.json")
    assert not (tmp_path / "out").exists()
    cell = study / f"cells/p_scan/equispaced-R4-s0/{METHODS[1]}/image.npy"
    np.save(cell, np.ones((1, 12, 13), dtype=np.float32))
    with pytest.raises(MrireconError, match=r"wavelet_fista at equispaced R4 of p_scan has shape \(1, 12, 13\)"):
        export_readers(study, tmp_path / "out", options=options)
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "key.json").read_text() == "mine"
    assert not list(tmp_path.glob(".*"))
