"""The `send` job: a folder of DICOM files to an archive, with the exact count confirmed."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrirecon.errors import ConfigError, MissingDependencyError
from mrirecon.io.dicom.inventory import Inventory, dicom_inventory
from mrirecon.jobs.reporting import Reporter, Silent
from mrirecon.serving.backoff import Backoff
from mrirecon.serving.credentials import Credentials, credentials_from
from mrirecon.serving.destination import Destination, entity_title, is_this_machine, parse_destination
from mrirecon.serving.dicom_peer import Peer
from mrirecon.serving.journal import Journal
from mrirecon.serving.push import Archive, Commitment, PushResult, push
from mrirecon.serving.tls import client_context, server_context
from mrirecon.serving.web_archive import WebArchive

__all__ = ["SendOptions", "render_send", "send_folder"]

_LISTED = 10


@dataclass(frozen=True)
class SendOptions:
    """How to send.

    Parameters
    ----------
    title
        Our own application entity title (DIMSE).
    allow_identifiable
        Send objects that identify a patient to another machine.
    allow_mixed
        Send objects of several patients.
    again
        Send also what was confirmed earlier.
    check_only
        Look at the folder and call the archive, send nothing.
    state
        File of confirmations; default the folder's name with ``.sent.jsonl``, beside it.
    authority, certificate, key
        PEM files for TLS: whom to trust instead of the system's authorities; our own certificate and its key.
    timeout_s
        Longest silence of the archive, seconds.
    backoff
        Attempts and waits.
    commit_port
        Ask for storage commitment (DIMSE) and listen on this port for the answer; None does not ask. The port 0 does
        not listen: the answer must come on our own association.
    commit_address
        Address of ours to listen on.
    commit_wait_s
        Longest wait for that answer, seconds.
    """

    title: str = "MRIRECON"
    allow_identifiable: bool = False
    allow_mixed: bool = False
    again: bool = False
    check_only: bool = False
    state: Path | None = None
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    timeout_s: float = 30.0
    backoff: Backoff = Backoff()
    commit_port: int | None = None
    commit_address: str | None = None
    commit_wait_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("timeout_s", "commit_wait_s"):
            if not 0 < getattr(self, name) <= 3600:
                raise ConfigError(f"`{name}` must be above 0 and at most 3600 seconds, got {getattr(self, name):g}")
        if self.commit_port is not None and not 0 <= self.commit_port <= 65535:
            raise ConfigError(f"--commit-port must be 0 to 65535, got {self.commit_port}")


def send_folder(
    folder: str | Path,
    to: str,
    options: SendOptions | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    reporter: Reporter | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Send every DICOM file of `folder` to the archive at `to` and say what it confirmed, JSON-ready.

    Parameters
    ----------
    folder
        Holds DICOM files of one patient and nothing else.
    to
        Address, see `parse_destination`.
    options
        See `SendOptions`.
    environment
        Where credentials are looked for, default ``os.environ``.
    reporter
        Shows progress.
    sleep
        Waits between attempts.

    Returns
    -------
    dict
        ``complete`` is true if the archive confirmed every object, finds every one where it answers queries, and
        committed to every one where that was asked for and is offered. Objects are named by their file; no
        identifier of a patient is in it.

    Raises
    ------
    FormatError, ConfigError
        If the folder or the options are not fit; nothing was sent.
    TransferError
        If the archive cannot be reached or refuses everything; nothing was sent.
    """
    chosen, told = options or SendOptions(), reporter or Silent()
    destination = parse_destination(to)
    credentials = credentials_from(os.environ if environment is None else environment)
    inventory = dicom_inventory(folder)
    _refuse_unfit(inventory, destination, credentials, chosen)
    archive = _archive(destination, credentials, chosen)
    warnings = _warnings(inventory, destination)
    journal = Journal(chosen.state or _beside(Path(folder)))
    known = frozenset() if chosen.again else journal.confirmed(archive.name, inventory.objects)
    warnings += archive.check(inventory.objects)
    for text in warnings:
        told.warn(text)
    if chosen.check_only:
        return _report(inventory, destination, warnings, checked=True)
    journal.check()
    told.say(f"{len(inventory.objects) - len(known)} of {len(inventory.objects)} objects to send to {destination}")
    result = push(
        inventory.objects,
        archive,
        journal=journal,
        backoff=chosen.backoff,
        known=known,
        track=lambda answers, total: told.track(answers, total=total, label="send"),
        say=told.warn,
        sleep=sleep,
    )
    if result.problem is not None and not result.confirmed and not result.failures_answered:
        raise result.problem
    commitment = None
    if chosen.commit_port is not None and result.confirmed:
        commitment = archive.commit([o for o in inventory.objects if o.sop_instance in result.confirmed])
    return _report(inventory, destination, warnings, result=result, commitment=commitment)


