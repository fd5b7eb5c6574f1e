"""The shift alarm of the released weights, through the command: a head is usual, a phantom and a knee are not."""

import numpy as np
import pytest
import torch

from mrirecon.cli import main
from mrirecon.data.simulated_scan import simulate_scan
from mrirecon.data.spec import load_data_spec
from mrirecon.evaluation.shift_groups import ShiftGroup, group_volumes, measured_scans
from mrirecon.io.ismrmrd.write import write_ismrmrd
from mrirecon.io.provenance import read_provenance
from mrirecon.jobs.calibrate_shift import load_shift_config
from mrirecon.scan import Geometry
from mrirecon.training.checkpoint import load_checkpoint
from tests.io.shared_data import ROOT as DATA
from tests.io.shared_data import shared
from tests.jobs.test_shift_alarm import ROOT

CONFIG = ROOT / "configs" / "shift-alarm-mri.yaml"


def judged(volume, folder):
    """What `mrirecon recon` says of a scan simulated from a magnitude (z, y, x): `ShiftReport` as a mapping."""
    grid = Geometry.from_centre(
        (0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0),
        shape=volume.shape, voxel_size_mm=(5.0, 1.8, 1.8), slice_thickness_mm=5.0,
    )  # fmt: skip
    scan = simulate_scan(volume, grid, source="a test", snr=80.0, oversampling=1, seed=3)
    write_ismrmrd(
        folder / "raw.h5",
        torch.stack([scan.read(i) for i in range(scan.n_planes)]),
        encoding=scan.encoding,
        geometry=scan.geometry,
        protocol=scan.protocol,
        noise=scan.noise,
        simulated=True,
    )
    options = ["--method", "unfolded", "--accelerate", "4", "--mask", "random", "--centre-lines", "12", "--npy"]
    assert main(["recon", str(folder / "raw.h5"), "--out", str(folder / "out"), *options]) == 0
    return read_provenance(folder / "out" / "provenance.json").shift


def shared_volume(spec, split, planes):
    """Planes of a shared volume on 128 x 128."""
    found = load_data_spec(ROOT / "data_specs" / f"{spec}.yaml")
    for path in found.splits[split].paths:
        shared(path.split("*")[0].rstrip("/"))
    images = group_volumes(found, split, DATA)[0].magnitude[planes]
    image = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32)).unsqueeze(1)
    return torch.nn.functional.interpolate(image, (128, 128), mode="area")[:, 0].numpy()


def test_the_released_card_is_calibrated_by_the_configuration_of_the_repository():
    """On people that nobody trained on, and told apart at a glance; the text beside the card says the same."""
    card, config = load_checkpoint("mri-small").card, load_shift_config(CONFIG)
    found = card.shift
    assert found is not None
    assert (found.levels, found.bands, found.false_alarm_rate) == (config.levels, config.bands, config.false_alarm_rate)
    trained = {(data.name, data.split) for data in card.data}
    assert not trained & {(name, group.split) for group in config.usual for name in group.specs}
    assert np.mean(np.array(found.scores) > found.threshold) == pytest.approx(found.false_alarm_rate, abs=0.02)
    told = {s.group: s for s in found.separations}
    assert {"knee", "heart", "phantom"} <= set(told)
    assert all(s.low <= s.auroc <= s.high for s in told.values())
    page = (ROOT / "mrirecon" / "checkpoints" / "mri-small.md").read_text(encoding="utf-8")
    assert all(f"| {s.group} | {s.auroc:.3f} ({s.low:.3f} to {s.high:.3f}) |" in page for s in told.values())


def test_a_ball_is_unusual(tmp_path, capsys):
    y, x = torch.meshgrid(torch.arange(96.0) - 48, torch.arange(96.0) - 48, indexing="ij")
    ball = ((y**2 + x**2).sqrt() < 36).float() + 0.5 * (((y - 10) ** 2 + (x + 8) ** 2).sqrt() < 4)
    found = judged(ball.numpy()[None], tmp_path)
    assert (found["verdict"], found["checkpoint"]) == ("unusual", "mri-small")
    assert found["score"] > found["threshold"]
    assert "UNUSUAL" in capsys.readouterr().err


def test_a_head_is_usual(tmp_path, capsys):
    found = judged(shared_volume("udacity-study3", "train", slice(10, 14, 2)), tmp_path)
    assert found["verdict"] == "usual", found
    assert found["planes"] == 2
    assert "Shift alarm: usual" in capsys.readouterr().err


def test_a_knee_is_unusual(tmp_path):
    """Its anatomy alone: coils, phase and noise are simulated as those of the head."""
    found = judged(shared_volume("single-coil-knee", "test", slice(0, 1)), tmp_path)
    assert found["verdict"] == "unusual", found


def test_the_calibration_estimates_the_map_of_a_single_coil_as_recon_does():
    """With a map of ones the noise around a knee betrayed it, which `recon` cuts off."""
    shared("kspace/single_coil/rawkneedata.mat")
    group, config = ShiftGroup("knee", ("single-coil-knee",), "test", scans=1), load_shift_config(CONFIG)
    scans = measured_scans(group, config.settings, specs=ROOT / "data_specs", root=DATA, min_centre_lines=20, seed=1)
    support = float(next(scans).operator.sensitivities.support.float().mean())
    assert 0.3 < support < 0.95
