"""A real archive: Orthanc with its DICOMweb plugin, in a network namespace of its own."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from mrirecon.errors import TransferError
from mrirecon.jobs.send import SendOptions, send_folder
from mrirecon.serving.backoff import Backoff
from tests.serving.certificates import Certificates
from tests.serving.namespace_relay import join
from tests.serving.orthanc import PASSWORD, TITLE, USER, Orthanc, running_orthanc
from tests.serving.small_series import write_object, write_series
from tests.serving.web_server import rough_server

WHO = {"MRIRECON_PACS_USER": USER, "MRIRECON_PACS_PASSWORD": PASSWORD}


@pytest.fixture(scope="module")
def started() -> Iterator[Orthanc]:
    folder = Path(tempfile.mkdtemp(prefix="orthanc-"))  # short: a UNIX socket lies in it
    try:
        with running_orthanc(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def orthanc(started: Orthanc) -> Orthanc:
    started.clear()
    return started


def send(folder: Path, to: str, who: dict[str, str] | None = None, **options: Any) -> dict[str, Any]:
    values = {"timeout_s": 10.0, "backoff": Backoff(retries=1, first_s=0.05)} | options
    return send_folder(folder, to, SendOptions(**values), environment=who or {})


def pixels(orthanc: Orthanc) -> dict[str, bytes]:
    """What the archive gives back, by object."""
    found = {}
    for name in orthanc.instances():
        data = pydicom.dcmread(pydicom.filebase.DicomBytesIO(orthanc.get(f"/instances/{name}/file")))
        found[str(data.SOPInstanceUID)] = data.PixelData
    return found


def expected(folder: Path) -> dict[str, bytes]:
    return {str(d.SOPInstanceUID): d.PixelData for d in map(pydicom.dcmread, folder.rglob("*.dcm"))}


@pytest.mark.parametrize("way", ["dicom", "web"])
def test_every_object_arrives_and_is_counted(orthanc: Orthanc, tmp_path: Path, way: str) -> None:
    folder = write_series(tmp_path / "d", 6)
    report = send(folder, getattr(orthanc, way), WHO if way == "web" else None)
    assert report["complete"]
    assert (report["objects"], report["confirmed"], report["found"]) == (6, 6, 6)
    assert not report["stored_with_warning"]
    assert pixels(orthanc) == expected(folder)
    again = send(folder, getattr(orthanc, way), WHO if way == "web" else None)
    assert (again["confirmed_earlier"], again["complete"]) == (6, True)


def test_only_what_is_missing_is_sent(orthanc: Orthanc, tmp_path: Path) -> None:
    folder = write_series(tmp_path / "d", 3)
    assert send(folder, orthanc.dicom)["complete"]
    orthanc.clear()
    write_object(folder / "0004.dcm")
    report = send(folder, orthanc.dicom)
    assert (report["confirmed_earlier"], report["confirmed"], report["found"]) == (3, 4, 1)
    assert not report["complete"]  # the query tells that the archive has lost them
    report = send(folder, orthanc.dicom, again=True)
    assert (report["confirmed_earlier"], report["found"], report["complete"]) == (0, 4, True)


def test_storage_commitment(orthanc: Orthanc, tmp_path: Path) -> None:
    folder = write_series(tmp_path / "d", 3)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with orthanc.reports_to(port):
        report = send(folder, orthanc.dicom, commit_port=port, commit_wait_s=8.0)
    assert report["commitment"] == {"offered": True, "committed": 3, "failed": {}, "problem": None}
    assert report["complete"]


def test_what_orthanc_refuses(orthanc: Orthanc, tmp_path: Path) -> None:
    folder = write_series(tmp_path / "d", 2)
    with pytest.raises(TransferError, match="401 Unauthorized: it asks for credentials"):
        send(folder, orthanc.web)
    with pytest.raises(TransferError, match="401 Unauthorized: it does not accept the basic") as caught:
        send(folder, orthanc.web, WHO | {"MRIRECON_PACS_PASSWORD": "canary-wrong"})
    assert "canary" not in str(caught.value)
    with pytest.raises(TransferError, match=r"404|405"):
        send(folder, orthanc.web.replace("dicom-web", "elsewhere"), WHO)
    with pytest.raises(TransferError, match="application entity title"):
        send(folder, orthanc.dicom.replace(TITLE, "OTHER"))
    assert orthanc.instances() == []


def test_a_class_that_orthanc_does_not_take(orthanc: Orthanc, tmp_path: Path) -> None:
    folder = write_series(tmp_path / "d", 2)
    write_object(folder / "x.dcm", sop_class="1.2.3.4.5")
    report = send(folder, orthanc.dicom)
    assert (report["confirmed"], report["found"], report["complete"]) == (2, 2, False)
    assert "does not take 1.2.3.4.5 in Explicit VR Little Endian" in report["not_confirmed"]["x.dcm"]


def test_dicom_tls_with_our_own_certificate(certificates: Certificates, tmp_path: Path) -> None:
    """The server asks for a client certificate."""
    place = Path(tempfile.mkdtemp(prefix="orthanc-"))
    settings = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(certificates.server),
        "DicomTlsPrivateKey": str(certificates.server_key),
        "DicomTlsTrustedCertificates": str(certificates.authority),
    }
    folder = write_series(tmp_path / "d", 2)
    try:
        with running_orthanc(place, **settings) as orthanc:
            to = orthanc.dicom.replace("dicom:", "dicoms:")
            assert send(folder, to, **own(certificates))["complete"]
            with pytest.raises(TransferError, match="is not accepted"):
                send(folder, to, authority=certificates.other_authority, again=True)
            with pytest.raises(TransferError):
                send(
                    folder, to, authority=certificates.authority, again=True, timeout_s=0.5, backoff=Backoff(retries=0)
                )
            with pytest.raises(TransferError):
                send(folder, orthanc.dicom, again=True, timeout_s=0.5)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def test_https_behind_a_front(orthanc: Orthanc, certificates: Certificates, tmp_path: Path) -> None:
    """As in hospitals: the front decrypts. (The HTTPS of Debian's Orthanc 1.10.1 itself crashes with OpenSSL 3.)"""
    folder = write_series(tmp_path / "d", 3)
    context = certificates.server_side(ask_client=True)

    def front(taken: socket.socket) -> None:
        with context.wrap_socket(taken, server_side=True) as inside:
            inside.settimeout(5)
            join(inside, socket.create_connection(("127.0.0.1", orthanc.web_port)))

    with rough_server(front) as port:
        to = f"https://127.0.0.1:{port}/dicom-web"
        assert send(folder, to, WHO, **own(certificates))["complete"]
        with pytest.raises(TransferError, match="is not accepted"):
            send(folder, to, authority=certificates.other_authority, again=True)
    assert pixels(orthanc) == expected(folder)


def own(certificates: Certificates) -> dict[str, Path]:
    return {
        "authority": certificates.authority,
        "certificate": certificates.client,
        "key": certificates.client_key,
    }
