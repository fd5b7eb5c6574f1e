"""No canary of any raw format reaches any output, log, error message, report or page."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import ImageDraw

from mrirecon.cli import main
from tests.privacy.raw_files import FORMATS, Raw, files_of, leaks

FRACTIONS = (0.02, 0.3, 0.6, 0.9, 0.999)


@dataclass(frozen=True)
class Case:
    raw: Raw
    out: Path
    printed: str
    drawn: tuple[str, ...]


@pytest.fixture(scope="module", params=list(FORMATS))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp(request.param.replace("-", "_"))
    raw = FORMATS[request.param](folder)
    with pytest.MonkeyPatch.context() as patch:
        written: list[str] = []
        for stream in ("stdout", "stderr"):
            patch.setattr(f"sys.{stream}.write", written.append, raising=False)
        drawn: list[str] = []
        patch.setattr(ImageDraw.ImageDraw, "text", recording(ImageDraw.ImageDraw.text, drawn))
        everything = ("--dicom", "--nifti", "--png", "--npy", "--method", "sense", "--iterations", "3")
        status = main(["recon", str(raw.path), "--out", str(folder / "out"), *everything, *raw.options])
    assert status == 0, "".join(written)
    return Case(raw, folder / "out", "".join(written), tuple(drawn))


def recording(draw: Callable[..., Any], drawn: list[str]) -> Callable[..., Any]:
    """A pen that remembers what it wrote into pictures."""

    def text(self: Any, xy: Any, words: str, *arguments: Any, **named: Any) -> Any:
        drawn.append(words)
        return draw(self, xy, words, *arguments, **named)

    return text


def test_the_canaries_are_in_the_raw_file(case: Case) -> None:
    """Otherwise nothing below could fail."""
    around = [p for p in case.raw.path.parent.iterdir() if p.is_file()]
    assert any(leaks(p.read_bytes()) for p in around)


def test_no_output_file_holds_one(case: Case) -> None:
    files = dict(files_of(case.out))
    assert files.keys() >= {"dicom/0001.dcm", "image.nii.gz", "image.png", "image.npy", "provenance.json"}
    assert {name: found for name, data in files.items() if (found := leaks(data))} == {}
    assert not leaks(" ".join(files))


def test_nothing_is_printed(case: Case) -> None:
    assert len(case.printed) > 100
    assert leaks(case.printed) == []


def test_nothing_is_burned_into_a_picture(case: Case) -> None:
    """Pixels cannot be searched, so every word that was drawn is; lines are joined, as a name may be wrapped."""
    assert (case.out / "certificate.png").is_file()
    assert (case.out / "dicom_certificate" / "0001.dcm").is_file()
    assert {"Certificate of a reconstruction", "Warnings"} & set(case.drawn)
    for joint in ("", " ", "\n"):
        assert leaks(joint.join(case.drawn)) == []


def test_the_record_says_that_identifiers_were_removed(case: Case) -> None:
    record = json.loads((case.out / "provenance.json").read_text())
    assert record["identifiers"] == {"state": "removed"}


def test_inspect_names_fields_and_no_value(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    for more in ([], ["--json"]):
        assert main(["inspect", str(case.raw.path), *more]) == 0
        printed = "".join(capsys.readouterr())
        assert leaks(printed.replace(str(case.raw.path.parent), "")) == []
        if case.raw.path.name in ("scan.h5", "file_brain.h5"):
            assert "patientName" in printed


@pytest.mark.parametrize("fraction", FRACTIONS)
def test_a_truncated_file_is_refused_without_saying_whose_it_is(
    case: Case, fraction: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = case.raw.path.read_bytes()
    cut = tmp_path / case.raw.path.name
    cut.write_bytes(data[: int(fraction * len(data))])
    header = case.raw.path.with_suffix(".hdr")
    if header.is_file():
        cut.with_suffix(".hdr").write_bytes(header.read_bytes())
    inspected = main(["inspect", str(cut)])
    status = main(["recon", str(cut), "--out", str(tmp_path / "out"), "--nifti", "--method", "adjoint"])
    printed = "".join(capsys.readouterr())
    assert status == 2 or inspected == 0, "a damaged file that passes inspection may still be read up to the damage"
    assert leaks(printed) == []
    assert "Traceback" not in printed


def test_a_damaged_header_is_refused_without_repeating_it(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Numbers, XML and keys of the text are spoilt one after the other; whatever happens, no name is printed."""
    data = case.raw.path.read_bytes()
    sides = [p for p in case.raw.path.parent.iterdir() if p.is_file() and p != case.raw.path]
    for number, (old, new) in enumerate(
        (
            (b"</patientName>", b"</patientNaem>"),
            (b"<x>32</x>", b"<x>CANARYID</x>"[: len(b"<x>32</x>")]),
            (b"ismrmrdHeader", b"canaryheaders"),
            (b"<trajectory>cartesian<", b"<trajectory>canarytra<"),
            (b"<minimum>0</minimum>", b"<minimum>canary1234"[:12] + b"</minimum>"[:8]),
            (b"tPatientName", b"tPat{ent<ame"),
            (b"ASCCONV BEGIN", b"ASCCONV BEGAN"),
            (b"lBaseResolution", b"lBaseRes\x00lution"),
            (b"kspace", b"kspxce"),
        )
    ):
        if old not in data:
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        for side in sides:
            (folder / side.name).write_bytes(side.read_bytes())
        damaged = folder / case.raw.path.name
        damaged.write_bytes(data.replace(old, new))
        main(["inspect", str(damaged)])
        main(["recon", str(damaged), "--out", str(folder / "out"), "--nifti", "--method", "adjoint"])
        printed = "".join(capsys.readouterr()).replace(str(folder), "")
        assert leaks(printed) == [], (old, printed)
        assert "Traceback" not in printed
