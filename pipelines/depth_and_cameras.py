"""Depth of every frame, stored, and the camera that saw it; no phrase is needed."""

from massannot.recipes.models import cameras, depth, pipeline_of
from massannot.recipes.spec import RunSpec
from massannot.stages._stage import Pipeline
from massannot.stages.describe_clip import DescribeClip
from massannot.stages.estimate_cameras import EstimateCameras
from massannot.stages.estimate_depth import EstimateDepth
from massannot.stages.store_depth import StoreDepth


def pipeline(spec: RunSpec) -> Pipeline:
    return pipeline_of(
        "depth_and_cameras",
        spec,
        EstimateCameras(cameras(spec)),
        EstimateDepth(depth(spec)),
        StoreDepth(),
        DescribeClip(),
    )
