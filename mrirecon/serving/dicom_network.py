"""DICOM associations: the one file that knows pynetdicom.

What the library leaves open is closed here: a peer that stops reading cannot block the sender for ever, a file is
never held in memory as a whole, and the library's own log handlers, which would write user names and passwords into a
debug log, are not attached.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.fsm import InvalidEventError
from pynetdicom.pdu_primitives import A_ASSOCIATE, P_DATA, MaximumLengthNotification, UserIdentityNegotiation
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)
from pynetdicom.transport import AssociationSocket

from mrirecon.errors import ConfigError, FormatError, TransferError
from mrirecon.io.dicom.service import commitment_request, instances_query
from mrirecon.serving.credentials import Credentials
from mrirecon.serving.dicom_peer import Peer, connection_problem
from mrirecon.serving.dicom_threads import BoundedQueue, Gate
from mrirecon.serving.outcome import status_text

ECHO, FIND, COMMITMENT = Verification, StudyRootQueryRetrieveInformationModelFind, StorageCommitmentPushModel
MOST_CONTEXTS = 128  # odd one-byte numbers
PLAIN_SYNTAXES = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")
_LONGEST_FRAGMENT = 1 << 18  # of an archive that allows more, or any length
_SHORTEST_FRAGMENT = 128
_PATIENCE_S = 2.0
_REASONS = {
    (1, 2): "it does not speak this application context",
    (1, 3): "it does not know our application entity title (--aet)",
    (1, 7): "it does not have the application entity title in --to",
    (2, 2): "it does not speak this protocol version",
    (3, 1): "it is temporarily congested",
    (3, 2): "it has too many associations",
}


class Link:
    """An established association."""

    def __init__(self, association: Association, peer: Peer) -> None:
        self._association = association
        self._peer = peer
        self._messages = 0
        self.accepted = frozenset(
            (str(c.abstract_syntax), str(c.transfer_syntax[0])) for c in association.accepted_contexts
        )

    def offers(self, service: str) -> bool:
        """Whether the archive accepted any context of this SOP class."""
        return any(name == service for name, _ in self.accepted)

    def echo(self) -> None:
        """C-ECHO; `TransferError` if it is not answered with success."""
        code = self._status(self._association.send_c_echo(msg_id=self._number()), "C-ECHO")
        if code:
            raise TransferError(f"{self._peer.destination} answers C-ECHO with {status_text(code)} (0x{code:04X})")

    def store(self, path: Path) -> int:
        """C-STORE of a file as it is, without decoding it; the status.

        Raises
        ------
        TransferError
            If the connection breaks or no answer comes in time.
        FormatError
            If the file cannot be read.
        """
        try:
            with _library_settings():
                status = self._association.send_c_store(path, msg_id=self._number())
        except ConnectionError as error:
            raise self._lost("C-STORE") from error
        except RuntimeError as error:  # not established any more
            raise self._lost("C-STORE") from error
        except OSError as error:
            raise FormatError(path, f"cannot be read any more ({error.strerror or error}); send it again") from error
        return self._status(status, "C-STORE")

    def find(self, study: str, series: str) -> Iterator[str]:
        """C-FIND: identifiers of the instances of a series."""
        answers = self._association.send_c_find(instances_query(study, series), FIND, msg_id=self._number())
        for answer, found in answers:
            code = self._status(answer, "C-FIND")
            if code in (0xFF00, 0xFF01):
                if found is not None and "SOPInstanceUID" in found:
                    yield str(found.SOPInstanceUID)
            elif code:
                raise TransferError(f"{self._peer.destination} refuses the query: {status_text(code)} (0x{code:04X})")

    def ask_commitment(self, objects: Sequence[tuple[str, str]]) -> str:
        """N-ACTION of storage commitment for (class, instance) pairs; the transaction's identifier."""
        transaction, request = commitment_request(objects)
        instance = StorageCommitmentPushModelInstance
        answer, _ = self._association.send_n_action(request, 1, COMMITMENT, instance, msg_id=self._number())
        code = self._status(answer, "N-ACTION")
        if code:
            raise TransferError(
                f"{self._peer.destination} refuses storage commitment: {status_text(code)} (0x{code:04X})"
            )
        return transaction

    def _number(self) -> int:
        self._messages = self._messages % 0xFFFF + 1
        return self._messages

    def _status(self, answer: Any, what: str) -> int:
        if "Status" not in answer:  # the library's way to say that there was no answer
            raise self._lost(what)
        return int(answer.Status)

    def _lost(self, what: str) -> TransferError:
        return TransferError(
            f"{self._peer.destination} ended the connection, or was silent for {self._peer.timeout_s:g} s, during "
            f"{what}",
            transient=True,
        )


