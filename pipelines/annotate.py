"""Everything named, where it is, how it moves in 3D, and how sure: the whole annotation."""

from massannot.recipes.models import cameras, detector, pipeline_of, propagator, tracker
from massannot.recipes.optional_stages import depth_asked, depth_estimated, located, poses
from massannot.recipes.spec import RunSpec
from massannot.stages._stage import Pipeline
from massannot.stages.detect_phrases import DetectPhrases
from massannot.stages.estimate_cameras import EstimateCameras
from massannot.stages.find_events import FindEvents
from massannot.stages.lift_tracks import LiftTracks
from massannot.stages.measure_motions import MeasureMotions
from massannot.stages.propagate_masks import PropagateMasks
from massannot.stages.score_quality import ScoreQuality
from massannot.stages.split_segments import SplitSegments
from massannot.stages.stabilize_depth import StabilizeDepth
from massannot.stages.state_intervals import StateIntervals
from massannot.stages.summarize_clip import SummarizeClip
from massannot.stages.track_points import TrackPoints


def pipeline(spec: RunSpec) -> Pipeline:
    return pipeline_of(
        "annotate",
        spec,
        SplitSegments(),
        DetectPhrases(detector(spec)),
        PropagateMasks(propagator=propagator(spec)),
        TrackPoints(tracker(spec), max_per_entity=spec.grid_size**2),
        EstimateCameras(cameras(spec)),
        depth_estimated(spec),
        StabilizeDepth(),
        *poses(spec),
        *depth_asked(spec),
        LiftTracks(),
        SummarizeClip(),
        *located(spec),
        MeasureMotions(),
        ScoreQuality(),
        StateIntervals(),
        FindEvents(),
    )
