"""The JSON sidecar: what went in, what was done, what came out, so that a result can be traced and repeated.

It names files without their folders and holds neither user nor host.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

import mrirecon
from mrirecon.errors import ConfigError, FormatError, OutputError
from mrirecon.io.atomic import atomic_file
from mrirecon.io.free_text import without_paths
from mrirecon.scan.geometry import Geometry

SCHEMA = "mrirecon-provenance"
SCHEMA_VERSION = 1
_PACKAGES = ("torch", "numpy", "scipy", "monai", "pydicom", "nibabel", "h5py", "ismrmrd", "twixtools", "pillow")
_BLOCK = 1 << 20


@dataclass(frozen=True)
class FileRecord:
    """A file by its content.

    Parameters
    ----------
    name
        Base name of an input; path below the output folder of an output, with forward slashes.
    sha256
        Of its bytes, 64 hexadecimal digits.
    size
        In bytes.
    """

    name: str
    sha256: str
    size: int

    def __post_init__(self) -> None:
        parts = PurePosixPath(self.name).parts
        if not parts or self.name.startswith("/") or "\\" in self.name or ".." in parts:
            raise ConfigError(f"a file record needs a relative name without folders above it, got {self.name!r}")
        if len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef"):
            raise ConfigError(f"`sha256` must be 64 lower-case hexadecimal digits, got {self.sha256!r}")


@dataclass(frozen=True)
class Provenance:
    """Everything that decided a result.

    Parameters
    ----------
    method
        Name of the reconstruction.
    inputs, outputs
        Files with checksums.
    configuration
        The complete configuration, JSON-ready. Absolute paths in it are cut to their last part when written.
    mask
        The sampling card, None if nothing was undersampled afterwards.
    seed
        Of the random generator, None if there was none.
    scale_factor
        Stored DICOM and NIfTI value = factor x reconstructed value.
    geometry
        From `geometry_record`.
    series_uid
        Of the DICOM series, None without one.
    network
        Checkpoint, checksum and levels of a learned method, None for the others.
    companions
        DICOM series that belong to the first, by quantity: identifier and scale factor.
    certificate
        Whether the image agrees with the measured data, and within what limits that is known.
    shift
        Whether the scan looks like those that a network was trained on; None without one, or if that was not asked.
    identifiers
        Whether those of the raw header or the template were "removed" or "kept" in the DICOM files, and the names of
        the attributes that were kept; None where no DICOM was written.
    timings_s
        Seconds per stage.
    warnings, notes
        Sentences for the reader of the images, and for the reader of this record.
    software
        From `software_versions`.
    created
        ISO 8601 date and time, None if it is to be left out.
    """

    method: str
    inputs: tuple[FileRecord, ...]
    outputs: tuple[FileRecord, ...]
    configuration: Mapping[str, Any]
    geometry: Mapping[str, Any]
    software: Mapping[str, str]
    scale_factor: float = 1.0
    mask: Mapping[str, Any] | None = None
    seed: int | None = None
    series_uid: str | None = None
    network: Mapping[str, Any] | None = None
    companions: Mapping[str, Any] = field(default_factory=dict)
    certificate: Mapping[str, Any] | None = None
    shift: Mapping[str, Any] | None = None
    identifiers: Mapping[str, Any] | None = None
    timings_s: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    created: str | None = None


def write_provenance(path: str | Path, record: Provenance, *, overwrite: bool = False) -> None:
    """Write `record` as indented JSON in UTF-8; equal records make equal files.

    Raises
    ------
    ConfigError
        If a value is not JSON-ready or not finite.
    OutputError
        If the file exists or cannot be written.
    """
    content = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **_scrubbed(asdict(record))}
    try:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the provenance record must hold plain, finite JSON values: {error}") from error
    with atomic_file(path, overwrite=overwrite) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_provenance(path: str | Path) -> Provenance:
    """Read a record back.

    Raises
    ------
    FormatError
        If the file is no provenance record, of a newer schema, or incomplete.
    """
    source = Path(path)
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise FormatError(source, f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise FormatError(source, f"is not JSON: {error}") from error
    if not isinstance(content, dict) or content.pop("schema", None) != SCHEMA:
        raise FormatError(source, f"expected a record of schema {SCHEMA!r}", key="schema")
    version = content.pop("schema_version", None)
    if version != SCHEMA_VERSION:
        raise FormatError(
            source,
            f"expected schema version {SCHEMA_VERSION}, got {version}; use the program that wrote it",
            key="schema_version",
        )
    try:
        for name in ("inputs", "outputs"):
            content[name] = tuple(FileRecord(**entry) for entry in content[name])
        for name in ("warnings", "notes"):
            content[name] = tuple(content[name])
        return Provenance(**content)
    except (KeyError, TypeError, ConfigError) as error:
        raise FormatError(source, f"the record is incomplete or has unknown entries: {error}") from error


def geometry_record(geometry: Geometry) -> dict[str, Any]:
    """The grid as JSON: index-to-LPS matrix (columns z, y, x, position) and whether it is real or a placeholder."""
    return {
        "position": "nominal" if geometry.nominal else "scanner",
        "index_zyx_to_lps_mm": geometry.affine.tolist(),
        "voxel_size_zyx_mm": list(geometry.voxel_size_mm),
        "slice_thickness_mm": geometry.slice_thickness_mm,
    }


def software_versions() -> dict[str, str]:
    """Versions of this program, the language, the kind of machine, and the packages that touch the numbers."""
    found = {
        "mrirecon": mrirecon.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def input_records(paths: Iterable[str | Path]) -> tuple[FileRecord, ...]:
    """Records of input files under their base names, each with a checksum of its content."""
    return tuple(FileRecord(Path(p).name, sha256_of(p), Path(p).stat().st_size) for p in paths)


def output_records(folder: str | Path, paths: Iterable[str | Path]) -> tuple[FileRecord, ...]:
    """Records of files below `folder` under their relative names.

    Raises
    ------
    OutputError
        If a file lies elsewhere.
    """
    root = Path(folder).resolve()
    records = []
    for path in (Path(p).resolve() for p in paths):
        if not path.is_relative_to(root):
            raise OutputError(f"{path.name} does not lie in the output folder {root.name}")
        records.append(FileRecord(path.relative_to(root).as_posix(), sha256_of(path), path.stat().st_size))
    return tuple(records)


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file's bytes, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return without_paths(value, keep_name=True)
    if isinstance(value, Path):
        return value.name
    if isinstance(value, Mapping):
        return {key: _scrubbed(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_scrubbed(entry) for entry in value]
    return value
