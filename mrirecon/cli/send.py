"""`mrirecon send`: a folder of DICOM files to an archive."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from mrirecon.cli.options import Commands
from mrirecon.jobs.reporting import StandardError

_ENVIRONMENT = """\
Credentials come from the environment, never from the command line:
  MRIRECON_PACS_USER, MRIRECON_PACS_PASSWORD   basic authentication; DICOM user identity
  MRIRECON_PACS_TOKEN                          bearer token instead; DICOM: JSON web token
  MRIRECON_PACS_KEY_PASSWORD                   opens the private key of --certificate

Exit status: 0 every object confirmed, 2 bad input or options or no answer (nothing was sent), 3 some objects are not
confirmed, 130 interrupted. Run the same command again to send the rest: what was confirmed is written down in
DIR.sent.jsonl beside DIR and not sent again.
"""


def add_send(commands: Commands) -> None:
    """The command `send` and its options."""
    command = commands.add_parser(
        "send",
        help="send a DICOM folder to an archive (PACS)",
        allow_abbrev=False,
        epilog=_ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("folder", type=Path, metavar="DIR", help="DICOM files of one patient and nothing else")
    command.add_argument("--to", required=True, metavar="ADDRESS", help="dicom://AET@HOST:PORT, dicoms://... (TLS), "
                         "https://HOST/dicom-web")  # fmt: skip
    command.add_argument("--aet", default="MRIRECON", metavar="AET", help="our application entity title, default "
                         "MRIRECON")  # fmt: skip
    command.add_argument("--identifiable", action="store_true", help="allow objects that identify the patient to leave "
                         "this machine")  # fmt: skip
    command.add_argument("--allow-mixed", action="store_true", help="allow several patients in DIR")
    command.add_argument("--check", action="store_true", help="look at DIR, call the archive, send nothing")
    command.add_argument("--again", action="store_true", help="send also what was confirmed earlier")
    command.add_argument("--state", type=Path, metavar="FILE", help="confirmations, default DIR.sent.jsonl beside DIR")
    command.add_argument("--ca", type=Path, metavar="PEM", help="TLS: trust these authorities instead of the system's")
    command.add_argument("--certificate", type=Path, metavar="PEM", help="TLS: our own certificate, where asked for")
    command.add_argument("--key", type=Path, metavar="PEM", help="TLS: its private key, if not in the same file")
    command.add_argument("--timeout", type=float, default=30.0, metavar="S", help="longest silence, default 30 s")
    command.add_argument("--retries", type=int, default=4, metavar="N", help="attempts in a row that may fail after "
                         "the first, default 4")  # fmt: skip
    command.add_argument("--seed", type=int, default=None, help="of the waits between attempts, default by process")
    command.add_argument("--commit-port", type=int, metavar="PORT", help="ask for storage commitment and listen here "
                         "for the answer; 0: the answer comes on our own association")  # fmt: skip
    command.add_argument("--commit-address", metavar="IP", help="where to listen, default the address that the archive "
                         "sees")  # fmt: skip
    command.add_argument("--commit-wait", type=float, default=60.0, metavar="S", help="for the answer, default 60 s")
    command.add_argument("--json", action="store_true", help="machine-readable report")
    command.set_defaults(run=run_send)


def run_send(arguments: argparse.Namespace) -> int:
    """Run `send`; the exit status."""
    import os

    from mrirecon.jobs.send import SendOptions, render_send, send_folder
    from mrirecon.serving.backoff import Backoff

    seed = os.getpid() if arguments.seed is None else arguments.seed  # clients must not come back in step
    options = SendOptions(
        title=arguments.aet,
        allow_identifiable=arguments.identifiable,
        allow_mixed=arguments.allow_mixed,
        again=arguments.again,
        check_only=arguments.check,
        state=arguments.state,
        authority=arguments.ca,
        certificate=arguments.certificate,
        key=arguments.key,
        timeout_s=arguments.timeout,
        backoff=Backoff(retries=arguments.retries, seed=seed),
        commit_port=arguments.commit_port,
        commit_address=arguments.commit_address,
        commit_wait_s=arguments.commit_wait,
    )
    report = send_folder(arguments.folder, arguments.to, options, reporter=StandardError())
    sys.stdout.write((json.dumps(report, indent=2) if arguments.json else render_send(report)) + "\n")
    return 0 if report["complete"] or report["checked_only"] else 3
