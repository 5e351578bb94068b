#!/usr/bin/env bash
# usd-core 26.11, a camera or a thing that turns, at times between its samples
#
# Expected: of a transform given at times 0 and 10, a quarter of a turn apart, time 5 is the turn by 45
#           degrees.
# Seen:     the nine numbers of the matrix are interpolated one by one, and what is between two rotations
#           is none: a bar of 1 m is 0.71 m long at time 5, and a point 10 m ahead of the camera is at
#           14.1 m. UsdGeom.Camera's frustum, which makes a rotation of it again, is right at time 5, but
#           4 degrees off at time 2. With an `orient` (quaternion) in its place all is as expected:
#
#             time                               0      2      5      10
#             length of the bar, transform       1 m    0.82   0.71   1
#             depth of the point, transform      10 m   12.1   14.1   10
#             angle of the frustum, transform    0      -4.0   0      0     degrees from the true one
#             all three, orient                  as at the samples
#
# Times between samples are usual: samples at 24 and pictures at 30 a second, or motion blur. Write
# translate and orient, or a sample for each picture.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    usd-core==26.11 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import numpy as np
from pxr import Gf, Usd, UsdGeom

UP = Gf.Vec3d(0, 1, 0)
LAST, QUARTER = 10, 90.0


def turning_camera(stage, name, quaternion):
    camera = UsdGeom.Camera.Define(stage, "/" + name)
    double = UsdGeom.XformOp.PrecisionDouble
    op = camera.AddOrientOp(double) if quaternion else camera.AddTransformOp()
    for time, degrees in ((0, 0.0), (LAST, QUARTER)):
        turn = Gf.Rotation(UP, degrees)
        op.Set(turn.GetQuat() if quaternion else Gf.Matrix4d().SetRotate(turn), time)
    return camera


stage = Usd.Stage.CreateInMemory()
print("usd-core", ".".join(map(str, Usd.GetVersion()[1:])))
for name, quaternion in (("transform", False), ("orient", True)):
    camera = turning_camera(stage, name, quaternion)
    for time, transformed in (
        (0, (1, 10, 0)),
        (2, (0.8246, 12.098, -3.964)),
        (5, (0.7071, 14.142, 0)),
        (10, (1, 10, 0)),
    ):
        angle = np.radians(QUARTER * time / LAST)
        ahead = Gf.Vec3d(-10 * np.sin(angle), 0, -10 * np.cos(angle))
        world_from_camera = camera.ComputeLocalToWorldTransform(time)
        length = world_from_camera.TransformDir(Gf.Vec3d(1, 0, 0)).GetLength()
        depth = -world_from_camera.GetInverse().Transform(ahead)[2]
        in_frustum = camera.GetCamera(time).frustum.ComputeViewMatrix().Transform(ahead)
        off = np.degrees(np.arctan2(in_frustum[0], -in_frustum[2]))
        print(f"{name:9} time {time:2}: length {length:.4f}, depth {depth:.3f}, {off:.3f} degrees off")
        expected = (1, 10, 0) if quaternion else transformed
        assert np.allclose((length, depth, off), expected, atol=2e-3), "it changed"
PYTHON
