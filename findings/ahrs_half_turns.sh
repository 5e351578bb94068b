#!/usr/bin/env bash
# AHRS 0.4.0, half turns as matrices
#
# Expected: a matrix, its axis and angle, and its quaternion by any of the five methods are one rotation.
# Seen:     half turns are what leads from east, north, up to north, east, down, and from OpenGL's camera
#           to OpenCV's. `DCM.to_axisangle` returns the axis (0, 0, 0) for them, which is no turn, and an
#           axis of length 0.83 a millionth of a degree before; the quaternions of three methods are other
#           rotations. Nothing raises. Degrees between the matrix and the answer:
#
#             half turn about     axis and angle   chiaverini   hughes   sarabandi   itzhack, shepperd
#             (1, 1, 0)  ENU-NED        180            180          0         0              0
#             (1, 0, 0)  GL-CV          180            180          0         0              0
#             (1, -1, 0)                180            180        180       180              0
#             (1, -2, 2)                180            180        167       167              0
#
# Keep to `shepperd`, the default of `to_quaternion`, and take axis and angle from the quaternion.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    ahrs==0.4.0 scipy==1.17.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from ahrs import DCM
from scipy.spatial.transform import Rotation

METHODS = ("chiaverini", "hughes", "sarabandi", "itzhack", "shepperd")
SEEN = {  # half turns about these axes: degrees off by axis and angle, then by the methods
    (1, 1, 0): [180, 180, 0, 0, 0, 0],
    (1, 0, 0): [180, 180, 0, 0, 0, 0],
    (1, -1, 0): [180, 180, 180, 180, 0, 0],
    (1, -2, 2): [180, 180, 167, 167, 0, 0],
}


def degrees_off(answer, matrix):
    return np.degrees((answer * Rotation.from_matrix(matrix).inv()).magnitude())


def of_axis_and_angle(matrix):
    axis, angle = DCM(matrix).to_axisangle()
    return Rotation.from_rotvec(np.asarray(axis) * angle)


def of_quaternion(matrix, method):
    w, x, y, z = DCM(matrix).to_quaternion(method=method)
    return Rotation.from_quat([x, y, z, w])


print("AHRS", version("ahrs"))
for axis, seen in SEEN.items():
    whole = np.array(axis)
    matrix = 2 * np.outer(whole, whole) / (whole @ whole) - np.eye(3)
    assert np.array_equal(matrix, matrix.T) and np.isclose(np.linalg.det(matrix), 1)
    off = [degrees_off(of_axis_and_angle(matrix), matrix)]
    off += [degrees_off(of_quaternion(matrix, method), matrix) for method in METHODS]
    print(axis, "axis and angle", DCM(matrix).to_axisangle(), [round(float(number)) for number in off])
    assert [round(float(number)) for number in off] == seen, "half turns changed"
almost = Rotation.from_rotvec(np.radians(179.999999) * np.array([1, 1, 0]) / 2**0.5).as_matrix()
off = degrees_off(of_axis_and_angle(almost), almost)
length = np.linalg.norm(DCM(almost).to_axisangle()[0])
print(f"179.999999 degrees about (1, 1, 0): the axis has length {length:.2f}, axis and angle turn {off:.0f} degrees elsewhere")
assert off > 5, "turns of almost 180 degrees changed"
assert degrees_off(of_quaternion(almost, "shepperd"), almost) < 1e-6
PYTHON
