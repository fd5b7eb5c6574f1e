"""`mrirecon study export-readers` and `import-readers`: a blinded reader study, there and back."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mrirecon.cli.options import Commands, replaced
from mrirecon.jobs.reporting import StandardError

_PASSPHRASE = "text file whose first line encrypts the key"


def add_export_readers(jobs: Commands) -> None:
    """The job `export-readers` and its options."""
    command = jobs.add_parser(
        "export-readers", help="blinded DICOM series, worklists, score sheets", allow_abbrev=False
    )
    command.add_argument("folder", type=Path, metavar="DIR", help="folder of the study")
    command.add_argument("--out", type=Path, required=True, metavar="DICOMS", help="new folder, for the readers")
    command.add_argument("--readers", type=int, metavar="N", help="default 2")
    command.add_argument("--methods", metavar="A,B", help="names; default all")
    command.add_argument("--settings", metavar="S,T", help="as 'random R4'; default all")
    command.add_argument("--inputs", metavar="A,B", help="names; default all")
    command.add_argument("--repeats", type=float, metavar="SHARE", help="series shown twice; default 0.2")
    command.add_argument("--pairs", choices=["all", "reference", "none"], help="preferences; default all")
    command.add_argument("--no-reference", action="store_true", help="do not show the fully sampled images")
    command.add_argument("--key", type=Path, metavar="FILE", help="where the sealed key goes; default in the study")
    command.add_argument("--passphrase-file", type=Path, metavar="FILE", help=_PASSPHRASE)
    command.set_defaults(run=run_export_readers)


def add_import_readers(jobs: Commands) -> None:
    """The job `import-readers` and its options."""
    command = jobs.add_parser("import-readers", help="score filled sheets into the report", allow_abbrev=False)
    command.add_argument("folder", type=Path, metavar="DIR", help="folder of the study")
    command.add_argument("sheets", type=Path, nargs="+", metavar="SHEET", help="filled sheets, or folders with them")
    command.add_argument("--key", type=Path, metavar="FILE", help="the sealed key; default the one in the study")
    command.add_argument("--passphrase-file", type=Path, metavar="FILE", help=_PASSPHRASE)
    command.add_argument("--export", type=Path, metavar="DICOMS", help="what the readers had, to be compared")
    command.add_argument("--baseline", metavar="METHOD", help="default the fully sampled images")
    command.add_argument("--allow-incomplete", action="store_true", help="open the key although answers are missing")
    command.add_argument("--replace", action="store_true", help="give up the results of another export")
    command.set_defaults(run=run_import_readers)


def run_export_readers(arguments: argparse.Namespace) -> int:
    """Run `study export-readers`; the exit status."""
    from mrirecon.evaluation.readers.options import ReaderOptions
    from mrirecon.jobs.study_readers import export_readers

    options = replaced(
        ReaderOptions(),
        {
            "readers": arguments.readers,
            "methods": _names(arguments.methods),
            "settings": _names(arguments.settings),
            "inputs": _names(arguments.inputs),
            "repeats": arguments.repeats,
            "pairs": arguments.pairs,
            "reference": False if arguments.no_reference else None,
        },
    )
    made = export_readers(
        arguments.folder,
        arguments.out,
        options=options,
        key=arguments.key,
        passphrase=_passphrase(arguments.passphrase_file),
        reporter=StandardError(),
    )
    sys.stdout.write(f"{made.folder}\n")
    return 0


def run_import_readers(arguments: argparse.Namespace) -> int:
    """Run `study import-readers`; the exit status."""
    from mrirecon.jobs.study_readers import import_readers

    import_readers(
        arguments.folder,
        arguments.sheets,
        key=arguments.key,
        passphrase=_passphrase(arguments.passphrase_file),
        export=arguments.export,
        baseline=arguments.baseline,
        allow_incomplete=arguments.allow_incomplete,
        replace=arguments.replace,
        reporter=StandardError(),
    )
    return 0


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


def _passphrase(path: Path | None) -> str | None:
    from mrirecon.errors import ConfigError

    if path is None:
        return None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--passphrase-file {path.name} cannot be read ({error})") from error
    if not lines or not lines[0].strip():
        raise ConfigError(f"--passphrase-file {path.name} is empty; write the passphrase in its first line")
    return lines[0].strip()
