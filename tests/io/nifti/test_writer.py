from __future__ import annotations

import dataclasses
import errno
import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest

import mrirecon
from mrirecon.errors import OutputError
from mrirecon.io.nifti.writer import write_nifti
from tests.acceptance import checks
from tests.io.phantom_series import make_phantom

SMALL = (5, 30, 36)


@pytest.mark.parametrize("left_handed", [False, True])
def test_every_voxel_keeps_its_value_and_place(tmp_path: Path, left_handed: bool) -> None:
    series = make_phantom(shape=SMALL, left_handed=left_handed).series
    write_nifti(series, tmp_path / "x.nii.gz", factor=1e8)
    image = nibabel.load(tmp_path / "x.nii.gz")
    data = image.get_fdata()
    for k, j, i in np.random.default_rng(0).integers(0, SMALL, (20, 3)):
        assert data[i, j, k] == pytest.approx(series.image[k, j, i] * 1e8, rel=1e-6)
        ras = image.affine @ (i, j, k, 1)
        np.testing.assert_allclose(ras[:3], series.geometry.position((k, j, i)) * (-1, -1, 1), atol=1e-4)


def test_itk_reads_the_same_points_and_values(tmp_path: Path) -> None:
    itk = pytest.importorskip("SimpleITK")
    series = make_phantom(shape=SMALL).series
    write_nifti(series, tmp_path / "x.nii")
    image = itk.ReadImage(str(tmp_path / "x.nii"))
    np.testing.assert_array_equal(itk.GetArrayFromImage(image), series.image)
    point = image.TransformIndexToPhysicalPoint((30, 20, 4))
    np.testing.assert_allclose(point, series.geometry.position((4, 20, 30)), atol=1e-3)


def test_header(tmp_path: Path) -> None:
    write_nifti(make_phantom(shape=SMALL).series, tmp_path / "x.nii.gz", factor=2e8)
    checks.t9_nifti(tmp_path / "x.nii.gz")
    header = nibabel.load(tmp_path / "x.nii.gz").header
    description = header["descrip"].item().decode()
    assert description.startswith(f"mrirecon {mrirecon.__version__}")
    assert "simulated" in description
    assert "research use only" in description
    assert "NOMINAL" not in description
    assert 0 < header["cal_min"] < header["cal_max"] <= nibabel.load(tmp_path / "x.nii.gz").get_fdata().max() * 1.001


def test_a_map_is_named(tmp_path: Path) -> None:
    series = dataclasses.replace(make_phantom(shape=SMALL).series, quantity="standard_deviation")
    write_nifti(series, tmp_path / "x.nii")
    assert b"; std;" in nibabel.load(tmp_path / "x.nii").header["descrip"].item()


def test_compressed_files_carry_no_name_and_no_date(tmp_path: Path) -> None:
    write_nifti(make_phantom(shape=SMALL).series, tmp_path / "x.nii.gz")
    head = (tmp_path / "x.nii.gz").read_bytes()[:10]
    assert head[:3] == b"\x1f\x8b\x08"
    assert head[3] == 0  # no name, no comment
    assert head[4:8] == bytes(4)  # no time
    write_nifti(make_phantom(shape=SMALL).series, tmp_path / "x.nii")
    assert gzip.decompress((tmp_path / "x.nii.gz").read_bytes()) == (tmp_path / "x.nii").read_bytes()


def test_refusals_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series = make_phantom(shape=SMALL).series
    with pytest.raises(OutputError, match=r"\.nii"):
        write_nifti(series, tmp_path / "x.img")
    write_nifti(series, tmp_path / "x.nii")
    before = (tmp_path / "x.nii").read_bytes()
    with pytest.raises(OutputError, match="exists"):
        write_nifti(series, tmp_path / "x.nii")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(nibabel.Nifti1Image, "to_stream", full)
    for name in ("x.nii", "y.nii.gz"):
        with pytest.raises(OutputError, match="No space left"):
            write_nifti(series, tmp_path / name, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["x.nii"]
    assert (tmp_path / "x.nii").read_bytes() == before
