"""STOW-RS and QIDO-RS against servers that are kind, busy, wrong, slow and broken."""

from __future__ import annotations

import json
import socket
import ssl
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from mrirecon.errors import TransferError
from mrirecon.io.dicom.inventory import DicomObject
from mrirecon.serving.credentials import Credentials
from mrirecon.serving.destination import parse_destination
from mrirecon.serving.outcome import Outcome
from mrirecon.serving.tls import client_context
from mrirecon.serving.web_archive import WebArchive
from tests.serving.certificates import Certificates
from tests.serving.small_series import objects_in, write_object, write_series
from tests.serving.web_server import STALL_S, Reply, Request, StowArchive, rough_server, stall, stored, web_server

NOBODY = Credentials()
SECRET = "canary-Pa55"


def archive_at(url: str, *, credentials: Credentials = NOBODY, timeout_s: float = 5.0, **settings: Any) -> WebArchive:
    return WebArchive(parse_destination(url), credentials=credentials, tls=settings.pop("tls", None),
                      timeout_s=timeout_s, **settings)  # fmt: skip


def kinds(answers: list[tuple[DicomObject, Outcome]]) -> list[str]:
    return [outcome.kind for _, outcome in answers]


@pytest.fixture
def objects(tmp_path: Path) -> tuple[DicomObject, ...]:
    return objects_in(write_series(tmp_path / "d", 5))


def test_everything_is_stored_and_found(objects: tuple[DicomObject, ...]) -> None:
    held = StowArchive()
    with web_server(held) as server:
        archive = archive_at(server.url, most_objects=2, credentials=Credentials("ann", SECRET))
        assert archive.check(objects) == ()
        answers = list(archive.send(objects))
        assert [o for o, _ in answers] == list(objects)
        assert kinds(answers) == ["stored"] * 5
        assert archive.present(objects) == {o.sop_instance for o in objects}
        assert not archive.commit(objects).offered
    posts = [r for r in server.requests if r.method == "POST"]
    assert [len(r.instances) for r in posts] == [2, 2, 1]
    assert held.held == [o.sop_instance for o in objects]
    for r in posts:
        assert r.path == "/dicom-web/studies"
        assert r.headers["content-type"].startswith('multipart/related; type="application/dicom"; boundary=')
        assert r.headers["accept"] == "application/dicom+json"
        assert r.headers["authorization"] == "Basic YW5uOmNhbmFyeS1QYTU1"
    assert len(server.connections) == 3  # check, send, query: requests of one job share a connection


def test_queries_are_read_page_by_page(objects: tuple[DicomObject, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mrirecon.serving.web_archive._PAGE", 2)
    held = StowArchive()
    held.held = [o.sop_instance for o in objects[:4]] + ["9.9.9"]
    with web_server(held) as server:
        assert archive_at(server.url).present(objects) == {o.sop_instance for o in objects[:4]}
    assert len(server.requests) == 4


def test_a_server_that_ignores_pages_ends_too(objects: tuple[DicomObject, ...]) -> None:
    rows = json.dumps([{"00080018": {"Value": [o.sop_instance]}} for o in objects]).encode()
    with web_server(lambda r: Reply(200, rows)) as server:
        assert archive_at(server.url).present(objects) == {o.sop_instance for o in objects}
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [202, 409])
def test_partial_success(objects: tuple[DicomObject, ...], status: int) -> None:
    def store(request: Request, instances: list[str]) -> Reply:
        return stored(instances[:2], {instances[2]: 0xA700, instances[3]: 0xC122}, status)

    with web_server(StowArchive(store)) as server:
        answers = list(archive_at(server.url).send(objects))
    last = "refused" if status == 409 else "unclear"
    assert kinds(answers) == ["stored", "stored", "refused", "refused", last]
    assert [o.transient for _, o in answers] == [False, False, True, False, False]
    assert str(answers[3][1]) == "transfer syntax not supported (0xC122)"


def test_a_success_without_a_list_confirms_nothing(objects: tuple[DicomObject, ...]) -> None:
    """Orthanc 1.10 with a part it does not understand, and proxies: 200 and nothing stored."""
    with web_server(lambda r: Reply(200, b"<html>Welcome</html>", "text/html")) as server:
        assert set(kinds(list(archive_at(server.url).send(objects)))) == {"unclear"}
        assert archive_at(server.url).present(objects) is None


def test_too_large_a_request_is_halved_until_it_fits(objects: tuple[DicomObject, ...]) -> None:
    def store(request: Request, instances: list[str]) -> Reply:
        return Reply(413) if len(instances) > 1 or objects[3].sop_instance in instances else stored(instances)

    with web_server(StowArchive(store)) as server:
        answers = list(archive_at(server.url).send(objects))
    assert [o for o, _ in answers] == list(objects)
    assert kinds(answers) == ["stored", "stored", "stored", "refused", "stored"]
    assert "413" in str(answers[3][1])
    assert not answers[3][1].transient


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (503, {"Retry-After": "7"}, 7.0),
        (429, {"Retry-After": "999999999999"}, 3600.0),
        (503, {"Retry-After": "Fri, 01 Jan 2010 00:00:00 GMT"}, 0.0),
        (502, {"Retry-After": "soon"}, None),
        (504, {}, None),
    ],
)
def test_later(objects: tuple[DicomObject, ...], status: int, headers: dict[str, str], wait: float | None) -> None:
    with web_server(lambda r: Reply(status, headers=headers)) as server:
        with pytest.raises(TransferError, match=str(status)) as caught:
            list(archive_at(server.url).send(objects))
        assert (caught.value.transient, caught.value.retry_after_s) == (True, wait)
        with pytest.raises(TransferError):
            archive_at(server.url).present(objects)


