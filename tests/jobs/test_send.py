"""`mrirecon send`: exit status, refusals, secrets and names that show nowhere, and going on after an interruption."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from mrirecon.cli import main
from mrirecon.errors import ConfigError, FormatError, MissingDependencyError, OutputError, TransferError
from mrirecon.jobs.send import SendOptions, render_send, send_folder
from mrirecon.serving.backoff import Backoff
from tests.serving.dicom_server import storage_server
from tests.serving.small_series import write_object, write_series
from tests.serving.web_server import Reply, Request, StowArchive, stored, web_server

QUICK = {"backoff": Backoff(retries=2, first_s=0.01, longest_s=0.02), "timeout_s": 5.0}
AWAY = "https://192.0.2.7/dicom-web"  # reserved for documentation: nobody is there
SECRET = "canary-Pa55"


def send(folder: Path, to: str, who: dict[str, str] | None = None, **options: Any) -> dict[str, Any]:
    return send_folder(folder, to, SendOptions(**{**QUICK, **options}), environment=who or {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_series(tmp_path / "out/dicom", 4)


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "PASSWORD", "TOKEN", "KEY_PASSWORD"):
        monkeypatch.delenv(f"MRIRECON_PACS_{name}", raising=False)


def test_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with web_server(StowArchive()) as server:
        assert main(["send", str(folder), "--to", server.url]) == 0
        text = capsys.readouterr().out
        assert text.splitlines()[1:] == [
            f"to {server.url}", "  confirmed: 4 of 4", "  query: finds 4 of 4", "complete",
        ]  # fmt: skip
        assert re.fullmatch(r"4 objects, 0.0 MB, 1 study; patient identity: removed", text.splitlines()[0])
        assert main(["send", str(folder), "--to", server.url, "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
    assert (report["confirmed"], report["confirmed_earlier"], report["complete"]) == (4, 4, True)
    assert sorted(p.name for p in folder.parent.iterdir()) == ["dicom", "dicom.sent.jsonl"]
    assert sum(r.method == "POST" for r in server.requests) == 1


def test_over_dicom(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with storage_server() as server:
        assert main(["send", str(folder), "--to", server.address, "--commit-port", "0"]) == 0
        text = capsys.readouterr().out
    assert len(server.files) == 4
    assert "  confirmed: 4 of 4\n  query: not answered\n  storage commitment: not offered\ncomplete\n" in text


def test_some_objects_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    codes = iter([0, 0xB006, 0xA900, 0])
    with storage_server(store=lambda uid, number: next(codes)) as server:
        assert main(["send", str(folder), "--to", server.address]) == 3
    text = capsys.readouterr().out
    assert "confirmed: 3 of 4" in text
    assert "stored with a warning: 0002.dcm: data elements were discarded (0xB006)" in text
    assert "not confirmed: 0003.dcm: data set does not match its SOP class (0xA900)" in text
    assert text.splitlines()[-1].startswith("NOT complete")


def test_an_archive_that_says_stored_and_has_lost_it(folder: Path) -> None:
    archive = StowArchive()

    def forgetful(request: Request) -> Reply:
        reply = archive(request)
        archive.held = archive.held[:2]
        return reply

    with web_server(forgetful) as server:
        report = send_folder(
            folder,
            server.url,
            SendOptions(**QUICK),
            environment={},
            sleep=lambda s: None,  # type: ignore[arg-type]
        )
    assert (report["confirmed"], report["found"], report["complete"]) == (4, 2, False)
    assert "send them --again" in render_send(report)


def test_check_sends_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with web_server(StowArchive()) as server:
        assert main(["send", str(folder), "--to", server.url, "--check"]) == 0
    assert "the archive answers; nothing was sent" in capsys.readouterr().out
    assert {r.method for r in server.requests} == {"GET"}
    assert not (folder.parent / "dicom.sent.jsonl").exists()


def test_a_busy_archive_is_asked_again_and_only_for_the_rest(folder: Path) -> None:
    answers = iter([Reply(503), None, Reply(429, headers={"Retry-After": "0"})])
    archive = StowArchive()

    def busy(request: Request) -> Reply | None:
        return next(answers, archive(request)) if request.method == "POST" else archive(request)

    with web_server(busy) as server:
        report = send(folder, server.url, backoff=Backoff(retries=3, first_s=0.01))
    assert report["complete"]


def test_partial_success_goes_on_with_the_rest(folder: Path) -> None:
    def first_two(request: Request, instances: list[str]) -> Reply:
        return stored(instances[:2], dict.fromkeys(instances[2:], 0xA700), 202)

    with web_server(StowArchive(first_two)) as server:
        assert send(folder, server.url)["complete"]
    assert [len(r.instances) for r in server.requests if r.method == "POST"] == [4, 2]


def test_an_interruption_and_the_rest(folder: Path, tmp_path: Path) -> None:
    """The program is interrupted while the archive is busy with the third object; the next run sends two."""
    held = threading.Event()
    reached = threading.Event()

    def slow(uid: str, number: int) -> int:
        if number == 3:
            reached.set()
            held.wait(10)
        return 0

    with storage_server(store=slow) as server:
        command = [sys.executable, "-m", "mrirecon.cli", "send", str(folder), "--to", server.address]
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background, and inherited
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        signal.signal(signal.SIGINT, before)
        try:
            assert reached.wait(60)
            running.send_signal(signal.SIGINT)
            _, error = running.communicate(timeout=30)
        finally:
            held.set()
            running.kill()
        assert running.returncode == 130
        assert "run the same command again" in error
        assert "Traceback" not in error
        first = list(server.order)
        report = send(folder, server.address)
    assert report["confirmed_earlier"] == 2
    assert report["complete"]
    assert server.order[:3] == first
    assert server.order[3:] == [*first[2:3], server.order[-1]]
    assert len(set(server.order)) == 4


def test_nobody_there_is_exit_status_2(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["send", str(folder), "--to", "http://127.0.0.1:9/x", "--retries", "0"]) == 2
    assert "connection refused" in capsys.readouterr().err


def test_identifiable_objects_stay_here(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    write_series(folder, 2)
    write_object(folder / "3.dcm", PatientIdentityRemoved=None, PatientName="CANARYNAME")
    with pytest.raises(ConfigError, match=r"2 patients .* 0001.dcm and 3.dcm differ.*--allow-mixed") as mixed:
        send(folder, AWAY)
    with pytest.raises(ConfigError, match=r"1 of 3 objects do not say .* --identifiable") as caught:
        send(folder, AWAY, allow_mixed=True)
    assert "CANARY" not in f"{caught.value}{mixed.value}"
    with pytest.raises(TransferError):  # now it tries
        send(folder, AWAY, allow_mixed=True, allow_identifiable=True, timeout_s=0.2)
    with web_server(StowArchive()) as server:  # on this machine nothing leaves
        report = send(folder, server.url, allow_mixed=True)
    assert report["complete"]
    assert report["identity_removed"] == 2
    assert "identify a patient or do not say that they do not" in " ".join(report["warnings"])
    assert "patient identity: removed in 2 only" in render_send(report)


def test_an_anonymous_file_that_names_somebody_is_said(tmp_path: Path) -> None:
    write_object(tmp_path / "d/1.dcm", PatientBirthDate="19700203")
    with web_server(StowArchive()) as server:
        report = send(tmp_path / "d", server.url)
    assert report["warnings"] == ["PatientIdentityRemoved is YES, yet these attributes are filled: PatientBirthDate"]


def test_names_and_secrets_show_nowhere(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    monkeypatch.setattr("mrirecon.serving.push._QUERIES", 1)
    folder = tmp_path / "d"
    for i in range(4):
        write_object(folder / f"{i}.dcm", PatientName="CANARYNAME", PatientID="CANARYID", PatientIdentityRemoved=None)
    monkeypatch.setenv("MRIRECON_PACS_USER", "ann")
    monkeypatch.setenv("MRIRECON_PACS_PASSWORD", SECRET)
    replies = [Reply(401), Reply(500, b"CANARYNAME " + SECRET.encode(), "text/plain"), Reply(409), Reply(200, b"{")]
    for reply in replies:
        with web_server(lambda r, reply=reply: reply if r.method == "POST" else Reply(204)) as server:
            assert main(["send", str(folder), "--to", server.url, "--retries", "0", "--json"]) in (2, 3)
    with storage_server(store=lambda uid, number: (0, 0xB000, 0xA900, 0xC000)[number - 1]) as server:
        main(["send", str(folder), "--to", server.address, "--json"])
    shown = capsys.readouterr()
    records = [r.getMessage() for r in caplog.records if r.threadName == "MainThread"]
    everything = shown.out + shown.err + "\n".join(records) + (tmp_path / "d.sent.jsonl").read_text()
    assert "401" in everything
    for canary in ("CANARY", SECRET, "YW5uOmNhbmFyeS1QYTU1"):
        assert canary not in everything


@pytest.mark.parametrize(
    ("to", "who", "options", "problem"),
    [
        ("http://192.0.2.7/x", {"MRIRECON_PACS_TOKEN": SECRET}, {}, "bearer credentials would travel .* unencrypted"),
        (
            "dicom://A@192.0.2.7:104",
            {"MRIRECON_PACS_USER": "a", "MRIRECON_PACS_PASSWORD": SECRET},
            {},
            "use dicoms://",
        ),
        ("http://127.0.0.1:9", {}, {"authority": Path("x.pem")}, "--ca belongs to an encrypted address"),
        ("https://127.0.0.1:9", {}, {"key": Path("x.pem")}, "--key belongs to --certificate"),
        ("https://127.0.0.1:9", {}, {"commit_port": 11113}, "DICOMweb has no storage commitment"),
        ("dicoms://A@127.0.0.1:9", {}, {"commit_port": 11113}, "needs --certificate"),
        ("dicom://A@127.0.0.1:9", {}, {"title": "x" * 17}, "application entity title"),
    ],
)
def test_options_that_do_not_fit(
    folder: Path, to: str, who: dict[str, str], options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        send(folder, to, who, **options)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("changes", [{"timeout_s": 0.0}, {"commit_wait_s": 1e9}, {"commit_port": 65536}])
def test_options_out_of_range(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        SendOptions(**changes)


def test_certificates_that_are_none(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="does not exist"):
        send(folder, "https://127.0.0.1:9", authority=tmp_path / "absent.pem")
    (tmp_path / "bad.pem").write_text("nothing")
    with pytest.raises(FormatError, match="holds no certificate"):
        send(folder, "https://127.0.0.1:9", authority=tmp_path / "bad.pem")
    with pytest.raises(FormatError, match="certificate and key cannot be used"):
        send(folder, "https://127.0.0.1:9", certificate=tmp_path / "bad.pem")


def test_a_place_for_confirmations_is_needed_before_anything_is_sent(folder: Path, tmp_path: Path) -> None:
    with web_server(StowArchive()) as server:
        with pytest.raises(OutputError, match="--state"):
            send(folder, server.url, state=tmp_path / "absent/file")
        assert {r.method for r in server.requests} == {"GET"}
        report = send(folder, server.url, state=tmp_path / "mine.jsonl")
    assert report["complete"]
    assert len((tmp_path / "mine.jsonl").read_text().splitlines()) == 4


def test_what_is_no_dicom_is_refused_at_once(folder: Path) -> None:
    (folder / "notes.txt").write_text("x")
    with pytest.raises(FormatError, match=r"notes.txt"):
        send(folder, AWAY)


def test_without_the_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mrirecon.serving.dicom_archive", None)
    with pytest.raises(MissingDependencyError, match=r"\.\[pacs\]"):
        send(folder, "dicom://A@127.0.0.1:9")


def test_the_help_names_the_variables(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["send", "--help"])
    text = capsys.readouterr().out
    for name in ("MRIRECON_PACS_USER", "MRIRECON_PACS_PASSWORD", "MRIRECON_PACS_TOKEN", "MRIRECON_PACS_KEY_PASSWORD"):
        assert name in text
    assert os.environ.get("MRIRECON_PACS_USER") is None
