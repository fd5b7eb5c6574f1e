"""A raw file of every format, with a canary in every place where people, places or dates are written."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import ismrmrd
import numpy as np

from tests.acceptance.scans import ScanRecipe, write_scan
from tests.data.layouts import calgary_campinas, cmrxrecon, m4raw, skm_tea
from tests.data.layouts.objects import coil_images
from tests.io.twix_phantom import OVERSAMPLING, Line, header_text, protocol, siemens_kspace, write
from tests.io.writers_for_tests import header_xml, write_fastmri

NAME, PATIENT, BORN = "CANARYNAME^CANARYGIVEN", "CANARYID7731", "1901-02-03"
STUDY_UID, FRAME_UID = "1.2.840.99999.4711.1", "1.2.840.99999.4711.2"
CANARIES = (  # looked for in capitals and small letters, without separators of dates
    *("canary", "19010203", "424242", "77.123", "1.2.840.99999.4711", "20190817"),
)
COILS, SIDE = 4, 32
SUBJECT = {
    "patientName": NAME, "patientWeight_kg": "77.123", "patientHeight_m": "1.77123", "patientID": PATIENT,
    "patientBirthdate": BORN, "patientGender": "F",
}  # fmt: skip
STUDY = {
    "studyDate": "2019-08-17", "studyTime": "11:22:33", "studyID": "CANARYSTUDY", "accessionNumber": "424242",
    "referringPhysicianName": "CANARYDOC^R", "studyDescription": "CANARYSTUDYTEXT", "studyInstanceUID": STUDY_UID,
}  # fmt: skip
MEASUREMENT = {
    "measurementID": "CANARYMEASUREMENT", "seriesDate": "2019-08-17", "seriesTime": "11:22:44",
    "patientPosition": "HFS", "protocolName": "CANARYPROTOCOL", "seriesDescription": "CANARYSERIESTEXT",
    "seriesInstanceUIDRoot": f"{STUDY_UID}.9", "frameOfReferenceUID": FRAME_UID, "sequenceName": "CANARYNAME_gre",
    "referencedImageSequence": "<referencedSOPInstanceUID>1.2.840.99999.4711.5</referencedSOPInstanceUID>",
}  # fmt: skip
SYSTEM = {
    "systemVendor": "ACME", "systemModel": "Scanner of CANARYGIVEN", "systemFieldStrength_T": "3.0",
    "institutionName": "CANARYHOSPITAL", "stationName": "CANARYSTATION", "deviceID": "CANARYDEVICE",
    "deviceSerialNumber": "424242",
}  # fmt: skip
USER = (
    *("<userParameterString><name>PatientComment</name><value>CANARYCOMMENT</value></userParameterString>",),
    *("<userParameterString><name>operator</name><value>CANARYOPERATOR</value></userParameterString>",),
    *("<userParameterString><name>any</name><value>CANARYUSERTEXT</value></userParameterString>",),
    *("<userParameterBase64><name>blob</name><value>Q0FOQVJZTkFNRQ==CANARYBASE</value></userParameterBase64>",),
)
WAVEFORM = (
    "<waveformInformation><waveformName>CANARYWAVEFORM</waveformName><waveformType>ecg</waveformType>"
    f"<userParameters>{''.join(USER)}</userParameters></waveformInformation>"
)


@dataclass(frozen=True)
class Raw:
    """A raw file, what `recon` needs to be told, and whether its header may be cut out of it."""

    path: Path
    options: tuple[str, ...] = ()


def element(name: str, children: dict[str, str]) -> str:
    return f"<{name}>{''.join(f'<{k}>{v}</{k}>' for k, v in children.items())}</{name}>"


def identify_xml(text: str) -> str:
    """An MRD header with every identifying element that the schema knows, in place of its own ones."""
    for name in ("subjectInformation", "studyInformation", "measurementInformation", "acquisitionSystemInformation"):
        text = re.sub(f"<{name}>.*?</{name}>", "", text, flags=re.DOTALL)
    root = text.index(">", text.index("ismrmrdHeader")) + 1
    before = element("subjectInformation", SUBJECT) + element("studyInformation", STUDY | {"bodyPartExamined": "BRAIN"})
    before += element("measurementInformation", MEASUREMENT) + element("acquisitionSystemInformation", SYSTEM)
    text = text[:root] + before + text[root:]
    if "<userParameters>" in text:
        text = text.replace("<userParameters>", "<userParameters>" + "".join(USER), 1)
    else:
        text = text.replace("</ismrmrdHeader>", f"<userParameters>{''.join(USER)}</userParameters></ismrmrdHeader>")
    return text.replace("</ismrmrdHeader>", f"{WAVEFORM}</ismrmrdHeader>")


def mrd(folder: Path) -> Raw:
    path = write_scan(folder / "scan.h5", ScanRecipe(matrix=(3, SIDE, SIDE), voxel=(5.0, 5.0, 5.0)))
    identify_mrd(path)
    with ismrmrd.Dataset(str(path), "dataset", create_if_needed=False) as file:
        file.append_waveform(ismrmrd.Waveform.from_array(np.arange(6, dtype=np.uint32).reshape(1, 6)))
    return Raw(path)


def identify_mrd(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["dataset/xml"][0] = identify_xml(file["dataset/xml"][0].decode())
        file.attrs["operator"] = "CANARYATTRIBUTE"


def kspace(n: int = 2) -> np.ndarray:
    """(slice, coil, y, x) with the usual Fourier sign, and a little noise."""
    images = coil_images(n, SIDE, SIDE, coils=COILS)
    rng = np.random.default_rng(0)
    centred = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(images, axes=(-2, -1)), norm="ortho"), axes=(-2, -1))
    noise = rng.standard_normal(images.shape) + 1j * rng.standard_normal(images.shape)
    return (centred + 0.02 * noise).astype(np.complex64)


def fastmri(folder: Path) -> Raw:
    xml = header_xml((SIDE, SIDE, 1), (160.0, 160.0, 5.0), (SIDE, SIDE, 1), (160.0, 160.0, 5.0))
    attributes = {
        "acquisition": "AXT2", "max": 1.0, "norm": 9.0, "patient_id": PATIENT, "patient_name": NAME,
        "institution": "CANARYHOSPITAL", "birth_date": BORN,
    }  # fmt: skip
    write_fastmri(folder / "file_brain.h5", kspace(), xml=identify_xml(xml), attributes=attributes)
    return Raw(folder / "file_brain.h5")


def m4raw_file(folder: Path) -> Raw:
    text = identify_xml(m4raw.header(study="CANARYSTUDY", name="CANARYNAME").decode())
    images = coil_images(*m4raw.SHAPE[:1], *m4raw.SHAPE[2:], coils=m4raw.SHAPE[1])
    planes = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(images, axes=(-2, -1)), norm="ortho"), axes=(-2, -1))
    path = m4raw.write(folder / "T201.h5", planes, ismrmrd_header=text.encode())
    with h5py.File(path, "a") as file:
        file.attrs["patient_id"] = PATIENT
        file.attrs["acquisition"] = f"AXT2 of {PATIENT}"
    return Raw(path, ("--slices", "0"))


def twix(folder: Path) -> Raw:
    images = coil_images(1, SIDE, 2 * SIDE, coils=COILS)[0]
    rng = np.random.default_rng(0)
    data = siemens_kspace(images, (-2, -1)) + 0.01 * rng.standard_normal(images.shape)
    lines = [
        Line(data[:, i].astype(np.complex64), {"Lin": i}, (), SIDE, SIDE // 2, time=4 * i) for i in range(SIDE)
    ]  # fmt: skip
    names = {
        "tPatientName": NAME, "PatientName": NAME, "PatientID": PATIENT, "PatientBirthDay": "19010203",
        "PatientLOID": "CANARYLOID", "tPerfPhysiciansName": "CANARYDOC", "InstitutionName": "CANARYHOSPITAL",
        "InstitutionAddress": "CANARYSTREET 1", "DeviceSerialNumber": "424242", "StudyInstanceUID": STUDY_UID,
        "StudyLOID": "CANARYSTUDYLOID", "ExamMemoryUID": "CANARYMEMORY", "tFrameOfReference": FRAME_UID,
        "StudyComment": "CANARYCOMMENT", "OperatorName": "CANARYOPERATOR", "SoftwareVersions": "syngo MR E11",
        "ManufacturersModelName": "Prisma", "tBodyPartExamined": "HEAD",
    }  # fmt: skip
    params = "".join(f'<ParamString."{k}"> {{ "{v}" }}\n' for k, v in names.items())
    params += '<ParamLong."PatientSex"> { 1 }\n<ParamDouble."flUsedPatientWeight"> { <Precision> 6 77.123 }\n'
    yaps = protocol(base=SIDE, lines=SIDE).replace('"gre"', '"CANARYPROTOCOL"').replace("\\gre", "\\CANARYNAME_gre")
    assert "CANARYPROTOCOL" in yaps
    assert "CANARYNAME_gre" in yaps
    header = header_text(yaps, dicom=OVERSAMPLING + params, meas=params, config=params)
    return Raw(write(folder / "meas.dat", [(header, lines)]))


def cfl(folder: Path) -> Raw:
    data = kspace()[0]  # (coil, y, x)
    dims = (SIDE, SIDE, 1, COILS, *(1,) * 12)
    (folder / "scan.cfl").write_bytes(np.ascontiguousarray(data).astype("<c8").tobytes())
    (folder / "scan.hdr").write_text(
        f"# Dimensions\n{' '.join(map(str, dims))}\n# Command\nread --patient {NAME}\n# Files\n >/home/CANARYUSER/x\n"
        f"# Creator\nBART of CANARYHOSPITAL {BORN}\n"
    )
    (folder / "scan.txt").write_text(f"{NAME} {PATIENT}")
    return Raw(folder / "scan.cfl")


def npy(folder: Path) -> Raw:
    np.save(folder / "scan.npy", kspace())
    (folder / "scan.json").write_text(json.dumps({"voxel_size_mm": [5, 5, 5], "body_part": "CANARYNAME brain"}))
    return Raw(folder / "scan.npy")


def identify_hdf5(path: Path) -> Path:
    """Attributes and data sets that no reader asks for."""
    with h5py.File(path, "a") as file:
        for name, value in {
            "patient_name": NAME,
            "patient_id": PATIENT,
            "birth": BORN,
            "site": "CANARYHOSPITAL",
        }.items():
            file.attrs[name] = value
            for key in list(file):
                if isinstance(file[key], h5py.Dataset):
                    file[key].attrs[name] = value
        file["patient"] = NAME
    return path


def calgary(folder: Path) -> Raw:
    images = coil_images(3, SIDE, SIDE, coils=12)
    path = calgary_campinas.write(folder / "e1.h5", calgary_campinas.kspace_of(images) + 0.1)
    return Raw(identify_hdf5(path))


def skm(folder: Path) -> Raw:
    images = coil_images(3, SIDE, SIDE, coils=COILS)
    planes = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(images, axes=(-2, -1)), norm="ortho"), axes=(-2, -1))
    return Raw(identify_hdf5(skm_tea.write(folder / "MTR_001.h5", np.stack([planes, 0.5 * planes], -1))))


def cmrx(folder: Path) -> Raw:
    values = kspace().transpose(3, 2, 1, 0)[..., None]  # (kx, ky, coil, slice, frame)
    path = cmrxrecon.write(folder / "cine_sax.mat", kspace_full=np.concatenate([values, values], -1))
    with h5py.File(path, "a") as file:
        file["kspace_full"].attrs["patient_name"] = NAME
        file.attrs["patient_id"] = PATIENT
    return Raw(path)


FORMATS: dict[str, Callable[[Path], Raw]] = {
    "ismrmrd": mrd,
    "fastmri": fastmri,
    "m4raw": m4raw_file,
    "twix": twix,
    "cfl": cfl,
    "npy": npy,
    "calgary-campinas": calgary,
    "skm-tea": skm,
    "cmrxrecon": cmrx,
}


def leaks(text: str | bytes) -> list[str]:
    """Canaries in `text`, whatever their letters' case and the separators of dates."""
    plain = text.decode("latin-1") if isinstance(text, bytes) else text
    plain = plain.lower()
    return [word for word in CANARIES if word in plain or (word.isdigit() and word in plain.replace("-", ""))]


def files_of(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every file in a folder; behind those of a packed one what they unpack to."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        yield path.relative_to(folder).as_posix(), data + gzip.decompress(data) if path.suffix == ".gz" else data
