"""A row of `depth_maps` as numbers again."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image


def stored_values(row: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    """(h, w) depth, or inverse depth where the row's `encoding` says so; NaN where invalid."""
    stored = np.asarray(Image.open(io.BytesIO(row["png"])), np.float64)
    return np.where(stored == 0, np.nan, row["scale"] * stored + row["offset"])
