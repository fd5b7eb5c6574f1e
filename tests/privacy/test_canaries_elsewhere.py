"""Canaries in templates, studies, pages, images, photographs and names of files and folders."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import yaml
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mrirecon.cli import main
from mrirecon.serving.viewer.server import PAGE, ViewerServer
from tests.acceptance.scans import ScanRecipe, write_scan
from tests.privacy.raw_files import BORN, FORMATS, NAME, PATIENT, Raw, files_of, leaks

QUICK = ("--method", "sense", "--iterations", "3")
ELSEWHERE = {  # what a template holds and the written series must not
    "InstitutionName": "CANARYHOSPITAL",
    "InstitutionAddress": "CANARYSTREET",
    "StationName": "CANARYSTATION",
    "DeviceSerialNumber": "424242",
    "OperatorsName": "CANARYOPERATOR",
    "PerformingPhysicianName": "CANARYPERFORMER",
    "PatientAddress": "CANARYADDRESS",
    "PatientTelephoneNumbers": "CANARYPHONE",
    "PatientMotherBirthName": "CANARYMOTHER",
    "ImageComments": "CANARYCOMMENT",
    "SeriesDescription": "CANARYSERIES",
    "PerformedProcedureStepDescription": "CANARYSTEP",
    "RequestedProcedureDescription": "CANARYREQUEST",
}


def identify(series: Path) -> None:
    """A scanner's series of a canary."""
    for path in series.glob("*.dcm"):
        head = pydicom.dcmread(path)
        for keyword in ("PatientIdentityRemoved", "DeidentificationMethod", "LongitudinalTemporalInformationModified"):
            del head[keyword]
        head.PatientName, head.PatientID, head.PatientBirthDate = NAME, PATIENT, "19010203"
        head.StudyInstanceUID, head.SeriesInstanceUID = "1.2.840.99999.4711.1", "1.2.840.99999.4711.3"
        head.SOPInstanceUID = head.file_meta.MediaStorageSOPInstanceUID = f"1.2.840.99999.4711.3.{head.InstanceNumber}"
        for keyword, value in ELSEWHERE.items():
            setattr(head, keyword, value)
        nested = pydicom.Dataset()
        nested.RequestedProcedureDescription = "CANARYNESTED"
        head.RequestAttributesSequence = [nested]
        head.private_block(0x0029, "CANARYVENDOR", create=True).add_new(0x10, "LO", "CANARYPRIVATE")
        head.save_as(path)


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """A raw file without names, reconstructed into the study of a canary: template, results, what was printed."""
    folder = tmp_path_factory.mktemp("joined")
    raw = str(write_scan(folder / "scan.h5", ScanRecipe(matrix=(3, 32, 32), voxel=(5.0, 5.0, 5.0))))
    assert main(["recon", raw, "--out", str(folder / "first"), "--dicom", *QUICK, "--weight", "0.1"]) == 0
    template = folder / "first" / "dicom"
    identify(template)
    written: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout.write", written.append)
        patch.setattr("sys.stderr.write", written.append)
        assert main(["recon", raw, "--out", str(folder / "out"), "--template", str(template), *QUICK]) == 0
        assert main(["verify", str(folder / "out"), "--against", str(template), "--json"]) == 0
        assert main(["inspect", str(template)]) == 0
        assert main(["inspect", str(folder / "out" / "dicom"), "--json"]) == 0
    return template, folder / "out", "".join(written)


def test_a_templates_patient_reaches_the_dicom_files_alone(joined: tuple[Path, Path, str]) -> None:
    template, out, printed = joined
    assert leaks(b"".join(data for _, data in files_of(template)))
    assert leaks(printed) == []
    for name, data in files_of(out):
        if not name.endswith(".dcm"):
            assert leaks(data) == [], name


