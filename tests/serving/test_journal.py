"""What was confirmed is remembered, and nothing else."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from mrirecon.errors import OutputError
from mrirecon.serving.journal import Journal
from tests.serving.small_series import objects_in, write_object, write_series

HERE = "dicom://A@host:104"


def test_confirmations_count_for_one_archive_and_one_state_of_the_file(tmp_path: Path) -> None:
    objects = objects_in(write_series(tmp_path / "d", 3))
    journal = Journal(tmp_path / "d.sent.jsonl")
    assert journal.confirmed(HERE, objects) == frozenset()
    for o in objects[:2]:
        journal.add(HERE, o)
    known = frozenset(o.sop_instance for o in objects[:2])
    assert Journal(journal.path).confirmed(HERE, objects) == known
    assert journal.confirmed("dicom://B@host:104", objects) == frozenset()
    write_object(objects[0].path, side=32)
    assert journal.confirmed(HERE, objects_in(tmp_path / "d")) == {objects[1].sop_instance}
    touched = dataclasses.replace(objects[1], modified_ns=objects[1].modified_ns + 1)
    assert journal.confirmed(HERE, [touched]) == frozenset()


def test_a_torn_line_costs_one_object_and_spoils_nothing(tmp_path: Path) -> None:
    objects = objects_in(write_series(tmp_path / "d", 3))
    path = tmp_path / "j"
    journal = Journal(path)
    journal.add(HERE, objects[0])
    journal.add(HERE, objects[1])
    path.write_bytes(path.read_bytes()[:-10])
    again = Journal(path)
    assert again.confirmed(HERE, objects) == {objects[0].sop_instance}
    again.add(HERE, objects[2])
    assert Journal(path).confirmed(HERE, objects) == {objects[0].sop_instance, objects[2].sop_instance}


def test_rubbish_is_passed_over(tmp_path: Path) -> None:
    objects = objects_in(write_series(tmp_path / "d", 1))
    path = tmp_path / "j"
    path.write_bytes(b'\xff\xfe\n[]\n{"to": []}\n{"to":{},"object":[],"size":1,"modified_ns":2}\nnull\n')
    journal = Journal(path)
    assert journal.confirmed(HERE, objects) == frozenset()
    journal.add(HERE, objects[0])
    assert journal.confirmed(HERE, objects) == {objects[0].sop_instance}


def test_it_holds_no_name(tmp_path: Path) -> None:
    write_object(tmp_path / "d/1.dcm", PatientName="CANARYNAME", PatientID="CANARYID")
    journal = Journal(tmp_path / "j")
    journal.add(HERE, objects_in(tmp_path / "d")[0])
    assert b"CANARY" not in journal.path.read_bytes()


def test_a_place_that_cannot_be_written_is_found_before_sending(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "absent/j")
    with pytest.raises(OutputError, match="--state"):
        journal.check()
    with pytest.raises(OutputError):
        Journal(tmp_path).confirmed(HERE, [])
    good = Journal(tmp_path / "j")
    good.check()
    assert os.listdir(tmp_path) == []
