"""What a study keeps on disk survives the way there and back, and damage is told from absence."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from mrirecon.errors import ConfigError, FormatError
from mrirecon.evaluation.study.layout import Layout
from mrirecon.evaluation.study.records import (
    CellKey,
    CellResult,
    InputRecord,
    MaskRecord,
    result_from_mapping,
    result_to_mapping,
)
from mrirecon.evaluation.study.results import PlannedCell, StudyRecord, open_study
from mrirecon.metrics.evaluate import evaluate, evaluate_slices
from mrirecon.metrics.regions import Region
from mrirecon.records import to_mapping

KEY = CellKey("brain", "random", 4.0, 2, "tv")


def scored(key=KEY):
    rng = np.random.default_rng(0)
    reference, image = rng.random((3, 24, 24)), rng.random((3, 24, 24))
    region = Region("box", np.arange(24 * 24 * 3).reshape(3, 24, 24) % 5 == 0)
    keys = {"input": key.input, "mask": key.mask, "acceleration": "4", "seed": "2", "method": key.method}
    keys = {"subject": "somebody", **keys}
    whole = evaluate(reference, image, "fastmri", regions=(region,), keys=keys)
    whole[0] = replace(whole[0], value=math.inf)
    whole[1] = replace(whole[1], value=math.nan, note="undefined")
    return CellResult(
        key,
        "f00d",
        scores=tuple(whole),
        slice_scores=tuple(evaluate_slices(reference, image, "fastmri", keys=keys)),
        seconds=1.5,
        parameters={"weight": 1e-3},
        facts={"effective_acceleration": 3.7},
        warnings=("it is only a test",),
    )


def written(folder):
    layout = Layout(folder)
    other = replace(KEY, method="sense")
    plan = StudyRecord("n", "d", "c", {"torch": "2"}, {"a": 1}, (PlannedCell(KEY, "f00d"), PlannedCell(other, "beef")))
    record = InputRecord("brain", "somebody", "x.h5", "00", "measured", True, (7, 9, 11), (24, 24), 4)
    mask = MaskRecord("brain", "random", 4.0, 2, 3.7)
    cell = result_to_mapping(scored())
    for path, content in (
        (layout.study, to_mapping(plan)),
        (layout.input("brain"), to_mapping(record)),
        (layout.mask(KEY), to_mapping(mask)),
        (layout.result(KEY), cell),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    np.save(layout.mask(KEY).with_suffix(".npy"), np.eye(24, dtype=bool))
    np.save(layout.cell(KEY) / "image.npy", np.ones((3, 24, 24), np.float32))
    return layout, other


def test_a_result_survives_json_with_infinite_and_undefined_scores():
    cell = scored()
    text = json.dumps(result_to_mapping(cell), allow_nan=False)
    back = result_from_mapping(json.loads(text), subject="somebody")
    assert math.isinf(back.scores[0].value)
    assert math.isnan(back.scores[1].value)
    assert repr(back) == repr(cell)  # NaN is not equal to itself


def test_every_definition_is_written_once():
    mapping = result_to_mapping(scored())
    assert len(mapping["definitions"]) == 3 + 3  # all have a value in a region
    assert len(mapping["slice_scores"]) == 3


def test_names_are_paths():
    assert KEY.name == "brain/random-R4-s2/tv"
    assert KEY.setting == "random R4"
    assert replace(KEY, acceleration=3.25).name == "brain/random-R3.25-s2/tv"


def test_a_hole_with_scores_is_refused():
    with pytest.raises(ConfigError, match=r"both scores and a hole \(gone\)"):
        replace(scored(), hole="gone")


def test_a_study_opens_with_what_is_there(tmp_path):
    layout, other = written(tmp_path)
    study = open_study(tmp_path)
    assert [cell.key for cell in study.cells] == [KEY]
    assert study.missing == (other,)
    assert not study.complete
    assert not study.holes
    assert study.inputs["brain"].subject == "somebody"
    assert study.mask_record(KEY).effective_acceleration == 3.7
    assert study.mask(KEY).sum() == 24
    assert study.image(KEY).shape == (3, 24, 24)
    assert study.reference("brain") is None
    assert study.deviation(KEY) is None
    rows = study.rows()
    assert len(rows) == len(scored().scores) + 3
    assert {row["slice"] for row in rows} == {None, 7, 9, 11}  # as in the scan
    assert {row["region"] for row in rows} == {"whole", "box"}
    with pytest.raises(FormatError, match="run the study again"):
        study.image(other)
    assert layout.result(KEY).is_file()


@pytest.mark.parametrize("damage", ["{", "{}", '{"key": 3}'])
def test_a_damaged_or_outdated_cell_is_missing(tmp_path, damage):
    layout, other = written(tmp_path)
    layout.result(KEY).write_text(damage)
    assert set(open_study(tmp_path).missing) == {KEY, other}


def test_an_outdated_cell_is_missing(tmp_path):
    layout, other = written(tmp_path)
    content = json.loads(layout.result(KEY).read_text())
    layout.result(KEY).write_text(json.dumps({**content, "fingerprint": "old"}))
    assert set(open_study(tmp_path).missing) == {KEY, other}


def test_other_folders_are_told(tmp_path):
    with pytest.raises(FormatError, match="is no folder"):
        open_study(tmp_path / "absent")
    with pytest.raises(FormatError, match=r"no study\.json, so it is no study"):
        open_study(tmp_path)
