"""Total variation with a proximal map in closed form, by one level of undecimated Haar shrinkage."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mrirecon.errors import ConfigError
from mrirecon.linalg.channels import from_planes, to_planes
from mrirecon.linalg.gradient import Boundary, divergence, gradient
from mrirecon.priors.base import ProximalPrior, check_image, per_item
from mrirecon.priors.shrinkage import clip_modulus
from mrirecon.priors.total_variation import Coupling, check_settings, total_variation


@dataclass(frozen=True)
class HaarTotalVariation(ProximalPrior):
    """Total variation whose proximal map is replaced by an approximation without inner iterations.

    With D the forward differences along d axes and lam = step * weight,

        prox(v) = v - D^T clip(D v; 4 d lam) / (4 d),

    where clip(.; r) projects every coefficient ("anisotropic") or every pixel's vector of d coefficients ("isotropic")
    onto the disc of radius r. This equals averaging d undecimated one-level Haar transforms with shrunken high-pass
    parts, and it is a gradient step of length 1/L on the Huber-smoothed total variation with parameter 4 d lam; so it
    is firmly non-expansive, hence the exact proximal map of some convex function, and never increases that functional.

    Parameters
    ----------
    weight
        Non-negative factor of the total variation.
    spatial_ndim
        Number of trailing axes that are differentiated.
    coupling
        "isotropic": sum over pixels of the norm of the gradient. "anisotropic": sum of the moduli of its entries.
    boundary
        "replicate" (zero difference at the far edge) or "circular".
    n_applications
        J: apply the map J times with lam / J. With many of them a large step follows the total variation flow, which is
        near the exact proximal map but not equal to it.

    Raises
    ------
    ConfigError
        If a setting is out of range.

    Notes
    -----
    The distance to the exact proximal map is at most 4 d lam sqrt(n) for n pixels: use it inside iterations with
    small steps. One application with a large step regularises too little. For the exact map see `TotalVariation`.
    Complex images are shrunk by modulus. Channels are independent.

    References
    ----------
    .. [1] U. S. Kamilov, "A parallel proximal algorithm for anisotropic total variation minimization", IEEE Trans.
       Image Process. 26 (2017) 539-548.
    .. [2] E. Chandler, S. Shoushtari, B. Wohlberg, U. S. Kamilov, "Closed-form approximation of the total variation
       proximal operator", IEEE Trans. Comput. Imaging 11 (2025) 1217-1228, arXiv:2412.07718.

    Examples
    --------
    >>> import torch
    >>> step_edge = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    >>> HaarTotalVariation(0.1, spatial_ndim=1).prox(step_edge, 1.0)
    tensor([[0.0000, 0.1000, 0.9000, 1.0000]])
    """

    weight: float
    spatial_ndim: int = 2
    coupling: Coupling = "isotropic"
    boundary: Boundary = "replicate"
    n_applications: int = 1

    def __post_init__(self) -> None:
        check_settings(self.weight, self.spatial_ndim, self.coupling, self.boundary)
        if self.n_applications < 1:
            raise ConfigError(f"`n_applications` must be at least 1, got {self.n_applications}")

    def value(self, x: Tensor) -> Tensor:
        """weight * TV(x), the functional that is approximated: real, shape (*batch)."""
        return self.weight * total_variation(
            x, spatial_ndim=self.spatial_ndim, coupling=self.coupling, boundary=self.boundary
        )

    def prox(self, x: Tensor, step: Tensor | float) -> Tensor:
        """Approximate argmin_u 1/2 ||u - x||^2 + step * weight * TV(u); see `ProximalPrior.prox`."""
        check_image(x, spatial_ndim=self.spatial_ndim)
        lam = per_item(step, x, item_ndim=self.spatial_ndim + 1, name="step")
        lam = lam * (self.weight / self.n_applications)
        if isinstance(lam, Tensor):
            lam = lam.unsqueeze(-1)  # beside the direction axis of the gradient
        planes = to_planes(x)
        for _ in range(self.n_applications):
            planes = self._apply(planes, lam)
        return from_planes(planes)

    def _apply(self, planes: Tensor, lam: Tensor | float) -> Tensor:
        d = self.spatial_ndim
        differences = gradient(planes, spatial_ndim=d, boundary=self.boundary)
        joint = -d - 1 if self.coupling == "isotropic" and d > 1 else None
        clipped = clip_modulus(differences, 4 * d * lam, joint=joint, overwrite=True)
        return torch.add(planes, divergence(clipped, spatial_ndim=d, boundary=self.boundary), alpha=1 / (4 * d))
