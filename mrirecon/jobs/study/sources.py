"""The inputs that a configuration names, one by one: which file, whose, and whether it changed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mrirecon.config.study_schema import InputChoice, ScanInput, SimulatedInput
from mrirecon.data.spec import file_sha256, split_files
from mrirecon.errors import ConfigError, MrireconError
from mrirecon.io.free_text import without_paths
from mrirecon.jobs.data_check import find_spec

_PATTERN = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Source:
    """One input of a study, not opened yet.

    Parameters
    ----------
    name, subject
        Unique name, and whose images it shows.
    choice
        What the configuration says.
    paths
        Its file; several for a volume in many files.
    number
        Which volume of a data specification.
    hole
        Why it cannot be had; then there are no paths.
    """

    name: str
    subject: str
    choice: InputChoice
    paths: tuple[Path, ...]
    number: int = 0
    hole: str = ""

    @property
    def label(self) -> str:
        """Name of the file or of the data specification, never a folder."""
        return self.choice.spec if isinstance(self.choice, SimulatedInput) else self.paths[0].name

    def stamp(self, root: Path) -> list[tuple[str, int, int]]:
        """Name, size and time of change of every file that matters: while it stays the content is not read again."""
        files = [*self.paths, *self.beside(root).values()]
        return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]

    def sha256(self) -> str:
        """Checksum of the content; of several files that of their checksums."""
        digests = [file_sha256(path) for path in self.paths]
        return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()

    def beside(self, root: Path) -> dict[str, Path]:
        """Further files that the configuration names for it."""
        choice = self.choice
        if not isinstance(choice, ScanInput):
            return {}
        labels = None if choice.labels is None else choice.labels.path
        named = {"coil_reference": choice.coil_reference, "labels": labels, "boxes": choice.boxes}
        return {key: root / path for key, path in named.items() if path is not None}


def sources(inputs: Mapping[str, InputChoice], *, root: Path, specs: Path | None) -> tuple[Source, ...]:
    """Every input of a configuration, in its order; what cannot be had is there with the reason.

    Raises
    ------
    ConfigError
        If two inputs get one name, or a data specification is unknown or of the wrong kind.
    """
    found: list[Source] = []
    for name, choice in inputs.items():
        if isinstance(choice, SimulatedInput):
            found += _simulated(name, choice, root, specs)
        else:
            found += _scans(name, choice, root)
    names = [source.name for source in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"two inputs would be called {min(twice)!r}; rename a file, or an entry of `inputs`")
    return tuple(found)


def _scans(name: str, choice: ScanInput, root: Path) -> list[Source]:
    pattern = choice.files
    if not _PATTERN.search(pattern):
        path = root / pattern
        if not path.exists() and not path.with_name(path.name + ".hdr").exists():
            return [Source(name, name, choice, (), hole=f"there is no file {Path(pattern).name}")]
        return [Source(name, name, choice, (path,))]
    if Path(pattern).is_absolute():
        anchor = Path(Path(pattern).anchor)
        paths = sorted(p for p in anchor.glob(str(Path(pattern).relative_to(anchor))) if p.is_file())
    else:
        paths = sorted(p for p in root.glob(pattern) if p.is_file())
    if not paths:
        return [Source(name, name, choice, (), hole=f"no file matches {Path(pattern).name}")]
    made = []
    for path in paths:
        unique = f"{name}-{fit_for_files(path.stem)}"
        if choice.subject == "folder":
            unique = f"{name}-{fit_for_files(path.parent.name)}-{fit_for_files(path.stem)}"
        subject = {"file": unique, "folder": f"{name}-{fit_for_files(path.parent.name)}", "all": name}[choice.subject]
        made.append(Source(unique, subject, choice, (path,)))
    return made


def _simulated(name: str, choice: SimulatedInput, root: Path, specs: Path | None) -> list[Source]:
    spec = find_spec(choice.spec, specs=specs)
    if spec.kind != "images":
        raise ConfigError(f"`inputs.{name}.spec`: {spec.name} holds k-space; name a specification of images")
    if choice.split not in (spec.splits or {}):
        raise ConfigError(f"`inputs.{name}.split`: {spec.name} has no split {choice.split!r}")
    try:
        files = split_files(spec, choice.split, root)
    except MrireconError as error:
        return [
            Source(
                name,
                name,
                choice,
                (),
                hole=f"{spec.name} is not complete here ({without_paths(str(error), keep_name=True)})",
            )
        ]
    if spec.reader == "dicom":
        return [Source(name, name, choice, files)]
    several = len(files) > 1
    names = [f"{name}-{i + 1}" if several else name for i in range(len(files))]
    return [
        Source(unique, unique, choice, (path,), i) for i, (unique, path) in enumerate(zip(names, files, strict=True))
    ]


def fit_for_files(text: str) -> str:
    """The text with everything but letters, digits, '.', '_' and '-' replaced."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._") or "scan"
