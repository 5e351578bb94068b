"""How CoTracker3's network is used: options without the network, which loads torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

VisibilityRule = Literal["visibility", "visibility times confidence"]


@dataclass(frozen=True)
class Conventions:
    """How the network is used and its answer read; the defaults are the official offline ones."""

    resize_to: tuple[int, int] = (384, 512)
    """(H, W) of the pictures given to the network; the aspect is not kept."""
    iters: int = 6
    support_grid: int = 6
    """Side of a grid of extra points in frame 0 that help the others; 0 for none."""
    backward: bool = True
    """Take the frames before a point's query from a second pass over the reversed clip."""
    visibility_rule: VisibilityRule = "visibility"
    visible_above: float = 0.9
    queries_are_truth: bool = True
    """In its query frame a point is where its query is, and visible."""

    @classmethod
    def official_online(cls) -> Conventions:
        """Those of the official online wrapper."""
        return cls(
            support_grid=0,
            backward=False,
            visibility_rule="visibility times confidence",
            visible_above=0.6,
            queries_are_truth=False,
        )
