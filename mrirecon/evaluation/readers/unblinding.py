"""Answers under codes become ratings and preferences under names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mrirecon.errors import FormatError
from mrirecon.evaluation.readers.choice import ShownSeries
from mrirecon.evaluation.readers.key import ReaderKey, check_seal
from mrirecon.evaluation.readers.read_sheets import Sheet
from mrirecon.evaluation.statistics.wording import listed


@dataclass(frozen=True)
class ScoreRow:
    """One score, named; `score` is None where the reader left it out."""

    reader: str
    shown: ShownSeries
    criterion: str
    score: int | None
    repeat: bool
    item: str
    position: int
    comment: str


@dataclass(frozen=True)
class ChoiceRow:
    """One preference, named; `preferred` is a method, empty for neither, None where the reader left it out."""

    reader: str
    first: ShownSeries
    second: ShownSeries
    setting: str
    preferred: str | None
    item: str
    position: int
    comment: str


@dataclass(frozen=True)
class Unblinded:
    """All answers of a reader study by name."""

    scores: tuple[ScoreRow, ...]
    choices: tuple[ChoiceRow, ...]

    @property
    def readers(self) -> tuple[str, ...]:
        """Who answered."""
        return tuple(sorted({row.reader for row in self.scores} | {row.reader for row in self.choices}))


def expected_items(key: ReaderKey) -> dict[str, dict[str, tuple[str, ...]]]:
    """Codes by kind that each reader was asked about."""
    kinds = {item.code: item.kind for item in key.items}
    return {
        reader: {kind: tuple(c for c in order if kinds[c] == kind) for kind in ("score", "preference")}
        for reader, order in key.orders.items()
    }


def check_sheets(sheets: Iterable[Sheet], key: ReaderKey) -> None:
    """Make sure that every sheet belongs to the key, and every row to the sheet, before anything is unblinded.

    Raises
    ------
    FormatError
        If a seal, a reader or a code does not fit, or two sheets are of the same kind and reader.
    """
    expected = expected_items(key)
    seen: dict[tuple[str, str], Sheet] = {}
    for sheet in sheets:
        check_seal(key, sheet.seal, where=sheet.path)
        if sheet.reader not in expected:
            raise FormatError(sheet.path, f"is of reader {sheet.reader!r}; the export has {listed(list(expected))}")
        unknown = sorted(set(sheet.items) - set(expected[sheet.reader][sheet.kind]))
        if unknown:
            raise FormatError(
                sheet.path, f"{listed(unknown)} was not shown for this; copy the codes from the worklist", key="item"
            )
        other = seen.setdefault((sheet.reader, sheet.kind), sheet)
        if other is not sheet:
            raise FormatError(
                sheet.path, f"{other.path.name} in {other.path.parent.name} is of the same reader and kind; give one"
            )


def unblind(sheets: Sequence[Sheet], key: ReaderKey) -> Unblinded:
    """Put names to the answers of checked sheets, reader by reader in the order of reading."""
    items = {item.code: item for item in key.items}
    places = {reader: {code: n for n, code in enumerate(order, 1)} for reader, order in key.orders.items()}
    scores: list[ScoreRow] = []
    choices: list[ChoiceRow] = []
    for sheet in sorted(sheets, key=lambda s: (s.reader, s.kind)):
        for a in sorted(sheet.answers, key=lambda a: places[sheet.reader][a.item]):
            item, position = items[a.item], places[a.reader][a.item]
            if item.kind == "score":
                score = int(a.value) if a.value else None
                scores.append(
                    ScoreRow(
                        a.reader, item.shown[0], a.column, score, bool(item.repeat_of), a.item, position, a.comment
                    )
                )
            else:
                first, second = sorted(item.shown, key=lambda s: s.method)
                side = {"A": item.shown[0].method, "B": item.shown[1].method, "=": ""}
                preferred = side[a.value] if a.value else None
                choices.append(ChoiceRow(a.reader, first, second, item.setting, preferred, a.item, position, a.comment))
    return Unblinded(tuple(scores), tuple(choices))
