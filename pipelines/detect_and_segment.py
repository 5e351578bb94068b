"""Phrases to boxes at key frames, boxes to masks through time: where every named thing is seen."""

from massannot.recipes.models import detector, pipeline_of, propagator
from massannot.recipes.spec import RunSpec
from massannot.stages._stage import Pipeline
from massannot.stages.describe_clip import DescribeClip
from massannot.stages.detect_phrases import DetectPhrases
from massannot.stages.propagate_masks import PropagateMasks


def pipeline(spec: RunSpec) -> Pipeline:
    return pipeline_of(
        "detect_and_segment",
        spec,
        DetectPhrases(detector(spec)),
        PropagateMasks(propagator=propagator(spec)),
        DescribeClip(),
    )
