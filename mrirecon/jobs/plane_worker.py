"""One plane of raw k-space to finished images: the magnitude and, for methods that sample, its spread."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.config.schema import ReconstructionConfig
from mrirecon.evaluation.shift_profile import ShiftProfile
from mrirecon.jobs.assemble import to_recon_plane
from mrirecon.jobs.calibrate import Calibration
from mrirecon.jobs.maps import MapSource
from mrirecon.jobs.plane_certificate import CertificateForm, PlaneCertificate, plane_certificate
from mrirecon.jobs.planes import PlaneStack
from mrirecon.jobs.shift_alarm import ShiftScorer
from mrirecon.linalg.fft import fft, ifft
from mrirecon.metrics.residual_energy import LineAxis
from mrirecon.mri.coils import root_sum_of_squares
from mrirecon.mri.partial_fourier import homodyne, partial_fourier, pocs
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.mri import CartesianMRI, cartesian_mri_of_sets
from mrirecon.operators.noise import GaussianNoise, Noiseless
from mrirecon.reconstruction.base import Reconstruction, Reconstructor
from mrirecon.reconstruction.uncertainty import standard_deviation


@dataclass(frozen=True)
class PlaneRecord:
    """How one plane was reached.

    Parameters
    ----------
    iterations, residual, converged
        See `Reconstruction`.
    data_residual
        ||A x - y|| / ||y||, None without maps.
    scale
        By which a normalising method divided the calibrated data, None for the others.
    sigma
        Noise level per real component in the units that the method saw, None if it was not told one.
    certificate
        Energies of the residual; None without maps, without a noise level, or if it was not asked for.
    shift
        For the shift alarm; None of planes that are not scored.
    """

    iterations: int = 0
    residual: float = 0.0
    converged: bool = True
    data_residual: float | None = None
    scale: float | None = None
    sigma: float | None = None
    certificate: PlaneCertificate | None = None
    shift: ShiftProfile | None = None


@dataclass(frozen=True, eq=False)
class PlaneResult:
    """Finished images of one plane on the reconstructed grid, float32 (layer, rows, columns), in units of the raw data.

    The first layer is the image. Of methods that draw several samples the second is the standard deviation of their
    magnitude, times the worker's `spread_factor`, and the magnitudes themselves follow if they are kept.
    """

    layers: NDArray[np.float32]
    record: PlaneRecord


def plane_generator(seed: int, index: int) -> torch.Generator:
    """The randomness of one plane, whatever else is reconstructed with it; neighbouring planes are independent."""
    state = np.random.SeedSequence((seed, index)).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


@dataclass(frozen=True, eq=False)
class PlaneWorker:
    """Everything that one plane needs.

    Parameters
    ----------
    stack
        Where raw planes come from; `stack.mask` is what the method may use.
    calibration
        Whitening, coil compression, scale.
    maps
        None combines the coils without any.
    method
        The reconstruction.
    config
        For what happens around it, and the seed.
    device
        Where the method computes.
    acquired
        Samples before any retrospective undersampling, for partial Fourier.
    sigma
        Noise level of the calibrated data that the method is told, per real component; None or 0 for none.
    first_plane
        Number of the stack's first plane in the whole scan.
    n_samples
        Posterior samples that the method draws.
    keep_samples
        Whether they are layers of the result.
    spread_factor
        Multiplies the standard deviation over the samples.
    shift
        Takes profiles for the shift alarm; None for none.
    certificate
        Form of the data-consistency certificate.
    """

    stack: PlaneStack
    calibration: Calibration
    maps: MapSource | None
    method: Reconstructor
    config: ReconstructionConfig
    device: torch.device
    acquired: Tensor
    sigma: float | None
    first_plane: int = 0
    n_samples: int = 1
    keep_samples: bool = False
    spread_factor: float = 1.0
    shift: ShiftScorer | None = None
    certificate: CertificateForm = "quick"

    @property
    def n_layers(self) -> int:
        """Layers of a result."""
        return 1 + (self.n_samples > 1) + self.n_samples * self.keep_samples

    @property
    def partial(self) -> bool:
        """Whether one side of k-space was not acquired."""
        return bool(partial_fourier(self._acquired))

    def notes(self) -> tuple[str, ...]:
        """What was done with an asymmetric k-space."""
        if not self.partial:
            return ()
        return (f"K-space is asymmetric (partial Fourier): {self.config.preparation.partial_fourier}.",)

    def reconstruct(self, index: int, raw: Tensor) -> PlaneResult:
        """The images of plane `index`, scaling undone, on the grid of the reconstruction."""
        kspace = self.calibration.apply(raw)
        if self.maps is None:
            return PlaneResult(self._magnitude(ifft(kspace, (-2, -1))).numpy()[None], PlaneRecord())
        operator = cartesian_mri_of_sets(self.stack.mask.to(self.device), self.maps(index, kspace).to(self.device))
        y = kspace.to(self.device)
        model = MeasurementModel(operator, GaussianNoise(self.sigma) if self.sigma else Noiseless())
        result = self.method(y, model, generator=plane_generator(self.config.seed, self.first_plane + index))
        # Where no coil sees anything a prior alone would paint the image.
        support = operator.sensitivities.support
        result = replace(result, image=result.image * support)
        layers = [self._magnitude(result.image.cpu())]
        if self.n_samples > 1 and result.samples is not None:
            magnitudes = torch.stack([self._magnitude((sample * support).cpu()) for sample in result.samples])
            spread = self.spread_factor * standard_deviation(magnitudes)
            layers += [spread, *(magnitudes if self.keep_samples else ())]
        record = _record(result, self.sigma, _relative_norm(y - operator.forward(result.image), y))
        record = replace(
            record,
            certificate=self._certificate(index, result.image, y, operator),
            shift=self._shift(index, y, operator, record.scale),
        )
        return PlaneResult(torch.stack(layers).numpy(), record)

    def _certificate(self, index: int, image: Tensor, y: Tensor, operator: CartesianMRI) -> PlaneCertificate | None:
        """What the certificate needs of this plane, with noise of its own; None where nothing can be tested."""
        # all planes count lines along one axis, that of the phase encoding; of two, along the rows
        axis: LineAxis = "ky" if self.stack.phase_encoding_axis == "y" else "kx"
        return plane_certificate(
            self.certificate,
            image,
            y,
            operator,
            method=self.method,
            noise=self.calibration.residual_noise,
            axis=axis,
            seed=plane_generator(self.config.seed + 2, self.first_plane + index).initial_seed(),
        )

    def _shift(self, index: int, y: Tensor, operator: CartesianMRI, scale: float | None) -> ShiftProfile | None:
        """The profile of the plane for the shift alarm, with noise of its own."""
        if self.shift is None or scale is None:
            return None
        generator = plane_generator(self.config.seed + 1, self.first_plane + index)
        return self.shift.profile(index, y, operator, sigma=self.sigma or 0.0, scale=scale, generator=generator)

    def _magnitude(self, image: Tensor) -> Tensor:
        """Complex (set, rows, columns) to a finished magnitude, float32."""
        image = to_recon_plane(
            self._filled(image),
            self.stack.encoding,
            is_3d=self.stack.is_3d,
            crop=self.config.preparation.remove_oversampling,
        )
        return (root_sum_of_squares(image)[0] * self.calibration.scale).float()

    def _filled(self, image: Tensor) -> Tensor:
        """The image with the missing side of an asymmetric k-space filled in."""
        choice = self.config.preparation.partial_fourier
        if choice == "zero-fill" or not self.partial:
            return image
        kspace, acquired = fft(image, (-2, -1)), self._acquired
        completed = homodyne(kspace, acquired) if choice == "homodyne" else pocs(kspace, acquired)
        return ifft(completed, (-2, -1))

    @property
    def _acquired(self) -> Tensor:
        return self.acquired.expand(self.stack.shape)


def _record(result: Reconstruction, sigma: float | None, data_residual: float) -> PlaneRecord:
    scale = None if result.scale is None else float(result.scale)
    told = sigma if sigma is None or scale is None else sigma / scale
    return PlaneRecord(result.iterations, result.residual, result.converged, data_residual, scale, told)


def _relative_norm(residual: Tensor, y: Tensor) -> float:
    size = torch.linalg.vector_norm(y)
    return float(torch.linalg.vector_norm(residual) / size) if size > 0 else 0.0
