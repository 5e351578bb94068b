"""timm and torchvision, where they are installed: EdgeTAM's extra, which other tests do without.

PyPI's torchvision is compiled for CUDA. Beside a CPU build of torch its compiled part does not
load, and then neither it nor transformers imports, for want of two operators' names. conftest.py
has them declared, without what they do: no network of the project calls them.
"""

from __future__ import annotations

import importlib.util
from typing import Any

_BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_DECLARED: list[Any] = []
"""Kept: what a library declares goes with it."""


def why_not() -> str:
    """Why EdgeTAM cannot run here, empty where it can."""
    missing = [name for name in ("timm", "torchvision") if importlib.util.find_spec(name) is None]
    return f"found no {' and no '.join(missing)}: the extra edgetam" if missing else ""


def let_torchvision_import() -> None:
    """Nothing where it is not installed, or imports as it is."""
    if importlib.util.find_spec("torchvision") is None:
        return
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
        import torch

        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}{_BOXES}")
        _DECLARED.append(library)
