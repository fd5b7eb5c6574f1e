"""Means, standard errors, paired differences and layout, by hand."""

from __future__ import annotations

import csv
from dataclasses import replace
from math import isnan, sqrt
from pathlib import Path

import pytest

from mrirecon.errors import ConfigError
from mrirecon.evaluation.cells import Cell
from mrirecon.evaluation.table import (
    aligned,
    comparison_tables,
    mean_and_error,
    paired_difference,
    swap_table,
    write_csv,
)


def cell(case: str, method: str, psnr: float | None, *, setting: str = "R4", hole: str = "", **more: object) -> Cell:
    figures = {"ssim": 0.9, "seconds": 1.0} if psnr is not None else {}
    return Cell(f"{case}/{setting}", case[0], setting, method, "f", psnr, hole=hole, **figures, **more)


CELLS = [
    cell("a1", "tv", 30.0, parameters={"weight": 0.01}, at_edge=("weight",), facts={"effective_acceleration": 4.0}),
    cell("a1", "net", 33.0),
    cell("a2", "tv", 32.0, parameters={"weight": 0.01}, at_edge=("weight",), facts={"effective_acceleration": 4.5}),
    cell("a2", "net", 34.0),
    cell("b1", "tv", 31.0, parameters={"weight": 0.01}, at_edge=("weight",), facts={"effective_acceleration": 3.5}),
    cell("b1", "net", None, hole="no checkpoint net"),
]


def test_standard_errors() -> None:
    mean, error = mean_and_error([30.0, 32.0, 31.0])
    assert (mean, error) == (31.0, pytest.approx(1 / sqrt(3)))
    assert isnan(mean_and_error([30.0])[1])
    assert isnan(mean_and_error([])[0])


def test_differences_are_paired() -> None:
    mean, error, n = paired_difference(CELLS, "net", "tv", setting="R4")
    assert (mean, error, n) == (2.5, pytest.approx(0.5), 2)
    assert isnan(paired_difference(CELLS, "net", "tv", setting="R8")[0])


def test_the_table_says_what_is_missing_and_what_was_tuned() -> None:
    text = comparison_tables(CELLS, focus="net")
    assert "### R4 (3 images of 2 subjects or sets; 1 of 4.00 samples)" in text
    rows = {line.split("|")[1].strip(): [c.strip() for c in line.split("|")[2:-1]] for line in text.splitlines()
            if line.startswith("|")}  # fmt: skip
    assert rows["method"][-3:] == ["net minus it, dB", "PSNR a", "PSNR b"]
    assert rows["tv"][0] == "31.00 ± 0.58"
    assert rows["tv"][-3:] == ["+2.50 ± 0.50", "31.00", "31.00"]
    assert rows["net"][0] == "33.50 ± 0.50"
    assert rows["net"][-3:] == ["-", "33.50", "-"]
    assert "- net: 1 of 3 missing: no checkpoint net" in text
    assert "- tv: tuned to weight 0.01 (edge of the grid)" in text


def test_definitions_are_named_and_not_mixed() -> None:
    stated = [replace(c, definitions=("psnr-1", "ssim-2")) for c in CELLS[:2]]
    assert "\n\npsnr-1, ssim-2\n\n| method" in comparison_tables([*stated, *CELLS[2:]]), "cells of before join"
    assert comparison_tables(CELLS).count("psnr-") == 0
    with pytest.raises(ConfigError, match="psnr-1, ssim-2 and psnr-3, ssim-2"):
        comparison_tables([*stated, replace(CELLS[2], definitions=("psnr-3", "ssim-2"))])
    other = replace(CELLS[2], setting="measured", definitions=("psnr-3", "ssim-2"))
    assert "psnr-3" in comparison_tables([*stated, other])


def test_columns_line_up() -> None:
    lines = aligned(["a", "bbb"], [["long name", "1"], ["x", "22.5"]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1] == "| --------- | ---: |"
    assert lines[3].endswith("22.5 |")


def test_the_swap_table_has_settings_as_columns_and_the_paired_loss() -> None:
    cells = [
        *(cell(c, "swapped", v) for c, v in (("a1", 30.0), ("a2", 31.0))),
        *(cell(c, "specialist", v) for c, v in (("a1", 30.25), ("a2", 31.0))),
        cell("a1", "swapped", 20.0, setting="R8"),
        cell("a1", "specialist", None, setting="R8", hole="no checkpoint"),
    ]
    lines = swap_table(cells, swapped="swapped", specialist="specialist").splitlines()
    assert [c.strip() for c in lines[0].split("|")[1:-1]] == ["PSNR dB", "R4", "R8"]
    last = [c.strip() for c in lines[-1].split("|")[1:-1]]
    assert last == ["specialist minus swapped", "+0.12 ± 0.12", "-"]


def test_the_csv_has_a_row_per_cell(tmp_path: Path) -> None:
    write_csv(tmp_path / "cells.csv", CELLS)
    rows = list(csv.DictReader((tmp_path / "cells.csv").read_text().splitlines()))
    assert len(rows) == len(CELLS)
    assert rows[0]["effective_acceleration"] == "4.0"
    assert rows[0]["parameters"] == "weight=0.01"
    assert (rows[5]["psnr_db"], rows[5]["hole"]) == ("", "no checkpoint net")
