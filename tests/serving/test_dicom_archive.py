"""C-ECHO, C-STORE and C-FIND against pynetdicom's server, dcmtk's, and raw sockets that break the protocol."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import shutil
import socket
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest

from mrirecon.errors import FormatError, TransferError
from mrirecon.io.dicom.inventory import DicomObject
from mrirecon.serving.credentials import Credentials
from mrirecon.serving.destination import parse_destination
from mrirecon.serving.outcome import Outcome
from mrirecon.serving.tls import client_context
from tests.serving.certificates import Certificates
from tests.serving.dicom_server import (
    ECHO,
    EXPLICIT,
    FIND,
    IMPLICIT,
    MR,
    Storage,
    accept_association,
    read_pdu,
    reject,
    storage_server,
)
from tests.serving.namespace_server import relayed
from tests.serving.small_series import CTImageStorage, objects_in, write_object, write_series
from tests.serving.web_server import STALL_S, rough_server, stall

pytest.importorskip("pynetdicom")
from mrirecon.serving.dicom_archive import DicomArchive, context_batches
from mrirecon.serving.dicom_peer import Peer

SECRET = "canary-Pa55"


def archive_at(
    address: str, *, timeout_s: float = 5.0, tls: Any = None, who: Credentials | None = None
) -> DicomArchive:
    return DicomArchive(Peer(parse_destination(address), "MRIRECON", who or Credentials(), tls, timeout_s))


def at(port: int) -> str:
    return f"dicom://ARCHIVE@127.0.0.1:{port}"


def send(server: Storage | int, objects: tuple[DicomObject, ...], **settings: Any) -> list[Outcome]:
    address = at(server) if isinstance(server, int) else server.address
    answers = list(archive_at(address, **settings).send(objects))
    assert [o for o, _ in answers] == list(objects)
    return [outcome for _, outcome in answers]


@pytest.fixture
def objects(tmp_path: Path) -> tuple[DicomObject, ...]:
    return objects_in(write_series(tmp_path / "d", 4))


def encoded(path: Path) -> bytes:
    """The data set of a file, as it is on disk."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[140:144], "little")  # of the file meta group
    return raw[144 + length :]


def test_files_arrive_to_the_byte_on_one_association(objects: tuple[DicomObject, ...]) -> None:
    with storage_server() as server:
        archive = archive_at(server.address)
        assert archive.check(objects) == ()
        assert {str(o) for o in send(server, objects)} == {"stored (0x0000)"}
    assert server.associations == [1, 1]
    assert server.order == [o.sop_instance for o in objects]
    for o in objects:
        assert server.files[o.sop_instance] == encoded(o.path)


@pytest.mark.parametrize("maximum_pdu", [0, 150, 4096, 1 << 20])
def test_any_size_of_fragments(tmp_path: Path, maximum_pdu: int) -> None:
    write_object(tmp_path / "1.dcm", side=64 if maximum_pdu == 150 else 512)
    objects = objects_in(tmp_path)
    with storage_server(maximum_pdu=maximum_pdu) as server:
        assert [o.kind for o in send(server, objects)] == ["stored"]
    assert server.files[objects[0].sop_instance] == encoded(objects[0].path)


def test_statuses(objects: tuple[DicomObject, ...]) -> None:
    codes = [0xB000, 0xA700, 0x0111, 0xC123]
    with storage_server(store=lambda uid, number: codes[number - 1]) as server:
        found = send(server, objects)
    assert [o.code for o in found] == codes
    assert [o.kind for o in found] == ["stored", "refused", "unclear", "refused"]
    assert [o.transient for o in found] == [False, True, False, False]


