"""Parts of the card of a checkpoint as Markdown, for the people who read it beside the weights."""

from __future__ import annotations

import re

from mrirecon.training.card import UncertaintyCard
from mrirecon.training.shift_card import ShiftCard

UNCERTAINTY = "Uncertainty"
"""Heading of the section that `uncertainty_text` fills."""
SHIFT = "Shift alarm"
"""Heading of the section that `shift_text` fills."""


def uncertainty_text(found: UncertaintyCard) -> str:
    """What a calibration found, as a paragraph and the command that repeats it."""
    level = f"{100 * found.level:g} %"
    sentences = [
        f"The {level} interval (the Gaussian one around the mean of {found.samples} samples, {found.steps} "
        f"{found.sampler} steps) covers {100 * found.coverage_before:.1f} % of the pixels of {found.slices} slices of "
        f"{_listed(found.subjects)} as sampled, and {100 * found.coverage_after:.1f} % with standard deviations "
        f"multiplied by {found.factor:.3f}, which `mrirecon` does.",
        f"This conformal factor comes from {found.calibration_slices} slices of {_listed(found.calibration_subjects)}.",
    ]
    if found.trained_on_calibration:
        sentences.append("The weights were trained on these too, so that the factor is rather too small.")
    return " ".join(sentences) + f"\n\nCommand: `{found.command}`"


def shift_text(found: ShiftCard) -> str:
    """What the shift alarm finds, as a paragraph, a table and the command that repeats it."""
    rows = [
        f"| {s.group} | {s.auroc:.3f} ({s.low:.3f} to {s.high:.3f}) | {100 * s.detected:.0f} % | {s.scans} of "
        f"{s.subjects} |"
        for s in found.separations
    ]
    return "\n".join(
        [
            f"A scan is unusual if its shift score exceeds {found.threshold:.3g}, as {100 * found.false_alarm_rate:g} "
            f"% of {len(found.scores)} simulated scans of {_listed(found.subjects)} do, whom the weights did not see.",
            "Simulated alike from other images (95 % intervals over scans; where there are one or two subjects they do",
            "not say how other subjects would be told apart):",
            "",
            "| group | AUROC | above the threshold | scans, subjects |",
            "|---|---|---|---|",
            *rows,
            "",
            f"Command: `{found.command}`",
        ]
    )


def with_section(text: str, heading: str, body: str) -> str:
    """Markdown with one section of the second level put in, in place of the one of this heading or at the end."""
    section = f"## {heading}\n\n{body.strip()}\n"
    pattern = re.compile(rf"^## {re.escape(heading)}[ \t]*\n.*?(?=^##? |\Z)", re.MULTILINE | re.DOTALL)
    found = pattern.search(text)
    if found is None:
        return f"{text.rstrip()}\n\n{section}"
    rest = text[found.end() :]
    return text[: found.start()] + section + (f"\n{rest}" if rest else "")


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)
