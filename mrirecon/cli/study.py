"""`mrirecon study`: how far a protocol can be accelerated before it hurts, from a configuration to a report."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mrirecon.cli.options import Commands
from mrirecon.cli.study_readers import add_export_readers, add_import_readers
from mrirecon.jobs.reporting import StandardError

JOBS = ("run", "status", "report", "export-readers", "import-readers")


def add_study(commands: Commands) -> None:
    """The command `study` and its options."""
    command = commands.add_parser(
        "study",
        help="acceleration study: inputs x masks x methods to scores and a report",
        description="`mrirecon study CONFIG.yaml --out DIR` is `mrirecon study run CONFIG.yaml --out DIR`.",
        allow_abbrev=False,
    )
    jobs = command.add_subparsers(dest="job", required=True, metavar="JOB")
    _add_run(jobs)
    status = jobs.add_parser("status", help="what is done and what is missing", allow_abbrev=False)
    status.add_argument("folder", type=Path, metavar="DIR", help="folder of the study")
    status.set_defaults(run=run_study_status)
    report = jobs.add_parser("report", help="write report.html and figures/", allow_abbrev=False)
    report.add_argument("folder", type=Path, metavar="DIR", help="folder of the study, finished or not")
    report.set_defaults(run=run_study_report)
    add_export_readers(jobs)
    add_import_readers(jobs)


def _add_run(jobs: Commands) -> None:
    command = jobs.add_parser("run", help="fill what is missing of a study", allow_abbrev=False)
    command.add_argument("config", type=Path, metavar="CONFIG.yaml", help="the study; see docs/studies.md")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the study, new or begun")
    command.add_argument("--data", type=Path, metavar="ROOT", help="root of the data; default $MRIRECON_DATA")
    command.add_argument("--specs", type=Path, metavar="DIR", help="data specifications, default those of the package")
    command.add_argument("--workers", type=int, default=1, metavar="N", help="processes; default 1")
    command.add_argument(
        "--scheduler", metavar="ADDRESS", help="Dask: `local`, `slurm`, or the address of a scheduler (extra cluster)"
    )
    command.add_argument("--lpips", type=Path, metavar="FILE", help="AlexNet features for `metrics.lpips`")
    command.add_argument("--retry-holes", action="store_true", help="try again what failed for good, too")
    command.add_argument("--no-report", action="store_true", help="only compute")
    command.set_defaults(run=run_study_run)


def run_study_run(arguments: argparse.Namespace) -> int:
    """Run `study run`; the exit status: 3 if holes remain or an input could not be read."""
    from mrirecon.errors import MissingDependencyError
    from mrirecon.jobs.study.run import StudyOptions, run_study
    from mrirecon.jobs.study.status import describe_study

    options = StudyOptions(
        data=arguments.data,
        specs=arguments.specs,
        workers=arguments.workers,
        scheduler=arguments.scheduler,
        lpips=arguments.lpips,
        retry=arguments.retry_holes,
        command=f"mrirecon study run {arguments.config.name} --out {arguments.out.name}",
    )
    reporter = StandardError()
    outcome = run_study(arguments.config, arguments.out, options, reporter)
    if not arguments.no_report:
        from mrirecon.jobs.study_report import write_report  # not before the first cell: it takes a second to load

        try:
            write_report(arguments.out, reporter)
        except MissingDependencyError as error:
            reporter.warn(f"there is no report: {error}")
    sys.stdout.write(describe_study(outcome.results) + "\n")
    return 0 if outcome.results.complete and not outcome.problems else 3


def run_study_status(arguments: argparse.Namespace) -> int:
    """Run `study status`; the exit status: 3 if something is missing."""
    from mrirecon.jobs.study.status import study_status

    text, complete = study_status(arguments.folder)
    sys.stdout.write(text + "\n")
    return 0 if complete else 3


def run_study_report(arguments: argparse.Namespace) -> int:
    """Run `study report`; the exit status."""
    from mrirecon.jobs.study_report import write_report

    sys.stdout.write(f"{write_report(arguments.folder, StandardError())}\n")
    return 0


def with_default_job(argv: Sequence[str]) -> list[str]:
    """The arguments with `run` after `study` where no job is named."""
    words = list(argv)
    if words[:1] == ["study"] and words[1:2] and words[1] not in (*JOBS, "-h", "--help"):
        words.insert(1, "run")
    return words