def test_contexts_come_from_the_files_and_nothing_is_transcoded(tmp_path: Path) -> None:
    write_object(tmp_path / "1.dcm")
    write_object(tmp_path / "2.dcm", syntax=IMPLICIT)
    write_object(tmp_path / "3.dcm", sop_class=CTImageStorage)
    write_object(tmp_path / "4.dcm")
    objects = objects_in(tmp_path)
    with storage_server() as server:
        found = send(server, objects)
        assert [o.kind for o in found] == ["stored", "refused", "refused", "stored"]
        assert "MR Image Storage in Implicit VR Little Endian" in found[1].text
        assert "CT Image Storage in Explicit VR Little Endian" in found[2].text
        assert [o.kind for o in send(server, objects[1:3])] == ["refused", "refused"]
    assert server.associations == [3, 2]
    with storage_server(accept=[(MR, (IMPLICIT,)), (ECHO, (IMPLICIT,))]) as server:
        assert [o.kind for o in send(server, objects[1:2])] == ["stored"]
    assert server.files[objects[1].sop_instance] == encoded(objects[1].path)


def test_more_than_128_kinds_need_several_associations(tmp_path: Path) -> None:
    from pynetdicom import AllStoragePresentationContexts

    classes = [str(c.abstract_syntax) for c in AllStoragePresentationContexts if c.abstract_syntax != MR][:130]
    one, other = objects_in(write_series(tmp_path, 2))
    objects = [dataclasses.replace(one, sop_class=name, sop_instance=f"1.{i}") for i, name in enumerate(classes * 2)]
    batches = context_batches(objects)
    assert [len({o.sop_class for o in b}) for b in batches] == [128, 2]
    assert sorted(o.sop_instance for b in batches for o in b) == sorted(o.sop_instance for o in objects)
    mixed = [one, *objects[:129], other]
    with storage_server() as server:
        answers = list(archive_at(server.address).send(mixed))
    stored = [o.path.stem for o, outcome in answers if outcome.kind == "stored"]
    assert stored == ["0001", "0002"]
    assert len(answers) == len(mixed)
    assert sorted(server.associations) == [len({o.sop_class for o in mixed}) - 128, 128]


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        (Credentials("ann", SECRET), (2, b"ann", SECRET.encode())),
        (Credentials(token=SECRET), (5, SECRET.encode(), None)),
    ],
)
def test_credentials_travel_as_user_identity(
    objects: tuple[DicomObject, ...], who: Credentials, expected: tuple[int, bytes, bytes | None]
) -> None:
    with storage_server() as server:
        archive_at(server.address, who=who).check(objects)
    ((kind, primary, secondary),) = server.users
    assert (kind, primary, secondary or None) == expected


def test_credentials_are_in_no_log_of_the_library(
    objects: tuple[DicomObject, ...], caplog: pytest.LogCaptureFixture
) -> None:
    from pynetdicom import _config

    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="pynetdicom")
    with rough_server(reject(1, 1, 1)) as port:
        archive = archive_at(at(port), who=Credentials("ann", SECRET))
        with pytest.raises(TransferError):
            archive.check(objects)
    assert _config.LOG_HANDLER_LEVEL == "standard"  # put back
    assert caplog.records
    assert SECRET not in caplog.text


def test_an_archive_without_echo(objects: tuple[DicomObject, ...]) -> None:
    with storage_server(accept=[(MR, (EXPLICIT,))]) as server:
        (note,) = archive_at(server.address).check(objects)
    assert "no C-ECHO" in note


@pytest.mark.parametrize(
    ("answer", "problem", "transient"),
    [
        ((1, 1, 7), "does not have the application entity title in --to", False),
        ((1, 1, 3), r"does not know our application entity title \(--aet\)", False),
        ((1, 1, 1), "gives no reason", False),
        ((2, 3, 1), "temporarily congested", True),
        ((2, 3, 2), "too many associations", True),
    ],
)
def test_refused_associations(
    objects: tuple[DicomObject, ...], answer: tuple[int, int, int], problem: str, transient: bool
) -> None:
    with rough_server(reject(*answer)) as port, pytest.raises(TransferError, match=problem) as caught:
        send(port, objects)
    assert caught.value.transient is transient


def test_the_wrong_title(objects: tuple[DicomObject, ...]) -> None:
    with storage_server() as server, pytest.raises(TransferError, match="does not have the application entity title"):
        archive_at(server.address.replace("ARCHIVE", "OTHER")).check(objects)


