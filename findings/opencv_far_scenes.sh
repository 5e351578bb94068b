#!/usr/bin/env bash
# OpenCV 5.0.0, the motion between two pictures of a scene that is far away (recoverPose)
#
# Expected: of the four poses that belong to an essential matrix, recoverPose() takes the one that has
#           the points in front of both cameras, and returns how many these are.
# Seen:     points farther than 50 baselines count as none of either (`distanceThresh`). Of neighbouring
#           pictures of a film that is soon everything: at 1.4 m and 30 pictures a second the baseline
#           is 5 cm, and the limit is at 2.3 m. The four have no point then, or a few wrong ones; one of
#           them is returned without a warning, and it is often one that is turned by half a turn. In 20
#           scenes of 200 points, a tenth of a pixel of noise, a motion of 1, a turn of 1.3 degrees:
#
#             depth of the scene   points counted   largest error   with distanceThresh=1e9
#              4 to 6              200              below 1 degree  the same
#             80 to 120            0 to 10          180 degrees     below 1 degree, 200 points
#
# The number of points is the only sign. Call it with `distanceThresh`, and take no pose with few points.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import cv2
import numpy as np

LENS = np.array([[1000.0, 0, 640], [0, 1000, 360], [0, 0, 1]])
TURN = cv2.Rodrigues(np.array([0, 0.02, 0.01]))[0]
MOTION = np.array([1.0, 0, 0])


def pixels(points, noise):
    image = points @ LENS.T
    return image[:, :2] / image[:, 2:] + noise.normal(0, 0.1, (len(points), 2))


def error(rotation):
    cosine = (np.trace(rotation.T @ TURN) - 1) / 2
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def scene(depth, seed):
    noise = np.random.default_rng(seed)
    points = noise.uniform([-0.5, -0.3, 0.8], [0.5, 0.3, 1.2], (200, 3)) * depth
    first, second = pixels(points, noise), pixels(points @ TURN.T + MOTION, noise)
    essential, _ = cv2.findEssentialMat(first, second, LENS, cv2.RANSAC, 0.999, 1.0)
    return essential, first, second, LENS


print("OpenCV", cv2.__version__)
for depth in (5, 100):
    usual = [cv2.recoverPose(*scene(depth, seed)) for seed in range(20)]
    any_depth = [cv2.recoverPose(*scene(depth, seed), distanceThresh=1e9) for seed in range(20)]
    for name, poses in (("usual", usual), ("any depth", any_depth)):
        errors = np.array([error(pose[1]) for pose in poses])
        counts = [pose[0] for pose in poses]
        turned = (errors > 170).sum()
        print(f"depth {depth:3}, {name:9}: {min(counts)} to {max(counts)} points counted,", end=" ")
        print(f"{turned} of 20 poses turned by half a turn, median error {np.median(errors):.2f}")
        if depth == 100 and name == "usual":
            assert max(counts) < 50, "points beyond 50 baselines count"
            assert turned >= 2, "the poses are right now"
        else:
            assert min(counts) > 190, "a pose that has its points has lost them"
            assert errors.max() < 1, "a pose that was right is wrong"
PYTHON
