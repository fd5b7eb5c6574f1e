"""NRRD volumes: written here by hand, read back, and compared with an independent reader."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from mrirecon.errors import FormatError
from mrirecon.io.nrrd import nrrd_geometry, read_nrrd
from tests.io.shared_data import shared

VALUES = np.random.default_rng(0).integers(-500, 500, (4, 3, 5)).astype(np.int16)
HEAD = {
    "type": "short",
    "dimension": "3",
    "sizes": "5 3 4",
    "space directions": "(0.5,0,0) (0,-3,4) (0,0,6.5)",
    "endian": "little",
    "encoding": "raw",
}


def write(path: Path, fields: dict[str, str], samples: bytes) -> Path:
    head = "NRRD0004\n# written by a test\n" + "".join(f"{name}: {value}\n" for name, value in fields.items())
    path.write_bytes(head.encode() + b"\n" + samples)
    return path


@pytest.mark.parametrize("encoding", ["raw", "gzip", "gz"])
@pytest.mark.parametrize(
    ("kind", "code"), [("short", "i2"), ("uint16", "u2"), ("unsigned char", "u1"), ("float", "f4"), ("double", "f8")]
)
@pytest.mark.parametrize("endian", ["little", "big"])
def test_samples_and_voxel_sizes(tmp_path: Path, encoding: str, kind: str, code: str, endian: str) -> None:
    values = VALUES.astype(code) if code[0] != "u" else (VALUES % 251).astype(code)
    raw = values.astype(("<" if endian == "little" else ">") + code).tobytes()
    samples = raw if encoding == "raw" else gzip.compress(raw)
    path = write(tmp_path / "x.nrrd", {**HEAD, "type": kind, "endian": endian, "encoding": encoding}, samples)
    read, sizes = read_nrrd(path)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, values.astype(np.float32))
    assert sizes == pytest.approx((6.5, 5.0, 0.5))


def test_spacings_replace_directions(tmp_path: Path) -> None:
    fields = {name: value for name, value in HEAD.items() if name != "space directions"}
    _, sizes = read_nrrd(write(tmp_path / "x.nrrd", {**fields, "spacings": "1 2 3"}, VALUES.tobytes()))
    assert sizes == (3.0, 2.0, 1.0)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"type": "block"}, "type"),
        ({"endian": "middle"}, "byte order"),
        ({"encoding": "bzip2"}, "encoding"),
        ({"encoding": "gzip"}, "decompressed"),
        ({"dimension": "4", "sizes": "5 3 4 1"}, "three axes"),
        ({"sizes": "5 3 x"}, "three axes"),
        ({"sizes": "5 3 5"}, "bytes of samples"),
        ({"space directions": "none (1,0,0) (0,1,0)"}, "voxels"),
        ({"space directions": "(0,0,0) (1,0,0) (0,1,0)"}, "positive"),
        ({"byte skip": "-1"}, "skips"),
        ({"data file": "x.raw"}, "another file"),
    ],
)
def test_what_is_not_known_is_refused(tmp_path: Path, change: dict[str, str], word: str) -> None:
    with pytest.raises(FormatError, match=word):
        read_nrrd(write(tmp_path / "x.nrrd", {**HEAD, **change}, VALUES.tobytes()))


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.nrrd").write_bytes(b"P5 3 3")
    with pytest.raises(FormatError, match="NRRD000"):
        read_nrrd(tmp_path / "x.nrrd")
    with pytest.raises(FormatError, match="cannot be read"):
        read_nrrd(tmp_path / "absent.nrrd")


def test_itk_reads_the_same_volume() -> None:
    itk = pytest.importorskip("SimpleITK")
    path = shared("volumes/pyradiomics/brain1_image.nrrd")
    values, sizes = read_nrrd(path)
    image = itk.ReadImage(str(path))
    np.testing.assert_array_equal(values, itk.GetArrayFromImage(image).astype(np.float32))
    assert sizes == pytest.approx(image.GetSpacing()[::-1])
    geometry = nrrd_geometry(path)
    assert geometry is not None
    for i, j, k in ((0, 0, 0), (250, 3, 20), (17, 200, 1)):
        place = image.TransformIndexToPhysicalPoint((i, j, k))  # LPS
        np.testing.assert_allclose((geometry.affine @ [k, j, i, 1])[:3], place, atol=1e-6)


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("left-posterior-superior", (1, 1, 1)),
        ("RAS", (-1, -1, 1)),
        ("left-anterior-superior", (1, -1, 1)),
    ],
)
def test_positions_are_turned_to_lps(tmp_path: Path, space: str, signs: tuple[int, int, int]) -> None:
    fields = {**HEAD, "space directions": "(0.5,0,0) (0,-3,4) (0,4,3)", "space": space, "space origin": "(1, -2, 3)"}
    geometry = nrrd_geometry(write(tmp_path / "x.nrrd", fields, VALUES.tobytes()))
    assert geometry is not None
    expected = np.array(signs) * (
        np.array([1, -2, 3]) + 2 * np.array([0, 4, 3]) + np.array([0, -3, 4]) + 4 * np.array([0.5, 0, 0])
    )
    np.testing.assert_allclose((geometry.affine @ [2, 1, 4, 1])[:3], expected)


@pytest.mark.parametrize(
    "change", [{"space": "scanner-xyz"}, {"space origin": "none"}, {"space directions": "(1,0,0) (1,1,0) (0,0,1)"}]
)
def test_unknown_positions_are_not_made_up(tmp_path: Path, change: dict[str, str]) -> None:
    known = {**HEAD, "space": "lps", "space origin": "(0,0,0)", "space directions": "(1,0,0) (0,1,0) (0,0,1)"}
    assert nrrd_geometry(write(tmp_path / "known.nrrd", known, VALUES.tobytes())) is not None
    assert nrrd_geometry(write(tmp_path / "x.nrrd", {**known, **change}, VALUES.tobytes())) is None
