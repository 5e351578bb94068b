"""Scores of the poses of one annotated clip against the scene's; the baseline stands still.

ate_from_first_m      root mean square distance of the camera's centres, both paths starting at
                      the first frame and not aligned otherwise; metres, of metric depth
rpe_deg               root mean square angle between the found and the true turn from each frame
                      to the next
region_90_share       share of the frames after the first whose true pose lies in the region
                      that the stated covariance gives 90 % (six degrees of freedom), with that of
                      the depth's scale, clips.range_rel_sd, along the way
kind_right            1 where standing still, turning on the spot or moving was told right
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from massannot.evaluate.clip_truth import NAN, ClipScore, ClipTruth
from massannot.geometry.bundle_adjustment import rotation_vectors
from massannot.geometry.camera import inverse
from massannot.stages._track_arrays import camera_arrays, pose_covariances, words

F64 = npt.NDArray[np.float64]

CHI2_90 = 10.645
"""90th percentile of chi-square with six degrees of freedom."""
STILL_M, STILL_RAD = 1e-4, 1e-5
"""A camera that moves and turns less than this does not."""


def camera_scores(clip: ClipTruth) -> list[ClipScore]:
    """See the module's head; NaN where poses are only assumed, or there is one frame."""
    if clip.n_frames < 2:
        return []
    truth, found = clip.answers.cam_from_world(), camera_arrays(clip.view)[1]
    still = np.tile(np.eye(4), (clip.n_frames, 1, 1))
    ate, rpe, kind = ate_from_first(found, truth), rpe_deg(found, truth), NAN
    if words(clip.view.table("cameras"), "pose_origin", "estimated").all():
        kind = float(kind_of(found) == kind_of(truth))
        if clip.view.row["scale_type"] != "metric":
            ate = NAN
    scale_sd = clip.view.row["range_rel_sd"] or 0.0
    share = region_share(found, truth, with_scale(pose_covariances(clip.view), found, scale_sd))
    return [
        ClipScore("cameras", "ate_from_first_m", ate, ate_from_first(still, truth)),
        ClipScore("cameras", "rpe_deg", rpe, rpe_deg(still, truth)),
        ClipScore("cameras", "region_90_share", share),
        ClipScore("cameras", "kind_right", kind),
    ]


def with_scale(cov: F64, cam_from_world: F64, rel_sd: float) -> F64:
    """Covariances (T, 6, 6) of poses (T, 4, 4) whose translations share one factor with the
    relative standard deviation `rel_sd`, beside what `cov` says of them without it."""
    way = cam_from_world[:, :3, 3]
    total = cov.copy()
    total[:, 3:, 3:] += rel_sd**2 * way[:, :, None] * way[:, None, :]
    return total


def ate_from_first(found: F64, truth: F64) -> float:
    """Of poses (T, 4, 4), in their unit."""
    apart = inverse(found)[:, :3, 3] - inverse(truth)[:, :3, 3]
    return float(np.sqrt((apart**2).sum(axis=1).mean()))


def rpe_deg(found: F64, truth: F64) -> float:
    """Of poses (T, 4, 4)."""
    steps = [poses[1:] @ inverse(poses[:-1]) for poses in (found, truth)]
    wrong = rotation_vectors((steps[0] @ inverse(steps[1]))[:, :3, :3])
    return float(np.degrees(np.sqrt((wrong**2).sum(axis=1).mean())))


def region_share(found: F64, truth: F64, cov: F64) -> float:
    """Share of the poses (T, 4, 4), without the first, that lie in their 90 % region by cov
    (T, 6, 6); NaN where no covariance was stated."""
    wrong = (truth @ inverse(found))[1:]
    stated = np.isfinite(cov[1:, 0, 0])
    if not stated.any():
        return NAN
    error = np.concatenate([rotation_vectors(wrong[:, :3, :3]), wrong[:, :3, 3]], axis=1)[stated]
    square = np.einsum("ti,tij,tj->t", error, np.linalg.pinv(cov[1:][stated]), error)
    return float((square <= CHI2_90).mean())


def kind_of(poses: F64) -> str:
    """still, turns or moves."""
    if np.abs(inverse(poses)[:, :3, 3]).max() > STILL_M:
        return "moves"
    return "turns" if np.abs(rotation_vectors(poses[:, :3, :3])).max() > STILL_RAD else "still"
