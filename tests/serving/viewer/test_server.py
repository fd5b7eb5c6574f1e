"""Who gets in, and what is there to get: over real sockets on the loopback interface."""

from __future__ import annotations

import http.client
import json
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mrirecon.cli import main
from mrirecon.errors import ConfigError, FormatError, OutputError
from mrirecon.jobs import view as view_job
from mrirecon.jobs.reporting import Silent
from mrirecon.serving.viewer.access import is_local_host, is_token, new_token
from mrirecon.serving.viewer.server import PAGE, STATIC, ViewerServer
from tests.serving.viewer.studies import write_study

SMALL = (4, 20, 24)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViewerServer]:
    folder = tmp_path_factory.mktemp("results")
    write_study(folder, shape=SMALL)
    (folder / "secret.txt").write_text("do not serve")
    with ViewerServer([folder]) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def get(
    server: ViewerServer, path: str, *, host: str | None = None, method: str = "GET"
) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host or f"127.0.0.1:{server.server_address[1]}")
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def test_it_listens_on_loopback_only(server: ViewerServer) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert urlsplit(server.url).hostname == "127.0.0.1"
    assert len(server.token) >= 43  # 256 bits


def test_the_token_opens_and_anything_else_does_not(server: ViewerServer) -> None:
    assert get(server, f"/{server.token}/")[0] == 200
    wrong = server.token[:-1] + ("A" if server.token[-1] != "A" else "B")
    for path in ("/", "/index.html", f"/{wrong}/", f"/{server.token}x/", "/%00/", f"/x/{server.token}/", "*", "//"):
        status, body, _ = get(server, path)
        assert status == 403, path
        assert b"html" not in body
        assert server.token.encode() not in body
    assert get(server, "/study/0/manifest.json")[0] == 403
    assert new_token() != new_token()
    assert not is_token("", server.token)
    assert not is_token("é\udcff", server.token)


def test_another_name_for_this_machine_is_refused(server: ViewerServer) -> None:
    port = server.server_address[1]
    for host in (f"localhost:{port}", "127.0.0.1", "LOCALHOST:9", f"[::1]:{port}"):
        assert get(server, f"/{server.token}/", host=host)[0] == 200, host
    for host in (
        f"evil.example:{port}",
        "127.0.0.1.evil.example",
        "localhost.",
        "127.0.0.1:80:80",
        "127.0.0.1:x",
        "[::1",
    ):
        assert get(server, f"/{server.token}/", host=host)[0] == 403, host
    assert not is_local_host("")
    with socket.create_connection(server.server_address[:2], timeout=10) as raw:
        raw.sendall(f"GET /{server.token}/ HTTP/1.0\r\n\r\n".encode())
        assert b" 403 " in raw.recv(200)


def test_no_address_leads_to_another_file(server: ViewerServer) -> None:
    base = f"/{server.token}"
    for path in (
        "/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/%2e%2e/etc/passwd", "/../../../../etc/passwd", "/secret.txt",
        "/provenance.json", "/image.nii.gz", "/static/app.js", "/app.js/..", "/NOTICE", "/server.py", "/..\\secret.txt",
        "/study/0/volume/../../../secret.txt", "/study/0/volume/secret.txt", "/study/0/volume/-1.nii",
        "/study/0/volume/99.nii", "/study/1/manifest.json", "/study/-1/manifest.json", "/study/%D9%A3/manifest.json",
        "/study/0/volume/1e0.nii", "/study//manifest.json", "/study/0/volume/0.nii/x",
    ):  # fmt: skip
        status, body, _ = get(server, base + path)
        assert status == 404, path
        assert b"do not serve" not in body
        assert b"root:" not in body


def test_the_page_is_complete_and_locked_down(server: ViewerServer) -> None:
    for name, (file, kind) in PAGE.items():
        status, body, headers = get(server, f"/{server.token}/{name}")
        assert (status, headers["Content-Type"]) == (200, kind)
        assert body == (STATIC / file).read_bytes()
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Server"] == "mrirecon "
    assert get(server, f"/{server.token}/", host="evil.example")[2]["Content-Security-Policy"]


