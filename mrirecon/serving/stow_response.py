"""The answer to a STOW-RS request: which objects were stored, which were not and why (PS3.18 10.5.3, annex I.2).

The answer is a data set as JSON (PS3.18 annex F) or XML (PS3.19 annex A). It comes from another machine: sizes are
bounded by the caller, documents with a document type are refused, and no text of it is repeated.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from xml.etree import ElementTree

from mrirecon.serving.outcome import Outcome, outcome_of

_REFERENCED, _FAILED, _OTHER_FAILURES = "00081199", "00081198", "0008119A"
_INSTANCE, _WARNING, _FAILURE = "00081155", "00081196", "00081197"
_DEEPEST = 8


def stow_outcomes(body: bytes, content_type: str, sent: Iterable[str]) -> dict[str, Outcome]:
    """The outcome of every instance that was `sent` and that the answer names.

    Parameters
    ----------
    body
        Of the response.
    content_type
        Its media type.
    sent
        Identifiers of the instances in the request; others in the answer are ignored.

    Returns
    -------
    dict of str to Outcome
        Those not named are absent, all of them if the body cannot be understood. An instance that is named both as
        stored and as failed counts as failed.
    """
    wanted = set(sent)
    answer = _data_set(body, content_type)
    outcomes: dict[str, Outcome] = {}
    for item in _items(answer, _REFERENCED):
        uid = _text(item, _INSTANCE)
        if uid in wanted:
            code = _number(item, _WARNING) or 0
            outcome = outcome_of(code)
            outcomes[uid] = outcome if outcome.kind == "stored" else Outcome("stored", code, "stored with a warning")
    for item in [*_items(answer, _FAILED), *_items(answer, _OTHER_FAILURES)]:
        uid = _text(item, _INSTANCE)
        if uid in wanted:
            outcome = outcome_of(_number(item, _FAILURE) or 0x0110)
            outcomes[uid] = Outcome("refused", outcome.code, outcome.text) if outcome.kind == "stored" else outcome
    return outcomes


def instance_identifiers(body: bytes, content_type: str) -> list[str] | None:
    """Instance identifiers in a QIDO-RS answer, a JSON list of data sets; None if it is none."""
    if "json" not in content_type.lower():
        return None
    try:
        rows = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(rows, list):
        return None
    return [_text(row, "00080018") for row in rows if isinstance(row, dict)]


def _data_set(body: bytes, content_type: str) -> dict[str, Any]:
    try:
        if "xml" in content_type.lower():
            return _from_xml(body)
        found = json.loads(body)
    except (ValueError, RecursionError, ElementTree.ParseError):
        return {}
    if isinstance(found, list) and len(found) == 1:  # some servers answer with a list of one
        found = found[0]
    return found if isinstance(found, dict) else {}


def _from_xml(body: bytes) -> dict[str, Any]:
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body or b"\0" in body:
        return {}
    return _attributes(ElementTree.fromstring(body), _DEEPEST)


def _attributes(node: ElementTree.Element, depth: int) -> dict[str, Any]:
    """The DicomAttribute children in the shape of the JSON model; name spaces are ignored."""
    found: dict[str, Any] = {}
    for child in node if depth else ():
        if _local(child) != "DicomAttribute":
            continue
        values = [grand.text or "" for grand in child if _local(grand) == "Value"]
        items = [_attributes(grand, depth - 1) for grand in child if _local(grand) == "Item"]
        found[child.get("tag", "").upper()] = {"Value": items or values}
    return found


def _local(node: ElementTree.Element) -> str:
    return node.tag.rpartition("}")[2]


def _values(item: dict[str, Any], tag: str) -> list[Any]:
    element = item.get(tag) or item.get(tag.lower())
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def _items(data_set: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    return [value for value in _values(data_set, tag) if isinstance(value, dict)]


def _text(item: dict[str, Any], tag: str) -> str:
    values = _values(item, tag)
    return str(values[0]).strip() if values else ""


def _number(item: dict[str, Any], tag: str) -> int | None:
    try:
        code = int(_values(item, tag)[0])
    except (IndexError, TypeError, ValueError):
        return None
    return code if 0 <= code <= 0xFFFF else None
