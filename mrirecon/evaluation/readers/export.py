"""Write the folder that readers get, and the key that they do not."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrirecon import __version__
from mrirecon.errors import ShapeError
from mrirecon.evaluation.readers.audit import TIME, audit, series_folders
from mrirecon.evaluation.readers.choice import Chosen, ShownSeries
from mrirecon.evaluation.readers.design import Item, Reading, plan_reading
from mrirecon.evaluation.readers.key import KeyItem, ReaderKey
from mrirecon.evaluation.readers.levels import InputLevels, input_levels
from mrirecon.evaluation.readers.options import REFERENCE, ReaderOptions
from mrirecon.evaluation.readers.secret import Secret
from mrirecon.evaluation.readers.sheets import (
    reader_folder,
    readme_text,
    seal_text,
    write_definitions,
    write_sheets,
)
from mrirecon.io.dicom.blinded import BlindIdentity, write_blinded
from mrirecon.io.intensity import Intensity, series_intensity
from mrirecon.scan.orientation import reordered, standard_view
from mrirecon.scan.series import ImageSeries

Volume = NDArray[np.float32]
DICOM = "dicom"


@dataclass(frozen=True, eq=False)
class ReaderInput:
    """What the export must know of a scan.

    Parameters
    ----------
    template
        A series of it with grid, protocol and any non-negative image of the right shape; its pixels are not shown.
    reference
        The fully sampled magnitude (z, y, x), or None.
    offsets
        Place of each slice in steps of the template's grid.
    """

    template: ImageSeries
    reference: Volume | None
    offsets: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Scan:
    """A scan with its rule of brightness; the intensity is that of all its series."""

    source: ReaderInput
    levels: InputLevels
    intensity: Intensity


def write_export(
    folder: Path,
    *,
    study: str,
    chosen: Chosen,
    inputs: Mapping[str, ReaderInput],
    image: Callable[[ShownSeries], Volume],
    options: ReaderOptions,
    progress: Callable[[Sequence[Item]], Iterable[Item]] = iter,
) -> ReaderKey:
    """Fill an existing, empty folder with images, sheets and the seal, check the blinding, and return the key.

    Parameters
    ----------
    folder
        To fill.
    study
        Name, for the key.
    chosen
        What is shown.
    inputs
        By name.
    image
        Reads the volume of a series.
    progress
        Wraps the loop over items.

    Raises
    ------
    ShapeError
        If the volumes of a scan do not fit together.
    OutputError
        If something cannot be written, or the blinding does not hold.
    """
    secret = Secret.fresh() if options.seed is None else Secret.from_seed(options.seed)
    reading = plan_reading(chosen.series, options, secret)
    scans = {name: _scan(name, inputs[name], chosen, image, options) for name in inputs if _is_shown(name, chosen)}
    dicom = folder / DICOM
    dicom.mkdir()
    items = tuple(
        _write_item(dicom, item, scans, image, secret) for item in progress(reading.items)
    )  # by code: the order of writing says nothing
    shown = dict.fromkeys(s.method for s in chosen.series)
    key = ReaderKey(
        study=study,
        version=__version__,
        nonce=Secret.fresh().key.hex(),
        secret=secret.key.hex(),
        options=replace(options, methods=tuple(m for m in shown if m != REFERENCE)),
        items=items,
        orders=dict(reading.orders),
        left_out=chosen.left_out,
    )
    _write_papers(folder, reading, key, options)
    set_times(folder)
    audit(dicom, items)
    set_times(folder)
    return key


def set_times(folder: Path) -> None:
    """Give every file and folder below `folder` the same time."""
    for path in sorted(folder.rglob("*"), reverse=True):
        os.utime(path, (TIME, TIME))
    os.utime(folder, (TIME, TIME))


def files_sha256(folder: Path) -> str:
    """Over names and content of the files of a series, in order."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _is_shown(name: str, chosen: Chosen) -> bool:
    return any(s.input == name for s in chosen.series)


def _scan(
    name: str,
    source: ReaderInput,
    chosen: Chosen,
    image: Callable[[ShownSeries], Volume],
    options: ReaderOptions,
) -> _Scan:
    volumes = [
        (f"{s.method} at {s.setting or 'all lines'} of {name}", image(s)) for s in chosen.series if s.input == name
    ]
    levels = input_levels(volumes, reference=source.reference, options=options)
    if levels.guide.shape != source.template.image.shape:
        raise ShapeError(
            f"{name}: the volumes have shape {levels.guide.shape}, the grid {source.template.image.shape}; run the "
            "study again"
        )
    found = series_intensity(_with_image(source.template, levels.guide))
    return _Scan(source, levels, found)


def _write_item(
    dicom: Path,
    item: Item,
    scans: Mapping[str, _Scan],
    image: Callable[[ShownSeries], Volume],
    secret: Secret,
) -> KeyItem:
    bare = KeyItem(item.code, item.kind, item.shown, item.setting, item.repeat_of, (), ())
    scales = []
    folders = series_folders(dicom, bare)
    for shown, folder in zip(item.shown, folders, strict=True):
        scan = scans[shown.input]
        volume, scale = scan.levels.shown(image(shown))
        side = folder.name if len(folders) > 1 else ""
        write_blinded(
            _with_image(scan.source.template, volume),
            folder,
            identity=_identity(item.code, side, len(volume), secret),
            intensity=scan.intensity,
            offsets=scan.source.offsets,
        )
        scales.append(scale)
    sums = tuple(files_sha256(folder) for folder in folders)
    return KeyItem(item.code, item.kind, item.shown, item.setting, item.repeat_of, tuple(scales), sums)


def _identity(code: str, side: str, n_slices: int, secret: Secret) -> BlindIdentity:
    return BlindIdentity(
        code,
        side,
        secret.uid("study", code),
        secret.uid("series", code, side),
        secret.uid("frame", code),
        tuple(secret.uid("instance", code, side, n) for n in range(n_slices)),
    )


def _with_image(template: ImageSeries, image: Volume) -> ImageSeries:
    """The image on the template's grid, in the standard radiological view where the grid is known."""
    geometry, protocol = template.geometry, template.protocol
    if not geometry.nominal:
        image, geometry, protocol = reordered(image, geometry, protocol, standard_view(geometry))
    return ImageSeries(
        np.ascontiguousarray(image, dtype=np.float32), geometry, protocol, template.subject, template.derivation, ""
    )


def _write_papers(folder: Path, reading: Reading, key: ReaderKey, options: ReaderOptions) -> None:
    for reader in options.reader_names:
        write_sheets(folder / reader_folder(reader), reading, reader=reader, form=key.form(reader))
    write_definitions(folder / "definitions.csv")
    text = readme_text(reading, reader_names=options.reader_names)
    (folder / "README.txt").write_text(text, encoding="utf-8")
    (folder / "SEAL.txt").write_text(seal_text(key.seal), encoding="utf-8")
