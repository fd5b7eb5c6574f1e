"""Body part and side: defined terms, and what follows from them for laterality and recognisable faces."""

from __future__ import annotations

from pydicom.dataset import Dataset

from mrirecon.io.dicom.elements import put

_SINGLE = (
    "ABDOMEN ABDOMENPELVIS AORTA BACK BLADDER BRAIN CEREBELLUM CSPINE CTSPINE CERVIX CHEST CHESTABDOMEN CHESTABDPELVIS "
    "CIRCLEOFWILLIS COCCYX COLON CORONARYARTERY ESOPHAGUS FACE GALLBLADDER HEAD HEADNECK HEART JAW LARYNX LIVER LSPINE "
    "LSSPINE MAXILLA MEDIASTINUM NECK NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV NOSE PANCREAS PELVIS PENIS PHARYNX "
    "PROSTATE RECTUM SKULL SPINE SPLEEN SSPINE STERNUM STOMACH THYMUS THYROID TLSPINE TONGUE TRACHEA TSPINE URETHRA "
    "UTERUS VAGINA WHOLEBODY"
)
_PAIRED = (
    "ADRENAL ANKLE ARM AXILLA BREAST BUTTOCK CALCANEUS CALF CAROTID CLAVICLE EAR ELBOW EXTREMITY EYE FEMUR FINGER FOOT "
    "HAND HIP HUMERUS IAC KIDNEY KNEE LEG LUNG ORBIT OVARY PAROTID PATELLA RIB SCAPULA SCROTUM SHOULDER TESTIS THIGH "
    "THUMB TMJ TOE WRIST"
)
_FACES = "BRAIN CEREBELLUM CIRCLEOFWILLIS EYE FACE HEAD HEADNECK IAC ORBIT SKULL"


def defined_part(name: str | None) -> str | None:
    """The defined term that `name` is, None if it is none.

    Examples
    --------
    >>> defined_part("Whole body"), defined_part("left little toe"), defined_part(None)
    ('WHOLEBODY', None, None)
    """
    part = "".join(c for c in (name or "").upper() if c.isalpha())
    return part if part in _SINGLE.split() or part in _PAIRED.split() else None


def add_body_part(dataset: Dataset, name: str | None, *, side: str | None = None) -> None:
    """Set the body part, its laterality, and whether a face may be recognised.

    Laterality is absent for a single part, and otherwise present: with a value when the side is known, empty when it
    is not, for no raw format says it. Validators remark on the empty one; that remark is true.

    Parameters
    ----------
    name
        Free wording; kept only if it is a defined term of PS3.16 annex L once blanks and signs are dropped.
    side
        "R" or "L" of a paired part.
    """
    part = defined_part(name) or ""
    single = part in _SINGLE.split()
    if part:
        put(dataset, "BodyPartExamined", part)
    if not single:
        put(dataset, "Laterality", side if side in ("R", "L") else None)
    if part in _FACES.split():
        put(dataset, "RecognizableVisualFeatures", "YES")
