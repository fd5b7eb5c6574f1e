"""The blinding, attacked: every DICOM attribute, file property and byte of an export, under exchanged methods."""

from __future__ import annotations

import os
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from mrirecon.errors import OutputError
from mrirecon.evaluation.readers import export as export_module
from mrirecon.evaluation.readers.audit import audit, series_folders
from mrirecon.evaluation.readers.key import ReaderKey, read_key
from mrirecon.evaluation.readers.options import REFERENCE, ReaderOptions
from mrirecon.evaluation.study.records import CellKey
from mrirecon.io.dicom.blinded import IDENTITY, header_values, write_blinded
from mrirecon.io.intensity import Intensity
from mrirecon.jobs.study_readers import ReaderExport, export_readers
from mrirecon.scan import ImageSeries
from tests.acceptance import checks
from tests.evaluation.readers.small_study import CHECKPOINTS, METHODS, Image, damaged, write_study

SHAPE = (2, 20, 24)
OPTIONS = ReaderOptions(readers=2, repeats=0.25, pairs="reference")
RANDOM = {*IDENTITY, "MediaStorageSOPInstanceUID"}


def exchanged(reference: Image, cell: CellKey) -> Image:
    """The pictures of the methods, one method on."""
    shown = METHODS[:3]
    return damaged(reference, replace(cell, method=shown[(shown.index(cell.method) + 1) % 3]))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[ReaderExport, ReaderKey]:
    folder = tmp_path_factory.mktemp("blinding")
    study = write_study(folder / "study", shape=SHAPE, accelerations=(4.75,))
    export = export_readers(study, folder / "out", options=OPTIONS, key=folder / "key.json")
    return export, read_key(export.key)


def series(export: Path, key: ReaderKey) -> Iterator[tuple[str, str, str, str, Path]]:
    """Input, method, kind, side and folder of every series."""
    for item in key.items:
        for shown, folder in zip(item.shown, series_folders(export / "dicom", item), strict=True):
            yield shown.input, shown.method, item.kind, folder.name if len(item.shown) > 1 else "", folder


def without_pixels(path: Path) -> bytes:
    """A file up to its last element, the pixels."""
    size = pydicom.dcmread(path).PixelData
    content = path.read_bytes()
    assert content.endswith(size)
    return content[: -len(size)]


def test_no_attribute_or_file_property_separates_methods(made: tuple[ReaderExport, ReaderKey]) -> None:
    """Each property of a scan has one value for all series, or, if it is random, a value of its own for each item.

    Written without the package's own audit: raw values, raw file status.
    """
    export, key = made
    values: dict[tuple[str, str, str, str], list[tuple[str, str]]] = defaultdict(list)
    for name, method, kind, side, folder in series(export.folder, key):
        files = sorted(folder.iterdir())
        assert [f.name for f in files] == ["0001.dcm", "0002.dcm"]
        for path in files:
            status = path.stat()
            found = {"size": str(status.st_size), "mtime": str(status.st_mtime_ns), "mode": str(status.st_mode)}
            found |= header_values(path)
            for attribute, value in found.items():
                values[name, kind, side, f"{path.name} {attribute}"].append((method, value))
    attributes = {key[3].split()[-1].removeprefix("meta.") for key in values}
    assert {"PatientID", "WindowCenter", "SOPInstanceUID", "ImageComments", "size", "mtime"} <= attributes
    assert len(attributes) > 60
    for (name, kind, side, attribute), given in values.items():
        different = {value for _, value in given}
        if attribute.split()[-1].removeprefix("meta.") in RANDOM and "SeriesNumber" not in attribute:
            assert len(different) == len(given), f"{attribute} of {name} repeats, so that it may group methods"
        else:
            assert len(different) == 1, f"{attribute} of {name} ({kind} {side}) differs between methods: {given}"
        per_method = {m: tuple(sorted({v for who, v in given if who == m})) for m, _ in given}
        partitions = len(per_method) > 1 and all(len(v) == 1 for v in per_method.values())
        assert not partitions or len(set(per_method.values())) == 1 or len(given) == len(per_method), attribute


