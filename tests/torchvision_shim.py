"""Make ``import torchvision`` work beside a CPU-only torch, whose index has no matching torchvision build.

Declares, without implementing them, the two operators that torchvision's Python code insists on (pytorch/vision
issues 9077 and 9085). Does nothing where torchvision imports by itself.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import torch

_LIBRARIES: list[torch.library.Library] = []  # a library's operators live as long as the object


def ensure_torchvision() -> ModuleType:
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error) or torch.version.cuda is not None:
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _LIBRARIES.append(library)
    return importlib.import_module("torchvision")
