"""Several inputs, one configuration: a bad file is reported and skipped, the rest is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mrirecon.errors import ConfigError, MrireconError
from mrirecon.jobs.reporting import Reporter


@dataclass(frozen=True)
class BatchResult:
    """Which inputs were done and what was wrong with the others."""

    done: tuple[Path, ...]
    failed: tuple[tuple[Path, str], ...]


def output_folders(inputs: Sequence[Path], out: Path) -> dict[Path, Path]:
    """One folder per input: `out` itself for one input, ``out/STEM`` for several.

    Raises
    ------
    ConfigError
        If two inputs would share a folder, or the same input is given twice.
    """
    if len(inputs) == 1:
        return {inputs[0]: out}
    folders = {path: out / path.stem for path in inputs}
    if len(folders) < len(inputs):
        raise ConfigError("an input is given more than once")
    names = [folder.name for folder in folders.values()]
    clashing = sorted({name for name in names if names.count(name) > 1})
    if clashing:
        raise ConfigError(f"inputs named {', '.join(clashing)} would share an output folder; give them separately")
    return folders


def run_batch(inputs: Sequence[Path], job: Callable[[Path], None], reporter: Reporter) -> BatchResult:
    """Run `job` on every input. A single input's error is raised; of several, errors are collected."""
    if len(inputs) == 1:
        job(inputs[0])
        return BatchResult((inputs[0],), ())
    done: list[Path] = []
    failed: list[tuple[Path, str]] = []
    for path in inputs:
        try:
            job(path)
            done.append(path)
        except MrireconError as error:
            failed.append((path, str(error)))
            reporter.warn(f"{path.name} skipped: {error}")
    return BatchResult(tuple(done), tuple(failed))
