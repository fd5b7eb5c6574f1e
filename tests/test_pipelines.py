"""Every script in pipelines/ runs on a small phantom, from a written raw file to a read-back DICOM series."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pydicom
import pytest
import torch
from PIL import Image

from mrirecon.io.base import open_scan
from mrirecon.io.cfl import write_cfl
from mrirecon.linalg.fft import ifft
from tests.acceptance.networks import write_checkpoint
from tests.acceptance.scans import ScanRecipe, write_scan
from tests.io.shared_data import shared

FOLDER = Path(__file__).parents[1] / "pipelines"
RECIPE = ScanRecipe(matrix=(3, 64, 64), voxel=(5.0, 2.4, 2.4), oversampling=1.0, n_coils=8)


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kspace(folder: Path) -> torch.Tensor:
    scan = open_scan(write_scan(folder / "scan.h5", RECIPE))
    return torch.stack([scan.read(i) for i in range(scan.n_slices)])


def series(folder: Path) -> np.ndarray:
    """The pixels of a DICOM series in spatial order."""
    headers = sorted((pydicom.dcmread(p) for p in folder.glob("*.dcm")), key=lambda h: int(h.InstanceNumber))
    return np.stack([h.pixel_array for h in headers]).astype(float)


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_fastmri_knee_to_dicom(tmp_path: Path) -> None:
    data = kspace(tmp_path)
    path = tmp_path / "knee.h5"
    with h5py.File(path, "w") as file:
        file["kspace"] = data.mT.contiguous().numpy()  # the readout is the first image axis there
        file.attrs["acquisition"] = "CORPD_FBK"
    script("fastmri_knee_to_dicom").main(str(path), str(tmp_path / "out"))
    expected = torch.linalg.vector_norm(ifft(data.mT, (-2, -1)), dim=1).numpy()
    found = series(tmp_path / "out" / "dicom")
    assert found.shape == expected.shape
    assert agreement(found, expected) > 0.93
    header = pydicom.dcmread(next((tmp_path / "out" / "dicom").glob("*.dcm")))
    assert "GEOM-NOMINAL" in header.SeriesDescription


def test_retrospective_cfl(tmp_path: Path) -> None:
    data = kspace(tmp_path)[1]
    write_cfl(tmp_path / "brain", data[:, None])
    script("retrospective_cfl").main(str(tmp_path / "brain.cfl"), str(tmp_path / "out"))
    expected = torch.linalg.vector_norm(ifft(data, (-2, -1)), dim=0).numpy()
    scores = [agreement(series(tmp_path / "out" / f"R{r}" / "dicom")[0], expected) for r in (2, 3, 4)]
    assert min(scores) > 0.9


def test_monai_transforms(tmp_path: Path) -> None:
    data = kspace(tmp_path)
    script("monai_transforms").main(str(tmp_path / "scan.h5"), str(tmp_path / "out"))
    (first,) = {p.parent for p in (tmp_path / "out").rglob("*.dcm")}
    found = series(first)
    assert found.shape == (3, 64, 64)
    expected = torch.linalg.vector_norm(ifft(data, (-2, -1)), dim=1).numpy()
    assert agreement(found, expected) > 0.93


def test_learned_reconstruction(tmp_path: Path) -> None:
    data = kspace(tmp_path)
    weights = write_checkpoint(tmp_path / "tiny")
    script("learned_reconstruction").main(str(tmp_path / "scan.h5"), str(tmp_path / "out"), str(weights))
    expected = torch.linalg.vector_norm(ifft(data, (-2, -1)), dim=1).numpy()
    for name in ("fast", "sampled"):  # random weights disturb, but the data are complete
        assert agreement(series(tmp_path / "out" / name / "dicom"), expected) > 0.8
    spread = series(tmp_path / "out" / "sampled" / "dicom_standard_deviation")
    assert spread.shape == expected.shape
    assert spread.max() > 0
    assert not (tmp_path / "out" / "fast" / "dicom_standard_deviation").exists()


def test_restore_photograph(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:48, :52]
    picture = np.uint8(127.5 + 80 * np.sin(0.2 * rows) * np.cos(0.15 * columns))
    Image.fromarray(picture).save(tmp_path / "waves.png")
    weights = write_checkpoint(tmp_path / "tiny", "real")
    script("restore_photograph").main(str(tmp_path / "waves.png"), str(tmp_path / "out"), str(weights))
    for task in ("sr4", "deblur-motion", "inpaint-random"):
        restored = np.asarray(Image.open(tmp_path / "out" / task / "restored.png"), dtype=float)
        assert restored.shape == picture.shape
        assert agreement(restored, picture.astype(float)) > 0.2, "random weights disturb, the data hold"


@pytest.mark.data
def test_twix_brain_measured_maps(tmp_path: Path) -> None:
    folder = shared("kspace/pulseq_freiburg")
    head, body = (str(folder / f"2024-02-06-{name}.dat") for name in ("164128", "164120"))
    script("twix_brain_measured_maps").main(head, body, str(tmp_path / "out"))
    scan = open_scan(head)
    expected = torch.linalg.vector_norm(ifft(scan.read(0), (-2, -1)), dim=0).numpy()
    found = series(tmp_path / "out" / "dicom")[0]
    assert found.shape == (128, 128)
    assert agreement(found, expected) > 0.9


def test_the_shift_alarm_refuses_the_card_of_other_weights_before_it_reads_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_checkpoint(tmp_path / "tiny")
    arguments = ("--checkpoint", "mri-small", "--data", str(tmp_path / "nothing"), "--out", str(tmp_path / "out"))
    with pytest.raises(SystemExit):
        script("shift_alarm").main(*arguments, "--write-card", str(other))
    assert "holds other weights" in capsys.readouterr().err
