"""MONAI dictionary transforms over the functions of `mri`, `io` and `scan`: the edge where MONAI begins.

They take and return dictionaries, work in `monai.transforms.Compose`, and survive the workers and the collation of
`monai.data.DataLoader`. See `mrirecon.transforms.keys` for what is in the dictionary.
"""

from mrirecon.transforms.coils import CombineCoilsd, CompressCoilsd, EstimateSensitivitiesd
from mrirecon.transforms.kspace import CentredFFTd, CentredIFFTd, Prewhitend, RemoveOversamplingd
from mrirecon.transforms.load import LoadScand
from mrirecon.transforms.model import Reconstructd, measurement_model
from mrirecon.transforms.sampling import RandSamplingMaskd, SamplingMaskd
from mrirecon.transforms.save import SaveDicomd, SaveNiftid, image_series
from mrirecon.transforms.scaling import ScaleKSpaced, volume_scale
from mrirecon.transforms.spatial import ToReconMatrixd

__all__ = [
    "CentredFFTd",
    "CentredIFFTd",
    "CombineCoilsd",
    "CompressCoilsd",
    "EstimateSensitivitiesd",
    "LoadScand",
    "Prewhitend",
    "RandSamplingMaskd",
    "Reconstructd",
    "RemoveOversamplingd",
    "SamplingMaskd",
    "SaveDicomd",
    "SaveNiftid",
    "ScaleKSpaced",
    "ToReconMatrixd",
    "image_series",
    "measurement_model",
    "volume_scale",
]