def test_nothing_of_a_template_but_patient_and_study_is_taken_over(joined: tuple[Path, Path, str]) -> None:
    _, out, _ = joined
    written = b"".join(data for name, data in files_of(out) if name.endswith(".dcm"))
    assert NAME.encode() in written
    for word in (*ELSEWHERE.values(), "CANARYNESTED", "CANARYVENDOR", "CANARYPRIVATE"):
        assert word.encode() not in written, word


@contextmanager
def page(folder: Path) -> Iterator[list[bytes]]:
    """Everything that the viewer answers about a folder."""
    with ViewerServer([folder]) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        paths = ["studies.json", "study/0/manifest.json", *PAGE, "study/0/volume/0.nii", "study/0/volume/99.nii", "x"]
        answers = []
        for path in paths:
            connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=20)
            connection.request("GET", f"/{server.token}/{path}")
            answer = connection.getresponse()
            answers.append(answer.read() + str(answer.getheaders()).encode())
            connection.close()
        yield answers
        server.shutdown()
        thread.join()


def test_the_viewers_answers_hold_no_patient(joined: tuple[Path, Path, str]) -> None:
    """Not of results in the patient's study, nor of the scanner's own series but for its description, the title."""
    template, out, _ = joined
    with page(out) as answers:
        assert len(max(answers, key=len)) > 3 * 32 * 32
        assert [leaks(a) for a in answers if leaks(a)] == []
    for path in template.glob("*.dcm"):
        head = pydicom.dcmread(path)
        head.SeriesDescription = "t2"
        head.save_as(path)
    with page(template) as answers:
        assert [leaks(a) for a in answers if leaks(a)] == []


def test_a_study_and_its_report_name_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    data = tmp_path / "CANARYWARD"
    inputs = {}
    for name in ("ismrmrd", "fastmri", "twix"):
        (data / name).mkdir(parents=True)
        raw = FORMATS[name](data / name)
        inputs[f"case-{name}"] = {"kind": "scan", "files": f"{name}/{raw.path.name}", "slices": [0]}
    config = {
        "name": "small",
        "inputs": inputs,
        "masks": {"accelerations": [2], "centre": 0.2, "seeds": [0]},
        "methods": {"zero-filled": {"kind": "adjoint"}, "sense": {"kind": "sense", "iterations": 3}},
        "metrics": {"preset": "fastmri"},
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(config))
    out = tmp_path / "out"
    # the scan of four coils has too few calibration lines here: the report explains a hole as well
    assert main(["study", str(tmp_path / "study.yaml"), "--out", str(out), "--data", str(data)]) == 3
    assert main(["study", "status", str(out)]) in (0, 3)
    printed = "".join(capsys.readouterr())
    names = {name for name, _ in files_of(out)}
    assert {"report.html", "scores.csv"} <= names
    assert leaks(printed) == []
    assert {name: found for name, content in files_of(out) if (found := leaks(content))} == {}
    assert leaks(" ".join(names)) == []


