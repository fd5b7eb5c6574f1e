"""DICOM elements that are valid when set: checked values, codes, decimal strings, identifiers."""

from __future__ import annotations

import copy
import json
import uuid
from typing import Any

from pydicom.config import RAISE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID
from pydicom.valuerep import DSfloat, format_number_as_ds

from mrirecon.errors import ConfigError, OutputError
from mrirecon.io.free_text import without_paths

_CHOICES = {"OB or OW": "OW", "US or SS": "US"}
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "mrirecon:dicom")


def put(dataset: Dataset, keyword: str, value: Any) -> None:
    """Set an element, checked against its value representation; None gives an empty (type 2) element.

    Raises
    ------
    OutputError
        If the value is not legal for the element: too long, wrong characters, not a date or number.
    """
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise OutputError(f"{keyword} is no DICOM keyword")
    representation = dictionary_VR(tag)
    representation = _CHOICES.get(representation, representation)
    if representation == "SQ":
        value = Sequence(value)
    elif representation == "DS" and value is not None and not isinstance(value, str):
        value = [decimal(v) for v in value] if isinstance(value, (list, tuple)) else decimal(value)
    try:
        dataset[tag] = DataElement(tag, representation, value, validation_mode=RAISE)
    except (ValueError, TypeError, OverflowError) as error:
        raise OutputError(f"{keyword} cannot hold the value it should be given: {error}") from error


def copy_element(target: Dataset, source: Dataset, keyword: str) -> bool:
    """Copy an element with its value as written, without private content; whether its value is legal.

    A value that is not legal is left out.
    """
    element = copy.deepcopy(source[keyword])
    if element.VR == "SQ":
        for nested in element.value:
            nested.remove_private_tags()
        target[element.tag] = element
        return True
    try:
        target[element.tag] = DataElement(element.tag, element.VR, element.value, validation_mode=RAISE)
    except (ValueError, TypeError, OverflowError):
        return False
    return True


def put_known(dataset: Dataset, keyword: str, value: Any) -> None:
    """Set an optional element, or leave it out when the value is None or empty."""
    if value is not None and value != "":
        put(dataset, keyword, value)


def decimal(value: float) -> DSfloat:
    """A decimal string of at most 16 characters, the closest there is, without a negative zero."""
    return DSfloat(format_number_as_ds(float(value) + 0.0), validation_mode=RAISE)


def item(**elements: Any) -> Dataset:
    """A sequence item from keywords and values."""
    dataset = Dataset()
    for keyword, value in elements.items():
        put(dataset, keyword, value)
    return dataset


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """A coded concept."""
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def text(value: str, limit: int) -> str:
    """`value` on one line, without paths, control characters and the value separator, at most `limit` characters."""
    printable = "".join(c if c.isprintable() else " " for c in without_paths(value).replace("\\", "/"))
    return " ".join(printable.split())[:limit].rstrip()


def require_series_number(number: int) -> None:
    """`ConfigError` if no series can have it."""
    if not 1 <= number < 2**31:
        raise ConfigError(f"`series_number` must be positive and below 2^31, got {number}")


def derived_uid(*parts: Any) -> UID:
    """A ``2.25.`` identifier made from `parts` alone (name-based UUID), so that the same input names the same object.

    Raises
    ------
    OutputError
        If a part is not JSON-ready: an identifier must not depend on an address or an object's printed form.
    """
    try:
        name = json.dumps(parts, sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise OutputError(f"the derivation parameters must be plain JSON values without NaN: {error}") from error
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, name).int}", validation_mode=RAISE)
