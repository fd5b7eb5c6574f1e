"""The scanner's own series as a template: who was examined, when, and where the slices lie.

Copied are patient, study and acquisition attributes and the frame of reference. Never copied: private elements, icons,
rescale, window, pixel statistics, dates of the instance.
"""

from __future__ import annotations

import itertools
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from mrirecon.errors import FormatError, GeometryError
from mrirecon.io.dicom.body_part import add_body_part
from mrirecon.io.dicom.elements import copy_element, derived_uid, item, put
from mrirecon.io.dicom.quiet import quiet_dicom
from mrirecon.io.grid import slice_order
from mrirecon.scan.geometry import Geometry
from mrirecon.scan.series import ImageSeries

IDENTITY = (  # the patient, patient study and general study modules: equal in every series of a study
    *("PatientName", "PatientID", "IssuerOfPatientID", "TypeOfPatientID", "OtherPatientIDsSequence", "OtherPatientIDs"),
    *("OtherPatientNames", "PatientBirthDate", "PatientBirthTime", "PatientSex", "EthnicGroup", "PatientComments"),
    *("QualityControlSubject", "PatientIdentityRemoved", "DeidentificationMethod"),
    *("DeidentificationMethodCodeSequence", "PatientAge", "PatientSize", "PatientWeight", "PatientBodyMassIndex"),
    *("MedicalAlerts", "Allergies", "SmokingStatus", "PregnancyStatus", "LastMenstrualDate", "PatientState"),
    *("Occupation", "AdditionalPatientHistory", "AdmittingDiagnosesDescription"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID"),
    *("StudyDescription", "ConsultingPhysicianName", "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy"),
    *("RequestingService", "ReasonForVisit", "AdmissionID"),
    *("ProcedureCodeSequence", "ReferencedStudySequence", "LongitudinalTemporalInformationModified"),
)
ACQUISITION = (
    *("Manufacturer", "ManufacturerModelName", "ScanningSequence", "SequenceVariant", "ScanOptions"),
    *("MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength", "InversionTime", "TriggerTime"),
    *("FlipAngle", "MagneticFieldStrength", "ImagingFrequency", "ImagedNucleus", "NumberOfAverages"),
    *("PixelBandwidth", "AcquisitionMatrix", "InPlanePhaseEncodingDirection", "ProtocolName", "SequenceName"),
    *("PatientPosition", "PositionReferenceIndicator"),
)
_EMPTY_ALLOWED = frozenset(
    {"PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber"}
    | {"ReferringPhysicianName", "StudyID"}
)
_LEAST_CORRELATION = 0.5
_LEAST_MARGIN = 0.02


@dataclass(frozen=True, eq=False)
class Template:
    """A checked template series.

    Parameters
    ----------
    slices
        Headers in spatial order along row x column.
    files
        Their files, same order.
    geometry
        Their grid, slices in that order.
    notes
        What could not be taken over, one sentence each.
    """

    slices: tuple[Dataset, ...]
    files: tuple[Path, ...]
    geometry: Geometry
    notes: tuple[str, ...] = ()

    @property
    def frame_of_reference_uid(self) -> str:
        """The template's frame of reference, or a new one for the study when it has none."""
        known = self.slices[0].get("FrameOfReferenceUID")
        return str(known) if known else str(derived_uid("frame", str(self.slices[0].StudyInstanceUID)))

    @property
    def derived_series_number(self) -> int:
        """Source number x 100 + 1, or 901 when the source has none."""
        number = self.slices[0].get("SeriesNumber")
        return 901 if not number or not 0 < int(number) < 10_000_000 else int(number) * 100 + 1

    def place(self, series: ImageSeries) -> ImageSeries:
        """The series itself when its position is known and agrees; on the template's grid when it was nominal.

        Raises
        ------
        GeometryError
            If study, frame of reference or grids disagree, or a nominal series does not show what the template shows
            in this orientation.
        """
        self.require(series)
        if not series.geometry.nominal:
            return series
        shape = series.image.shape
        order = list(slice_order(series.geometry, shape[0]))
        self._compare_pictures(series.image[order])
        geometry = self.geometry if order[0] == 0 else self.geometry.flipped(0, shape[0])
        return replace(series, geometry=geometry)

    def require(self, series: ImageSeries) -> None:
        """All that can be asked without pixels.

        Raises
        ------
        GeometryError
            If study or frame of reference are others than the raw data say, or a known position disagrees.
        """
        self._compare_references(series)
        if not series.geometry.nominal:
            order = list(slice_order(series.geometry, series.image.shape[0]))
            _compare_positions(series.geometry, self.geometry, order, series.image.shape)

    def copy_into(self, dataset: Dataset) -> None:
        """Patient, study and acquisition attributes; an acquisition value that differs between slices stays out."""
        head = self.slices[0]
        with quiet_dicom():
            if head.get("SpecificCharacterSet"):  # names must stay equal to the byte, so ours give way
                _fold_to_ascii(dataset)
                copy_element(dataset, head, "SpecificCharacterSet")
            for keyword in _EMPTY_ALLOWED:
                put(dataset, keyword, None)
            for keyword in IDENTITY:
                if keyword in head and not copy_element(dataset, head, keyword):
                    raise FormatError(
                        self.files[0], "the template's value is not legal DICOM; correct it first", key=keyword
                    )
            for keyword in ACQUISITION:
                if keyword in head and head[keyword].value not in (None, "") and self._constant(keyword):
                    copy_element(dataset, head, keyword)
        if head.get("BodyPartExamined"):
            for keyword in ("BodyPartExamined", "Laterality", "RecognizableVisualFeatures"):
                dataset.pop(keyword, None)
            add_body_part(dataset, str(head.BodyPartExamined), side=head.get("Laterality"))

    def refer(self, dataset: Dataset, number: int) -> None:
        """Point slice `number` at its counterpart.

        It is the source of patient, study and acquisition attributes and shows the same place, not the source of the
        pixels: those come from k-space, as DerivationDescription says, and no code for the purpose claims otherwise.
        """
        here = self.slices[number]
        related = {"ReferencedSOPClassUID": here.SOPClassUID, "ReferencedSOPInstanceUID": here.SOPInstanceUID}
        put(dataset, "ReferencedImageSequence", [item(**related)])
        put(dataset, "SourceImageSequence", [item(**related, SpatialLocationsPreserved="YES")])
        put(
            dataset,
            "ReferencedSeriesSequence",
            [item(SeriesInstanceUID=here.SeriesInstanceUID, ReferencedInstanceSequence=[item(**related)])],
        )

    def _compare_references(self, series: ImageSeries) -> None:
        """The raw data's own study and frame of reference, where both sides still have theirs."""
        head = self.slices[0]
        if str(head.get("PatientIdentityRemoved") or "") == "YES":
            return  # its identifiers were replaced
        frame = series.geometry.frame_of_reference_uid
        replaced = frame is not None and frame.startswith("2.25.")  # a stand-in that a reader made
        for name, ours, theirs in (
            ("study", series.subject.study_instance_uid, head.get("StudyInstanceUID")),
            ("frame of reference", None if replaced else frame, head.get("FrameOfReferenceUID")),
        ):
            if ours and theirs and str(ours) != str(theirs):
                raise GeometryError(
                    f"the template belongs to another {name} than the raw data say; give the series of this "
                    "acquisition, or export without a template"
                )

    def _constant(self, keyword: str) -> bool:
        first = self.slices[0][keyword].value
        return all(keyword in s and s[keyword].value == first for s in self.slices)

    def _compare_pictures(self, image: NDArray[np.float32]) -> None:
        reference = np.stack([_pixels(path) for path in self.files])
        scores = {
            flips: _correlation(np.flip(image, flips), reference)
            for count in range(4)
            for flips in itertools.combinations(range(3), count)
        }
        identity = scores.pop(())
        if len(image) == 1:  # flipping one slice along z changes nothing
            scores = {flips: value for flips, value in scores.items() if 0 not in flips}
        best = max(scores, key=lambda flips: scores[flips])
        if identity < _LEAST_CORRELATION or identity < scores[best] + _LEAST_MARGIN:
            axes = ", ".join("zyx"[axis] for axis in best)
            raise GeometryError(
                "the position of the template is not taken over, because the pictures do not agree: correlation "
                f"{identity:.2f} as they are, {scores[best]:.2f} after reversing {axes}; expected at least "
                f"{_LEAST_CORRELATION} and {_LEAST_MARGIN} more than any reversal. Give the template of this very "
                "acquisition, turn the image in the reader, or export without a template"
            )


def _compare_positions(ours: Geometry, theirs: Geometry, order: list[int], shape: tuple[int, ...]) -> None:
    ends = [(0, order[0]), (shape[0] - 1, order[-1])]
    moved = max(
        float(np.linalg.norm(ours.position((k, j, i)) - theirs.position((number, j, i))))
        for number, k in ends
        for j in (0, shape[1] - 1)
        for i in (0, shape[2] - 1)
    )
    allowed = 0.5 * min(ours.voxel_size_mm[1:])
    if moved > allowed:
        middle = [(n - 1) / 2 for n in shape]
        beside = float(np.linalg.norm(ours.position(middle) - theirs.position(middle)))
        turned = (
            "; the centres agree: its rows or columns run another way, try --view acquired" if beside < allowed else ""
        )
        raise GeometryError(
            f"the template lies elsewhere: corners are {moved:.2f} mm from those of the image, allowed is "
            f"{allowed:.2f} mm (half a pixel); give the series of this acquisition{turned}"
        )


def _fold_to_ascii(dataset: Dataset) -> None:
    for element in dataset.iterall():
        if element.VR in ("LO", "LT", "PN", "SH", "ST", "UT") and isinstance(element.value, str):
            plain = unicodedata.normalize("NFKD", element.value).encode("ascii", "ignore").decode()
            element.value = plain


def _pixels(path: Path) -> NDArray[np.float64]:
    try:
        with quiet_dicom():
            return np.asarray(dcmread(path).pixel_array, dtype=np.float64)
    except (OSError, ValueError, AttributeError, RuntimeError, NotImplementedError) as error:
        raise FormatError(
            path, f"the template's pixels are needed to confirm the orientation but cannot be read: {error}"
        ) from error


def _correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    x = a.astype(np.float64) - a.mean(dtype=np.float64)
    y = b - b.mean()
    norm = np.linalg.norm(x) * np.linalg.norm(y)
    return float((x * y).sum() / norm) if norm > 0 else 0.0