@contextlib.contextmanager
def association(
    peer: Peer,
    contexts: Sequence[tuple[str, Sequence[str]]],
    *,
    on_report: Callable[[Any], None] | None = None,
) -> Iterator[Link | None]:
    """An association with `peer`, released at the end and aborted on an error; None if no context is accepted.

    Parameters
    ----------
    peer
        Whom to call.
    contexts
        At most 128 pairs of an SOP class and the transfer syntaxes to offer for it.
    on_report
        Gets the event information of N-EVENT-REPORT requests that arrive on this association.

    Raises
    ------
    TransferError
        If the archive cannot be reached, refuses, or does not answer.
    """
    entity = _Entity(ae_title=peer.calling)
    entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = peer.timeout_s
    entity.network_timeout = None  # idle is decided by those who wait; silence during a message is bounded below
    for name, syntaxes in contexts:
        entity.add_requested_context(name, list(syntaxes))
    where = peer.destination
    handlers: list[Any] = [(evt.EVT_CONN_OPEN, _prepare_socket, [peer.timeout_s]), (evt.EVT_DATA_SENT, _answer_at_once)]
    if on_report is not None:
        handlers += _Reports(on_report).handlers
    try:
        with _library_settings():
            link = entity.associate(
                where.host,
                where.port,
                ae_title=where.title,
                ext_neg=_identity(peer.credentials),  # type: ignore[arg-type]
                tls_args=None if peer.tls is None else (peer.tls, where.host),
                evt_handlers=handlers,
            )
    except OSError as error:  # the name is unknown
        raise connection_problem(peer) from error
    if not link.is_established:
        try:
            if not link.rejected_contexts:
                raise _refusal(link, peer)
        finally:
            _close_socket(link)
        yield None
        return
    try:
        _harden(link, peer)
        yield Link(link, peer)
    except BaseException:
        _drop(link)
        raise
    link.release()
    if not link.is_released:
        _drop(link)


def _refusal(link: Association, peer: Peer) -> TransferError:
    answer: Any = link.acceptor.primitive
    if answer is None:  # a refusal that came faster than the library looked whether it is connected
        answer = link.dul.receive_pdu(wait=False)
    if not isinstance(answer, A_ASSOCIATE) or not answer.result:
        return connection_problem(peer)
    source, reason = (answer.result_source or 0), (answer.diagnostic or 0)
    return TransferError(
        f"{peer.destination} refuses the association: {_REASONS.get((source, reason), 'it gives no reason')}",
        transient=answer.result == 2,
    )


class ReportListener:
    """A small server that takes N-EVENT-REPORT of one archive, for answers on an association of its own.

    Parameters
    ----------
    peer
        The archive; others are turned away by their title.
    address, port
        Where to listen; port 0 takes a free one.
    on_report
        Gets the event information.
    tls
        Server side settings, None for plain connections.
    """

    def __init__(
        self, peer: Peer, address: str, port: int, *, on_report: Callable[[Any], None], tls: ssl.SSLContext | None
    ) -> None:
        entity = AE(ae_title=peer.calling)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = peer.timeout_s
        entity.require_called_aet = True
        entity.require_calling_aet = [peer.destination.title]
        entity.maximum_associations = 2
        entity.add_supported_context(COMMITMENT, list(PLAIN_SYNTAXES), scu_role=True, scp_role=True)
        entity.add_supported_context(ECHO)
        self._accepted: list[socket.socket] = []
        handlers = [(evt.EVT_CONN_OPEN, self._keep), *_Reports(on_report).handlers]
        try:
            with _library_settings():
                self._server = entity.start_server((address, port), block=False, ssl_context=tls, evt_handlers=handlers)
        except OSError as error:
            raise ConfigError(
                f"cannot listen on port {port} of {address} for storage commitment ({error.strerror or error}); "
                "choose another port with --commit-port and tell the archive"
            ) from error
        self._entity = entity

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])  # type: ignore[union-attr]

    def close(self) -> None:
        """Stop listening; an association that is open gets a moment to end by itself."""
        deadline = time.monotonic() + _PATIENCE_S
        while self._entity.active_associations and time.monotonic() < deadline:
            time.sleep(0.01)
        self._entity.shutdown()
        for accepted in self._accepted:
            accepted.close()  # the library leaves it open where the archive was the first to go

    def _keep(self, event: Any) -> None:
        self._accepted = [s for s in self._accepted if s.fileno() >= 0]
        self._accepted.append(event.assoc.dul.socket.socket)


