"""The fixed headers of MRD as they lie in files and travel over networks, little endian without gaps."""

from __future__ import annotations

from typing import Any

import numpy as np
from ismrmrd.hdf5 import acquisition_dtype, image_header_dtype

ACQUISITION_HEAD: np.dtype[Any] = acquisition_dtype["head"]
"""340 bytes before the trajectory and the samples of one readout."""

IMAGE_HEAD: np.dtype[Any] = np.dtype(image_header_dtype)
"""198 bytes before the attributes and the pixels of one image."""

WAVEFORM_HEAD = np.dtype(
    {
        "names": ["number_of_samples", "channels"],
        "formats": ["<u2", "<u2"],
        "offsets": [28, 30],
        "itemsize": 40,
    }
)
"""40 bytes before the values of a waveform, with the gaps of the C structure; only what its length depends on."""

IMAGE_VALUE_BYTES = {1: 2, 2: 2, 3: 4, 4: 4, 5: 4, 6: 8, 7: 8, 8: 16}
"""Bytes of one pixel by the header's `data_type`."""

INT16, FLOAT32 = 2, 5
"""Values of `data_type` that are written."""

MAGNITUDE = 1
"""Value of `image_type`."""
