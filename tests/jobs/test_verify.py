"""`mrirecon verify` as its user sees it: words, JSON, exit status; planted mistakes in DICOM files."""

from __future__ import annotations

import dataclasses
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from mrirecon.cli import main
from mrirecon.io.dicom.series import write_dicom
from mrirecon.io.dicom.stack import read_dicom_stack
from mrirecon.scan import Geometry
from tests.io.phantom_series import Phantom, make_phantom
from tests.io.scanner_series import scanner_series
from tests.io.shared_data import shared

SHAPE = (10, 48, 56)
CANARIES = ("Doe", "Jane", "19700101", "2.25.", "CANARY", "t2_tse")


@pytest.fixture(scope="module")
def scanner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scanner_series(tmp_path_factory.mktemp("scanner") / "s", phantom=make_phantom(shape=SHAPE))


@pytest.fixture
def ours(scanner: Path, tmp_path: Path) -> Path:
    """The same acquisition, reconstructed here: other noise and brightness, in the scanner's study."""
    series = make_phantom(shape=SHAPE).series
    noise = np.random.default_rng(11).normal(size=SHAPE).astype(np.float32) * 2e-7
    write_dicom(dataclasses.replace(series, image=np.abs(series.image + noise)), tmp_path / "ours", template=scanner)
    return tmp_path / "ours"


