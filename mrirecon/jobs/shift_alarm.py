"""The shift alarm of a reconstruction job: profiles of a few planes, judged by the model card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mrirecon.config.build_unfolded import TrainedMethod
from mrirecon.diffusion.conditional import ConditionalDenoiser
from mrirecon.evaluation.problems import evenly_spaced
from mrirecon.evaluation.shift_profile import ShiftProfile, shift_profile, stacked
from mrirecon.metrics.shift_report import CueName, ShiftCue, ShiftReport, not_scored
from mrirecon.mri.mask_description import describe_mask
from mrirecon.operators.mri import CartesianMRI
from mrirecon.training.card import Card
from mrirecon.training.shift_card import ShiftCard, trained_ranges

SCORED_PLANES = 8
"""Planes of a scan that are scored at most: the cost is bounded, and their median decides."""
_TOLERANCE = 1.1
"""Accelerations, matrices and field strengths within this factor of a range count as inside."""


@dataclass(frozen=True, eq=False)
class ShiftScorer:
    """What takes the profiles of the planes of one job.

    Parameters
    ----------
    conditional
        The network.
    card
        Its calibration.
    planes
        Which planes are scored.
    """

    conditional: ConditionalDenoiser
    card: ShiftCard
    planes: frozenset[int]

    @classmethod
    def of(cls, trained: TrainedMethod | None, n_planes: int) -> ShiftScorer | None:
        """The scorer of a method, None if it has no network or no calibration."""
        if trained is None or trained.card.shift is None:
            return None
        return cls(trained.conditional, trained.card.shift, frozenset(evenly_spaced(n_planes, SCORED_PLANES)))

    def profile(
        self, index: int, y: Tensor, operator: CartesianMRI, *, sigma: float, scale: float, generator: torch.Generator
    ) -> ShiftProfile | None:
        """The profile of a plane that is to be scored; None of the others, of empty ones and of two map sets.

        Parameters
        ----------
        y, sigma
            Data (coil, ky, kx) and their noise before they were divided by `scale`.
        """
        if index not in self.planes or operator.domain.shape[0] != 1 or not bool((y != 0).any()):
            return None
        return shift_profile(
            self.conditional,
            y / scale,
            operator,
            sigma=sigma / scale,
            levels=self.card.levels,
            bands=self.card.bands,
            generator=generator,
        )


def shift_alarm(
    profiles: Sequence[ShiftProfile],
    card: Card,
    *,
    mask: Tensor,
    shape: tuple[int, int],
    mask_kind: str | None,
    field_strength_t: float | None,
) -> ShiftReport:
    """What the profiles of a scan say, and the cues beside them.

    Parameters
    ----------
    profiles
        Of the planes that were scored.
    card
        Of the checkpoint.
    mask, shape
        Sampling of a plane, broadcastable to the k-space grid (ky, kx).
    mask_kind
        Of a mask that was laid over the data, None for what the scanner did.
    field_strength_t
        Of the scanner, None if it is not known.
    """
    found = cues(profiles, card, mask=mask, shape=shape, mask_kind=mask_kind, field_strength_t=field_strength_t)
    calibration = card.shift
    if calibration is None:
        reason = f"{card.name} is not calibrated for it (its card holds no calibration)"
        return not_scored(reason, checkpoint=card.name, cues=found)
    if not profiles:
        return not_scored("no plane could be scored (empty, or two map sets)", checkpoint=card.name, cues=found)
    score = float(np.median(calibration.score(*stacked(profiles))))
    unusual = score > calibration.threshold
    rate = f"{100 * calibration.false_alarm_rate:g} %"
    judged = f"score {score:.2f}, threshold {calibration.threshold:.2f}, which {rate} of usual scans exceed"
    text = (
        f"Shift alarm: UNUSUAL. This scan does not look like those that {card.name} was trained on ({judged}); compare "
        "with a classical reconstruction and do not rely on fine detail."
        if unusual
        else f"Shift alarm: usual. This scan scores like those that {card.name} is calibrated for ({judged})."
    )
    return ShiftReport(
        verdict="unusual" if unusual else "usual",
        sentence=text,
        score=round(score, 4),
        threshold=calibration.threshold,
        false_alarm_rate=calibration.false_alarm_rate,
        p_value=round(calibration.p_value(score), 4),
        planes=len(profiles),
        checkpoint=card.name,
        cues=found,
    )


def cues(
    profiles: Sequence[ShiftProfile],
    card: Card,
    *,
    mask: Tensor,
    shape: tuple[int, int],
    mask_kind: str | None,
    field_strength_t: float | None,
) -> tuple[ShiftCue, ...]:
    """What lies outside the ranges of the card; parameters as for `shift_alarm`."""
    known, calibration = trained_ranges(card.training), card.shift
    described = describe_mask(mask, shape)
    out: list[ShiftCue] = []
    if described.effective_acceleration is not None:
        out += _range_cue("acceleration", described.effective_acceleration, known.acceleration, card, "R = {:.3g}")
    kind = mask_kind or _kind(described.sampling, described.nominal_acceleration)
    if known.masks is not None and kind is not None and kind not in known.masks:
        usual = ", ".join(known.masks)
        text = f"The mask is of the kind {kind}; {card.name} was trained with: {usual}."
        out.append(ShiftCue("mask", kind, usual, text))
    for size in sorted(set(shape), reverse=True)[:1] + sorted(set(shape))[:1] * (len(set(shape)) > 1):
        out += _range_cue("matrix", size, known.matrix, card, "matrix size {:.0f}")
    if calibration is not None and field_strength_t is not None:
        out += _range_cue(
            "field strength", field_strength_t, calibration.field_strength_t, card, "field strength {:.3g} T"
        )
    if calibration is not None and profiles:
        middle = float(np.median([profile.contrast for profile in profiles]))
        out += _range_cue("contrast", middle, calibration.contrast, card, "spread over mean intensity {:.2g}", 1.0)
    return tuple(out)


def _kind(sampling: str, nominal: float | None) -> str | None:
    """What the sampling of a scanner is called among the kinds of masks; None where nothing is missing."""
    if sampling == "full":
        return None
    if sampling == "2D":
        return "poisson-disc"
    return "random" if nominal is None else "equispaced"


def _range_cue(
    name: CueName,
    value: float,
    known: tuple[float, float] | None,
    card: Card,
    form: str,
    tolerance: float = _TOLERANCE,
) -> list[ShiftCue]:
    if known is None or known[0] / tolerance <= value <= known[1] * tolerance:
        return []
    found, usual = form.format(value), f"{known[0]:.3g} to {known[1]:.3g}"
    text = f"Unusual {name}: {found}, outside what {card.name} was trained and calibrated with ({usual})."
    return [ShiftCue(name, found, usual, text)]
