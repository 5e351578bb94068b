#!/usr/bin/env bash
# OpenCV 5.0.0, points taken out of a strong lens's distortion (undistortPoints)
#
# Expected: undistortPoints() and undistortImagePoints() put a point where undistort() puts its pixel,
#           and projectPoints() takes it back to where it was.
# Seen:     both stop after five iterations, whatever is left. Points of a picture of 1280 x 720 pixels
#           (focal length 600 pixels, 94 degrees wide), in pixels of the undistorted picture:
#
#             k1, k2, k3           largest error   beyond 1 pixel   with 100 iterations
#             -0.28, 0.08,  0      0.3             none             0
#             -0.35, 0.15, -0.03   2.8             10 %             0
#             -0.40, 0.20, -0.05   10.0            17 %             0
#
#           Nothing warns. The picture itself is right: initUndistortRectifyMap() agrees with
#           projectPoints(), so that boxes and tracks slide off what they are drawn on towards the rim.
#
# Give undistortPoints() `criteria=(3, 100, 1e-9)`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
import cv2
import numpy as np

SIZE = (1280, 720)
LENS = np.array([[600.0, 0, 639.5], [0, 600, 359.5], [0, 0, 1]])
MANY = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 100, 1e-9)
LENSES = (([-0.28, 0.08, 0], 0.33, 0), ([-0.35, 0.15, -0.03], 2.83, 0.1), ([-0.4, 0.2, -0.05], 9.97, 0.17))

columns, rows = np.meshgrid(np.arange(0.0, SIZE[0], 10), np.arange(0.0, SIZE[1], 10))
straight = np.stack([columns, rows], -1).reshape(-1, 2)
rays = np.column_stack([(straight - LENS[:2, 2]) / 600, np.ones(len(straight))])

print("OpenCV", cv2.__version__)
for (k1, k2, k3), largest, beyond in LENSES:
    bent = np.array([k1, k2, 0, 0, k3])
    seen, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), LENS, bent)
    map_x, _ = cv2.initUndistortRectifyMap(LENS, bent, None, LENS, SIZE, cv2.CV_32FC1)
    assert abs(map_x[::10, ::10].ravel() - seen[:, 0, 0]).max() < 1e-3, "the picture disagrees"

    def errors(points):
        return np.linalg.norm(points.reshape(-1, 2) - straight, axis=1)

    usual = errors(cv2.undistortPoints(seen, LENS, bent, P=LENS))
    image = errors(cv2.undistortImagePoints(seen, LENS, bent))
    many = errors(cv2.undistortPoints(seen, LENS, bent, P=LENS, criteria=MANY))
    print(f"k1 {k1}, k2 {k2}, k3 {k3}: error up to {usual.max():.2f} pixels,", end=" ")
    print(f"{(usual > 1).mean():.0%} of the points beyond 1 pixel,", end=" ")
    print(f"undistortImagePoints {image.max():.2f}, 100 iterations {many.max():.4f}")
    assert abs(usual.max() - largest) < 0.01, "the error changed"
    assert abs((usual > 1).mean() - beyond) < 0.01, "the share of points changed"
    assert np.allclose(image, usual), "undistortImagePoints changed"
    assert many.max() < 1e-3, "100 iterations do not suffice"
PYTHON
