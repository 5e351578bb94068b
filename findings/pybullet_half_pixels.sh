#!/usr/bin/env bash
# pybullet 3.2.7, depth and segmentation of getCameraImage with ER_TINY_RENDERER (what DIRECT uses)
#
# Expected: a pixel shows what lies behind its middle, as the projection matrix of OpenGL says.
# Seen:     it shows what lies behind its lower left corner. Picture of 64 by 64 pixels, 90 degrees wide:
#
#             a plate turned by 40 degrees, 4 m away       depth differs from the truth by up to
#               at the pixel's middle                        11.4 cm (about y), 10.9 cm (about x)
#               at its lower left corner                     0.02 cm
#             a box over columns 20.25 to 36.25, rows 10.75 to 26.75
#               expected                                   columns 20 to 35, rows 11 to 26
#               seen                                       columns 21 to 36, rows 10 to 25
#
# Masks are a pixel off to the right and up, and points that are lifted at the pixels' middles half a one;
# lift column i and row j at (i, j + 1), where the first pixel's upper left corner is (0, 0).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check pybullet==3.2.7 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
from importlib.metadata import version
from math import radians

import numpy as np
import pybullet

SIZE, NEAR, FAR, DISTANCE = 64, 0.1, 100.0, 4.0
HALF = SIZE / 2  # also the focal length, as the picture is 90 degrees wide
VIEW = pybullet.computeViewMatrix([0, 0, 0], [0, 0, -1], [0, 1, 0])
PROJECTION = pybullet.computeProjectionMatrixFOV(90, 1, NEAR, FAR)

pybullet.connect(pybullet.DIRECT)


def seen(half_extents, place, turned=(0, 0, 0)):
    """Depth (64, 64) in metres and mask (64, 64) of one box."""
    pybullet.resetSimulation()
    shape = pybullet.createVisualShape(pybullet.GEOM_BOX, halfExtents=half_extents)
    turn = pybullet.getQuaternionFromEuler([radians(angle) for angle in turned])
    body = pybullet.createMultiBody(0, -1, shape, place, turn)
    image = pybullet.getCameraImage(
        SIZE, SIZE, VIEW, PROJECTION, renderer=pybullet.ER_TINY_RENDERER
    )
    buffer, labels = (np.reshape(part, (SIZE, SIZE)) for part in image[3:])
    return FAR * NEAR / (FAR - (FAR - NEAR) * buffer), labels == body, turn


def plate_error(turned, right, down):
    """Greatest difference of depth, in m, where pixels are sampled `right` and `down` of a corner."""
    depth, mask, turn = seen([3, 3, 1e-4], [0, 0, -DISTANCE], turned)
    normal = np.reshape(pybullet.getMatrixFromQuaternion(turn), (3, 3))[:, 2]
    ray_x = (np.arange(SIZE)[None] + right - HALF) / HALF
    ray_y = -(np.arange(SIZE)[:, None] + down - HALF) / HALF
    truth = -DISTANCE * normal[2] / (normal[0] * ray_x + normal[1] * ray_y - normal[2])
    inner = np.zeros_like(mask)
    inner[24:40, 12:52] = mask[24:40, 12:52]
    if turned[0]:
        inner = inner.T & mask
    return np.abs(depth - truth)[inner].max()


print("pybullet", version("pybullet"))
for axis, turned, expected in (("y", (0, 40, 0), 0.114), ("x", (40, 0, 0), 0.109)):
    middle, corner = plate_error(turned, 0.5, 0.5), plate_error(turned, 0, 1)
    print(f"plate turned about {axis}: {100 * middle:.2f} cm at the middle, {100 * corner:.2f} cm at the corner")
    assert abs(middle - expected) < 2e-3 and corner < 5e-4, "the plate's depth changed"

left, right, top, bottom = 20.25, 36.25, 10.75, 26.75
metres = DISTANCE / HALF
half_extents = [(right - left) / 2 * metres, (bottom - top) / 2 * metres, 0.05]
place = [((left + right) / 2 - HALF) * metres, (HALF - (top + bottom) / 2) * metres, -DISTANCE - 0.05]
_, mask, _ = seen(half_extents, place)
rows, columns = np.nonzero(mask)
print("box: columns", columns.min(), "to", columns.max(), "rows", rows.min(), "to", rows.max())
assert (columns.min(), columns.max(), rows.min(), rows.max()) == (21, 36, 10, 25), "the box changed"
PYTHON
