"""Depth kept between runs: float32 as the model gave it, a file a clip, for `--reuse` to take.

Not the table `depth_maps`, which is small and rounded: a stored number must be the model's number.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from massannot.clip import Clip, DepthMaps
from massannot.dataset.layout import Layout
from massannot.storage import durable

NUMBERS = ("max_depth", "size_scale", "size_scale_rel_sd")
OPTIONAL = ("scale", "shift", *NUMBERS)


def depth_folder(layout: Layout) -> Path:
    """Where a run keeps depth; beside a bucket, on this machine."""
    return layout.local / "_run" / "depth"


def depth_file(folder: Path, clip: Clip, key: str) -> Path:
    """Of the stage with this key."""
    return folder / clip.clip_id[:2] / f"{clip.clip_id}.{key[:16]}.depth"


def keep(path: Path, depth: DepthMaps) -> None:
    """Whole or not at all."""
    durable.write_over(path, _packed(depth))


def load(path: Path) -> DepthMaps:
    return _unpacked(path.read_bytes())


def _packed(depth: DepthMaps) -> bytes:
    content = io.BytesIO()
    parts: dict[str, Any] = {"values": depth.values, "kind": np.array(depth.kind)}
    parts |= {n: v for n in OPTIONAL if (v := getattr(depth, n)) is not None}
    np.savez(content, **parts)
    raw = content.getvalue()
    packed: bytes = pa.compress(raw, codec="zstd", asbytes=True)
    return len(raw).to_bytes(8, "little") + packed


def _unpacked(content: bytes) -> DepthMaps:
    size = int.from_bytes(content[:8], "little")
    raw = pa.decompress(content[8:], size, codec="zstd", asbytes=True)
    with np.load(io.BytesIO(raw), allow_pickle=False) as parts:
        more = {n: parts[n] for n in OPTIONAL if n in parts}
        more |= {n: float(more[n]) for n in NUMBERS if n in more}
        return DepthMaps(parts["values"], str(parts["kind"]), **more)  # type: ignore[arg-type]
