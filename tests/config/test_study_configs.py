"""Every study in the repository loads and names data and checkpoints that exist."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.io import savemat

from mrirecon.config.study_schema import MaskGrid, SimulatedInput, load_study_config
from mrirecon.data.spec import load_data_spec
from mrirecon.errors import ConfigError
from mrirecon.evaluation.method_choices import Learned
from mrirecon.io.base import open_scan
from mrirecon.training.checkpoint import find_checkpoint
from pipelines import acceleration_study
from tests.jobs.study_case import write_scan

ROOT = Path(__file__).parents[2]
STUDIES = sorted((ROOT / "configs").glob("study-*.yaml"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.stem)
def test_studies_load(path: Path) -> None:
    config = load_study_config(path)
    assert config.tuning is not None
    shown, tuned = config.inputs.values(), config.tuning.inputs.values()
    for choice in (*shown, *tuned):
        if isinstance(choice, SimulatedInput):
            spec = load_data_spec(ROOT / "data_specs" / f"{choice.spec}.yaml")
            assert choice.split in (spec.splits or {})
    pairs = [{(c.spec, c.split) for c in group if isinstance(c, SimulatedInput)} for group in (shown, tuned)]
    assert not pairs[0] & pairs[1]
    for method in config.methods.values():
        if isinstance(method, Learned):
            assert find_checkpoint(str(method.checkpoint)).is_file()


def test_the_centre_may_be_one_for_each_acceleration() -> None:
    grid = MaskGrid((2.0, 4.0), centre={"2": 0.2, "4.0": 0.1})
    assert grid.centre_of(4.0) == 0.1
    with pytest.raises(ConfigError, match="no share for the acceleration 8"):
        replace(grid, accelerations=(2.0, 8.0))


def test_the_pipeline_converts_the_knee(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "kspace" / "single_coil" / "rawkneedata.mat"
    source.parent.mkdir(parents=True)
    kspace = write_scan(tmp_path / "made.npy", seed=0, n_coils=1, n_slices=1)[0, 0]
    savemat(source, {"dat": kspace})
    (tmp_path / "out").mkdir()
    config = acceleration_study.configured(ROOT / "configs" / "study-small.yaml", tmp_path, tmp_path / "out")
    content = yaml.safe_load(config.read_text())
    scan = open_scan(content["inputs"]["knee"]["files"])
    assert (scan.n_slices, scan.n_coils) == (1, 1)
    assert scan.protocol.phase_encoding_axis == "y"
    np.testing.assert_allclose(scan.read(0)[0].numpy(), kspace, rtol=1e-6)
    assert load_study_config(config).name == load_study_config(ROOT / "configs" / "study-small.yaml").name
