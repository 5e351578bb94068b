"""The stages that a spec asks for or leaves out, for recipes to call: `poses(spec)` and others."""

from __future__ import annotations

from massannot.models.background_corners import BackgroundCorners
from massannot.recipes.models import cuboids, depth, second_depth
from massannot.recipes.spec import RunSpec
from massannot.stages._stage import Stage
from massannot.stages.compare_depth import CompareDepth
from massannot.stages.estimate_depth import EstimateDepth
from massannot.stages.estimate_poses import EstimatePoses
from massannot.stages.leave_depth_unknown import LeaveDepthUnknown
from massannot.stages.locate_entities import LocateEntities
from massannot.stages.place_cuboids import PlaceCuboids
from massannot.stages.scale_depth import ScaleDepth
from massannot.stages.store_depth import StoreDepth


def poses(spec: RunSpec) -> tuple[Stage, ...]:
    """The stage that estimates them; none where the spec assumes a camera that stands still."""
    return (EstimatePoses(BackgroundCorners()),) if spec.poses == "estimate" else ()


def depth_estimated(spec: RunSpec) -> Stage:
    """The stage that asks a model, or, where cuboids say where things are and nobody does the job,
    leaves depth unknown."""
    if "cuboids" in spec.models and "depth" not in spec.models:
        return LeaveDepthUnknown()
    return EstimateDepth(depth(spec))


def depth_asked(spec: RunSpec) -> tuple[Stage, ...]:
    """What becomes of depth when it is whole: scaled by things of known size, and stored."""
    scaled = (ScaleDepth(spec.known_sizes),) if spec.known_sizes else ()
    return (*scaled, *((StoreDepth(),) if spec.depth_maps else ()))


def located(spec: RunSpec) -> tuple[Stage, ...]:
    """The stages that say where things are: by masks and depth, beside a second depth model where
    somebody names one, and by cuboids where somebody gives them."""
    second, source = second_depth(spec), cuboids(spec)
    compared = () if second is None else (CompareDepth(second),)
    return (LocateEntities(), *compared, *(() if source is None else (PlaceCuboids(source),)))
