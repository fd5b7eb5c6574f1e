"""Coil sensitivity maps from the calibration region: ESPIRiT and Walsh's adaptive combination."""

from mrirecon.mri.espirit import EspiritResult, espirit
from mrirecon.mri.walsh import walsh

__all__ = ["EspiritResult", "espirit", "walsh"]
