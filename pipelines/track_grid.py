"""A grid of points followed through the clip and lifted into space; no phrase is needed."""

from massannot.recipes.models import cameras, depth, pipeline_of, tracker
from massannot.recipes.spec import RunSpec
from massannot.stages._stage import Pipeline
from massannot.stages.describe_clip import DescribeClip
from massannot.stages.estimate_cameras import EstimateCameras
from massannot.stages.estimate_depth import EstimateDepth
from massannot.stages.lift_tracks import LiftTracks
from massannot.stages.track_grid import TrackGrid


def pipeline(spec: RunSpec) -> Pipeline:
    return pipeline_of(
        "track_grid",
        spec,
        TrackGrid(tracker(spec), size=spec.grid_size),
        EstimateCameras(cameras(spec)),
        EstimateDepth(depth(spec)),
        LiftTracks(),
        DescribeClip(),
    )
