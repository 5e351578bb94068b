"""One clip through many pipelines that differ in single stages.

A stage runs again only where something that it reads (`Stage.reads`) was made otherwise: depth is
not computed anew for other masks. The result is the one of each pipeline alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from massannot.clip import Clip
from massannot.stages._stage import Stage

_Run: TypeAlias = tuple[int, tuple[int, ...]]
"""A stage (its id), and which run made each thing that it read."""

_READ_FROM_FILE = -1


class SharedStages:
    """All runs on one clip. Stages must outlive it: they are told apart by identity."""

    def __init__(self, clip: Clip):
        self._clip = clip
        self._done: dict[_Run, tuple[int, Clip]] = {}

    def process(self, stages: Sequence[Stage]) -> Clip:
        """The clip after all `stages`."""
        clip, made_by = self._clip, dict.fromkeys(self._clip.rasters, _READ_FROM_FILE)
        for stage in stages:
            run = id(stage), tuple(made_by[name] for name in stage.reads)
            if run not in self._done:
                self._done[run] = len(self._done), stage.process(clip)
            number, done = self._done[run]
            clip = _with(clip, stage.writes, of=done)
            made_by |= dict.fromkeys(stage.writes, number)
        return clip


def _with(clip: Clip, names: Sequence[str], *, of: Clip) -> Clip:
    """`clip` with the tables and rasters `names` of another state of the same clip."""
    for name in names:
        if name != "depth":
            clip = clip.with_table(name, of.table(name))
        elif of.depth is not None:
            clip = clip.with_depth(of.depth)
    return clip