@pytest.mark.parametrize("status", [301, 307, 400, 403, 404, 405, 415, 500, 501, 299])
def test_refusals_are_final_and_never_repeat_the_servers_words(objects: tuple[DicomObject, ...], status: int) -> None:
    reply = Reply(status, b"CANARYNAME", "text/plain", {"Location": "http://CANARYNAME.invalid/"})
    with web_server(lambda r: reply) as server, pytest.raises(TransferError, match=str(status)) as caught:
        list(archive_at(server.url).send(objects))
    assert not caught.value.transient
    assert "CANARY" not in str(caught.value)
    assert len(server.requests) == 1


def test_credentials_that_are_missing_or_wrong(objects: tuple[DicomObject, ...]) -> None:
    with web_server(lambda r: Reply(401, headers={"WWW-Authenticate": 'Basic realm="CANARY"'})) as server:
        for credentials, problem in (
            (NOBODY, r"it asks for credentials \(Basic\); set MRIRECON_PACS_USER"),
            (Credentials("ann", SECRET), "it does not accept the basic credentials"),
            (Credentials(token=SECRET), "it does not accept the bearer credentials"),
        ):
            archive = archive_at(server.url, credentials=credentials)
            for call in (lambda a=archive: a.check(objects), lambda a=archive: list(a.send(objects))):
                with pytest.raises(TransferError, match=problem) as caught:
                    call()
                assert not caught.value.transient
                assert "canary" not in str(caught.value).lower()
    assert server.requests[-1].headers["authorization"] == f"Bearer {SECRET}"


def test_an_archive_without_queries_is_said(objects: tuple[DicomObject, ...]) -> None:
    with web_server(lambda r: Reply(501)) as server:
        (note,) = archive_at(server.url).check(objects)
        assert "501 Not Implemented" in note
        assert archive_at(server.url).present(objects) is None


def test_a_connection_that_is_dropped_after_the_request(objects: tuple[DicomObject, ...]) -> None:
    with web_server(lambda r: None) as server, pytest.raises(TransferError, match="ended the connection") as caught:
        list(archive_at(server.url).send(objects))
    assert caught.value.transient


def test_a_connection_that_is_dropped_in_the_middle(tmp_path: Path) -> None:
    write_object(tmp_path / "1.dcm", side=2048)  # more than socket buffers take

    with rough_server(lambda s: s.recv(1 << 16) and None) as port, pytest.raises(TransferError) as caught:
        list(archive_at(f"http://127.0.0.1:{port}/x").send(objects_in(tmp_path)))
    assert "ended the connection" in str(caught.value)
    assert caught.value.transient


