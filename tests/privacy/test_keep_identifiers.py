"""The switch for use inside the hospital: who was examined gets into the DICOM files, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pydicom
import pytest

from mrirecon.cli import main
from mrirecon.errors import ConfigError
from mrirecon.io.identity import read_identity
from mrirecon.io.withheld import without_identifiers
from tests.acceptance import checks
from tests.privacy.raw_files import FORMATS, FRAME_UID, NAME, PATIENT, STUDY_UID, files_of, leaks

QUICK = ("--method", "sense", "--iterations", "3")


def recon(raw: Path, out: Path, *more: str) -> int:
    return main(["recon", str(raw), "--out", str(out), *QUICK, *more])


@pytest.fixture(scope="module")
def mrd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return FORMATS["ismrmrd"](tmp_path_factory.mktemp("mrd")).path


def test_mrd_joins_its_own_study_and_frame(mrd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert recon(mrd, tmp_path / "out", "--keep-identifiers", "--dicom", "--nifti", "--png", "--npy") == 0
    printed = "".join(capsys.readouterr())
    heads = [pydicom.dcmread(p) for p in sorted((tmp_path / "out" / "dicom").glob("*.dcm"))]
    for head in heads:
        assert (str(head.PatientName), head.PatientID, head.PatientBirthDate) == (NAME, PATIENT, "19010203")
        assert (head.PatientSex, head.AccessionNumber, head.StudyID) == ("F", "424242", "CANARYSTUDY")
        assert (head.StudyDate, head.StudyTime, head.StudyDescription) == ("20190817", "112233", "CANARYSTUDYTEXT")
        assert (head.StudyInstanceUID, head.FrameOfReferenceUID) == (STUDY_UID, FRAME_UID)
        assert (head.ReferringPhysicianName, head.ProtocolName) == ("CANARYDOC^R", "CANARYPROTOCOL")
        assert head.PatientIdentityRemoved == "NO"
        assert "DeidentificationMethod" not in head
        assert head.SeriesInstanceUID.startswith("2.25.")
    checks.t1_iod(tmp_path / "out" / "dicom")
    checks.t2_entities(tmp_path / "out" / "dicom")
    record = json.loads((tmp_path / "out" / "provenance.json").read_text())["identifiers"]
    assert (record["state"], record["source"]) == ("kept", "raw header")
    kept = {"PatientName", "PatientID", "StudyInstanceUID", "ProtocolName", "FrameOfReferenceUID"}
    assert kept <= set(record["attributes"])
    assert "warning: identifiers of the raw header are kept" in printed
    assert leaks(printed) == []
    for name, data in files_of(tmp_path / "out"):
        if not name.endswith(".dcm"):
            assert leaks(data) == [], name
        else:  # what is no patient's or study's attribute stays out even then
            for word in (b"CANARYHOSPITAL", b"CANARYSTATION", b"CANARYOPERATOR", b"CANARYCOMMENT", b"CANARYUSERTEXT"):
                assert word not in data


def test_the_kept_series_agrees_with_the_scanners(mrd: Path, tmp_path: Path) -> None:
    """The default does not join the study, and is not asked to."""
    for name, more in (("kept", ("--keep-identifiers",)), ("scanner", ("--keep-identifiers", "--weight", "0.03"))):
        assert recon(mrd, tmp_path / name, "--dicom", *more) == 0
    assert recon(mrd, tmp_path / "default", "--dicom") == 0
    scanner = str(tmp_path / "scanner" / "dicom")
    assert main(["verify", str(tmp_path / "kept"), "--against", scanner, "--study", "required"]) == 0
    assert main(["verify", str(tmp_path / "default"), "--against", scanner]) == 0
    assert main(["verify", str(tmp_path / "default"), "--against", scanner, "--study", "required"]) == 1


def test_kept_identifiers_do_not_leave_this_machine_without_being_asked(
    mrd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recon(mrd, tmp_path / "out", "--dicom", "--keep-identifiers") == 0
    capsys.readouterr()
    assert main(["send", str(tmp_path / "out" / "dicom"), "--to", "https://pacs.example/dicom-web"]) == 2
    printed = "".join(capsys.readouterr())
    assert "--identifiable" in printed
    assert leaks(printed) == []


def test_twix_and_fastmri_keep_what_they_have(tmp_path: Path) -> None:
    (tmp_path / "twix").mkdir()
    raw = FORMATS["twix"](tmp_path / "twix").path
    assert recon(raw, tmp_path / "t", "--dicom", "--keep-identifiers") == 0
    head = pydicom.dcmread(tmp_path / "t" / "dicom" / "0001.dcm")
    assert (str(head.PatientName), head.PatientID, head.PatientBirthDate) == (NAME, PATIENT, "19010203")
    assert (head.StudyInstanceUID, head.FrameOfReferenceUID) == (STUDY_UID, FRAME_UID)
    (tmp_path / "fastmri").mkdir()
    raw = FORMATS["fastmri"](tmp_path / "fastmri").path
    assert recon(raw, tmp_path / "f", "--dicom", "--keep-identifiers") == 0
    head = pydicom.dcmread(tmp_path / "f" / "dicom" / "0001.dcm")
    assert (head.PatientID, head.StudyInstanceUID) == (PATIENT, STUDY_UID)
    assert head.FrameOfReferenceUID != FRAME_UID, "the position is nominal, so it is in no frame of the scanner"
    record = json.loads((tmp_path / "f" / "provenance.json").read_text())["identifiers"]
    assert "FrameOfReferenceUID" not in record["attributes"]


def test_a_twix_number_keeps_its_leading_zeros_and_a_name_its_accents(tmp_path: Path) -> None:
    """The header's parser makes 4711 of 004711, which is another patient."""
    raw = FORMATS["twix"](tmp_path).path
    data = raw.read_bytes()
    for old, new in ((PATIENT, "004711".ljust(len(PATIENT))), (NAME, "Müller^Ö".ljust(len(NAME)))):
        data = data.replace(old.encode(), new.encode("latin1"))
    raw.write_bytes(data)
    identity, _ = read_identity(raw)
    assert (identity.patient_id, identity.patient_name) == ("004711", "Müller^Ö")
    raw.write_bytes(data.replace("Müller^Ö  ".encode("latin1"), "Müller^Ö".encode()))
    identity, _ = read_identity(raw)
    assert identity.patient_name == "Müller^Ö"