@pytest.mark.parametrize("name", ["ismrmrd", "twix"])
def test_folders_reach_no_output_and_a_file_name_only_the_record(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`provenance.json` names the raw file, which README says; nothing names the folder it lay in."""
    folder = tmp_path / "CANARYFOLDER of CANARYNAME"
    folder.mkdir()
    raw: Raw = FORMATS[name](folder)
    assert main(["recon", str(raw.path), "--out", str(tmp_path / "out"), *QUICK]) == 0
    printed = "".join(capsys.readouterr())
    assert leaks(printed) == []
    assert all(leaks(data) == [] for _, data in files_of(tmp_path / "out"))
    renamed = raw.path.rename(folder / f"CANARYFILE{raw.path.suffix}")
    assert main(["recon", str(renamed), "--out", str(tmp_path / "again"), *QUICK]) == 0
    found = [file for file, data in files_of(tmp_path / "again") if leaks(data)]
    assert found == ["provenance.json"]
    assert json.loads((tmp_path / "again" / "provenance.json").read_text())["inputs"][0]["name"] == renamed.name


def test_inspect_repeats_no_text_of_a_nifti_header(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = nibabel.Nifti1Image(np.ones((4, 5, 6), np.float32), np.eye(4))
    for key in ("descrip", "aux_file", "intent_name", "db_name"):
        image.header[key] = b"CANARYNAME"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, f"{NAME} {BORN}".encode()))
    nibabel.save(image, tmp_path / "a.nii.gz")
    for more in ([], ["--json"]):
        assert main(["inspect", str(tmp_path / "a.nii.gz"), *more]) == 0
    data = (tmp_path / "a.nii.gz").read_bytes()
    for size in (60, 200, len(data) - 20):
        (tmp_path / "cut.nii.gz").write_bytes(data[:size])
        main(["inspect", str(tmp_path / "cut.nii.gz")])
    assert main(["recon", str(tmp_path / "a.nii.gz"), "--out", str(tmp_path / "o")]) == 2
    assert leaks("".join(capsys.readouterr())) == []


def test_damaged_templates_and_series_are_refused_without_names(
    joined: tuple[Path, Path, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither on the screen nor in a log: DICOM libraries repeat the values that they find odd."""
    caplog.set_level("DEBUG")
    template, out, _ = joined
    raw = out.parent / "scan.h5"
    data = (template / "0002.dcm").read_bytes()
    for number, damaged in enumerate(
        (
            data[:300],
            data[: len(data) // 3],
            data[:-700],
            data.replace(b"19010203", b"CANARYDA"),
            data.replace(b"CANARYID7731", b"CANARY\xff\x00\x01\x02\x03\x04"),
            data.replace(b"1.2.840.99999.4711.1", b"CANARY.CANARY.CANARY"),
            data.replace(b"\x28\x00\x10\x00US", b"\x28\x00\x10\x00LO"),
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        for path in template.glob("*.dcm"):
            (folder / path.name).write_bytes(path.read_bytes())
        (folder / "0002.dcm").write_bytes(damaged)
        main(["recon", str(raw), "--out", str(folder / "out"), "--dicom", "--template", str(folder), *QUICK])
        main(["verify", str(folder), "--against", str(template)])
        main(["inspect", str(folder)])
        main(["send", str(folder), "--to", "dicom://PACS@127.0.0.1:1", "--check"])
        printed = "".join(capsys.readouterr())
        assert leaks(printed) == [], (number, printed)
        assert leaks(caplog.text) == [], (number, caplog.text)
        assert "Traceback" not in printed


def test_what_a_camera_or_an_editor_wrote_into_a_photograph_is_left_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (48, 48), dtype=np.uint8))
    text = PngInfo()
    text.add_text("Author", NAME)
    text.add_text("Comment", "CANARYCOMMENT")
    exif = Image.Exif()
    exif[0x010E], exif[0x013B] = "CANARYDESCRIPTION", "CANARYARTIST"
    picture.save(tmp_path / "a.png", pnginfo=text, exif=exif)
    assert leaks((tmp_path / "a.png").read_bytes())
    status = main(
        ["restore", str(tmp_path / "a.png"), "--out", str(tmp_path / "out"), "--task", "denoise", "--sigma", "20"]
    )
    printed = "".join(capsys.readouterr())
    assert status == 0, printed
    assert leaks(printed) == []
    assert all(leaks(data) == [] for _, data in files_of(tmp_path / "out"))


def test_a_check_of_a_download_names_files_and_no_patient(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "multicoil_train"
    folder.mkdir()
    FORMATS["fastmri"](folder)
    (folder / "file_brain.h5").rename(folder / "file1000001.h5")
    assert main(["data", "check", "fastmri-knee-multicoil", str(tmp_path), "--open", "--no-checksums"]) == 2
    printed = "".join(capsys.readouterr())
    assert "file1000001" in printed
    assert leaks(printed) == []
