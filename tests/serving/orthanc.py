"""A real Orthanc with its DICOMweb plugin in a network namespace of its own.

Debian's Orthanc listens on all interfaces whatever its configuration says. In a namespace without interfaces nobody
can reach it but through two loopback sockets that a relay (`namespace_relay`) was given.
"""

from __future__ import annotations

import base64
import json
import shutil
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.serving import namespace_relay
from tests.serving.namespace_server import relayed, wait_until

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
TITLE = "ORTHANC"
USER, PASSWORD = "radiology", "canary-Pa55word"


@dataclass(frozen=True)
class Orthanc:
    """A running server; ports are on the loopback interface of this machine."""

    dicom_port: int
    web_port: int
    report_socket: Path

    @property
    def dicom(self) -> str:
        return f"dicom://{TITLE}@127.0.0.1:{self.dicom_port}"

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.web_port}/dicom-web"

    def get(self, path: str, *, method: str = "GET", data: bytes | None = None) -> Any:
        """Orthanc's own interface, with the password."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.web_port}{path}", method=method, data=data)
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            body = answer.read()
        return json.loads(body) if body.lstrip()[:1] in (b"[", b"{") else body

    def instances(self) -> list[str]:
        """Orthanc's names of everything it holds."""
        return list(self.get("/instances"))

    def clear(self) -> None:
        for name in self.get("/patients"):
            self.get(f"/patients/{name}", method="DELETE")

    @contextmanager
    def reports_to(self, port: int) -> Iterator[None]:
        """Carries connections that Orthanc makes to our storage commitment port to `port` of this machine."""
        self.report_socket.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(self.report_socket))
            listening.listen()
            carrier = threading.Thread(
                target=namespace_relay.carry, args=(listening, socket.AF_INET, ("127.0.0.1", port)), daemon=True
            )
            carrier.start()
            yield
            listening.shutdown(socket.SHUT_RDWR)
            carrier.join(5)


@contextmanager
def running_orthanc(folder: Path, **settings: Any) -> Iterator[Orthanc]:
    """A server with an empty database below `folder`; skips with the reason where it cannot run.

    Parameters
    ----------
    folder
        Short path: a socket lies in it.
    settings
        Configuration beside the usual one.
    """
    program = shutil.which("Orthanc")
    if program is None or not PLUGIN.is_file():
        pytest.skip("Orthanc with its DICOMweb plugin is not installed (Debian: orthanc, orthanc-dicomweb)")
    report_socket = folder / "report"
    configuration = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [str(PLUGIN)],
        "HttpPort": 8042,
        "DicomPort": 4242,
        "DicomAet": TITLE,
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowFind": True,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "RemoteAccessAllowed": False,
        "DicomModalities": {"us": {"AET": "MRIRECON", "Host": "127.0.0.1", "Port": 11113}},
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "SynchronousCMove": True,
        "StableAge": 1,
    } | settings
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    log = folder / "orthanc.log"
    command = [program, str(folder / "orthanc.json")]
    with relayed(command, [4242, 8042], log, outwards=[(11113, report_socket)]) as (dicom, web):
        wait_until(log, "Orthanc has started")
        yield Orthanc(dicom, web, report_socket)
