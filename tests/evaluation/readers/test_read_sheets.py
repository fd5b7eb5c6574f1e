"""Sheets in every form that spreadsheets give them, and problems named by file, row and column."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mrirecon.errors import FormatError
from mrirecon.evaluation.readers.criteria import CRITERIA
from mrirecon.evaluation.readers.read_sheets import find_sheets, missing_answers, read_sheet

FORM = "0123456789abcdef0123-R2"
HEAD = "position,item,overall_quality,sharpness,noise,artefacts,diagnostic_confidence,comment,form"
ROWS = (f"1,BCDFGH,1,2,3,4,5,,{FORM}", f'2,JKLMNP,5,4,3,2,1,"dark, but fine",{FORM}')
PLAIN = "\n".join((HEAD, *ROWS)) + "\n"


def semicolons(text: str) -> bytes:
    return text.replace('"dark, but fine"', "dark but fine").replace(",", ";").encode()


def excel_german(text: str) -> bytes:
    """Semicolons, numbers with a decimal comma, carriage returns, a byte order mark, Latin letters."""
    rows = text.replace('"dark, but fine"', "dark but fine").replace(",", ";").replace(";5;4;3;2;1;", ";5,0;4,0;3;2;1;")
    return b"\xef\xbb\xbf" + rows.replace("\n", "\r\n").encode()


SHAPES: dict[str, Callable[[str], bytes]] = {
    "as written": lambda t: t.encode("utf-8-sig"),
    "no byte order mark": lambda t: t.encode(),
    "semicolons": semicolons,
    "German Excel": excel_german,
    "separator line": lambda t: b"sep=;\r\n" + semicolons(t),
    "Unicode text": lambda t: t.replace(', but', ' but').replace('"', "").replace(",", "\t").encode("utf-16"),
    "Windows letters": lambda t: t.replace("dark", "düster").encode("cp1252"),
    "blank rows and columns": lambda t: t.replace("\n", ",,\n").replace("5,4,", "5.0, 4 ,").encode() + b",,,,\n,,\n",
    "old Mac": lambda t: t.replace("\n", "\r").encode(),
    "headings shouted": lambda t: t.replace(HEAD, HEAD.upper().replace("_", " ")).encode(),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_every_spelling_reads_the_same(shape: str, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_bytes(SHAPES[shape](PLAIN))
    sheet = read_sheet(path)
    assert (sheet.kind, sheet.reader, sheet.seal) == ("score", "R2", FORM[:20])
    assert sheet.items == ("BCDFGH", "JKLMNP")
    given = {(a.item, a.column): a.value for a in sheet.answers}
    names = [c.name for c in CRITERIA]
    assert [given["BCDFGH", name] for name in names] == ["1", "2", "3", "4", "5"]
    assert [given["JKLMNP", name] for name in names] == ["5", "4", "3", "2", "1"]
    assert "fine" in sheet.answers[-1].comment


def test_preferences_in_the_words_people_use(tmp_path: Path) -> None:
    path = tmp_path / "preferences.csv"
    words = {"A": "A", " b ": "B", "=": "=", "none": "=", "No preference": "=", "'=": "=", "": "", "n/a": ""}
    rows = "".join(f"{'BCDFG' + 'HJKLMNPQ'[i]},{word},{FORM}\n" for i, word in enumerate(words))
    path.write_text(f"item,preferred,form\n{rows}")
    sheet = read_sheet(path)
    assert sheet.kind == "preference"
    assert [a.value for a in sheet.answers] == list(words.values())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1,2,3,4,5", "1,2,3,4,6", r"row 2, column diagnostic_confidence: must be a whole number from 1 to 5, got '6'"),
        ("1,2,3,4,5", "1,2,good,4,5", r"row 2, column noise: .* got 'good'"),
        ("5,4,3,2,1", "5,4,3.5,2,1", r"row 3, column noise: .* got '3\.5'"),
        ("5,4,3,2,1", '5,"3,5",3,2,1', r"row 3, column sharpness: .* got '3,5'"),
        ("JKLMNP", "BCDFGH", r"row 3, column item: BCDFGH has a row already, row 2"),
        ("JKLMNP", "", r"row 3, column item: empty"),
        ("noise,", "nois,", r"\[noise\]: the column is not there; .*nois"),
        ("sharpness,noise", "noise,noise", r"\[sharpness\]"),
        (f",{FORM}\n2", ",\n2", r"column form: every row must carry .* row 2: empty"),
        (f",{FORM}\n2", ",0123-R2\n2", r"column form: .*row 2: 0123-R2, row 3"),
        ("\n".join(ROWS), "", r"no row below the headings"),
        (PLAIN, "", r"must hold the headings"),
        (PLAIN, "PK\x03\x04abc", r"is a workbook, not text; save the sheet as CSV"),
    ],
)
def test_problems_are_named_by_place(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    assert old in PLAIN
    path.write_text(PLAIN.replace(old, new), newline="")
    with pytest.raises(FormatError, match=message) as caught:
        read_sheet(path)
    assert "scores.csv" in str(caught.value)


def test_all_problems_come_at_once_up_to_a_dozen(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(
        PLAIN.replace("1,2,3,4,5", "7,7,7,7,7").replace("5,4,3,2,1", "0,0,0,0,0") + ROWS[0] + "\n" + ROWS[0]
    )
    with pytest.raises(FormatError, match=r"row 2, column overall_quality.*row 3, column diagnostic") as caught:
        read_sheet(path)
    assert str(caught.value).count("must be") == 10
    assert "row 4, column item" in str(caught.value)


def test_files_are_found_in_folders(tmp_path: Path) -> None:
    for name in ("reader-R1/scores.csv", "reader-R1/worklist.csv", "back/Scores (filled).csv", "back/preferences.tsv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    found = find_sheets([tmp_path, tmp_path / "reader-R1/scores.csv"])
    assert [p.relative_to(tmp_path).as_posix() for p in found] == [
        "back/Scores (filled).csv",
        "back/preferences.tsv",
        "reader-R1/scores.csv",
    ]
    with pytest.raises(FormatError, match="does not exist"):
        find_sheets([tmp_path / "nothing.csv"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match=r"holds no scores\.csv"):
        find_sheets([tmp_path / "empty"])


def test_missing_answers_are_listed_by_reader(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(PLAIN.replace("1,2,3,4,5", "1,2,,4,5"))
    expected = {
        "R2": {"score": ("BCDFGH", "JKLMNP"), "preference": ("QRSTVW",)},
        "R1": {"score": ("BCDFGH",), "preference": ()},
    }
    found = missing_answers([read_sheet(path)], expected)
    assert found["R2"] == ("BCDFGH noise", "QRSTVW preferred")
    assert found["R1"] == tuple(f"BCDFGH {c.name}" for c in CRITERIA)