def test_a_server_that_answers_early_and_reads_no_more(tmp_path: Path) -> None:
    write_object(tmp_path / "1.dcm", side=2048)

    def behave(s: socket.socket) -> None:
        s.recv(1 << 12)
        s.sendall(b"HTTP/1.1 413 no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        stall(s)

    with rough_server(behave) as port:
        ((_, outcome),) = archive_at(f"http://127.0.0.1:{port}/x").send(objects_in(tmp_path))
    assert "413" in str(outcome)


@pytest.mark.parametrize("after", ["nothing", "request", "half an answer"])
def test_a_server_that_stalls(tmp_path: Path, after: str) -> None:
    write_object(tmp_path / "1.dcm", side=2048)

    def behave(s: socket.socket) -> None:
        if after != "nothing":
            s.settimeout(0.2)
            try:
                while s.recv(1 << 16):
                    pass
            except TimeoutError:
                pass
        if after == "half an answer":
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        stall(s)

    start = time.monotonic()
    with rough_server(behave) as port, pytest.raises(TransferError) as caught:
        list(archive_at(f"http://127.0.0.1:{port}/x", timeout_s=0.3).send(objects_in(tmp_path)))
    assert caught.value.transient
    assert time.monotonic() - start < STALL_S - 5  # our own limit, not that of the server


def test_a_server_that_trickles(objects: tuple[DicomObject, ...]) -> None:
    """Each byte comes in time, the answer never: the limit of the whole request ends it."""

    def behave(s: socket.socket) -> None:
        s.recv(1 << 16)
        for byte in b"HTTP/1.1 200 OK\r\n" + b"x: yyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 9:
            s.sendall(bytes([byte]))
            time.sleep(0.05)

    with rough_server(behave) as port, pytest.raises(TransferError) as caught:
        archive_at(f"http://127.0.0.1:{port}/x", timeout_s=0.2).check(objects)
    assert "took more than" in str(caught.value)
    assert caught.value.transient


def test_answers_without_end_are_cut(objects: tuple[DicomObject, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mrirecon.serving.web_client._LONGEST_ANSWER", 1 << 16)

    def behave(s: socket.socket) -> None:
        s.recv(1 << 16)
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        while True:
            s.sendall(bytes(1 << 16))

    with rough_server(behave) as port, pytest.raises(TransferError, match="more than") as caught:
        archive_at(f"http://127.0.0.1:{port}/x").check(objects)
    assert not caught.value.transient


@pytest.mark.parametrize("greeting", [b"220 ftp ready\r\n", b"\x00" * 40, b"HTTP/9.9 abc\r\n\r\n"])
def test_what_is_no_web_server(objects: tuple[DicomObject, ...], greeting: bytes) -> None:
    def behave(s: socket.socket) -> None:
        s.sendall(greeting)
        s.recv(1 << 16)
        s.shutdown(socket.SHUT_WR)
        s.recv(1)

    with rough_server(behave) as port, pytest.raises(TransferError, match=r"does not speak HTTP|ended the connection"):
        archive_at(f"http://127.0.0.1:{port}/x").check(objects)


def test_nobody_there(objects: tuple[DicomObject, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(TransferError, match="connection refused") as caught:
        archive_at(f"http://127.0.0.1:{port}").check(objects)
    assert caught.value.transient
    with pytest.raises(TransferError, match="is not known"):
        archive_at("http://no-such-host.invalid/x").check(objects)


def test_memory_is_bounded(tmp_path: Path) -> None:
    for i in range(4):
        write_object(tmp_path / f"{i}.dcm", side=2048)  # 8 MiB each

    def behave(s: socket.socket) -> None:
        while s.recv(1 << 20):
            pass

    objects = objects_in(tmp_path)
    with rough_server(behave) as port:
        tracemalloc.start()
        try:
            with pytest.raises(TransferError):
                list(archive_at(f"http://127.0.0.1:{port}/x", timeout_s=0.5).send(objects))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 4 << 20


def test_encrypted_with_our_own_certificate(objects: tuple[DicomObject, ...], certificates: Certificates) -> None:
    with web_server(StowArchive(), tls=certificates.server_side(ask_client=True)) as server:
        key = {"key": certificates.client_key_encrypted, "key_password": certificates.password}
        context = client_context(authority=certificates.authority, certificate=certificates.client, **key)  # type: ignore[arg-type]
        assert kinds(list(archive_at(server.url, tls=context).send(objects))) == ["stored"] * 5
        without = client_context(authority=certificates.authority)
        with pytest.raises(TransferError):
            list(archive_at(server.url, tls=without).send(objects))


def test_a_certificate_that_is_not_trusted_ends_it(
    objects: tuple[DicomObject, ...], certificates: Certificates
) -> None:
    with web_server(StowArchive(), tls=certificates.server_side()) as server:
        for context in (client_context(), client_context(authority=certificates.other_authority)):
            archive = archive_at(server.url, tls=context, credentials=Credentials(token=SECRET))
            with pytest.raises(TransferError, match=r"is not accepted .*--ca FILE") as caught:
                archive.check(objects)
            assert not caught.value.transient
    assert not server.requests
    impostor = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    impostor.load_cert_chain(certificates.client, certificates.client_key)  # a trusted one, for another name
    with web_server(StowArchive(), tls=impostor) as server:
        archive = archive_at(server.url, tls=client_context(authority=certificates.authority))
        with pytest.raises(TransferError, match=r"is not accepted .*mismatch"):
            archive.check(objects)
    assert not server.requests


def test_a_plain_server_where_an_encrypted_one_was_asked_for(objects: tuple[DicomObject, ...]) -> None:
    with web_server(StowArchive()) as server:
        url = server.url.replace("http://", "https://")
        with pytest.raises(TransferError, match="no encrypted connection"):
            archive_at(url, tls=client_context()).check(objects)