def _refuse_unfit(
    inventory: Inventory, destination: Destination, credentials: Credentials, options: SendOptions
) -> None:
    if inventory.patients > 1 and not options.allow_mixed:
        first = inventory.objects[0]
        other = next(o for o in inventory.objects if o.patient != first.patient)
        raise ConfigError(
            f"the folder mixes {inventory.patients} patients (by ID, name and birth date: {first.path.name} and "
            f"{other.path.name} differ), expected one; send them apart, or allow it with --allow-mixed"
        )
    local = is_this_machine(destination.host)
    if inventory.identifiable and not local and not options.allow_identifiable:
        raise ConfigError(
            f"{inventory.identifiable} of {len(inventory.objects)} objects do not say that the patient's identity was "
            f"removed (PatientIdentityRemoved = YES), and {destination.host} is another machine; remove it, or allow "
            "it with --identifiable where the archive may know the patient"
        )
    if credentials.kind is not None and not local and not destination.tls:
        scheme = "dicoms://" if destination.protocol == "dicom" else "https://"
        raise ConfigError(
            f"{credentials.kind} credentials would travel to {destination.host} unencrypted; use {scheme}, or unset "
            "the MRIRECON_PACS_ variables"
        )
    if not destination.tls:
        for name, value in (("ca", options.authority), ("certificate", options.certificate), ("key", options.key)):
            if value is not None:
                raise ConfigError(
                    f"--{name} belongs to an encrypted address (dicoms:// or https://), got {destination}"
                )
    if destination.protocol == "web" and options.commit_port is not None:
        raise ConfigError("--commit-port belongs to dicom:// addresses: DICOMweb has no storage commitment")


def _archive(destination: Destination, credentials: Credentials, options: SendOptions) -> Archive:
    tls = None
    files = {"authority": options.authority, "certificate": options.certificate, "key": options.key}
    if destination.tls:
        tls = client_context(**files, key_password=credentials.key_password)
    if destination.protocol == "web":
        return WebArchive(destination, credentials=credentials, tls=tls, timeout_s=options.timeout_s)
    try:
        from mrirecon.serving.dicom_archive import CommitmentAnswer, DicomArchive
    except ImportError as error:
        raise MissingDependencyError(
            "dicom:// addresses need pynetdicom: pip install -c constraints.txt -e '.[pacs]'; https:// needs nothing"
        ) from error
    listening: ssl.SSLContext | None = None
    if destination.tls and options.commit_port:
        listening = server_context(**files, key_password=credentials.key_password)
    answer = CommitmentAnswer(options.commit_port or None, options.commit_address, options.commit_wait_s, listening)
    peer = Peer(destination, entity_title(options.title), credentials, tls, options.timeout_s)
    return DicomArchive(peer, answer=answer)


def _warnings(inventory: Inventory, destination: Destination) -> tuple[str, ...]:
    found = []
    if inventory.identifiable:
        found.append(f"{inventory.identifiable} objects identify a patient or do not say that they do not")
    named = sorted({name for o in inventory.objects for name in o.contradictions})
    if named:
        found.append(f"PatientIdentityRemoved is YES, yet these attributes are filled: {', '.join(named)}")
    if not destination.tls and not is_this_machine(destination.host):
        found.append(f"the connection to {destination.host} is not encrypted")
    if inventory.directories:
        found.append(f"{inventory.directories} media directory files (DICOMDIR) are left out")
    return tuple(found)


