"""An archive that is reached over the DICOM network protocol: C-ECHO, C-STORE, C-FIND, storage commitment."""

from __future__ import annotations

import queue
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mrirecon.errors import FormatError, TransferError
from mrirecon.io.dicom.inventory import DicomObject, identifier_name
from mrirecon.io.dicom.service import commitment_result
from mrirecon.serving.dicom_network import (
    COMMITMENT,
    ECHO,
    FIND,
    MOST_CONTEXTS,
    PLAIN_SYNTAXES,
    Link,
    ReportListener,
    association,
)
from mrirecon.serving.dicom_peer import Peer
from mrirecon.serving.outcome import Outcome, outcome_of, status_text
from mrirecon.serving.push import Commitment


@dataclass(frozen=True)
class CommitmentAnswer:
    """Where and how long to wait for the answer to a storage commitment request.

    Parameters
    ----------
    port
        Listen on it for the archive's own association; None takes an answer on ours only.
    address
        Of ours to listen on; None takes the one that the archive sees.
    wait_s
        Longest wait, seconds.
    tls
        Server side settings for the archive's association.
    """

    port: int | None = None
    address: str | None = None
    wait_s: float = 60.0
    tls: ssl.SSLContext | None = None


class DicomArchive:
    """See `mrirecon.serving.push.Archive`; files are sent as they are, one presentation context for each kind.

    Parameters
    ----------
    peer
        The archive and how to speak with it.
    answer
        How to get the answer to a storage commitment request.
    """

    def __init__(self, peer: Peer, *, answer: CommitmentAnswer | None = None) -> None:
        self._peer = peer
        self._answer = answer or CommitmentAnswer()

    @property
    def name(self) -> str:
        return str(self._peer.destination)

    def check(self, objects: Sequence[DicomObject]) -> tuple[str, ...]:
        """C-ECHO, where the archive offers it."""
        with association(self._peer, [(ECHO, PLAIN_SYNTAXES)]) as link:
            if link is None:
                return (f"{self.name} takes the association but no C-ECHO",)
            link.echo()
        return ()

    def send(self, objects: Sequence[DicomObject]) -> Iterator[tuple[DicomObject, Outcome]]:
        """C-STORE; one association for up to 128 pairs of SOP class and transfer syntax."""
        for batch in context_batches(objects):
            kinds = dict.fromkeys((o.sop_class, o.transfer_syntax) for o in batch)
            with association(self._peer, [(name, (syntax,)) for name, syntax in kinds]) as link:
                for o in batch:
                    yield o, self._store(link, o)

    def _store(self, link: Link | None, o: DicomObject) -> Outcome:
        if link is None or (o.sop_class, o.transfer_syntax) not in link.accepted:
            return Outcome(
                "refused",
                None,
                f"the archive does not take {identifier_name(o.sop_class)} in {identifier_name(o.transfer_syntax)} "
                "(files are sent as they are, without transcoding)",
            )
        status = o.path.stat() if o.path.is_file() else None
        if status is None or (status.st_size, status.st_mtime_ns) != (o.size, o.modified_ns):
            raise FormatError(o.path, "was changed or removed while the folder was being sent; start again")
        return outcome_of(link.store(o.path))

    def present(self, objects: Sequence[DicomObject]) -> frozenset[str] | None:
        """C-FIND in the study root model, one per series."""
        wanted = {o.sop_instance for o in objects}
        found: set[str] = set()
        with association(self._peer, [(FIND, PLAIN_SYNTAXES)]) as link:
            if link is None:
                return None
            for study, series in dict.fromkeys((o.study, o.series) for o in objects):
                found.update(uid for uid in link.find(study, series) if uid in wanted)
        return frozenset(found)

    def commit(self, objects: Sequence[DicomObject]) -> Commitment:
        """N-ACTION, then wait for N-EVENT-REPORT on the same association or on one that the archive opens."""
        reports: queue.Queue[Any] = queue.Queue()
        listener = self._listen(reports)
        deadline = time.monotonic() + self._answer.wait_s
        try:
            with association(self._peer, [(COMMITMENT, PLAIN_SYNTAXES)], on_report=reports.put) as link:
                if link is None:
                    return Commitment(False)
                transaction = link.ask_commitment([(o.sop_class, o.sop_instance) for o in objects])
                if listener is None:
                    return self._wait(reports, transaction, deadline, objects)
            return self._wait(reports, transaction, deadline, objects)
        except TransferError as error:
            return Commitment(True, problem=str(error))
        finally:
            if listener is not None:
                listener.close()

    def _listen(self, reports: queue.Queue[Any]) -> ReportListener | None:
        if self._answer.port is None:
            return None
        address = self._answer.address or _own_address(self._peer)
        return ReportListener(self._peer, address, self._answer.port, on_report=reports.put, tls=self._answer.tls)

    def _wait(
        self, reports: queue.Queue[Any], transaction: str, deadline: float, objects: Sequence[DicomObject]
    ) -> Commitment:
        asked = {o.sop_instance for o in objects}
        while True:
            try:
                report = reports.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return Commitment(
                    True,
                    problem=f"no answer within {self._answer.wait_s:g} s; the archive must know our title, address "
                    "and port (--commit-port) to give one",
                )
            answered, committed, failed = commitment_result(report)
            if answered == transaction:  # others belong to earlier runs
                break
        reasons = {uid: f"{status_text(code)} (0x{code:04X})" for uid, code in failed.items() if uid in asked}
        silent = asked - committed - failed.keys()
        problem = f"the answer leaves out {len(silent)} of {len(asked)} objects" if silent else None
        return Commitment(True, committed & asked, reasons, problem)


def context_batches(objects: Sequence[DicomObject]) -> list[list[DicomObject]]:
    """`objects` in as few parts as possible of at most 128 pairs of SOP class and transfer syntax each."""
    kinds = list(dict.fromkeys((o.sop_class, o.transfer_syntax) for o in objects))
    part = {kind: i // MOST_CONTEXTS for i, kind in enumerate(kinds)}
    batches: list[list[DicomObject]] = [[] for _ in range(0, len(kinds), MOST_CONTEXTS)]
    for o in objects:
        batches[part[o.sop_class, o.transfer_syntax]].append(o)
    return batches


def _own_address(peer: Peer) -> str:
    """The address of this machine on the way to the archive; no packet is sent."""
    where = peer.destination
    try:
        family, _, _, _, address = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError as error:
        raise TransferError(f"no way to {where} ({error.strerror or error})", transient=True) from error
