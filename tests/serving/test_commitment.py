"""Storage commitment against a server made with pynetdicom that answers in every way the standard allows."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from mrirecon.errors import ConfigError
from mrirecon.io.dicom.inventory import DicomObject
from mrirecon.serving.credentials import Credentials
from mrirecon.serving.destination import parse_destination
from mrirecon.serving.push import Commitment
from tests.serving.dicom_server import COMMITMENT, EXPLICIT, IMPLICIT, MR, Storage, storage_server
from tests.serving.small_series import objects_in, write_series

pynetdicom = pytest.importorskip("pynetdicom")
from mrirecon.serving.dicom_archive import CommitmentAnswer, DicomArchive  # noqa: E402
from mrirecon.serving.dicom_peer import Peer  # noqa: E402

INSTANCE = "1.2.840.10008.1.20.1.1"


@pytest.fixture
def objects(tmp_path: Path) -> tuple[DicomObject, ...]:
    return objects_in(write_series(tmp_path / "d", 3))


def result_of(request: Dataset, *, failed: dict[int, int], left_out: int = 0, transaction: str = "") -> Dataset:
    """Event information that fails the objects of these numbers with these reasons."""
    result = Dataset()
    result.TransactionUID = transaction or request.TransactionUID
    items = list(request.ReferencedSOPSequence)[left_out:]
    for number, reason in failed.items():
        items[number].FailureReason = reason
    result.ReferencedSOPSequence = [x for i, x in enumerate(items) if i not in failed]
    if failed:
        result.FailedSOPSequence = [items[number] for number in failed]
    return result


@contextlib.contextmanager
def archive_server(answer: Any, status: int = 0) -> Iterator[Storage]:
    """`answer` gets the request and the association on which it came, in a thread of its own, after our answer."""

    def act(event: Any) -> tuple[int, None]:
        if status == 0:
            request = event.action_information
            threading.Thread(target=later, args=(request, event.assoc), daemon=True).start()
        return status, None

    def later(request: Dataset, association: Any) -> None:
        time.sleep(0.05)  # the answer to the request leaves first
        answer(request, association)

    accept = [(MR, (EXPLICIT,)), (COMMITMENT, (IMPLICIT, EXPLICIT))]
    with storage_server(accept=accept, handlers=[(pynetdicom.evt.EVT_N_ACTION, act)]) as server:
        yield server


def ask(server: Storage, objects: tuple[DicomObject, ...], **answer: Any) -> Commitment:
    peer = Peer(parse_destination(server.address), "MRIRECON", Credentials(), None, 3.0)
    return DicomArchive(peer, answer=CommitmentAnswer(**{"wait_s": 0.6, **answer})).commit(objects)


def report(association: Any, result: Dataset) -> int:
    kind = 2 if "FailedSOPSequence" in result else 1
    status, _ = association.send_n_event_report(result, kind, COMMITMENT, INSTANCE)
    return int(status.Status)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def call_back(port: int, result: Dataset, title: str = "ARCHIVE", called: str = "MRIRECON") -> int | None:
    """Report on an association of the archive's own; the status, None if we are turned away."""
    entity = pynetdicom.AE(ae_title=title)
    entity.add_requested_context(COMMITMENT, [IMPLICIT])
    role = pynetdicom.build_role(COMMITMENT, scp_role=True)
    opened: list[socket.socket] = []
    keep = (pynetdicom.evt.EVT_CONN_OPEN, lambda event: opened.append(event.assoc.dul.socket.socket))
    link = entity.associate("127.0.0.1", port, ae_title=called, ext_neg=[role], evt_handlers=[keep])
    try:
        if not link.is_established:
            return None
        status = report(link, result)
        link.release()
        return status
    finally:
        for s in opened:  # the library leaves it open where the other side was the first to go
            s.close()


def test_not_offered(objects: tuple[DicomObject, ...]) -> None:
    with storage_server() as server:
        assert ask(server, objects) == Commitment(False)


def test_an_answer_on_our_own_association(objects: tuple[DicomObject, ...]) -> None:
    statuses: list[int] = []
    with archive_server(lambda r, a: statuses.append(report(a, result_of(r, failed={})))) as server:
        found = ask(server, objects)
    assert found == Commitment(True, frozenset(o.sop_instance for o in objects))
    assert statuses == [0]


def test_an_answer_on_an_association_of_the_archive(objects: tuple[DicomObject, ...]) -> None:
    port, statuses = free_port(), []

    def answer(request: Dataset, association: Any) -> None:
        statuses.append(call_back(port, result_of(request, failed={1: 0x0112})))

    with archive_server(answer) as server:
        found = ask(server, objects, port=port, address="127.0.0.1", wait_s=3.0)
        for _ in range(100):
            if statuses:
                break
            time.sleep(0.01)
    a, b, c = (o.sop_instance for o in objects)
    assert found == Commitment(True, frozenset({a, c}), {b: "no such object instance (0x0112)"})
    assert statuses == [0]
    with socket.create_server(("127.0.0.1", port)):
        pass  # nobody listens any more


def test_strangers_and_old_answers_are_not_believed(objects: tuple[DicomObject, ...]) -> None:
    port, turned_away = free_port(), []

    def answer(request: Dataset, association: Any) -> None:
        good = result_of(request, failed={})
        turned_away.append(call_back(port, good, title="STRANGER"))
        turned_away.append(call_back(port, good, called="OTHER"))
        call_back(port, result_of(request, failed={}, transaction="1.2.3"))

    with archive_server(answer) as server:
        found = ask(server, objects, port=port, address="127.0.0.1", wait_s=1.0)
    assert turned_away == [None, None]
    assert not found.committed
    assert "no answer within 1 s" in (found.problem or "")


def test_no_answer(objects: tuple[DicomObject, ...]) -> None:
    with archive_server(lambda r, a: None) as server:
        found = ask(server, objects, wait_s=0.2)
    assert found.offered
    assert not found.committed
    assert "no answer within 0.2 s" in (found.problem or "")


def test_an_answer_that_leaves_something_out(objects: tuple[DicomObject, ...]) -> None:
    with archive_server(lambda r, a: report(a, result_of(r, failed={}, left_out=1))) as server:
        found = ask(server, objects)
    assert found.committed == {o.sop_instance for o in objects[1:]}
    assert found.problem == "the answer leaves out 1 of 3 objects"


def test_a_request_that_is_refused(objects: tuple[DicomObject, ...]) -> None:
    with archive_server(lambda r, a: None, status=0x0110) as server:
        found = ask(server, objects)
    assert found.offered
    assert "refuses storage commitment: processing failure (0x0110)" in (found.problem or "")


def test_a_port_that_is_taken(objects: tuple[DicomObject, ...]) -> None:
    refused = pytest.raises(ConfigError, match=r"cannot listen on port .*--commit-port")
    with storage_server() as server, socket.create_server(("127.0.0.1", 0)) as taken, refused:
        ask(server, objects, port=taken.getsockname()[1], address="127.0.0.1")