def _beside(folder: Path) -> Path:
    place = folder.resolve()
    return place.parent / f"{place.name}.sent.jsonl"


def _report(
    inventory: Inventory,
    destination: Destination,
    warnings: tuple[str, ...],
    *,
    result: PushResult | None = None,
    commitment: Commitment | None = None,
    checked: bool = False,
) -> dict[str, Any]:
    total = len(inventory.objects)
    names = {o.sop_instance: o.path.name for o in inventory.objects}
    report: dict[str, Any] = {
        "to": str(destination),
        "objects": total,
        "bytes": inventory.size,
        "studies": len(inventory.studies),
        "identity_removed": total - inventory.identifiable,
        "warnings": list(warnings),
        "checked_only": checked,
    }
    if result is None:
        return report | {"complete": False}
    asked = None
    if commitment is not None:
        asked = {
            "offered": commitment.offered,
            "committed": len(commitment.committed),
            "failed": {names[uid]: text for uid, text in commitment.failed.items()},
            "problem": commitment.problem,
        }
    found = None if result.found is None else len(result.found)
    kept = asked is None or not asked["offered"] or asked["committed"] == total
    return report | {
        "confirmed": len(result.confirmed),
        "confirmed_earlier": result.earlier,
        "found": found,
        "stored_with_warning": {names[uid]: str(outcome) for uid, outcome in result.warnings.items()},
        "not_confirmed": {names[uid]: str(outcome) for uid, outcome in result.failures.items()},
        "problem": None if result.problem is None else str(result.problem),
        "commitment": asked,
        "complete": len(result.confirmed) == total and found in (None, total) and kept,
    }


def render_send(report: dict[str, Any]) -> str:
    """The report of `send_folder` as text: what, whose, the counts, every trouble, the verdict."""
    total = report["objects"]
    removed = report["identity_removed"]
    state = "removed" if removed == total else f"removed in {removed} only" if removed else "not removed"
    studies = f"{report['studies']} {'study' if report['studies'] == 1 else 'studies'}"
    lines = [
        f"{total} objects, {report['bytes'] / 1e6:.1f} MB, {studies}; patient identity: {state}",
        f"to {report['to']}",
    ]
    if report["checked_only"]:
        return "\n".join([*lines, "the archive answers; nothing was sent"])
    earlier = f", {report['confirmed_earlier']} of them by an earlier run" if report["confirmed_earlier"] else ""
    lines.append(f"  confirmed: {report['confirmed']} of {total}{earlier}")
    found = report["found"]
    lines.append("  query: not answered" if found is None else f"  query: finds {found} of {total}")
    if found is not None and found < report["confirmed"]:
        lines.append("    confirmed objects are missing; it may still be indexing, or send them --again")
    asked = report["commitment"]
    if asked is not None:
        told = f"{asked['committed']} of {total}" if asked["offered"] else "not offered"
        lines.append(f"  storage commitment: {told}" + (f"; {asked['problem']}" if asked["problem"] else ""))
        lines += _listed("not committed", asked["failed"])
    lines += _listed("stored with a warning", report["stored_with_warning"])
    lines += _listed("not confirmed", report["not_confirmed"])
    if report["problem"]:
        lines.append(f"  {report['problem']}")
    lines.append("complete" if report["complete"] else "NOT complete; run the same command again to send the rest")
    return "\n".join(lines)


def _listed(title: str, rows: dict[str, str]) -> list[str]:
    lines = [f"  {title}: {name}: {text}" for name, text in list(rows.items())[:_LISTED]]
    more = len(rows) - _LISTED
    return lines + ([f"  {title}: {more} more"] if more > 0 else [])
