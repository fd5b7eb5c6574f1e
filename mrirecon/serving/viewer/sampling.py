"""The k-space mask as a picture of bits, drawn again from its card."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import torch

from mrirecon.errors import MrireconError
from mrirecon.io.provenance import Provenance
from mrirecon.mri.mask_card import MaskCard
from mrirecon.mri.masks import replay


def sampling_picture(record: Provenance | None) -> dict[str, Any]:
    """Text about the sampling and, where the mask can be made again and its checksum agrees, its bits.

    A mask that was restricted to what the scanner had acquired is tried with a fully sampled acquisition, which is what
    retrospective undersampling nearly always starts from; the checksum of the acquired mask decides.

    Returns
    -------
        ``text``, and ``shape`` (ky, kx) with ``bits`` (rows one after the other, eight samples to a byte, the first in
        the most significant bit, base64) or None for both.
    """
    if record is None:
        return _only("The sampling is not recorded in this folder.")
    if record.mask is None:
        return _only("No samples were left out on top of what the scanner acquired; its own mask is not recorded here.")
    try:
        card = MaskCard.from_dict(record.mask)
        acquired = None if card.acquired_sha256 is None else torch.ones(card.shape, dtype=torch.bool)
        mask = replay(card, acquired=acquired).mask.expand(card.shape).numpy()
    except (MrireconError, KeyError, TypeError, ValueError) as error:
        return _only(f"The mask cannot be drawn from its card: {error}")
    axis = {"x": "columns", "y": "rows", "yx": "points"}[card.phase_encoding_axis]
    counts = f"{card.n_sampled} of {card.n_phase_encodings} {axis} sampled"
    rates = f"R = {card.effective_acceleration:.2f} (asked for {card.nominal_acceleration:.3g})"
    text = f"{card.kind}: {counts}, {rates}, {card.centre_lines} at the centre complete. White: measured."
    bits = np.packbits(np.ascontiguousarray(mask, dtype=np.bool_).ravel(), bitorder="big")
    return {"text": text, "shape": list(card.shape), "bits": base64.b64encode(bits.tobytes()).decode("ascii")}


def _only(text: str) -> dict[str, Any]:
    return {"text": text, "shape": None, "bits": None}
