"""Names for the arrays that travel through the package, with their axes.

Leading batch axes are free everywhere and are never part of a `Space`.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from torch import Tensor

Image: TypeAlias = Annotated[Tensor, "*batch channel [z] y x; complex64 for MRI, float32 for photographs"]
KSpace: TypeAlias = Annotated[Tensor, "*batch coil [kz] ky kx; complex64, centred, zero where not sampled"]
Maps: TypeAlias = Annotated[Tensor, "*batch [set] coil [z] y x; complex64, unit root-sum-of-squares on the object"]
Mask: TypeAlias = Annotated[Tensor, "broadcastable to k-space; bool"]
Sigma: TypeAlias = Annotated[Tensor | float, "noise standard deviation per real component; scalar or per batch item"]
