"""Answers to STOW-RS requests, as JSON and XML, from kind and from hostile servers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydicom.dataset import Dataset

from mrirecon.serving.outcome import Outcome
from mrirecon.serving.stow_response import instance_identifiers, stow_outcomes

SENT = ("1.2.1", "1.2.2", "1.2.3", "1.2.4")


def item(uid: str, **values: Any) -> Dataset:
    row = Dataset()
    row.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    row.ReferencedSOPInstanceUID = uid
    for keyword, value in values.items():
        setattr(row, keyword, value)
    return row


def answer() -> Dataset:
    data = Dataset()
    data.RetrieveURL = "http://x/studies/1"
    data.ReferencedSOPSequence = [item("1.2.1"), item("1.2.2", WarningReason=0xB000), item("9.9.9")]
    data.FailedSOPSequence = [item("1.2.3", FailureReason=0xC122), item("8.8.8", FailureReason=0xA700)]
    return data


def as_json(data: Dataset) -> bytes:
    return data.to_json().encode()  # pydicom's own writer of PS3.18 annex F


def as_xml(data: Dataset) -> bytes:
    def attributes(level: Dataset) -> str:
        text = ""
        for e in level:
            if e.VR == "SQ":
                inner = "".join(f'<Item number="{i + 1}">{attributes(x)}</Item>' for i, x in enumerate(e.value))
            else:
                inner = f'<Value number="1">{e.value}</Value>'
            tag = f"{e.tag.group:04X}{e.tag.element:04X}"
            text += f'<DicomAttribute tag="{tag}" vr="{e.VR}" keyword="{e.keyword}">{inner}</DicomAttribute>'
        return text

    space = 'xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM"'
    root = f"<NativeDicomModel {space}>{attributes(data)}</NativeDicomModel>"
    return f'<?xml version="1.0" encoding="utf-8"?>{root}'.encode()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (as_json(answer()), "application/dicom+json"),
        (b"[" + as_json(answer()) + b"]", "application/json; charset=utf-8"),
        (as_xml(answer()), "application/dicom+xml"),
    ],
)
def test_stored_warned_failed_and_not_named(body: bytes, kind: str) -> None:
    assert stow_outcomes(body, kind, SENT) == {
        "1.2.1": Outcome("stored", 0, "stored"),
        "1.2.2": Outcome("stored", 0xB000, "data elements were coerced"),
        "1.2.3": Outcome("refused", 0xC122, "transfer syntax not supported"),
    }


def test_named_as_both_counts_as_failed() -> None:
    data = Dataset()
    data.ReferencedSOPSequence = [item("1.2.1")]
    data.FailedSOPSequence = [item("1.2.1", FailureReason=0xA700), item("1.2.2")]
    found = stow_outcomes(as_json(data), "application/dicom+json", SENT)
    assert found["1.2.1"].kind == "refused"
    assert found["1.2.1"].transient
    assert found["1.2.2"] == Outcome("refused", 0x0110, "processing failure")


def test_a_failure_with_a_code_that_means_success_is_a_failure() -> None:
    data = Dataset()
    data.FailedSOPSequence = [item("1.2.1", FailureReason=0xB000), item("1.2.2", FailureReason=0x0111)]
    found = stow_outcomes(as_json(data), "application/dicom+json", SENT)
    assert found["1.2.1"].kind == "refused"
    assert found["1.2.2"].kind == "unclear"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/dicom+json"),
        (b"{", "application/dicom+json"),
        (b"[[[[", "application/dicom+json"),
        (b"[" * 100_000, "application/dicom+json"),
        (b'{"00081199": 3}', "application/dicom+json"),
        (b'{"00081199": {"Value": [null, 1, {"00081155": {"Value": {}}}]}}', "application/dicom+json"),
        (b'{"00081199": {"Value": [{"00081155": {"Value": []}}]}}', "application/dicom+json"),
        (b"<html>", "text/html"),
        (b"<a/>", "application/dicom+xml"),
        (b"\xff\xfe<", "application/dicom+xml"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "application/dicom+xml"),
        (b"", ""),
    ],
)
def test_what_cannot_be_understood_confirms_nothing(body: bytes, kind: str) -> None:
    assert stow_outcomes(body, kind, SENT) == {}


def test_depth_is_bounded() -> None:
    """Nesting far beyond what the answer needs does not reach Python's limit of recursion."""
    inner = b'<DicomAttribute tag="00081199"><Item>' * 5000 + b"</Item></DicomAttribute>" * 5000
    assert stow_outcomes(b"<NativeDicomModel>" + inner + b"</NativeDicomModel>", "application/dicom+xml", SENT) == {}


def test_query_answers() -> None:
    rows = [{"00080018": {"vr": "UI", "Value": ["1.2.3"]}}, {"00080018": {"vr": "UI", "Value": ["1.2.4"]}}]
    assert instance_identifiers(json.dumps(rows).encode(), "application/dicom+json") == ["1.2.3", "1.2.4"]
    assert instance_identifiers(b"[]", "application/dicom+json") == []
    assert instance_identifiers(b"{}", "application/dicom+json") is None
    assert instance_identifiers(b"[", "application/dicom+json") is None
    assert instance_identifiers(b"[]", "text/html") is None
