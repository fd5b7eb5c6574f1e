"""What a reader gets beside the images: an order, two sheets to fill in, and an explanation in plain words."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from mrirecon.evaluation.readers.criteria import CRITERIA, PREFERENCES, SCALE
from mrirecon.evaluation.readers.design import Reading

SCORE_COLUMNS = ("position", "item", *(c.name for c in CRITERIA), "comment", "form")
PREFERENCE_COLUMNS = ("position", "item", "preferred", "comment", "form")
WORKLIST_COLUMNS = ("position", "item", "task", "series", "folder")
TASKS = {"score": "score", "preference": "compare"}


def reader_folder(reader: str) -> str:
    """Where the sheets of a reader lie in the export."""
    return f"reader-{reader}"


def write_sheets(folder: Path, reading: Reading, *, reader: str, form: str) -> None:
    """Write ``worklist.csv``, ``scores.csv`` and ``preferences.csv`` of one reader, in this reader's order.

    Parameters
    ----------
    folder
        Of the reader; made here.
    form
        Ties the sheets to key and reader; the last column of every row.
    """
    folder.mkdir(parents=True)
    items = {item.code: item for item in reading.items}
    order = [items[code] for code in reading.orders[reader]]
    rows = [(n, item, 1 if item.kind == "score" else 2) for n, item in enumerate(order, start=1)]
    write_csv(
        folder / "worklist.csv",
        WORKLIST_COLUMNS,
        [
            (n, item.code, TASKS[item.kind], "A and B" if count > 1 else "1", f"dicom/{item.code}")
            for n, item, count in rows
        ],
    )
    empty = ("",) * len(CRITERIA)
    write_csv(
        folder / "scores.csv",
        SCORE_COLUMNS,
        [(n, item.code, *empty, "", form) for n, item, _ in rows if item.kind == "score"],
    )
    preferences = [(n, item.code, "", "", form) for n, item, _ in rows if item.kind == "preference"]
    if preferences:
        write_csv(folder / "preferences.csv", PREFERENCE_COLUMNS, preferences)


def write_definitions(path: Path) -> None:
    """Write what every column and every number means."""
    rows = [
        (c.name, value, meaning, c.question)
        for c in CRITERIA
        for value, meaning in zip(SCALE, c.answers, strict=True)
    ]  # fmt: skip
    rows += [("preferred", int_or_sign, meaning, "") for int_or_sign, meaning in PREFERENCES.items()]  # type: ignore[misc]
    write_csv(path, ("column", "value", "meaning", "question"), rows)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a comma-separated table in UTF-8 with a byte order mark, by which spreadsheets know it."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def readme_text(reading: Reading, *, reader_names: Sequence[str]) -> str:
    """The explanation for readers; it says nothing that depends on how the images were made."""
    n_scores = sum(item.kind == "score" for item in reading.items)
    n_pairs = len(reading.items) - n_scores
    scale = "\n".join(
        f"  {c.name}\n      {c.question}\n"
        + "".join(f"      {value} = {meaning}\n" for value, meaning in zip(SCALE, c.answers, strict=True))
        for c in CRITERIA
    )
    pairs = (
        f"""
COMPARING ({n_pairs} items, task "compare" in your worklist)
  Such an item has two series, A and B, of the same scan. Show them side by side, with the same window and zoom.
  Fill in preferences.csv, column "preferred":
      A = series A is better
      B = series B is better
      = = no preference (writing "none" is fine, too: some spreadsheets take a single = for a formula)
  Decide as if you had to report the examination from one of the two.
"""
        if n_pairs
        else ""
    )
    names = ", ".join(reader_folder(name) for name in reader_names)
    return f"""READER STUDY: WHAT TO DO

Thank you for reading. You see MR images that were made in different ways. You are not told which is which, and nothing
in the files says it: names, numbers, dates and order are random. Please do not try to find out, and do not talk about
single items with the other readers before everybody is done. The images are for research only, not for diagnosis.

WHAT IS HERE
  dicom/            one folder per item, named by its six-letter code; open the whole folder in your DICOM viewer.
                    In the viewer the code is the patient's name and ID.
  {names}
                    one folder per reader. Use the one that you were given, and only that one:
                    worklist.csv     the order in which to read
                    scores.csv       your scores
                    {"preferences.csv  your preferences" if n_pairs else ""}
  definitions.csv   the meaning of every number, as below
  SEAL.txt          proves later that nobody changed which code is which

HOW TO READ
  Follow the order of your worklist; it differs from that of the other readers on purpose. Read each item on its own:
  do not go back to compare it with earlier ones. The same scan comes several times. Scroll through all slices, and
  change the window as you like: it is the same for all series of a scan when you open them. Use the same screen and
  room throughout, and take a break at least every 45 minutes.

SCORING ({n_scores} items, task "score" in your worklist)
  Fill in scores.csv: in every column one whole number from 1 to 5. 5 is always the best.

{scale}{pairs}
FILLING IN
  A spreadsheet program or a text editor will do. Leave the columns "position", "item" and "form" as they are. Leave no
  field empty. "comment" is for anything you want to say. Save as CSV; commas, semicolons or tabs do not matter. Send
  back the filled sheets, nothing else is needed.
"""


def seal_text(seal: str) -> str:
    """What is published of the key."""
    return f"""SEAL

sha-256 {seal}

This number was computed from the key, the list of which code is which method, when these images were exported. It tells
nothing about the list, but no other list has the same number. When the scores are evaluated the key is compared with
it: had anybody changed the list after reading began, the numbers would differ. Keep this file.
"""
