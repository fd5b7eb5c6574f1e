"""What status codes mean, against the tables of pynetdicom."""

from __future__ import annotations

import pytest

from mrirecon.serving.outcome import outcome_of, status_text

status = pytest.importorskip("pynetdicom.status")


def test_categories_agree_with_an_independent_table() -> None:
    for code, (category, _) in status.STORAGE_SERVICE_CLASS_STATUS.items():
        expected = "stored" if category in ("Success", "Warning") else "refused"
        assert outcome_of(code).kind == ("unclear" if code == 0x0111 else expected), hex(code)


def test_what_is_worth_repeating() -> None:
    assert [code for code in (*range(0x400), *range(0xA600, 0xAA00), 0xB000, 0xC000) if outcome_of(code).transient] == [
        0x0213,
        *(code for code in range(0xA700, 0xA800) if code != 0xA770),
    ]


def test_warnings() -> None:
    assert not outcome_of(0).warning
    assert all(outcome_of(code).warning for code in (0xB000, 0xB006, 0xB007, 0x0001))
    assert str(outcome_of(0xB000)) == "data elements were coerced (0xB000)"
    assert outcome_of(0xA900).kind == "refused"
    assert not outcome_of(0xA900).warning


def test_every_code_has_a_text() -> None:
    assert status_text(0xC122) == "transfer syntax not supported"
    assert status_text(0xC001) == "cannot understand the data set"
    assert status_text(0xFFFF) == "a status that is not in the standard"