def test_exchanging_the_methods_changes_pixels_only(tmp_path: Path) -> None:
    """The same study with the methods' pictures exchanged, the same seed: equal files up to the pixels."""
    options = replace(OPTIONS, seed=5)
    out, keys = [], []
    for name, image in (("one", damaged), ("two", exchanged)):
        study = write_study(tmp_path / name / "study", subjects={"p": ["p_scan"]}, shape=SHAPE, image=image)
        export = export_readers(study, tmp_path / name / "out", options=options)
        out.append(export.folder)
        keys.append(read_key(export.key))
    one, two = (sorted(p.relative_to(folder) for p in folder.rglob("*")) for folder in out)
    assert one == two
    changed = 0
    for path in one:
        a, b = (folder / path for folder in out)
        assert (a.stat().st_size, a.stat().st_mtime_ns) == (b.stat().st_size, b.stat().st_mtime_ns) or a.is_dir()
        if path.suffix == ".dcm":
            assert without_pixels(a) == without_pixels(b), path
            changed += a.read_bytes() != b.read_bytes()
        elif path.name not in ("SEAL.txt", "scores.csv", "preferences.csv") and a.is_file():
            assert a.read_bytes() == b.read_bytes(), path
        elif path.suffix == ".csv":
            texts = [p.read_text(encoding="utf-8").replace(k.seal[:20], "") for p, k in zip((a, b), keys, strict=True)]
            assert texts[0] == texts[1]
    references = [f for _, method, _, _, f in series(out[0], keys[0]) if method == REFERENCE]
    assert changed == len([p for p in one if p.suffix == ".dcm"]) - 2 * len(references)
    assert keys[0].orders == keys[1].orders
    assert keys[0].seal != keys[1].seal


def test_no_name_stands_in_any_byte(made: tuple[ReaderExport, ReaderKey]) -> None:
    """Methods, networks, masks, acceleration, study, scans, scanner: nowhere, pixels included; nor in a file name."""
    export, key = made
    words = [part for m in METHODS for part in (m, *m.split("_"))]
    words += [*CHECKPOINTS.values(), "equispaced", "4.75", "secretstudy", "volunteer7", "_scan", "_raw.h5"]
    words += ["t2_tse", "accel8", "ACMESCANNERS", key.secret, key.nonce, "cdcdcdcd", "/tmp"]
    pattern = re.compile("|".join([*map(re.escape, words), "(?<!p)reference"]).encode(), re.IGNORECASE)
    assert pattern.search(b"by VARNET")
    everything = [p for p in export.folder.rglob("*") if p.is_file()]
    assert len(everything) > 30
    for path in everything:
        found = pattern.search(path.read_bytes()) or pattern.search(str(path.relative_to(export.folder)).encode())
        assert not found, f"{path.name}: {found}"
    assert not pattern.search(export.key.read_bytes().replace(b"seal", b""))


def test_identifiers_are_random_and_not_those_of_the_ordinary_writer(made: tuple[ReaderExport, ReaderKey]) -> None:
    """Two exports of one study share no identifier: none can be computed from an image or a name."""
    export, _ = made
    study = export.folder.parent / "study"
    other = export_readers(study, export.folder.parent / "out2", options=replace(OPTIONS, pairs="none"))
    found = []
    for folder in (export.folder, other.folder):
        heads = [pydicom.dcmread(p, stop_before_pixels=True) for p in folder.rglob("*.dcm")]
        found.append(
            {str(h[k].value) for h in heads for k in ("SOPInstanceUID", "SeriesInstanceUID", "PatientID")}
            | {str(h[k].value) for h in heads for k in ("StudyInstanceUID", "FrameOfReferenceUID")}
        )
    assert not found[0] & found[1]


