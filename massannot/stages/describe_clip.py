"""The clip's own row alone, for recipes that measure no background: its span and its sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from massannot import tables
from massannot.clip import Clip
from massannot.stages._stage import Stage


@dataclass(frozen=True)
class DescribeClip(Stage):
    """Writes the one row of `clips`; camera motion and noise floor stay null."""

    reads: ClassVar[tuple[str, ...]] = ("frames",)
    writes: ClassVar[tuple[str, ...]] = ("clips",)

    def process(self, clip: Clip) -> Clip:
        """`clip` with its row; its scale is that of its depth, where it has any."""
        scale_type = None if clip.depth is None else clip.depth.kind
        row = {**clip.read_columns(), "scale_type": scale_type}
        return clip.with_table("clips", tables.spec("clips").from_rows([row]))
