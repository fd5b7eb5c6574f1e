"""The sentences of a certificate: for readers of images, not for statisticians."""

from __future__ import annotations

from collections.abc import Sequence

Place = tuple[str, int, int | None]
"""(kind, index, slice) of a finding."""
_NAMED = 6


def verdict_sentence(
    *,
    failed: bool,
    misfit: float,
    expected: float,
    p_value: float,
    unexplained: float,
    findings: Sequence[Place],
    axis: str,
    false_alarm_rate: float,
    empty_lines: int = 0,
    tolerance: float = 0.0,
    by_noise: bool = True,
    image_tolerance: float = 0.0,
    image_unexplained: float | None = None,
    bound: bool = False,
) -> str:
    """What was found; numbers first in words, then as figures.

    Parameters
    ----------
    misfit, expected
        Per measured real component in units of the noise variance.
    unexplained
        Misfit beyond the expectation, relative to the data.
    findings
        Slices, lines and coils that stand out, the clearest first.
    empty_lines
        Lines of the mask without data.
    tolerance, by_noise
        Systematic misfit that is let pass, and whether noise alone explains what there is.
    image_tolerance
        The same of what is left in the image, where that is tested.
    image_unexplained
        What the misfit leaves in the image of the worst slice beyond its expectation, relative to the data.
    bound
        Whether the false-alarm rate is an upper bound only.
    """
    chance = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"
    figures = f"misfit {misfit:.3g} times the noise variance, {expected:.3g} expected, {chance}"
    size = f"{100 * unexplained:.2g} % of the signal"
    if not failed and not by_noise:
        return (
            "PASS, within the tolerance: where k-space was measured, the image differs from the measurement by more "
            f"than noise, but by {size}, which imperfect coil sensitivities and regularisation may leave (up to "
            f"{100 * tolerance:.2g} % is let pass; misfit {misfit:.3g} times the noise variance, "
            f"{expected:.3g} expected)."
        )
    if not failed:
        return (
            f"PASS: where k-space was measured, the image agrees with the measurement as well as the noise allows "
            f"({figures}; a faultless image would fail in {'at most ' * (bound or tolerance > 0)}"
            f"{100 * false_alarm_rate:.3g} % of scans)."
        )
    if empty_lines:
        return (
            f"FAIL: the sampling mask does not belong to the data: {empty_lines} of its lines hold no measurement, not "
            f"even noise; the others: {figures}."
        )
    where = _places(findings, axis)
    if unexplained < 5e-4:
        size = "in the sum over everything it is hidden by the noise"
    else:
        size = f"the difference is {size}"
    if image_unexplained is not None and any(kind == "image" for kind, _, _ in findings):
        size += f"; the image itself lacks or adds up to {100 * image_unexplained:.2g} % of the signal"
    passed = f" and the {100 * tolerance:.2g} % that are let pass" if tolerance else ""
    passed += f", {100 * image_tolerance:.2g} % in the image" if tolerance and image_tolerance else ""
    return (
        "FAIL: where k-space was measured, the image differs from the measurement by more than noise"
        f"{passed} ({figures}); {size}{'; ' + where if where else ''}."
    )


def limits_sentence(measured_share: float, noise_source: str, *, bound: bool) -> str:
    """What the certificate cannot say."""
    sentences = [
        f"This test compares the image with the {100 * measured_share:.3g} % of k-space that were measured and cannot "
        "vouch for what was not measured: detail there comes from the reconstruction method alone."
    ]
    if noise_source == "edges":
        sentences.append(
            "The noise level was estimated from the edges of k-space, an upper estimate: small errors may pass."
        )
    if bound:
        sentences.append("The image was fitted to the same data, which hides errors that the fit has adapted to.")
    else:
        sentences.append("Changes that the method makes to its own image every time count as its bias, not as errors.")
    return " ".join(sentences)


def untested_sentence(reason: str) -> str:
    """Why there is no verdict."""
    return f"NOT TESTED: {reason}. This is not a pass: nothing is known about agreement with the data."


def _places(findings: Sequence[Place], axis: str) -> str:
    """``most in lines kx 3 to 7 of slice 2, coil 1``: at most `_NAMED` of every kind."""
    parts = []
    found = [index for kind, index, _ in findings if kind == "slice"]
    if found:
        parts.append(f"slice{'s' * (len(found) > 1)} {_listed(found)}")
    found = [plane for kind, _, plane in findings if kind == "image" and plane is not None]
    if found:
        parts.append(f"the image{'s' * (len(found) > 1)} of slice{'s' * (len(found) > 1)} {_listed(found)}")
    by_slice: dict[int | None, list[int]] = {}
    for kind, index, plane in findings:
        if kind == "line":
            by_slice.setdefault(plane, []).append(index)
    for plane, places in list(by_slice.items())[:_NAMED]:
        where = "" if plane is None else f" of slice {plane}"
        parts.append(f"line{'s' * (len(places) > 1)} {axis} {_listed(places)}{where}")
    if len(by_slice) > _NAMED:
        parts.append(f"lines of {len(by_slice) - _NAMED} more slices")
    found = [index for kind, index, _ in findings if kind == "coil"]
    if found:
        parts.append(f"coil{'s' * (len(found) > 1)} {_listed(found)}")
    return "it stands out in " + ", ".join(parts) + " (counted from 0, as acquired)" if parts else ""


def _listed(indices: Sequence[int]) -> str:
    """The first runs as ``3 to 7, 12``, and how many more."""
    ordered = sorted(set(indices))
    runs: list[list[int]] = []
    for index in ordered:
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    shown = ", ".join(f"{r[0]}" if len(r) == 1 else f"{r[0]} to {r[-1]}" for r in runs[:_NAMED])
    more = sum(len(r) for r in runs[_NAMED:])
    return f"{shown} and {more} more" if more else shown
