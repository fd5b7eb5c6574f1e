from __future__ import annotations

import dataclasses
import getpass
import hashlib
import json
import platform
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mrirecon
from mrirecon.errors import ConfigError, FormatError, OutputError
from mrirecon.io.free_text import without_paths
from mrirecon.io.provenance import (
    FileRecord,
    Provenance,
    geometry_record,
    input_records,
    output_records,
    read_provenance,
    sha256_of,
    software_versions,
    write_provenance,
)
from tests.io.phantom_series import make_phantom


def record_for(folder: Path) -> Provenance:
    (folder / "secret_folder").mkdir()
    (folder / "secret_folder" / "scan.h5").write_bytes(b"raw" * 1000)
    (folder / "out" / "dicom").mkdir(parents=True)
    (folder / "out" / "dicom" / "0001.dcm").write_bytes(b"pixels")
    return Provenance(
        method="sense",
        inputs=input_records([folder / "secret_folder" / "scan.h5"]),
        outputs=output_records(folder / "out", [folder / "out" / "dicom" / "0001.dcm"]),
        configuration={"solver": {"n_steps": 30, "rho": 1e-3}, "weights": str(folder / "secret_folder" / "model.pt")},
        geometry=geometry_record(make_phantom().series.geometry),
        software=software_versions(),
        scale_factor=133884444.08631073,
        mask={"kind": "equispaced", "acceleration": 4},
        seed=7,
        series_uid="2.25.1",
        timings_s={"read": 0.5},
        warnings=("geometry is nominal",),
        notes=(f"maps taken from {folder}/secret_folder/maps.npy",),
        created="2026-01-02T03:04:05",
    )


def test_round_trip_and_checksums(tmp_path: Path) -> None:
    record = record_for(tmp_path)
    write_provenance(tmp_path / "p.json", record)
    back = read_provenance(tmp_path / "p.json")
    assert back.inputs[0] == FileRecord("scan.h5", hashlib.sha256(b"raw" * 1000).hexdigest(), 3000)
    assert back.outputs[0].name == "dicom/0001.dcm"
    cleaned = {"configuration": {"solver": {"n_steps": 30, "rho": 1e-3}, "weights": "model.pt"}}
    assert back == dataclasses.replace(record, **cleaned, notes=("maps taken from maps.npy",))
    assert back.scale_factor == record.scale_factor
    np.testing.assert_array_equal(back.geometry["index_zyx_to_lps_mm"], make_phantom().series.geometry.affine)


def test_no_folder_no_user_no_host(tmp_path: Path) -> None:
    write_provenance(tmp_path / "p.json", record_for(tmp_path))
    text = (tmp_path / "p.json").read_text()
    for word in ("secret_folder", str(tmp_path), socket.gethostname(), str(Path.home()) + "/"):
        assert word not in text
    if getpass.getuser() not in ("root", "user"):
        assert getpass.getuser() not in text


def test_schema_is_stated_and_files_are_reproducible(tmp_path: Path) -> None:
    record = record_for(tmp_path)
    for name in "ab":
        write_provenance(tmp_path / name, record)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    content = json.loads((tmp_path / "a").read_text())
    assert (content["schema"], content["schema_version"]) == ("mrirecon-provenance", 1)


def test_geometry_says_whether_it_is_real() -> None:
    assert geometry_record(make_phantom().series.geometry)["position"] == "scanner"
    assert geometry_record(make_phantom(nominal=True).series.geometry)["position"] == "nominal"


def test_versions_name_what_touches_the_numbers() -> None:
    found = software_versions()
    assert found["mrirecon"] == mrirecon.__version__
    assert found["numpy"] == np.__version__
    assert {"torch", "pydicom", "nibabel", "python", "system"} <= set(found)
    assert platform.node() not in found["system"].split()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32(1), {1, 2}, object()])
def test_what_json_cannot_hold_is_refused_without_a_trace(tmp_path: Path, value: Any) -> None:
    record = dataclasses.replace(record_for(tmp_path), configuration={"x": value})
    with pytest.raises(ConfigError, match="JSON"):
        write_provenance(tmp_path / "p.json", record)
    assert not (tmp_path / "p.json").exists()


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "a/../../x", "c:\\x"])
def test_file_names_stay_below_the_output(name: str) -> None:
    with pytest.raises(ConfigError, match="relative"):
        FileRecord(name, "0" * 64, 1)


def test_checksums_must_look_like_ones() -> None:
    for bad in ("", "0" * 63, "G" * 64, "A" * 64):
        with pytest.raises(ConfigError, match="sha256"):
            FileRecord("x", bad, 1)


def test_outputs_elsewhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(OutputError, match="does not lie"):
        output_records(tmp_path / "out", [tmp_path / "x"])


def test_large_files_are_summed_in_blocks(tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes((1 << 20) + 17)
    (tmp_path / "x").write_bytes(content)
    assert sha256_of(tmp_path / "x") == hashlib.sha256(content).hexdigest()


def test_damaged_records_are_named(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    write_provenance(path, record_for(tmp_path))
    good = json.loads(path.read_text())
    short = {k: v for k, v in good.items() if k != "inputs"}
    newer = good | {"schema_version": 2}
    for content, match in (
        ("not json", "JSON"),
        ("[]", "schema"),
        (json.dumps(short), "incomplete"),
        (json.dumps(newer), "version 1, got 2"),
        (json.dumps(good | {"surprise": 1}), "unknown"),
    ):
        path.write_text(content)
        with pytest.raises(FormatError, match=match):
            read_provenance(path)
    with pytest.raises(FormatError, match="cannot be read"):
        read_provenance(tmp_path / "missing.json")


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("left/right and R/L", "left/right and R/L"),
        ("1.5 mm / 2 mm", "1.5 mm / 2 mm"),
        ("read /data/a b.h5", "read [path] b.h5"),
        ("~/x.h5", "[path]"),
        ("C:\\Users\\doe\\x.h5, then", "[path], then"),
        ("\\\\server\\share\\x.h5", "[path]"),
        ("(/home/doe/x.h5)", "([path])"),
        ("https://example.org/a", "https://example.org/a"),
    ],
)
def test_paths_are_taken_out_of_free_text(text: str, cleaned: str) -> None:
    assert without_paths(text) == cleaned