def abort(s: socket.socket) -> None:
    read_pdu(s)
    s.sendall(struct.pack(">BxIxxBB", 7, 4, 2, 0))


def hang_up(s: socket.socket) -> None:
    s.recv(10)


def never_answer(s: socket.socket) -> None:
    read_pdu(s)
    stall(s)


def speak_http(s: socket.socket) -> None:
    s.recv(1 << 12)
    s.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize("behave", [abort, hang_up, never_answer, speak_http])
def test_no_association(objects: tuple[DicomObject, ...], behave: Callable[[socket.socket], None]) -> None:
    start = time.monotonic()
    with rough_server(behave) as port, pytest.raises(TransferError, match="does not answer an association") as caught:
        send(port, objects, timeout_s=0.3)
    assert caught.value.transient
    assert time.monotonic() - start < STALL_S - 5  # our own limit, not that of the server


def stop_answering(s: socket.socket) -> None:
    accept_association(s)
    while read_pdu(s)[0] == 4:
        pass


def stop_reading(s: socket.socket) -> None:
    accept_association(s)
    stall(s)


def drop_in_the_middle(s: socket.socket) -> None:
    accept_association(s)
    for _ in range(3):
        read_pdu(s)


def abort_in_the_middle(s: socket.socket) -> None:
    accept_association(s)
    for _ in range(3):
        read_pdu(s)
    s.sendall(struct.pack(">BxIxxBB", 7, 4, 0, 0))
    time.sleep(0.3)


def answer_rubbish(s: socket.socket) -> None:
    accept_association(s)
    read_pdu(s)
    s.sendall(b"\xff" * 200)
    time.sleep(0.3)


@pytest.mark.parametrize(
    "behave", [stop_answering, stop_reading, drop_in_the_middle, abort_in_the_middle, answer_rubbish]
)
def test_connections_that_end_in_the_middle(tmp_path: Path, behave: Callable[[socket.socket], None]) -> None:
    write_object(tmp_path / "1.dcm", side=2048)  # 8 MiB, more than socket buffers take
    start = time.monotonic()
    with rough_server(behave) as port, pytest.raises(TransferError, match="during C-STORE") as caught:
        send(port, objects_in(tmp_path), timeout_s=0.5)
    assert caught.value.transient
    assert time.monotonic() - start < STALL_S - 5


@pytest.mark.parametrize("longest", [1, 6, 100])
def test_absurd_fragments_are_refused(objects: tuple[DicomObject, ...], longest: int) -> None:
    def behave(s: socket.socket) -> None:
        accept_association(s, longest=longest)
        s.recv(1 << 12)

    with rough_server(behave) as port, pytest.raises(TransferError, match=f"fragments of {longest} bytes"):
        send(port, objects)


def test_what_was_confirmed_before_a_drop_counts(objects: tuple[DicomObject, ...]) -> None:
    with storage_server(store=lambda uid, number: -1 if number == 3 else 0) as server:
        answers = []
        with pytest.raises(TransferError) as caught:
            answers += archive_at(server.address).send(objects)
    assert caught.value.transient
    assert [o for o, outcome in answers if outcome.kind == "stored"] == list(objects[:2])


def test_memory_is_bounded(tmp_path: Path) -> None:
    write_object(tmp_path / "1.dcm", side=2048)  # 8 MiB
    objects = objects_in(tmp_path)

    def behave(s: socket.socket) -> None:
        accept_association(s)
        while s.recv(1 << 20):
            pass

    with rough_server(behave) as port:
        tracemalloc.start()
        try:
            with pytest.raises(TransferError):
                send(port, objects, timeout_s=1.0)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 3 << 20


