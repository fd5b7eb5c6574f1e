"""Reader studies without images: keys as an export makes them, and readers of known taste who fill in the sheets."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mrirecon.evaluation.readers.choice import ShownSeries
from mrirecon.evaluation.readers.criteria import CRITERIA
from mrirecon.evaluation.readers.design import plan_reading
from mrirecon.evaluation.readers.key import KeyItem, ReaderKey
from mrirecon.evaluation.readers.options import REFERENCE, ReaderOptions
from mrirecon.evaluation.readers.read_sheets import Sheet, read_sheet
from mrirecon.evaluation.readers.secret import Secret
from mrirecon.evaluation.readers.sheets import reader_folder, write_csv, write_sheets

Quality = Mapping[str, float]


def series_of(
    n_subjects: int, methods: Sequence[str], accelerations: Sequence[float] = (4.0,), *, reference: bool = True
) -> tuple[ShownSeries, ...]:
    """One input per subject."""
    found = []
    for n in range(n_subjects):
        name, subject = f"scan{n}", f"person{n}"
        found += [ShownSeries(name, subject, "random", a, 0, m) for a in accelerations for m in methods]
        found += [ShownSeries(name, subject, "", 1.0, 0, REFERENCE)] if reference else []
    return tuple(found)


def key_of(series: Sequence[ShownSeries], options: ReaderOptions = ReaderOptions(), *, seed: int = 1) -> ReaderKey:
    secret = Secret.from_seed(seed)
    reading = plan_reading(series, options, secret)
    items = tuple(
        KeyItem(i.code, i.kind, i.shown, i.setting, i.repeat_of, (1.0,) * len(i.shown), ("00",) * len(i.shown))
        for i in reading.items
    )
    return ReaderKey("study", "0", "ab" * 32, secret.key.hex(), options, items, reading.orders)


def fill_in(folder: Path, key: ReaderKey, quality: Quality, *, noise: float = 0.6, seed: int = 0) -> list[Path]:
    """Write the sheets of all readers and fill them in as people with this taste would.

    Parameters
    ----------
    quality
        Latent quality of each method on the scale of scores.
    noise
        Of a single judgement; a subject's own difficulty is common to all judgements of it.
    """
    rng = np.random.default_rng(seed)
    own = {s.subject: rng.normal(0, 0.5) for item in key.items for s in item.shown}
    items = {item.code: item for item in key.items}
    written = []
    for reader in key.orders:
        place = folder / reader_folder(reader)
        write_sheets(place, key.reading, reader=reader, form=key.form(reader))
        for path in sorted(place.glob("[sp]*.csv")):
            rows = read_rows(path)
            for row in rows:
                felt = [quality[s.method] + own[s.subject] + rng.normal(0, noise) for s in items[row["item"]].shown]
                if "preferred" in row:
                    row["preferred"] = "=" if abs(felt[0] - felt[1]) < 0.1 else "A" if felt[0] > felt[1] else "B"
                else:
                    for criterion in CRITERIA:
                        row[criterion.name] = str(int(np.clip(np.rint(felt[0] + rng.normal(0, 0.2)), 1, 5)))
            write_csv(path, list(rows[0]), [list(row.values()) for row in rows])
            written.append(path)
    return written


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def sheets_of(paths: Sequence[Path]) -> list[Sheet]:
    return [read_sheet(path) for path in paths]
