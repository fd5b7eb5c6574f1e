"""The measures that scores are made of, each with every parameter that changes its value.

A measure is what is computed from two prepared images; how they are prepared (crop, range, scaling) is the rest of a
`passport.MetricDefinition`. `version` counts the implementations here that give other values for the same parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mrirecon.errors import ConfigError
from mrirecon.metrics.referenceless import HeldOutMeasure, RepeatabilityMeasure, UncertaintyMeasure


@dataclass(frozen=True, kw_only=True)
class NmseMeasure:
    """||reference - image||^2 / ||reference||^2."""

    kind: Literal["nmse"] = "nmse"
    version: int = 1


@dataclass(frozen=True, kw_only=True)
class PsnrMeasure:
    """-10 log10(mean((reference - image)^2) / range^2 + floor), in dB.

    Parameters
    ----------
    floor
        Added to the relative squared error: 0, or 1e-8 as the `piq` package does, which then never exceeds 80 dB.
    """

    kind: Literal["psnr"] = "psnr"
    floor: float = 0.0
    version: int = 1


@dataclass(frozen=True, kw_only=True)
class SsimMeasure:
    """Structural similarity [1]_: the mean of a map over the pixels whose whole window lies inside the image.

    Parameters
    ----------
    window, size, sigma
        The weights of the local means: uniform, or a Gaussian of standard deviation `sigma` (pixels) cut to `size`.
    k1, k2
        Stabilising constants; C_i = (k_i range)^2.
    covariance
        ``unbiased``: local covariances times n / (n - 1), n the pixels of the window; ``population``: without.
    pooling
        0, or the image size per unit of average pooling beforehand: both images are averaged over blocks of
        max(1, round(shorter side / pooling)) pixels, as `piq` does with 256.

    References
    ----------
    .. [1] Wang et al., Image quality assessment: from error visibility to structural similarity, IEEE TIP 13 (2004)
       600-612, DOI 10.1109/TIP.2003.819861.
    """

    kind: Literal["ssim"] = "ssim"
    window: Literal["uniform", "gaussian"] = "uniform"
    size: int = 7
    sigma: float | None = None
    k1: float = 0.01
    k2: float = 0.03
    covariance: Literal["unbiased", "population"] = "unbiased"
    pooling: int = 0
    version: int = 1

    def __post_init__(self) -> None:
        if self.size < 3 or self.size % 2 == 0:
            raise ConfigError(f"`size` of the SSIM window must be odd and at least 3, got {self.size}")
        if (self.window == "gaussian") != (self.sigma is not None and self.sigma > 0):
            raise ConfigError(f"`sigma` goes with a gaussian window and is positive, got {self.sigma} ({self.window})")


@dataclass(frozen=True, kw_only=True)
class HfenMeasure:
    """High-frequency error norm [1]_: ||L reference - L image|| / ||L reference||, L a Laplacian of Gaussian.

    Parameters
    ----------
    size, sigma
        The rotationally symmetric kernel, in pixels; slices are filtered one by one, zero outside.
    normalised
        Whether to divide by ||L reference||; the original is not, and then has the units of the image.

    References
    ----------
    .. [1] Ravishankar, Bresler, MR image reconstruction from highly undersampled k-space data by dictionary learning,
       IEEE TMI 30 (2011) 1028-1041, DOI 10.1109/TMI.2010.2090538.
    """

    kind: Literal["hfen"] = "hfen"
    size: int = 15
    sigma: float = 1.5
    normalised: bool = True
    version: int = 1

    def __post_init__(self) -> None:
        if self.size < 3 or self.size % 2 == 0 or not self.sigma > 0:
            raise ConfigError(f"HFEN needs an odd `size` from 3 and a positive `sigma`, got {self.size}, {self.sigma}")


@dataclass(frozen=True, kw_only=True)
class VifMeasure:
    """Visual information fidelity in the pixel domain [1]_, four scales, windows inside the image only.

    Parameters
    ----------
    noise_variance
        Variance of the visual noise, for images whose range is mapped to [0, `white`].
    white
        What the data range is mapped to: 255 with a variance of 2 is the original.

    References
    ----------
    .. [1] Sheikh, Bovik, Image information and visual quality, IEEE TIP 15 (2006) 430-444,
       DOI 10.1109/TIP.2005.859378, and the authors' pixel-domain release.
    """

    kind: Literal["vif"] = "vif"
    noise_variance: float = 2.0
    white: float = 255.0
    version: int = 1

    def __post_init__(self) -> None:
        if not self.noise_variance > 0 or not self.white > 0:
            raise ConfigError(f"VIF needs a positive noise variance and white, got {self.noise_variance}, {self.white}")


@dataclass(frozen=True, kw_only=True)
class HaarPsiMeasure:
    """Haar wavelet perceptual similarity index [1]_ of grey images, averaged 2 x 2 beforehand.

    Parameters
    ----------
    c, alpha
        Constants of the similarity and of the logistic function, for images whose range is mapped to [0, 255].

    References
    ----------
    .. [1] Reisenhofer et al., A Haar wavelet-based perceptual similarity index for image quality assessment, Signal
       Process Image Commun 61 (2018) 33-43, DOI 10.1016/j.image.2017.11.001.
    """

    kind: Literal["haarpsi"] = "haarpsi"
    c: float = 30.0
    alpha: float = 4.2
    version: int = 1


@dataclass(frozen=True, kw_only=True)
class LpipsMeasure:
    """LPIPS as `perceptual.Lpips` computes it: the trained network is part of the definition.

    Parameters
    ----------
    backbone_sha256
        Checksum of the file of features.
    package
        Version of the `lpips` package, which holds the linear heads.
    """

    backbone_sha256: str
    package: str
    kind: Literal["lpips"] = "lpips"
    network: Literal["alex"] = "alex"
    version: int = 1


@dataclass(frozen=True, kw_only=True)
class ResidualMeasure:
    """How far the measured k-space is from what the image predicts: r = M (A x - y) over the measured entries.

    Parameters
    ----------
    normalisation
        ``none``: ||r||; ``data``: ||r|| / ||M y||; ``noise``: the reduced chi-square, ||W r||^2 over the number of
        measured real components, where W whitens the noise to unit variance per component: 1 is a misfit as large
        as the noise, below 1 the image follows the noise, above 1 it contradicts the data.
    """

    normalisation: Literal["none", "data", "noise"] = "data"
    kind: Literal["residual"] = "residual"
    version: int = 1


Measure = (
    NmseMeasure
    | PsnrMeasure
    | SsimMeasure
    | HfenMeasure
    | VifMeasure
    | HaarPsiMeasure
    | LpipsMeasure
    | ResidualMeasure
    | UncertaintyMeasure
    | RepeatabilityMeasure
    | HeldOutMeasure
)