def test_volumes_and_methods(server: ViewerServer) -> None:
    status, body, _ = get(server, f"/{server.token}/study/0/manifest.json")
    manifest = json.loads(body)
    assert status == 200
    for volume in manifest["volumes"]:
        status, body, _ = get(server, f"/{server.token}/study/0/volume/{volume['id']}.nii")
        assert (status, len(body)) == (200, 352 + 4 * 4 * 20 * 24)
    status, body, headers = get(server, f"/{server.token}/study/0/volume/0.nii", method="HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", str(352 + 4 * 4 * 20 * 24))
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert get(server, f"/{server.token}/", method=method)[0] == 501


def test_a_first_volume_read_ahead_is_the_same(server: ViewerServer) -> None:
    plain = server.file(0, 0)
    server.prepare()
    assert server.file(0, 0) == plain
    assert server.file(0, 0) == plain


def test_nothing_is_logged(server: ViewerServer, capfd: pytest.CaptureFixture[str]) -> None:
    get(server, f"/{server.token}/")
    get(server, "/nothing")
    with socket.create_connection(server.server_address[:2], timeout=10) as raw:
        raw.sendall(b"nonsense\r\n\r\n")
        raw.recv(100)
    assert capfd.readouterr() == ("", "")


def test_a_damaged_volume_is_an_answer_without_paths(tmp_path: Path) -> None:
    write_study(tmp_path, shape=SMALL, spread=False)
    with ViewerServer([tmp_path]) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        path = tmp_path / "image.nii.gz"
        path.write_bytes(path.read_bytes()[:-500])
        status, body, _ = get(server, f"/{server.token}/study/0/volume/0.nii")
        server.shutdown()
    assert status == 422
    assert b"image.nii.gz" in body
    assert str(tmp_path).encode() not in body


def test_impossible_requests(tmp_path: Path) -> None:
    write_study(tmp_path / "a", shape=SMALL)
    with pytest.raises(FormatError, match="no folder"):
        ViewerServer([tmp_path / "missing"])
    with pytest.raises(ConfigError, match="one study"):
        ViewerServer([tmp_path / "a", tmp_path / "a"], reference=tmp_path / "a")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OutputError, match="--port"):
            ViewerServer([tmp_path / "a"], port=taken.getsockname()[1])


def test_the_browser_is_led_by_a_file_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token is not among the arguments of the browser, which other users can list."""
    write_study(tmp_path, shape=SMALL)
    seen = []

    def opened(address: str) -> bool:
        path = Path(urlsplit(address).path)
        seen.append((address, path.read_text(), stat.S_IMODE(path.stat().st_mode), path))
        return True

    def interrupted(self: ViewerServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(view_job.webbrowser, "open", opened)
    monkeypatch.setattr(ViewerServer, "serve_forever", interrupted)
    view_job.view(tmp_path, view_job.ViewOptions(), Silent())
    ((address, text, mode, path),) = seen
    assert address.startswith("file://")
    assert "http://127.0.0.1:" in text
    assert text.split("127.0.0.1:")[1].split("/")[1] not in address
    assert os.name != "posix" or mode == 0o600
    assert not path.exists()


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_study(tmp_path, shape=SMALL)
    serve = ViewerServer.serve_forever
    found = []

    def serve_and_interrupt(self: ViewerServer) -> None:
        thread = threading.Thread(target=serve, args=(self, 0.02), daemon=True)
        thread.start()
        found.append((self.url, get(self, urlsplit(self.url).path)[0]))
        self.shutdown()
        thread.join()
        raise KeyboardInterrupt

    monkeypatch.setattr(ViewerServer, "serve_forever", serve_and_interrupt)
    assert main(["view", str(tmp_path), "--no-browser"]) == 0
    ((url, status),) = found
    assert status == 200
    assert url in capsys.readouterr().err
    assert main(["view", str(tmp_path / "missing")]) == 2
