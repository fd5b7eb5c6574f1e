"""Addresses of archives."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from mrirecon.errors import ConfigError
from mrirecon.serving.destination import Destination, entity_title, is_this_machine, parse_destination


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dicom://PACS@host:104", Destination("dicom", "host", 104, False, title="PACS")),
        ("dicoms://PACS@host:2762/", Destination("dicom", "host", 2762, True, title="PACS")),
        ("dicom://MY%20PACS@10.0.0.1:11112", Destination("dicom", "10.0.0.1", 11112, False, title="MY PACS")),
        ("dicom://A@[::1]:4242", Destination("dicom", "::1", 4242, False, title="A")),
        ("https://pacs.example/dicom-web", Destination("web", "pacs.example", 443, True, path="/dicom-web")),
        ("https://pacs.example:8443/a/rs/", Destination("web", "pacs.example", 8443, True, path="/a/rs")),
        ("http://[::1]:8042", Destination("web", "::1", 8042, False)),
    ],
)
def test_addresses(text: str, expected: Destination) -> None:
    assert parse_destination(text) == expected
    if " " not in expected.title:
        assert parse_destination(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("pacs:104", "the part before ://"),
        ("ftp://pacs", "the part before ://"),
        ("dicom://host:104", "application entity title"),
        ("dicom://PACS@host", "lacks the port"),
        ("dicom://PACS@host:99999", "no address"),
        ("dicom://PACS@:104", "lacks the name of the server"),
        ("dicom://PACS@host:104/studies", "must end with the port"),
        ("dicom://FAR%20TOO%20LONG%20A%20TITLE@host:104", "1 to 16"),
        ("dicom://A%5CB@host:104", "no backslash"),
        ("https://host/dicom-web?a=b", "query"),
        ("https://host/dicom web", "blanks"),
        ("https://host/a\r\nX: y", "blanks"),
        ("https://", "lacks the name"),
    ],
)
def test_what_is_no_address(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_destination(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://user:canary-Pa55@host/dicom-web",
        "https://canary-Pa55@host/dicom-web",
        "dicom://PACS:canary-Pa55@host:104",
        "dicom://PACS@host:104?password=canary-Pa55",
    ],
)
def test_secrets_in_an_address_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_destination(text)
    assert "canary" not in str(caught.value)


def test_titles() -> None:
    assert entity_title("  A B ") == "A B"
    for bad in ("", "   ", "x" * 17, "Ä", "a\tb"):
        with pytest.raises(ConfigError):
            entity_title(bad)


def test_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_this_machine("127.0.0.1")
    assert is_this_machine("::1")
    assert is_this_machine("127.8.9.1")
    assert not is_this_machine("192.0.2.7")
    answers = {"both": ["127.0.0.1", "192.0.2.7"], "loop": ["127.0.0.1", "::1"], "scoped": ["fe80::1%eth0"]}

    def resolve(host: str, port: Any) -> list[Any]:
        if host not in answers:
            raise socket.gaierror(socket.EAI_NONAME, "no")
        return [(0, 0, 0, "", (address, 0)) for address in answers[host]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert is_this_machine("loop")
    assert not is_this_machine("both")
    assert not is_this_machine("scoped")
    assert not is_this_machine("unknown.invalid")
