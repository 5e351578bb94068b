"""What becomes of camera poses that nobody gives: `poses(spec)`, for recipes to call."""

from __future__ import annotations

from massannot.models.background_corners import BackgroundCorners
from massannot.recipes.spec import RunSpec
from massannot.stages._stage import Stage
from massannot.stages.estimate_poses import EstimatePoses


def poses(spec: RunSpec) -> tuple[Stage, ...]:
    """The stage that estimates them; none where the spec assumes a camera that stands still."""
    return (EstimatePoses(BackgroundCorners()),) if spec.poses == "estimate" else ()
