"""What a folder of DICOM files holds: identifiers, patients, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from mrirecon.errors import FormatError
from mrirecon.io.dicom.inventory import dicom_inventory, identifier_name
from tests.serving.small_series import write_object, write_series

CANARY = "CANARYNAME^SECRET"


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_objects_are_what_an_independent_reader_says(tmp_path: Path, syntax: str) -> None:
    write_series(tmp_path / "a", 3, syntax=syntax)
    write_object(tmp_path / "a/deep/9.dcm", syntax=syntax)
    found = dicom_inventory(tmp_path / "a")
    assert [o.path.name for o in found.objects] == ["0001.dcm", "0002.dcm", "0003.dcm", "9.dcm"]
    for o in found.objects:
        data = pydicom.dcmread(o.path)
        assert (o.sop_class, o.sop_instance) == (data.SOPClassUID, data.SOPInstanceUID)
        assert (o.study, o.series) == (data.StudyInstanceUID, data.SeriesInstanceUID)
        assert o.transfer_syntax == data.file_meta.TransferSyntaxUID == syntax
        assert (o.size, o.modified_ns) == (o.path.stat().st_size, o.path.stat().st_mtime_ns)
        assert o.identity_removed
        assert not o.contradictions
    assert (found.patients, len(found.studies), found.identifiable, found.directories) == (1, 2, 0, 0)
    assert found.size == sum(p.stat().st_size for p in (tmp_path / "a").rglob("*.dcm"))


def test_patients_are_told_apart_without_keeping_who_they_are(tmp_path: Path) -> None:
    write_object(tmp_path / "1.dcm", PatientID="CANARYID", PatientName=CANARY)
    write_object(tmp_path / "2.dcm", PatientID="CANARYID", PatientName="CANARYNAME^OTHER")
    write_object(tmp_path / "3.dcm", PatientID="CANARYID", PatientName=CANARY, PatientIdentityRemoved=None)
    write_object(tmp_path / "4.dcm", PatientID="CANARYID", PatientName=CANARY, PatientIdentityRemoved="NO")
    found = dicom_inventory(tmp_path)
    assert found.patients == 2
    assert found.identifiable == 2
    assert "CANARY" not in repr(found)


def test_a_file_that_claims_to_be_anonymous_and_is_not(tmp_path: Path) -> None:
    write_object(tmp_path / "1.dcm", PatientBirthDate="19700203", ReferringPhysicianName=CANARY, InstitutionName="")
    o = dicom_inventory(tmp_path).objects[0]
    assert o.identity_removed
    assert o.contradictions == ("PatientBirthDate", "ReferringPhysicianName")
    assert "CANARY" not in repr(o)
    assert "1970" not in repr(o)


def test_foreign_files_are_refused_by_name(tmp_path: Path) -> None:
    write_series(tmp_path / "out/dicom", 2)
    (tmp_path / "out/image.png").write_bytes(b"\x89PNG" + bytes(200))
    (tmp_path / "out/provenance.json").write_text("{}")
    with pytest.raises(FormatError, match=r"2 files are no DICOM files \(image.png, provenance.json\), beside 2"):
        dicom_inventory(tmp_path / "out")
    with pytest.raises(FormatError, match=r"give .*out/dicom instead"):
        dicom_inventory(tmp_path / "out")


def test_no_folder_no_file_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="expected a folder of DICOM files, found nothing"):
        dicom_inventory(tmp_path / "absent")
    path = write_object(tmp_path / "x/1.dcm")
    with pytest.raises(FormatError, match="found a file"):
        dicom_inventory(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match="holds no DICOM file"):
        dicom_inventory(tmp_path / "empty")


def test_truncated_header(tmp_path: Path) -> None:
    path = write_object(tmp_path / "1.dcm")
    path.write_bytes(path.read_bytes()[:180])
    with pytest.raises(FormatError):
        dicom_inventory(tmp_path)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize(("value", "state"), [(None, "has no "), ("", "has no ")])
def test_missing_identifiers(tmp_path: Path, keyword: str, value: str | None, state: str) -> None:
    write_object(tmp_path / "1.dcm", **{keyword: value})
    with pytest.raises(FormatError, match=state + keyword) as caught:
        dicom_inventory(tmp_path)
    assert caught.value.key == keyword


@pytest.mark.parametrize("ending", [b"/../../x", b"?a=b", b"..2", b"\r\nX"])
def test_identifiers_that_would_break_an_address(tmp_path: Path, ending: bytes) -> None:
    """They become part of URLs; what is no identifier is refused."""
    path = write_object(tmp_path / "1.dcm")
    good = pydicom.dcmread(path).StudyInstanceUID.encode()
    path.write_bytes(path.read_bytes().replace(good, good[: -len(ending)] + ending))
    with pytest.raises(FormatError, match="an unreadable StudyInstanceUID"):
        dicom_inventory(tmp_path)


def test_header_and_data_set_must_agree(tmp_path: Path) -> None:
    path = write_object(tmp_path / "1.dcm")
    data = pydicom.dcmread(path)
    data.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    data.save_as(path)
    with pytest.raises(FormatError, match="another SOPInstanceUID than its data set"):
        dicom_inventory(tmp_path)


def test_the_same_object_twice(tmp_path: Path) -> None:
    path = write_object(tmp_path / "1.dcm")
    (tmp_path / "copy.dcm").write_bytes(path.read_bytes())
    with pytest.raises(FormatError, match=r"1.dcm and copy.dcm are the same object"):
        dicom_inventory(tmp_path)


def test_directories_are_left_out(tmp_path: Path) -> None:
    write_series(tmp_path, 2)
    write_object(tmp_path / "DICOMDIR", sop_class="1.2.840.10008.1.3.10")
    found = dicom_inventory(tmp_path)
    assert len(found.objects) == 2
    assert found.directories == 1


def test_names_of_identifiers() -> None:
    assert identifier_name("1.2.840.10008.5.1.4.1.1.4") == "MR Image Storage"
    assert identifier_name("1.2.3.4") == "1.2.3.4"
