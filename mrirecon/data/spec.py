"""Facts about a data set, as data: one strictly checked YAML file each, without any of the data."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from mrirecon.errors import ConfigError, FormatError
from mrirecon.records import load_record

Reader = Literal[
    "fastmri",
    "ismrmrd",
    "twix",
    "cfl",
    "npy",
    "calgary-campinas",
    "skm-tea",
    "cmrxrecon",
    "nifti",
    "dicom",
    "nrrd",
    "mat",
    "image",
]
WHOLE_FILE = "whole file"
"""The key of the one array of a format that has no names."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Licence:
    """Terms of use, as the source states them.

    Parameters
    ----------
    name
        SPDX identifier where there is one, else the words of the source; "none stated" where there is none.
    access
        How to get the data: open address, registration, or agreement.
    release
        Whether images of the data, or weights trained on them, may be published.
    """

    name: str
    access: str
    release: bool


@dataclass(frozen=True)
class ArraySpec:
    """One array inside a file.

    Parameters
    ----------
    key
        Name inside the file, or "whole file".
    axes
        In storage order, slowest first.
    dtype
        One type, or several joined by " or ".
    note
        What a user must know.
    sizes
        Allowed lengths of the axes that have fixed ones.
    splits
        Where the array must be; empty stands for every split. Elsewhere it may be.
    optional
        Whether it may be missing even there.
    """

    key: str
    axes: tuple[str, ...]
    dtype: str
    note: str = ""
    sizes: dict[str, tuple[int, ...]] | None = None
    splits: tuple[str, ...] = ()
    optional: bool = False

    def __post_init__(self) -> None:
        for axis in self.sizes or {}:
            if axis not in self.axes:
                raise ConfigError(f"`sizes` of {self.key!r} names the axis {axis!r}, the array has {self.axes}")

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The allowed types."""
        return tuple(self.dtype.split(" or "))


@dataclass(frozen=True)
class GeometryFacts:
    """What the files say about space: "full" (position and orientation), "sizes" (voxel sizes only) or "none"."""

    known: Literal["full", "sizes", "none"]
    note: str = ""


@dataclass(frozen=True)
class FileFacts:
    """One file below the root of the data, with its checksum, and what is particular about it."""

    path: str
    sha256: str | None = None
    note: str = ""

    def __post_init__(self) -> None:
        _check_path(self.path)
        _check_sha256(self.sha256, self.path)


@dataclass(frozen=True)
class Split:
    """Which files belong to a part of the data.

    Parameters
    ----------
    paths
        Paths below the root; ``*`` and ``?`` match within one folder.
    count
        How many files that is.
    sha256
        Of the listing ``<sha256 of the file>  <path>`` and a line feed, for every file, sorted by path.
    folders
        In how many folders the files lie, where this is known and the number of files is not.
    companions
        What must lie beside every file; ``{stem}`` stands for its name without suffix.
    optional
        Whether the split is downloaded on its own, so that its absence is no fault.
    """

    paths: tuple[str, ...]
    count: int | None = None
    sha256: str | None = None
    folders: int | None = None
    companions: tuple[str, ...] = ()
    optional: bool = False

    def __post_init__(self) -> None:
        for path in (*self.paths, *self.companions):
            _check_path(path)
        _check_sha256(self.sha256, "a split")


@dataclass(frozen=True)
class DataSpec:
    """A data set.

    Parameters
    ----------
    name
        Lower-case words joined by hyphens; that of the file.
    title
        One line.
    kind
        "kspace" or "images".
    citation
        Papers and addresses to cite.
    licence
        Terms.
    reader
        Format of the files; the k-space readers are those of `mrirecon.io`.
    arrays
        What is in a file; empty where the format itself fixes it.
    phase_encoding_axis
        Image axis of the phase encoding, "both", or "header" where every file says so; None for images.
    geometry
        What is known about space.
    noise_scan
        Whether the files hold a noise scan; "header" where it differs from file to file.
    fully_sampled
        Whether a complete reference exists; "header" where it differs.
    anatomy
        What is shown.
    scanner
        Maker, model and field strength, where known.
    notes
        Peculiarities that a user must know.
    files, splits
        Files with checksums; lists for training, validation and test.
    """

    name: str
    title: str
    kind: Literal["kspace", "images"]
    citation: tuple[str, ...]
    licence: Licence
    reader: Reader
    geometry: GeometryFacts
    phase_encoding_axis: Literal["x", "y", "both", "header"] | None = None
    noise_scan: Literal["yes", "no", "header"] = "no"
    fully_sampled: Literal["yes", "no", "header"] = "header"
    anatomy: str = ""
    scanner: str = ""
    arrays: tuple[ArraySpec, ...] = ()
    notes: tuple[str, ...] = ()
    files: tuple[FileFacts, ...] = ()
    splits: dict[str, Split] | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"`name` must be lower-case words joined by hyphens, got {self.name!r}")
        if (self.kind == "kspace") != (self.phase_encoding_axis is not None):
            raise ConfigError("`phase_encoding_axis` must be given for k-space and left out for images")
        paths = [file.path for file in self.files]
        if len(set(paths)) != len(paths):
            raise ConfigError("`files` must not name a path twice")
        for array in self.arrays:
            for split in array.splits:
                if split not in (self.splits or {}):
                    raise ConfigError(f"`arrays`: {array.key!r} names the split {split!r}, which is not in `splits`")


def load_data_spec(path: str | Path) -> DataSpec:
    """The data specification in a YAML file.

    Raises
    ------
    ConfigError
        Naming the file and the dotted key, for anything unknown, missing or of the wrong type, and if the name in the
        file is not that of the file.
    """
    path = Path(path)
    spec = load_record(DataSpec, path)
    if spec.name != path.stem:
        raise ConfigError(f"{path}: `name` must be that of the file, {path.stem!r}, got {spec.name!r}")
    return spec


def split_files(spec: DataSpec, split: str, root: str | Path) -> tuple[Path, ...]:
    """The files of one split below `root`, sorted by path.

    Raises
    ------
    ConfigError
        If the specification has no such split.
    FormatError
        If a path matches nothing, or the number of files is not the one specified.
    """
    splits = spec.splits or {}
    if split not in splits:
        raise ConfigError(f"{spec.name} has no split {split!r}; it has {', '.join(splits) or 'none'}")
    root = Path(root)
    found: set[Path] = set()
    for pattern in splits[split].paths:
        matches = {p for p in root.glob(pattern) if p.is_file()}
        if not matches:
            raise FormatError(root / pattern, f"nothing matches this path of {spec.name}; give the root of the data")
        found |= matches
    expected = splits[split].count
    if expected is not None and len(found) != expected:
        raise FormatError(root, f"{spec.name} [{split}] must have {expected} files, got {len(found)}; copy them again")
    return tuple(sorted(found))


def verify_files(spec: DataSpec, root: str | Path) -> tuple[Path, ...]:
    """Check every file with a checksum, and every split with one; return the files checked.

    Raises
    ------
    FormatError
        If one is missing or its content is another.
    """
    root = Path(root)
    checked = []
    for facts in spec.files:
        path = root / facts.path
        if not path.is_file():
            raise FormatError(path, f"is missing; it belongs to {spec.name}")
        if facts.sha256 is not None:
            found = file_sha256(path)
            if found != facts.sha256:
                raise FormatError(path, f"the SHA-256 must be {facts.sha256}, got {found}; copy it again")
            checked.append(path)
    for name, split in (spec.splits or {}).items():
        if split.sha256 is not None:
            files = split_files(spec, name, root)
            found = listing_sha256(files, root)
            if found != split.sha256:
                raise FormatError(
                    root, f"{spec.name} [{name}]: the listing's SHA-256 must be {split.sha256}, got {found}"
                )
            checked.extend(files)
    return tuple(checked)


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def listing_sha256(files: tuple[Path, ...], root: str | Path) -> str:
    """One checksum for many files; see `Split.sha256`."""
    lines = sorted((file.relative_to(root).as_posix(), file_sha256(file)) for file in files)
    return hashlib.sha256("".join(f"{digest}  {path}\n" for path, digest in lines).encode()).hexdigest()


def _check_path(path: str) -> None:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or "\\" in path or not path:
        raise ConfigError(f"a path must be relative to the root of the data, with forward slashes, got {path!r}")


def _check_sha256(digest: str | None, what: str) -> None:
    if digest is not None and not _SHA256.fullmatch(digest):
        raise ConfigError(f"`sha256` of {what} must be 64 lower-case hexadecimal digits, got {digest!r}")
