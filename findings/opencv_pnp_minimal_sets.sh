#!/usr/bin/env bash
# OpenCV 5.0.0, solvePnPRansac with four or five points, one of them false
#
# Expected: with reprojectionError=2 an inlier projects to within 2 pixels of where it was seen, and
#           a set with too few of them is a failure (False).
# Seen:     with four points (any method), or five with the default method, nothing is tested: True,
#           all of them inliers. One of the points is seen 192 pixels beside where it is:
#
#             points    inliers                 reprojection errors, px
#             4         0, 1, 2, 3 (all)        up to 183
#             5         0, 1, 2, 3, 4 (all)     28 to 83
#             6         0, 2, 3, 4, 5 (right)   0 but for the false one
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

CAMERA = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
POINTS = np.array(
    [[-1, -1, 5], [1, -1, 6], [1, 1, 5], [-1, 1, 7], [0, 0, 4], [0.5, -0.5, 4.5]], float
)
ROTATION, TRANSLATION = np.array([0.05, 0.1, 0.02]), np.array([0.5, 0.1, 0.0])


def project(points, rotation, translation):
    return cv2.projectPoints(points, rotation, translation, CAMERA, None)[0].reshape(-1, 2)


def solve(count):
    points = POINTS[:count]
    seen = project(points, ROTATION, TRANSLATION)
    seen[1] += (150, -120)
    solved, rotation, translation, inliers = cv2.solvePnPRansac(
        points, seen, CAMERA, None, reprojectionError=2.0
    )
    errors = np.linalg.norm(project(points, rotation, translation) - seen, axis=1)
    return solved, inliers.ravel().tolist(), errors


print("OpenCV", cv2.__version__)
for count, inliers in ((4, [0, 1, 2, 3]), (5, [0, 1, 2, 3, 4]), (6, [0, 2, 3, 4, 5])):
    solved, seen, errors = solve(count)
    print(count, "points:", solved, "inliers", seen, "errors", errors.round(1).tolist())
    assert solved and seen == inliers, "the inliers changed"
    assert (errors[inliers].max() > 50) == (count < 6), "the errors of the inliers changed"
PYTHON