def test_pixels_follow_one_rule(made: tuple[ReaderExport, ReaderKey]) -> None:
    """Equally bright tissue, air that is black in all, one window; a repetition has the same pixels."""
    export, key = made
    tissue: dict[str, list[float]] = defaultdict(list)
    air: dict[str, list[bool]] = defaultdict(list)
    pixels: dict[str, bytes] = {}
    for (name, _, kind, _, folder), item in (
        (row, next(i for i in key.items if i.code in row[4].parts)) for row in series(export.folder, key)
    ):
        heads = [pydicom.dcmread(p) for p in sorted(folder.iterdir())]
        volume = np.stack([h.pixel_array for h in heads])
        middle = volume[:, 5:15, 6:18]
        tissue[name].append(float(middle.mean()))
        air[name].append(bool((volume[:, 0, 0] == 0).all()))
        if kind == "score":
            pixels[item.code] = volume.tobytes()
    assert all(max(v) / min(v) < 1.04 for v in tissue.values()), "brightness differed by 30 % before"
    assert all(all(v) for v in air.values())
    again = [item for item in key.items if item.repeat_of]
    assert len(again) == 2
    assert all(pixels[item.code] == pixels[item.repeat_of] for item in again)
    scales = {s.method: scale for item in key.items for s, scale in zip(item.shown, item.scales, strict=True)}
    assert scales[REFERENCE] == 1
    assert scales["varnet_cascade"] == pytest.approx(1 / 0.7, rel=0.05)


def test_the_objects_are_valid(made: tuple[ReaderExport, ReaderKey]) -> None:
    export, key = made
    single = next(i for i in key.items if i.kind == "score")
    (alone,) = series_folders(export.folder / "dicom", single)
    checks.t1_iod(alone)
    checks.t2_entities(alone)
    checks.t3_identity(alone)
    pair = next(i for i in key.items if i.kind == "preference")
    side_a, side_b = series_folders(export.folder / "dicom", pair)
    checks.t1_iod(side_b)
    a, b = (checks.headers_of(folder)[0] for folder in (side_a, side_b))
    assert (a.StudyInstanceUID, a.FrameOfReferenceUID) == (b.StudyInstanceUID, b.FrameOfReferenceUID)
    assert (a.SeriesNumber, b.SeriesNumber) == (1, 2)
    everything = [pydicom.dcmread(p) for p in export.folder.rglob("*.dcm")]
    assert not any(e.tag.is_private for h in everything for e in h.iterall())


def test_a_writer_that_leaks_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The export's own check can fail: a window of its own for each series stops the export, and nothing is left."""

    def own_window(series_: ImageSeries, folder: Path, *, intensity: Intensity, **rest: Any) -> tuple[Path, ...]:
        own = replace(intensity, high=round(float(series_.image.std()) * intensity.factor) + 2)
        return write_blinded(series_, folder, intensity=own, **rest)

    study = write_study(tmp_path / "study", subjects={"p": ["p_scan"]}, shape=SHAPE)
    monkeypatch.setattr(export_module, "write_blinded", own_window)
    with pytest.raises(OutputError, match=r"blinding would not hold: 0001\.dcm Window"):
        export_readers(study, tmp_path / "out", options=replace(OPTIONS, pairs="none"))
    assert not (tmp_path / "out").exists()
    assert not (study / "readers").exists()


@pytest.mark.parametrize("leak", ["SeriesDescription", "PatientComments", "time", "size", "name"])
def test_the_audit_sees(leak: str, made: tuple[ReaderExport, ReaderKey], tmp_path: Path) -> None:
    """A single changed property of a single file."""
    export, key = made
    dicom = tmp_path / "dicom"
    shutil.copytree(export.folder / "dicom", dicom)
    audit(dicom, key.items)
    path = sorted(series_folders(dicom, key.items[3])[0].iterdir())[0]
    head = pydicom.dcmread(path)
    if leak in ("SeriesDescription", "PatientComments"):
        setattr(head, leak, "READING varnet")
        head.save_as(path)
        os.utime(path, (315532800, 315532800))
    elif leak == "time":
        os.utime(path, (315532801, 315532801))
    elif leak == "size":
        path.write_bytes(path.read_bytes() + b"\0\0")
    else:
        path.rename(path.with_name("0003.dcm"))
    with pytest.raises(OutputError, match="blinding would not hold"):
        audit(dicom, key.items)
