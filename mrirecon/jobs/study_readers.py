"""`mrirecon study export-readers` and `import-readers`: a study's images to blinded readers, and their sheets back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mrirecon.errors import ConfigError, FormatError
from mrirecon.evaluation.readers.answers import write_answers
from mrirecon.evaluation.readers.audit import series_folders
from mrirecon.evaluation.readers.choice import choose_series
from mrirecon.evaluation.readers.design import Item
from mrirecon.evaluation.readers.export import DICOM, files_sha256, write_export
from mrirecon.evaluation.readers.key import FORM_LENGTH, ReaderKey, check_seal, read_key, write_key
from mrirecon.evaluation.readers.options import ReaderOptions
from mrirecon.evaluation.readers.read_sheets import Sheet, find_sheets, missing_answers, read_sheet
from mrirecon.evaluation.readers.results import FOLDER, ReaderResults, load_reader_results, save_reader_results
from mrirecon.evaluation.readers.scoring import score_readers
from mrirecon.evaluation.readers.source import reader_input, series_of_study, shown_image
from mrirecon.evaluation.readers.unblinding import check_sheets, expected_items, unblind
from mrirecon.evaluation.statistics.interval import IntervalOptions
from mrirecon.evaluation.statistics.wording import counted, listed
from mrirecon.evaluation.study.results import open_study
from mrirecon.io.atomic import atomic_file, atomic_folder
from mrirecon.jobs.reporting import Reporter, Silent

SEALS = "seals"
"""Below ``STUDY/readers``: the seal of each export, as published."""


@dataclass(frozen=True)
class ReaderExport:
    """What `export_readers` made.

    Parameters
    ----------
    folder
        For the readers.
    key
        Not for the readers.
    seal
        Of the key.
    n_series, n_repeats, n_pairs
        What each reader sees.
    left_out
        Sentences.
    """

    folder: Path
    key: Path
    seal: str
    n_series: int
    n_repeats: int
    n_pairs: int
    left_out: tuple[str, ...]


def export_readers(
    folder: str | Path,
    out: str | Path,
    *,
    options: ReaderOptions = ReaderOptions(),
    key: str | Path | None = None,
    passphrase: str | None = None,
    reporter: Reporter = Silent(),
) -> ReaderExport:
    """Write blinded series, worklists, score sheets and an explanation for readers, and the sealed key elsewhere.

    Parameters
    ----------
    folder
        Of the study.
    out
        New or empty folder, for the readers: everything in it may be handed out.
    options
        The design.
    key
        Where the key goes, outside `out`; default ``STUDY/readers/reader-key-SEAL.json``, since the study's folder
        holds the unblinded images anyway.
    passphrase
        Encrypts the key; without one it is packed only.
    reporter
        Receives progress and warnings.

    Raises
    ------
    FormatError
        If `folder` holds no study, or a file of it is damaged.
    ConfigError
        If a name in `options` is unknown, nothing complete is left to show, or the key would lie among the images.
    OutputError
        If something exists already or cannot be written, or the check of the blinding fails; nothing is left then.
    """
    study = open_study(Path(folder))
    target = Path(out)
    if key is not None and Path(key).resolve().is_relative_to(target.resolve()):
        raise ConfigError(
            f"the key {Path(key).name} must not lie in {target.name}, which the readers get; name another"
        )
    finished, references = series_of_study(study)
    chosen = choose_series(finished, references=references, options=options)
    for sentence in chosen.left_out:
        reporter.warn(sentence)
    if options.seed is not None:
        reporter.warn("codes and orders come from `seed`: who knows it and the study can unblind the readers")
    inputs = {
        name: reader_input(study.inputs[name], study.reference(name), n_slices=len(study.inputs[name].slices))
        for name in dict.fromkeys(s.input for s in chosen.series)
    }
    for name, found in inputs.items():
        if found.template.geometry.nominal:
            reporter.warn(f"{name}: orientation and position are unknown; the images say so (GEOM-NOMINAL)")

    def progress(items: Sequence[Item]) -> Iterable[Item]:
        return reporter.track(items, total=len(items), label="items")

    written: Path | None = None
    try:
        with atomic_folder(target) as draft:
            made = write_export(
                draft,
                study=study.name,
                chosen=chosen,
                inputs=inputs,
                image=lambda shown: shown_image(study, shown),
                options=options,
                progress=progress,
            )
            name = f"reader-key-{made.seal[:FORM_LENGTH]}.json"
            place = Path(key) if key is not None else study.folder / FOLDER / name
            written = write_key(made, place, passphrase=passphrase)
    except BaseException:
        if written is not None:
            written.unlink(missing_ok=True)
        raise
    _publish(study.folder, made)
    n_repeats = sum(bool(item.repeat_of) for item in made.items)
    n_pairs = sum(item.kind == "preference" for item in made.items)
    n_series = len(made.items) - n_repeats - n_pairs
    reporter.say(
        f"{n_series} series, {n_repeats} of them twice, and {counted(n_pairs, 'pair')}: {len(made.items)} items for "
        f"each of {counted(options.readers, 'reader')}; key {place.name}, seal {made.seal}"
    )
    return ReaderExport(target, place, made.seal, n_series, n_repeats, n_pairs, chosen.left_out)


def import_readers(
    folder: str | Path,
    sheets: Sequence[str | Path],
    *,
    key: str | Path | None = None,
    passphrase: str | None = None,
    export: str | Path | None = None,
    baseline: str | None = None,
    allow_incomplete: bool = False,
    replace: bool = False,
    intervals: IntervalOptions = IntervalOptions("bca"),
    reporter: Reporter = Silent(),
) -> ReaderResults:
    """Check filled sheets, open the key, score, and write ``STUDY/readers/results.json`` with two tables.

    The sheets are read and checked before anything is named.

    Parameters
    ----------
    folder
        Of the study.
    sheets
        Filled sheets, or folders with them.
    key
        The sealed key; default the one in the study's folder that the sheets name.
    passphrase
        Of an encrypted key.
    export
        The folder that the readers had: its seal and its images are compared with the key.
    baseline
        Method that others are graded against; default the reference, if it was shown.
    allow_incomplete
        Open the key although sheets or answers are missing. Readers who answer later are not blind any more.
    replace
        Give up results of another export.
    intervals
        Of all figures.
    reporter
        Receives warnings and a summary.

    Raises
    ------
    FormatError
        If a sheet has a problem (with file, row and column), or sheet, key, study and export do not belong together.
    ConfigError
        If answers are missing, or there are results of another export already.
    """
    study = open_study(Path(folder))
    found = [read_sheet(path) for path in find_sheets(sheets)]
    place = _key_of(found, study.folder) if key is None else Path(key)
    opened = read_key(place, passphrase=passphrase)
    _check_published(study.folder, opened)
    check_sheets(found, opened)
    if export is not None:
        _check_export(Path(export), opened)
    earlier = load_reader_results(study.folder)
    if earlier is not None and earlier.seal != opened.seal and not replace:
        raise ConfigError(
            f"{study.folder.name} has the results of another export (seal {earlier.seal[:FORM_LENGTH]}); allow "
            "replacing them, or move its folder `readers` away"
        )
    lacking = {reader: codes for reader, codes in missing_answers(found, expected_items(opened)).items() if codes}
    if lacking:
        text = "; ".join(
            f"{reader}: {counted(len(codes), 'answer')}, {listed(codes)}" for reader, codes in lacking.items()
        )
        if not allow_incomplete:
            raise ConfigError(
                f"answers are missing ({text}). Naming the methods now would unblind readers who are not done: "
                "complete the sheets, or allow an incomplete import, which the results will say"
            )
        reporter.warn(f"answers are missing ({text})")
    answers = unblind(found, opened)
    results = score_readers(answers, opened, baseline=baseline, complete=not lacking, options=intervals)
    write_answers(study.folder / FOLDER, answers)
    written = save_reader_results(results, study.folder)
    for remark in results.remarks:
        reporter.warn(remark)
    reporter.say(f"{counted(len(results.readers), 'reader')} scored, seal {opened.seal[:FORM_LENGTH]}: {written.name}")
    return results


def _publish(folder: Path, key: ReaderKey) -> None:
    """Keep the seal in the study, as the export carries it."""
    path = folder / FOLDER / SEALS / f"{key.seal[:FORM_LENGTH]}.json"
    with atomic_file(path, overwrite=True) as temporary:
        content = {"seal": key.seal, "version": key.version, "readers": list(key.orders), "items": len(key.items)}
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _check_published(folder: Path, key: ReaderKey) -> None:
    path = folder / FOLDER / SEALS / f"{key.seal[:FORM_LENGTH]}.json"
    if not path.is_file():
        raise FormatError(
            folder, f"made no export with the seal {key.seal[:FORM_LENGTH]}; give the study and the key of one export"
        )
    try:
        published = str(json.loads(path.read_text(encoding="utf-8"))["seal"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(path, f"cannot be read ({error})") from error
    check_seal(key, published, where=path)


def _key_of(sheets: Sequence[Sheet], folder: Path) -> Path:
    seals = list(dict.fromkeys(sheet.seal for sheet in sheets))
    if len(seals) != 1:
        raise ConfigError(f"the sheets are of {len(seals)} exports ({listed(seals)}); import one export at a time")
    path = folder / FOLDER / f"reader-key-{seals[0]}.json"
    if not path.is_file():
        raise ConfigError(f"{folder.name} holds no key with the seal {seals[0]} of the sheets; name it with `key`")
    return path


def _check_export(export: Path, key: ReaderKey) -> None:
    seal = export / "SEAL.txt"
    if not seal.is_file():
        raise FormatError(export, "holds no SEAL.txt; name the folder that the readers had")
    words = seal.read_text(encoding="utf-8").split()
    check_seal(key, words[words.index("sha-256") + 1] if "sha-256" in words[:-1] else "", where=seal)
    for item in key.items:
        for folder, expected in zip(series_folders(export / DICOM, item), item.files_sha256, strict=True):
            if not folder.is_dir() or files_sha256(folder) != expected:
                raise FormatError(folder, "its images are not those that were exported; give the folder unchanged")
