"""Credentials from the environment."""

from __future__ import annotations

import base64

import pytest

from mrirecon.errors import ConfigError
from mrirecon.serving.credentials import Credentials, credentials_from

SECRET = "canary-Pa55"


def test_kinds() -> None:
    assert credentials_from({}) == Credentials()
    assert credentials_from({}).kind is None
    assert credentials_from({}).authorization is None
    basic = credentials_from({"MRIRECON_PACS_USER": "ann", "MRIRECON_PACS_PASSWORD": f"ä:{SECRET}"})
    assert basic.kind == "basic"
    scheme, _, coded = (basic.authorization or "").partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(coded).decode() == f"ann:ä:{SECRET}"
    bearer = credentials_from({"MRIRECON_PACS_TOKEN": "abc.def", "MRIRECON_PACS_USER": ""})
    assert (bearer.kind, bearer.authorization) == ("bearer", "Bearer abc.def")
    assert credentials_from({"MRIRECON_PACS_KEY_PASSWORD": SECRET}).kind is None


def test_they_do_not_show() -> None:
    given = Credentials("ann", SECRET, SECRET, SECRET)
    assert SECRET not in repr(given)
    assert SECRET not in str(given)
    assert SECRET not in f"{given!r:>10}"


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"MRIRECON_PACS_USER": SECRET}, "without MRIRECON_PACS_PASSWORD"),
        ({"MRIRECON_PACS_PASSWORD": SECRET}, "without MRIRECON_PACS_USER"),
        ({"MRIRECON_PACS_USER": "a", "MRIRECON_PACS_PASSWORD": SECRET, "MRIRECON_PACS_TOKEN": "t"}, "both set"),
        ({"MRIRECON_PACS_TOKEN": f"{SECRET}\r\nX-Other: 1"}, "MRIRECON_PACS_TOKEN must be printable"),
        ({"MRIRECON_PACS_USER": "a", "MRIRECON_PACS_PASSWORD": f"{SECRET}\n"}, "control character"),
        ({"MRIRECON_PACS_USER": f"a:{SECRET}", "MRIRECON_PACS_PASSWORD": SECRET}, "colon"),
    ],
)
def test_what_cannot_be_sent(environment: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        credentials_from(environment)
    assert "canary" not in str(caught.value)