def edit(folder: Path, change: Callable[[object], None]) -> None:
    for path in sorted(folder.glob("*.dcm")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = dcmread(path)
            change(header)
            header.save_as(path)


def verify(ours: Path, scanner: Path, *more: str) -> int:
    return main(["verify", str(ours), "--against", str(scanner), *more])


def test_a_series_written_into_the_study_agrees(ours: Path, scanner: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(ours, scanner) == 0
    printed = capsys.readouterr().out
    assert "NO" not in printed
    assert printed.splitlines()[-1].startswith("agrees")
    assert verify(ours, scanner, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["agrees"] is True
    assert len(record["pictures"][0]["values"]["scores"]) == 16
    assert record["tolerances"]["correlation"] == 0.9
    assert not [word for word in CANARIES if word in printed + json.dumps(record)]


@pytest.mark.parametrize(
    ("axes", "words"),
    [((2,), "mirrored along columns"), ((1,), "mirrored along rows"), ((1, 2), "180 degrees"), ((0,), "slice order")],
    ids=str,
)
def test_flipped_pixels_are_named(
    axes: tuple[int, ...], words: str, ours: Path, scanner: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted(ours.glob("*.dcm"))
    volume = np.flip(np.stack([dcmread(p).pixel_array for p in files]), axes)
    for path, plane in zip(files, volume, strict=True):
        header = dcmread(path)
        header.PixelData = np.ascontiguousarray(plane).tobytes()
        header.save_as(path)
    assert verify(ours, scanner) == 1
    verdict = capsys.readouterr().out.splitlines()[-1]
    assert "DISAGREES: picture orientation: the image is " in verdict
    assert words in verdict


def test_a_pixel_of_shift_is_named_in_millimetres(
    ours: Path, scanner: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def roll(header: object) -> None:
        header.PixelData = np.roll(header.pixel_array, 1, axis=1).tobytes()  # type: ignore[attr-defined]

    edit(ours, roll)
    assert verify(ours, scanner) == 1
    verdict = capsys.readouterr().out.splitlines()[-1]
    assert "mm (one voxel) across columns" in verdict
    assert "picture orientation" not in verdict
    assert verify(ours, scanner, "--shift-mm", "1", "--correlation", "0.7", "--json") == 0
    (shift,) = [f for f in json.loads(capsys.readouterr().out)["pictures"] if f["name"] == "shift"]
    np.testing.assert_allclose(shift["values"]["away_mm_zyx"], [0, 0, 0.9], atol=0.08)


def test_wrong_spacing_position_and_study(ours: Path, scanner: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for keyword, value, words in (
        ("PixelSpacing", [1.2, 0.95], "pixel spacing"),
        ("StudyInstanceUID", "2.25.99", "study: another one"),
        ("FrameOfReferenceUID", "2.25.98", "frame of reference: another one"),
        ("PixelSpacing", [0.9, 1.2], "pixel spacing"),
    ):
        copy = ours.parent / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(ours, copy)
        edit(copy, lambda header, k=keyword, v=value: setattr(header, k, v))  # type: ignore[misc]
        assert verify(copy, scanner) == 1
        verdict = capsys.readouterr().out.splitlines()[-1]
        assert words in verdict
        assert "2.25" not in verdict


def test_a_missing_slice_is_named(ours: Path, scanner: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (ours / "0004.dcm").unlink()
    assert verify(ours, scanner) == 1
    verdict = capsys.readouterr().out.splitlines()[-1]
    assert "slices: 9 against 10; SERIES has no slice at the other's number 4" in verdict


def test_unrelated_anatomy_disagrees(scanner: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    series = make_phantom(shape=SHAPE).series
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    legs = ((x + 0.5) ** 2 + y**2 < 0.1) + 0.7 * ((x - 0.5) ** 2 + y**2 < 0.15) + 0.01 + 0 * z
    write_dicom(dataclasses.replace(series, image=legs.astype(np.float32)), tmp_path / "o", template=scanner)
    assert verify(tmp_path / "o", scanner) == 1
    assert "no orientation" in capsys.readouterr().out


def test_without_a_template_study_and_frame_are_not_judged(
    scanner: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dicom(make_phantom(shape=SHAPE).series, tmp_path / "o")
    assert verify(tmp_path / "o", scanner) == 0
    assert "not judged" in capsys.readouterr().out
    assert verify(tmp_path / "o", scanner, "--study", "required") == 1


def test_bad_input_gives_status_two_and_one_line(
    ours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for arguments in (
        (tmp_path / "absent", ours),
        (ours, tmp_path / "empty"),
        (ours, ours, "--correlation", "7"),
    ):
        assert verify(*arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert len(err.splitlines()) == 1


def test_the_folder_that_recon_wrote_is_understood(ours: Path, scanner: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(ours, results / "dicom")
    shutil.copytree(ours, results / "dicom_standard_deviation")
    (results / "provenance.json").write_text("{}")
    assert verify(results, scanner) == 0
    (results / "provenance.json").unlink()
    edit(results / "dicom_standard_deviation", lambda h: setattr(h, "SeriesInstanceUID", "2.25.55"))
    assert verify(results, scanner) == 2


def real(name: str) -> tuple[Path, Phantom]:
    """A scanner's series, and its pixels as an image series of ours."""
    folder = shared(f"dicom/{name}")
    stack = read_dicom_stack(folder)
    geometry = Geometry(stack.geometry.affine, stack.geometry.slice_thickness_mm)
    base = make_phantom(shape=(2, 8, 8)).series
    return folder, Phantom(
        dataclasses.replace(base, image=stack.read() * np.float32(1e-8), geometry=geometry), np.zeros(3)
    )


@pytest.mark.data
def test_a_real_brain_against_itself_noisy_shaded_and_turned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Papaya's proton-density series: 20 slices, FOV 220 mm; 8 % noise and receive shading do not make it disagree."""
    folder, phantom = real("papaya_pd")
    image = phantom.series.image
    rng = np.random.default_rng(0)
    shading = np.linspace(0.7, 1.3, image.shape[2], dtype=np.float32)
    sigma = 0.08 * float(np.percentile(image, 99))
    noisy = np.abs(image * shading + sigma * rng.standard_normal(image.shape).astype(np.float32))
    write_dicom(dataclasses.replace(phantom.series, image=noisy), tmp_path / "o", template=folder)
    assert verify(tmp_path / "o", folder) == 0, capsys.readouterr().out
    mirrored = np.ascontiguousarray(noisy[..., ::-1])
    write_dicom(dataclasses.replace(phantom.series, image=mirrored), tmp_path / "m", template=folder)
    capsys.readouterr()
    assert verify(tmp_path / "m", folder) == 1
    assert "the image is mirrored along columns (left-right)" in capsys.readouterr().out
