"""What a reconstructed series says about how it was made: summary, parameters, description, warnings."""

from __future__ import annotations

from typing import Any

from mrirecon import __version__
from mrirecon.config.build_unfolded import TrainedMethod
from mrirecon.config.schema import ReconstructionConfig, Unfolded
from mrirecon.io.dicom.series import NOMINAL_WARNING
from mrirecon.jobs.calibrate import Calibration
from mrirecon.mri.mask_card import MaskCard
from mrirecon.records import to_mapping
from mrirecon.scan import Derivation, Scan

LEARNED_WARNING = "made with a neural network, which can add or remove detail: compare with a classical reconstruction"


def derivation(
    scan: Scan,
    config: ReconstructionConfig,
    calibration: Calibration,
    *,
    card: MaskCard | None,
    trained: TrainedMethod | None,
    sha256: str,
    chosen: range,
) -> Derivation:
    """How the images came about, for DICOM and for the record.

    Parameters
    ----------
    scan, config, calibration
        As used.
    card
        Of a retrospective mask.
    trained
        The network of a learned method.
    sha256
        Checksum of the raw data.
    chosen
        Slices reconstructed.
    """
    parameters: dict[str, Any] = {
        "config": to_mapping(config),
        "mask_card": card.to_dict() if card else None,
        "whitening": calibration.whitening,
        "scale": calibration.scale,
        "slices": [chosen.start, chosen.stop],
        "format": scan.format,
    }
    if trained is not None:
        parameters["network"] = trained.record()
    method = config.method.kind
    without_maps = method == "adjoint" and getattr(config.method, "combine", "") == "rss"
    words = [f"mrirecon {__version__} {method}"]
    words += [] if without_maps else [f"{config.maps.kind} maps"]
    if trained is not None and isinstance(config.method, Unfolded):
        words += _sampler(config.method, trained, config.seed)
    words += [] if card is None else [_mask(card, full=trained is not None)]
    words += [f"whitening {calibration.whitening}"]
    kind = "learned" if trained is not None else "linear" if method in ("adjoint", "sense") else "iterative"
    return Derivation(method, ", ".join(words), parameters, sha256, kind, scan.simulated)  # type: ignore[arg-type]


def estimate_name(method: Unfolded) -> str:
    """What the image of a sampler is, in words."""
    if method.samples > 1:
        return f"mean of {method.samples} posterior samples"
    return "posterior mean in one step" if method.steps == 1 else "a single posterior sample"


def spread_summary(summary: str, n_samples: int, multiple: int, *, factor: float | None = None) -> str:
    """The summary of a standard-deviation series that stores `multiple` times the numbers of its image series.

    `factor` is the conformal factor that is in it, None if the checkpoint has none.
    """
    calibrated = "not calibrated" if factor is None else f"multiplied by the conformal factor {factor:.4g}"
    return (
        f"standard deviation of the magnitude over {n_samples} posterior samples, {calibrated}, stored value "
        f"{multiple} x that of the image series; {summary}"
    )


def spread_notes(method: Unfolded, trained: TrainedMethod) -> tuple[str, ...]:
    """What the standard deviation over several samples is worth, in words; nothing where there is none."""
    if method.samples == 1:
        return ()
    found = trained.card.uncertainty
    if found is None:
        return (f"The standard deviation is that of the samples as drawn: {trained.card.name} has no calibration.",)
    text = (
        f"The standard deviation was multiplied by the conformal factor {found.factor:.4g} of {trained.card.name}: on "
        f"{', '.join(found.subjects)} the {100 * found.level:g} % interval covered {100 * found.coverage_before:.1f} % "
        f"without and {100 * found.coverage_after:.1f} % with it. No guarantee for other people, anatomy or scanners."
    )
    if (found.steps, found.sampler) == (method.steps, method.sampler) and method.churn == 0:
        return (text,)
    return (text, f"It was found with {found.steps} {found.sampler} steps without churn, and is approximate here.")


def description(config: ReconstructionConfig, card: MaskCard | None, trained: TrainedMethod | None) -> str:
    """The series description."""
    words = [f"mrirecon {config.method.kind}"]
    if trained is not None and isinstance(config.method, Unfolded):
        words += [f"{trained.card.name} N{config.method.steps}"]
        words += [f"S{config.method.samples}"] if config.method.samples > 1 else []
    words += [] if card is None else [f"R{card.nominal_acceleration:g} {card.kind}"]
    return " ".join(words)


def warnings(scan: Scan, trained: TrainedMethod | None) -> tuple[str, ...]:
    """Sentences that must reach the reader of the images."""
    found: tuple[str, ...] = ()
    if scan.simulated:
        found += ("The k-space was simulated from images.",)
    if scan.geometry.nominal:
        found += (NOMINAL_WARNING,)
    if trained is not None:
        found += (LEARNED_WARNING, *(f"{trained.card.name}: {note}" for note in trained.card.notes))
    return found


def _sampler(method: Unfolded, trained: TrainedMethod, seed: int) -> list[str]:
    words = [
        f"network {trained.card.name} sha256 {trained.card.weights_sha256}",
        f"{method.steps} steps" if method.steps > 1 else "1 step",
    ]
    words += [method.sampler] if method.steps > 1 else []
    words += [f"churn {method.churn:g}"] if method.churn > 0 else []
    return [*words, estimate_name(method), f"seed {seed}"]


def _mask(card: MaskCard, *, full: bool) -> str:
    text = f"retrospective {card.kind} R={card.nominal_acceleration:g}"
    if not full:
        return text
    lines = f"{card.n_sampled} of {card.n_phase_encodings} phase encodings, {card.centre_lines} centre lines"
    return f"{text} ({lines}, mask seed {card.seed}, mask sha256 {card.sha256})"
