"""All depth maps of a clip in one JPEG, tile beside tile, in the colours of the films."""

from __future__ import annotations

import base64
import io
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from massannot.dataset.arrays import stored_values
from massannot.viewers.overlay import depth_rgb

LONG_SIDE = 3200
"""Of the sheet, pixels: what browsers decode quickly."""
TILE = 240
"""A tile's longer side at most."""


def depth_sheet(depth_maps: pa.Table, *, src: str | None = None) -> dict[str, Any] | None:
    """The sheet as the page wants it; None: no depth is stored. `src`: an address that answers
    with `sheet_jpeg`; without one the picture is inside."""
    if not depth_maps.num_rows:
        return None
    frames = depth_maps["frame"].to_pylist()
    columns, tile = _shape(depth_maps)
    near, far = _near_far(depth_maps)
    if src is None:
        coded = base64.b64encode(sheet_jpeg(depth_maps)).decode()
        src = f"data:image/jpeg;base64,{coded}"
    return {"src": src, "frames": frames, "columns": columns, "tile": list(tile),
            "near": round(near, 3), "far": round(far, 3)}  # fmt: skip


def sheet_jpeg(depth_maps: pa.Table) -> bytes:
    """The picture: row after row of tiles, in the order of the frames."""
    columns, (width, height) = _shape(depth_maps)
    near, far = _near_far(depth_maps)
    rows = -(-depth_maps.num_rows // columns)
    sheet = Image.new("RGB", (columns * width, rows * height))
    for n, row in enumerate(depth_maps.to_pylist()):
        colours = Image.fromarray(depth_rgb(depth_of(row), near=near, far=far))
        place = (n % columns * width, n // columns * height)
        sheet.paste(colours.resize((width, height), Image.Resampling.BILINEAR), place)
    memory = io.BytesIO()
    sheet.save(memory, "JPEG", quality=72, optimize=True)
    return memory.getvalue()


def depth_of(row: dict[str, Any]) -> npt.NDArray[np.float32]:
    """(h, w), NaN where invalid; inverse depth is inverted."""
    value = stored_values(row)
    if row["encoding"] == "inverse_depth":
        value = 1 / np.maximum(value, 1e-6)
    return value.astype(np.float32)


def _shape(depth_maps: pa.Table) -> tuple[int, tuple[int, int]]:
    """Tiles in a row, and a tile's width and height."""
    n = depth_maps.num_rows
    width, height = depth_maps["width"][0].as_py(), depth_maps["height"][0].as_py()
    columns = max(1, math.ceil(math.sqrt(n * height / width)))
    across, down = columns * width, -(-n // columns) * height
    scale = min(1.0, TILE / max(width, height), LONG_SIDE / max(across, down))
    return columns, (max(1, round(width * scale)), max(1, round(height * scale)))


def _near_far(depth_maps: pa.Table) -> tuple[float, float]:
    """The 2nd and 98th percentile over some frames."""
    some = depth_maps.take(np.arange(0, depth_maps.num_rows, max(1, depth_maps.num_rows // 8)))
    values = [depth_of(row) for row in some.to_pylist()]
    known = np.concatenate([v[np.isfinite(v)] for v in values])
    if not known.size:
        return 0.5, 10.0
    near, far = np.percentile(known, [2, 98])
    return float(near), float(max(far, near * 1.01))
