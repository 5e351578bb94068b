"""The stages that a spec asks for or leaves out, for recipes to call: `poses(spec)` and others."""

from __future__ import annotations

from massannot.models.background_corners import BackgroundCorners
from massannot.recipes.models import second_depth
from massannot.recipes.spec import RunSpec
from massannot.stages._stage import Stage
from massannot.stages.compare_depth import CompareDepth
from massannot.stages.estimate_poses import EstimatePoses
from massannot.stages.scale_depth import ScaleDepth
from massannot.stages.store_depth import StoreDepth


def poses(spec: RunSpec) -> tuple[Stage, ...]:
    """The stage that estimates them; none where the spec assumes a camera that stands still."""
    return (EstimatePoses(BackgroundCorners()),) if spec.poses == "estimate" else ()


def depth_asked(spec: RunSpec) -> tuple[Stage, ...]:
    """What becomes of depth when it is whole: scaled by things of known size, and stored."""
    scaled = (ScaleDepth(spec.known_sizes),) if spec.known_sizes else ()
    return (*scaled, *((StoreDepth(),) if spec.depth_maps else ()))


def depth_compared(spec: RunSpec) -> tuple[Stage, ...]:
    """The stage that asks a second depth model; none where nobody names one."""
    second = second_depth(spec)
    return () if second is None else (CompareDepth(second),)