def test_an_entry_without_a_legal_form_is_named_and_left_out(
    mrd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = tmp_path / "scan.h5"
    raw.write_bytes(mrd.read_bytes())
    with h5py.File(raw, "a") as file:
        text = file["dataset/xml"][0].decode().replace("1901-02-03", "CANARY born in May")
        file["dataset/xml"][0] = text.replace(">424242</accession", ">CANARYACCESSIONNUMBERTOOLONG</accession")
    assert recon(raw, tmp_path / "out", "--dicom", "--keep-identifiers") == 0
    printed = "".join(capsys.readouterr())
    assert "left out: birth_date, accession_number" in printed
    assert leaks(printed) == []
    head = pydicom.dcmread(tmp_path / "out" / "dicom" / "0001.dcm")
    assert not head.PatientBirthDate
    assert not head.AccessionNumber
    assert str(head.PatientName) == NAME


def test_formats_without_a_patient_refuse_the_switch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("cfl", "npy", "calgary-campinas"):
        (tmp_path / name).mkdir()
        raw = FORMATS[name](tmp_path / name).path
        assert recon(raw, tmp_path / "out", "--keep-identifiers") == 2
        assert "nothing to keep" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


def test_a_header_that_names_nobody_refuses_the_switch(mrd: Path, tmp_path: Path) -> None:
    raw = tmp_path / "scan.h5"
    raw.write_bytes(mrd.read_bytes())
    with h5py.File(raw, "a") as file:
        text = file["dataset/xml"][0].decode()
        for value in (NAME, PATIENT, STUDY_UID):
            text = text.replace(f">{value}<", "><")
        file["dataset/xml"][0] = text
    with pytest.raises(ConfigError, match="neither a patient nor a study"):
        read_identity(raw)


def test_an_identity_prints_its_fields_only(mrd: Path) -> None:
    identity, refused = read_identity(mrd)
    assert refused == ()
    assert leaks(repr(identity) + str(identity) + f"{identity}") == []
    assert "patient_name" in repr(identity)
    assert len(identity.known) == 12


@pytest.mark.parametrize(
    ("text", "names", "stays"),
    [
        ("t2_tse", ["Doe^Jane"], True),
        ("t2_doe_tse", ["Doe^Jane"], False),
        ("T2-JANE", ["Doe^Jane"], False),
        ("doe_snt_count", ["Do^Al"], True),
        ("scan19010203x", ["1901-02-03"], False),
        ("brain", [""], True),
        ("mullerian", ["Muller^A"], False),
        (None, ["Doe"], True),
    ],
)
def test_texts_that_repeat_a_name_are_withheld(text: str | None, names: list[str], stays: bool) -> None:
    assert without_identifiers(text, names) == (text if stays else None)
