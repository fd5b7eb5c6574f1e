"""Filled sheets as people send them back, whatever the spreadsheet made of them; problems are named by place."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mrirecon.errors import FormatError
from mrirecon.evaluation.readers.criteria import CRITERIA, SCALE
from mrirecon.evaluation.readers.key import FORM_LENGTH

_DELIMITERS = ",;\t|"
_NOTHING = frozenset({"", "-", "na", "n/a", "nan"})
_NEITHER = frozenset({"=", "==", "none", "no preference", "neither", "equal", "same", "0"})
_SHOWN_PROBLEMS = 12


@dataclass(frozen=True)
class Answer:
    """One field that a reader filled in, or left empty.

    Parameters
    ----------
    reader, item
        Whose, and the code of what was read.
    column
        Name of a criterion, or ``preferred``.
    value
        Category "1" to "5"; "A", "B" or "="; empty for none.
    comment
        Of the row.
    """

    reader: str
    item: str
    column: str
    value: str
    comment: str


@dataclass(frozen=True)
class Sheet:
    """A filled sheet: of which kind, whose, and the beginning of the seal that it carries."""

    path: Path
    kind: str
    reader: str
    seal: str
    answers: tuple[Answer, ...]

    @property
    def items(self) -> tuple[str, ...]:
        """Codes of its rows."""
        return tuple(dict.fromkeys(answer.item for answer in self.answers))


def find_sheets(paths: Iterable[str | Path]) -> tuple[Path, ...]:
    """The files named, and those called ``scores*.csv`` and ``preferences*.csv`` in the folders named.

    Raises
    ------
    FormatError
        If a file is missing or a folder holds none.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and _is_sheet_name(p.name))
            if not inside:
                raise FormatError(path, "holds no scores.csv or preferences.csv; name the filled sheets")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise FormatError(path, "does not exist; name the filled sheets")
    return tuple(dict.fromkeys(p.resolve() for p in found))


def read_sheet(path: str | Path) -> Sheet:
    """Read a sheet of scores or preferences, told apart by its columns.

    Accepted are commas, semicolons and tabs; UTF-8 with or without byte order mark, UTF-16 and Windows-1252; a first
    line ``sep=;``; numbers such as ``4``, ``4.0`` and ``4,0``; blank rows; other orders of columns and rows; ``none``
    for ``=``.

    Raises
    ------
    FormatError
        Naming file, row (as a spreadsheet counts) and column of every value that is none.
    """
    path = Path(path)
    header, rows = _table(path)
    kind = "preference" if "preferred" in header else "score"
    wanted = ("preferred",) if kind == "preference" else tuple(c.name for c in CRITERIA)
    for name in ("item", *wanted, "form"):
        if header.count(name) != 1:
            found = "twice" if name in header else "not there"
            raise FormatError(path, f"the column is {found}; the columns found are: {', '.join(header)}", key=name)
    problems: list[str] = []
    answers: list[Answer] = []
    forms: dict[str, int] = {}
    seen: dict[str, int] = {}
    for number, row in rows:
        fields = dict(zip(header, row, strict=False))
        code = fields.get("item", "").upper()
        if not code:
            problems.append(f"row {number}, column item: empty; the code of the item belongs here")
            continue
        if code in seen:
            problems.append(f"row {number}, column item: {code} has a row already, row {seen[code]}; keep one")
        seen.setdefault(code, number)
        form = fields.get("form", "")
        forms.setdefault(form, number)
        reader = form.rpartition("-")[2]
        for name in wanted:
            try:
                value = _value(kind, fields.get(name, ""))
            except ValueError as error:
                problems.append(f"row {number}, column {name}: {error}")
                continue
            answers.append(Answer(reader, code, name, value, fields.get("comment", "")))
    if len(forms) > 1 or any(not _is_form(form) for form in forms):
        places = ", ".join(f"row {n}: {form or 'empty'}" for form, n in forms.items())
        problems.append(f"column form: every row must carry the text that it had in the export; got {places}")
    if not rows:
        problems.append("no row below the headings")
    if problems:
        rest = len(problems) - _SHOWN_PROBLEMS
        more = [f"and {rest} more"] if rest > 0 else []
        raise FormatError(path, "; ".join([*problems[:_SHOWN_PROBLEMS], *more]))
    seal, _, reader = next(iter(forms)).rpartition("-")
    return Sheet(path, kind, reader, seal.lower(), tuple(answers))


def _is_sheet_name(name: str) -> bool:
    low = name.lower()
    return low.endswith((".csv", ".txt", ".tsv")) and low.startswith(("scores", "preferences"))


def _is_form(form: str) -> bool:
    seal, dash, reader = form.rpartition("-")
    return bool(dash and reader and len(seal) == FORM_LENGTH and set(seal.lower()) <= set("0123456789abcdef"))


def _table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Headings in lower case, and rows that are not blank with their number in the file."""
    text = _text(path)
    first, _, rest = text.partition("\n")
    offset, delimiter = 0, ""
    if first.strip().strip('"').lower().startswith("sep="):
        delimiter = first.strip().strip('"')[4:5] or "\t"
        offset, text = 1, rest
        first = rest.partition("\n")[0]
    if not delimiter:
        delimiter = max(_DELIMITERS, key=first.count)
    try:
        lines = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=delimiter)]
    except csv.Error as error:
        raise FormatError(path, f"is no table ({error}); save the sheet as CSV") from error
    if not lines or not any(lines[0]):
        raise FormatError(path, "its first row must hold the headings of the columns; it is empty")
    header = [name.lower().replace(" ", "_") for name in lines[0]]
    rows = [(n + offset, row) for n, row in enumerate(lines[1:], start=2) if any(row)]
    return header, rows


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error})") from error
    if raw.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise FormatError(path, "is a workbook, not text; save the sheet as CSV")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", errors="replace").replace("\r\n", "\n")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _value(kind: str, given: str) -> str:
    low = given.strip().lower()
    if kind == "preference":
        low = low.strip("'\"")
        if low in ("a", "b"):
            return low.upper()
        if low in _NEITHER:
            return "="
        if low in _NOTHING:
            return ""
        raise ValueError(f"must be A, B or =, got {given!r}")
    if low in _NOTHING:
        return ""
    try:
        number = float(low.replace(",", "."))
    except ValueError:
        raise ValueError(f"must be a whole number from {SCALE[0]} to {SCALE[-1]}, got {given!r}") from None
    if number not in SCALE:
        raise ValueError(f"must be a whole number from {SCALE[0]} to {SCALE[-1]}, got {given!r}")
    return str(int(number))


def missing_answers(
    sheets: Sequence[Sheet], expected: Mapping[str, Mapping[str, Sequence[str]]]
) -> dict[str, tuple[str, ...]]:
    """What each reader has not answered, as ``CODE column``.

    Parameters
    ----------
    expected
        Codes by kind of item, by reader.
    """
    given = {(a.reader, a.item, a.column) for sheet in sheets for a in sheet.answers if a.value}
    columns = {"score": tuple(c.name for c in CRITERIA), "preference": ("preferred",)}
    return {
        reader: tuple(
            f"{code} {column}"
            for kind, codes in kinds.items()
            for code in codes
            for column in columns[kind]
            if (reader, code, column) not in given
        )
        for reader, kinds in expected.items()
    }
