"""Depth for a film whose run does not store depth: the worker leaves it in `_run/previews`.

A preview is a clip's table `depth_maps` in a file of its own, private and removed once the film is
drawn. Keeping it is a stage that no recipe names, so that runs with and without films are one run.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from massannot import tables
from massannot.clip import Clip
from massannot.dataset.layout import Layout
from massannot.dataset.reading import ClipView
from massannot.stages._stage import Stage
from massannot.stages.store_depth import StoreDepth
from massannot.storage.parquet import read_parquet, write_parquet

TABLE = "depth_maps"


def previews(layout: Layout) -> Path:
    """The folder of previews."""
    return layout.local / "_run" / "previews"


def drop_previews(layout: Layout) -> None:
    """Remove every preview: its film is drawn."""
    shutil.rmtree(previews(layout), ignore_errors=True)


def with_preview(view: ClipView, folder: Path) -> Callable[[str], pa.Table]:
    """The clip's tables by name; depth maps from its preview where the dataset stores none."""
    preview = folder / f"{view.clip_id}.parquet"

    def table(name: str) -> pa.Table:
        found = view.table(name)
        if name == TABLE and not found.num_rows and preview.is_file():
            return read_parquet(preview, name=TABLE)
        return found

    return table


@dataclass(frozen=True)
class KeepPreview(Stage):
    """Writes the clip's depth beside the run, into no table."""

    _folder: Path
    reads: ClassVar[tuple[str, ...]] = ("frames", "depth")

    def process(self, clip: Clip) -> Clip:
        maps = StoreDepth().process(clip).table(TABLE)
        write_parquet(self._folder / f"{clip.clip_id}.parquet", [maps], spec=tables.spec(TABLE))
        return clip
