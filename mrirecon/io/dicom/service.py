"""Data sets that travel between a program and an archive beside the images: queries and storage commitment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid


def instances_query(study: str, series: str) -> Dataset:
    """Identifier of a C-FIND at image level (PS3.4 C.6.2.1): the object identifiers of one series."""
    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    query.StudyInstanceUID = study
    query.SeriesInstanceUID = series
    query.SOPInstanceUID = ""
    return query


def commitment_request(objects: Iterable[tuple[str, str]]) -> tuple[str, Dataset]:
    """Action information of a storage commitment request (PS3.4 J.3.2.1.1) and its new transaction identifier.

    Parameters
    ----------
    objects
        SOP class and instance identifiers.
    """
    transaction = str(generate_uid(prefix=None))
    request = Dataset()
    request.TransactionUID = transaction
    request.ReferencedSOPSequence = [_reference(*names) for names in objects]
    return transaction, request


def commitment_result(answer: Any) -> tuple[str, frozenset[str], dict[str, int]]:
    """Transaction, committed instances and failed ones with their reasons, from the event information (J.3.3.1.2)."""
    done = frozenset(str(i.get("ReferencedSOPInstanceUID", "")) for i in answer.get("ReferencedSOPSequence") or [])
    failed = {
        str(i.get("ReferencedSOPInstanceUID", "")): int(i.get("FailureReason", 0x0110) or 0x0110)
        for i in answer.get("FailedSOPSequence") or []
    }
    return str(answer.get("TransactionUID", "")), done - failed.keys(), failed


def _reference(sop_class: str, sop_instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = sop_instance
    return item
