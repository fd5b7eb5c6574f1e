"""What the certificate page of a reconstruction says, in words for the reader of the images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrirecon.config.schema import Adjoint, Unfolded
from mrirecon.io.dicom.attributes import RESEARCH_PHRASE, version_text
from mrirecon.io.raster.certificate import CertificatePage, CertificateSection, Tone
from mrirecon.jobs.derivation import estimate_name
from mrirecon.jobs.reconstruct import Outcome
from mrirecon.metrics.certificate import CertificateResult
from mrirecon.metrics.shift_report import ShiftReport

DATA_QUESTION = "Does the image agree with what was measured?"
SHIFT_QUESTION = "Is this scan like those that the network was trained on?"
FAILED_ADVICE = "Do not read these images alone: compare with a classical reconstruction that passes, or scan again."
_KINDS = {"linear": "linear, no network", "iterative": "iterative, no network", "learned": "learned: a neural network"}
_SHIFT: dict[str, tuple[str, Tone]] = {
    "usual": ("USUAL", "good"),
    "unusual": ("UNUSUAL", "bad"),
    "not scored": ("NOT SCORED", "unknown"),
}


def certificate_page(
    outcome: Outcome, *, series_number: int | None, shift: ShiftReport | None = None
) -> CertificatePage:
    """The page of a reconstruction.

    Parameters
    ----------
    outcome
        What was reconstructed, with its data-consistency certificate.
    series_number
        Of the DICOM series that the page is about, None without one.
    shift
        What the shift alarm found; None if it was not asked.
    """
    said = () if shift is None else (shift.sentence,)
    found = [*outcome.series.warnings, *(() if shift is None else shift.warnings)]
    return CertificatePage(
        title="Certificate of a reconstruction",
        sections=(data_section(outcome.certificate), shift_section(shift, learned=outcome.trained is not None)),
        rows=tuple(_rows(outcome, series_number)),
        warnings=tuple(w for w in dict.fromkeys(found) if w not in said),
        footer=f"{RESEARCH_PHRASE}  |  {version_text()}",
        mask=outcome.mask,
    )


def data_section(result: CertificateResult) -> CertificateSection:
    """The verdict on data consistency."""
    tone: Tone = "good"
    verdict = result.verdict.upper()
    if result.verdict != "pass":
        tone = "bad" if result.verdict == "fail" else "unknown"
    elif result.p_overall is not None and result.p_overall <= result.false_alarm_rate:
        verdict = "PASS, within tolerance"
    reason = result.sentence.partition(": ")[2]
    texts = (f"{reason[:1].upper()}{reason[1:]}", *((FAILED_ADVICE,) if result.verdict == "fail" else ()))
    limits = (result.limits,) if result.limits else ()
    return CertificateSection(DATA_QUESTION, verdict, tone, texts, limits)


def shift_section(shift: ShiftReport | None, *, learned: bool) -> CertificateSection:
    """The verdict of the shift alarm."""
    if not learned:
        return CertificateSection(SHIFT_QUESTION, "NO NETWORK", "good", ("This method learned nothing from scans.",))
    if shift is None:
        text = "The shift alarm was not run: whether the network suits this scan is not known."
        return CertificateSection(SHIFT_QUESTION, "NOT ASSESSED", "unknown", (text,))
    verdict, tone = _SHIFT[shift.verdict]
    limits = (shift.limits,) if shift.limits and shift.verdict != "not scored" else ()
    return CertificateSection(SHIFT_QUESTION, verdict, tone, (shift.sentence,), limits)


def _rows(outcome: Outcome, series_number: int | None) -> list[tuple[str, str]]:
    method = outcome.config.method
    words = [f"{method.kind} ({_KINDS[outcome.series.derivation.kind]})"]
    words += [estimate_name(method)] if isinstance(method, Unfolded) else []
    series = outcome.series.description
    series = series if series_number is None else f"series {series_number}: {series}"
    rows = [("Images", series), ("Method", ", ".join(words))]
    if outcome.trained is not None:
        card = outcome.trained.card
        rows += [("Checkpoint", f"{card.name}, SHA-256 {card.weights_sha256}")]
        rows += [("Trained on", ", ".join(entry.name for entry in card.data))]
    rows += [("Data test", _form(outcome.certificate))] if outcome.certificate.expectation != "none" else []
    rows += [("Acceleration", acceleration(outcome))]
    if outcome.card is not None:
        seed = outcome.card.seed if isinstance(outcome.card.seed, int) else "from the file name"
        rows += [("Mask", f"drawn after the scan, seed {seed}, SHA-256 {outcome.card.sha256[:16]}...")]
    plan = outcome.plan
    coils = f"{plan.n_coils}"
    coils += f" compressed to {plan.n_virtual_coils}" if plan.n_virtual_coils != plan.n_coils else ""
    if not (isinstance(method, Adjoint) and method.combine == "rss"):
        coils += f", {outcome.config.maps.kind} maps"
    return [*rows, ("Coils, noise", f"{coils}, whitening by {outcome.calibration.whitening}")]


def _form(result: CertificateResult) -> str:
    if result.expectation == "bound":
        return "quick: against an upper bound of the noise"
    return f"sharp: against {result.replicas} simulated repetitions"


def acceleration(outcome: Outcome) -> str:
    """R as it is, and of a mask that was laid over the data, as it was asked for."""
    card = outcome.card
    if card is not None:
        return (
            f"R = {card.effective_acceleration:.3g} effective: {card.n_sampled} of {card.n_phase_encodings} phase "
            f"encodings; {card.kind} R = {card.nominal_acceleration:g} with {card.centre_lines} centre lines"
        )
    if outcome.mask is None:
        return "unknown"
    mask = _phase_encodings(outcome.mask)
    n = int(mask.sum())
    return f"R = {mask.size / max(n, 1):.3g} effective: {n} of {mask.size} phase encodings, as acquired"


def _phase_encodings(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Lines where an axis is sampled throughout or not at all, else points."""
    for axis in (0, 1):
        if (mask.all(axis=axis) == mask.any(axis=axis)).all():
            return np.asarray(mask.any(axis=axis))
    return mask
