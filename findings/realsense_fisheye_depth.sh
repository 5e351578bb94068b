#!/usr/bin/env bash
# pyrealsense2 2.59.1 (librealsense), a pixel of a fisheye camera (model ftheta) and its depth
#
# Expected: rs2_deproject_pixel_to_point() undoes rs2_project_point_to_pixel(), as it does for the
#           models brown_conrady and kannala_brandt4 (to 0.0001 px), or refuses.
# Seen:     projecting follows the formula of this model, deprojecting does not: with the coefficient
#           0.92 every point is 27 % too far from the axis. With modified_brown_conrady
#           deprojecting leaves the coefficients out. None of it needs a camera:
#
#             model, 640 by 480        pixel and back      x of the point at 1 m
#             ftheta                   (420, 240)  443.6   0.494 m instead of 0.389 m
#             modified_brown_conrady   (600, 440)  596.5   0.560 m instead of 0.567 m
#             kannala_brandt4          (600, 440)  600.0
#
# Points and tracks lifted from such pictures are scaled or bent. Undistort pixels with your own
# inverse of the projection, and test it by going there and back.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    pyrealsense2==2.59.1.11053 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import math

import pyrealsense2 as rs

MILD = [-0.05, 0.06, 0.001, -0.0005, -0.02]


def camera(model, focal, coefficients):
    lens = rs.intrinsics()
    lens.width, lens.height, lens.ppx, lens.ppy = 640, 480, 320, 240
    lens.fx = lens.fy = focal
    lens.model, lens.coeffs = model, coefficients
    return lens


def there_and_back(lens, pixel):
    point = rs.rs2_deproject_pixel_to_point(lens, pixel, 1.0)
    return point, rs.rs2_project_point_to_pixel(lens, point)


print("pyrealsense2", rs.__version__)
models = rs.distortion
for model in (models.brown_conrady, models.inverse_brown_conrady, models.kannala_brandt4):
    _, back = there_and_back(camera(model, 500, MILD), [600, 440])
    print(model, "(600, 440) is", back)
    assert math.dist(back, (600, 440)) < 0.001

field = 0.92
lens = camera(models.ftheta, 250, [field, 0, 0, 0, 0])
point, back = there_and_back(lens, [420, 240])
radius = math.tan(100 / 250 * field) / (2 * math.tan(field / 2))
print("ftheta (420, 240) is", back, "x", point[0], "instead of", radius)
assert abs(rs.rs2_project_point_to_pixel(lens, [radius, 0, 1])[0] - 420) < 0.001
assert 1.26 < point[0] / radius < 1.28 and 443 < back[0] < 444, "ftheta changed"

point, back = there_and_back(camera(models.modified_brown_conrady, 500, MILD), [600, 440])
bent, _ = there_and_back(camera(models.brown_conrady, 500, MILD), [600, 440])
print("modified_brown_conrady (600, 440) is", back, "x", point[0], "and", bent[0], "if bent back")
assert abs(point[0] - (600 - 320) / 500) < 1e-6, "modified_brown_conrady changed"
assert math.dist(back, (600, 440)) > 3, "modified_brown_conrady changed"
PYTHON
