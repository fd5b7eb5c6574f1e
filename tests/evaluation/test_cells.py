"""Cells survive on disk, and only those that still hold are reused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch

from mrirecon.evaluation.cells import Cell, CellStore, fingerprint

CELL = Cell("a/1/x", "a", "x", "tv", "f00", 30.5, 0.9, None, 1.5, 2.5, parameters={"weight": 0.1}, facts={"coils": 4.0})


def test_a_cell_comes_back(tmp_path: Path) -> None:
    store = CellStore(tmp_path)
    assert store.get("a/1/x", "tv", "f00") is None
    picture = torch.rand(1, 5, 6)
    store.put(CELL, picture)
    assert store.get("a/1/x", "tv", "f00") == CELL
    found = store.picture("a/1/x", "tv")
    assert found is not None
    torch.testing.assert_close(found, picture, rtol=0, atol=0)
    assert store.picture("a/1/x", "wavelet") is None


def test_cells_of_before_definitions_are_still_read(tmp_path: Path) -> None:
    store = CellStore(tmp_path)
    store.put(replace(CELL, definitions=("psnr-1", "ssim-2")))
    found = store.get("a/1/x", "tv", "f00")
    assert found is not None
    assert found.definitions == ("psnr-1", "ssim-2")
    path = tmp_path / "a/1/x/tv.json"
    content = json.loads(path.read_text())
    del content["definitions"]
    path.write_text(json.dumps(content))
    assert store.get("a/1/x", "tv", "f00") == CELL


def test_other_fingerprints_and_damaged_files_count_as_absent(tmp_path: Path) -> None:
    store = CellStore(tmp_path)
    store.put(CELL)
    assert store.get("a/1/x", "tv", "f01") is None
    (tmp_path / "a/1/x/tv.json").write_text('{"case": "a/1/x"')
    assert store.get("a/1/x", "tv", "f00") is None
    (tmp_path / "a/1/x/tv.json").write_text('{"case": "a/1/x", "later": 1}')
    assert store.get("a/1/x", "tv", "f00") is None


def test_the_fingerprint_sees_every_part() -> None:
    reference = fingerprint({"a": 1, "b": [2.0]}, "x")
    assert reference == fingerprint({"b": [2.0], "a": 1}, "x")
    assert len({reference, fingerprint({"a": 1, "b": [2.5]}, "x"), fingerprint({"a": 1, "b": [2.0]}, "y")}) == 3