class _Reports:
    """Delivers N-EVENT-REPORT after our answer to it has left: who gets the report may end the association."""

    def __init__(self, deliver: Callable[[Any], None]) -> None:
        self._deliver = deliver
        self._answering: dict[int, Any] = {}

    @property
    def handlers(self) -> list[Any]:
        return [(evt.EVT_N_EVENT_REPORT, self._received), (evt.EVT_PDU_SENT, self._sent)]

    def _received(self, event: Any) -> tuple[int, None]:
        if event.request.AffectedSOPClassUID != COMMITMENT:
            return 0x0118, None
        self._answering[id(event.assoc)] = event.event_information
        return 0x0000, None

    def _sent(self, event: Any) -> None:
        report = self._answering.pop(id(event.assoc), None)
        if report is not None:
            self._deliver(report)


def _identity(credentials: Credentials) -> list[UserIdentityNegotiation]:
    if credentials.kind is None:
        return []
    item = UserIdentityNegotiation()
    if credentials.token is not None:
        item.user_identity_type = 5
        item.primary_field = credentials.token.encode()
    else:
        item.user_identity_type = 2
        item.primary_field = (credentials.user or "").encode()
        item.secondary_field = (credentials.password or "").encode()
    return [item]


@contextlib.contextmanager
def _library_settings() -> Iterator[None]:
    """No log handlers on new associations; files are read in pieces while they are sent. Put back afterwards."""
    before = _config.LOG_HANDLER_LEVEL, _config.STORE_SEND_CHUNKED_DATASET
    _config.LOG_HANDLER_LEVEL, _config.STORE_SEND_CHUNKED_DATASET = "none", True
    try:
        yield
    finally:
        _config.LOG_HANDLER_LEVEL, _config.STORE_SEND_CHUNKED_DATASET = before


def _prepare_socket(event: Any, timeout_s: float) -> None:
    """Bound every send and receive, which the library leaves unbounded, and send small messages without delay."""
    opened = event.assoc.dul.socket.socket
    opened.settimeout(timeout_s)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _answer_at_once(event: Any) -> None:
    """Acknowledge the archive's next packet at once (Linux): archives that write an answer in two pieces would
    otherwise wait 40 ms for the acknowledgement of the first, with every file."""
    quick = getattr(socket, "TCP_QUICKACK", None)
    if quick is not None:
        with contextlib.suppress(OSError, AttributeError):
            event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, quick, 1)


class _ClosingSocket(AssociationSocket):
    """Closes what it opened; the library's own leaves it open where the other side was the first to go."""

    def _shutdown_socket(self) -> None:
        if self.socket is not None:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()


class _Entity(AE):
    def _create_socket(self, assoc: Association, address: Any, tls_args: Any) -> AssociationSocket:
        made = _ClosingSocket(assoc, address=address)
        made.tls_args = tls_args
        _end_on_nonsense(assoc)
        return made


def _end_on_nonsense(link: Association) -> None:
    """What does not fit the protocol's state ends the background thread; the library lets it die with a traceback."""
    act = link.dul.state_machine.do_action

    def do_action(event: str) -> None:
        try:
            act(event)
        except InvalidEventError:
            link.dul._kill_thread = True

    link.dul.state_machine.do_action = do_action  # type: ignore[method-assign]


def _harden(link: Association, peer: Peer) -> None:
    link._reactor_checkpoint = Gate(link)
    link.dul.to_provider_queue = BoundedQueue(P_DATA, lambda: link.is_established and link.dul.is_alive())
    for item in link.acceptor.user_information:
        if isinstance(item, MaximumLengthNotification):
            asked = item.maximum_length_received
            if 0 < asked < _SHORTEST_FRAGMENT:
                raise TransferError(f"{peer.destination} allows fragments of {asked} bytes only, which is no service")
            item.maximum_length_received = min(asked or _LONGEST_FRAGMENT, _LONGEST_FRAGMENT)


def _close_socket(link: Association) -> None:
    """Close what a thread that ended early left open."""
    wrapped = link.dul.socket
    opened = None if wrapped is None else wrapped.socket
    if opened is not None:
        with contextlib.suppress(OSError):
            opened.shutdown(socket.SHUT_RDWR)
        opened.close()


def _drop(link: Association) -> None:
    """Abort, politely for a moment, then by closing the socket under the library's threads."""
    if not link.is_aborted:
        link.abort(block=False)
        deadline = time.monotonic() + 0.2
        while link.dul.is_alive() and not link.dul.to_provider_queue.empty() and time.monotonic() < deadline:
            time.sleep(0.005)
    opened = None if link.dul.socket is None else link.dul.socket.socket
    if opened is not None:
        with contextlib.suppress(OSError):
            opened.shutdown(socket.SHUT_RDWR)
    ending = threading.Thread(target=link.kill, daemon=True)
    ending.start()
    ending.join(_PATIENCE_S)
    if opened is not None:
        opened.close()  # the library leaves it open where the peer was the first to go
