"""The answers by name, as tables for other programs."""

from __future__ import annotations

from pathlib import Path

from mrirecon.evaluation.readers.sheets import write_csv
from mrirecon.evaluation.readers.unblinding import Unblinded
from mrirecon.io.atomic import atomic_file

RATING_COLUMNS = (
    *("reader", "subject", "input", "setting", "method", "criterion", "score", "repeat", "item", "position", "comment"),
)
PREFERENCE_COLUMNS = (
    *("reader", "subject", "input", "setting", "first", "second", "preferred", "item", "position", "comment"),
)


def write_answers(folder: Path, answers: Unblinded) -> tuple[Path, Path]:
    """Write ``ratings.csv`` and ``preferences.csv``, in place of earlier ones.

    An empty `score` was not given; `preferred` is a method, ``=`` for neither, or empty where no answer was given.
    """
    ratings = [
        (
            *(r.reader, r.shown.subject, r.shown.input, r.shown.setting, r.shown.method, r.criterion),
            *("" if r.score is None else r.score, int(r.repeat), r.item, r.position, r.comment),
        )
        for r in answers.scores
    ]
    preferences = [
        (
            *(r.reader, r.first.subject, r.first.input, r.setting, r.first.method, r.second.method),
            *("" if r.preferred is None else r.preferred or "=", r.item, r.position, r.comment),
        )
        for r in answers.choices
    ]
    paths = folder / "ratings.csv", folder / "preferences.csv"
    for path, columns, rows in (
        (paths[0], RATING_COLUMNS, ratings),
        (paths[1], PREFERENCE_COLUMNS, preferences),
    ):
        with atomic_file(path, overwrite=True) as temporary:
            write_csv(temporary, columns, rows)
    return paths