def test_nobody_there(objects: tuple[DicomObject, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(TransferError, match=r"(?i)connection refused") as caught:
        send(port, objects)
    assert caught.value.transient
    with pytest.raises(TransferError, match="is not known"):
        archive_at("dicom://A@no-such-host.invalid:104").check(objects)


def test_a_file_that_changes_is_not_sent(objects: tuple[DicomObject, ...]) -> None:
    write_object(objects[1].path, side=32)
    with storage_server() as server, pytest.raises(FormatError, match="changed or removed"):
        send(server, objects)
    assert server.order == [objects[0].sop_instance]


def test_leaving_early_closes_the_association(objects: tuple[DicomObject, ...]) -> None:
    with storage_server() as server:
        answers = archive_at(server.address).send(objects)
        next(answers)
        answers.close()  # type: ignore[attr-defined]
        assert [o.kind for o in send(server, objects)] == ["stored"] * 4


def find_handler(held: list[tuple[str, str, str]], final: int = 0) -> Any:
    from pynetdicom import evt

    def handle(event: Any) -> Any:
        asked = event.identifier
        for study, series, instance in held:
            if (study, series) == (asked.StudyInstanceUID, asked.SeriesInstanceUID):
                row = pydicom.Dataset()
                row.QueryRetrieveLevel = "IMAGE"
                row.StudyInstanceUID, row.SeriesInstanceUID, row.SOPInstanceUID = study, series, instance
                yield 0xFF00, row
        if final:
            yield final, None

    return (evt.EVT_C_FIND, handle)


def test_counting_by_query(tmp_path: Path) -> None:
    objects = objects_in(write_series(tmp_path / "a", 3)) + objects_in(write_series(tmp_path / "b", 2))
    held = [(o.study, o.series, o.sop_instance) for o in objects[:4]] + [(objects[0].study, objects[0].series, "9.9")]
    with storage_server(accept=[(FIND, (IMPLICIT,))], handlers=[find_handler(held)]) as server:
        assert archive_at(server.address).present(objects) == {o.sop_instance for o in objects[:4]}
    assert server.associations == [1]
    with storage_server() as server:
        assert archive_at(server.address).present(objects) is None
    busy = storage_server(accept=[(FIND, (IMPLICIT,))], handlers=[find_handler([], 0xA700)])
    with busy as server, pytest.raises(TransferError, match=r"refuses the query: out of resources \(0xA700\)"):
        archive_at(server.address).present(objects)


def test_encrypted_with_our_own_certificate(objects: tuple[DicomObject, ...], certificates: Certificates) -> None:
    with storage_server(tls=certificates.server_side(ask_client=True)) as server:
        address = server.address.replace("dicom://", "dicoms://")
        context = client_context(
            authority=certificates.authority, certificate=certificates.client, key=certificates.client_key
        )
        answers = list(archive_at(address, tls=context).send(objects))
        assert {outcome.kind for _, outcome in answers} == {"stored"}
        with pytest.raises(TransferError):
            archive_at(address, tls=client_context(authority=certificates.authority), timeout_s=1.0).check(objects)
        with pytest.raises(TransferError, match=r"is not accepted .*--ca FILE") as caught:
            archive_at(address, tls=client_context(authority=certificates.other_authority)).check(objects)
        assert not caught.value.transient


def test_storescp_of_dcmtk(tmp_path: Path) -> None:
    program = shutil.which("storescp")
    if program is None:
        pytest.skip("storescp (Debian: dcmtk) is not installed")
    (tmp_path / "got").mkdir()
    objects = objects_in(write_series(tmp_path / "d", 3))
    command = [program, "--verbose", "-od", str(tmp_path / "got"), "11112"]
    with relayed(command, [11112], tmp_path / "log") as (port,):
        archive = archive_at(at(port), timeout_s=2.0)
        for _ in range(50):  # storescp does not say when it listens
            with contextlib.suppress(TransferError):
                assert archive.check(objects) == ()
                break
            time.sleep(0.05)
        assert {outcome.kind for _, outcome in archive.send(objects)} == {"stored"}
    got = {str(d.SOPInstanceUID): d for d in map(pydicom.dcmread, (tmp_path / "got").iterdir())}
    for o in objects:
        assert got[o.sop_instance].PixelData == pydicom.dcmread(o.path).PixelData
