#!/usr/bin/env bash
# py360convert 1.0.4, panoramas to cubes and back
#
# Expected: `c2e(e2c(panorama))`, with faces as fine as the panorama, blurs a little and moves nothing.
# Seen:     every way there and back moves the picture to the left and up. In the middle of the front face
#           it is half a pixel and more, since `c2e` takes a panorama's columns for pixels that begin where
#           they have their middle. A spot 6 pixels wide in a panorama of 512 by 256, faces of 128:
#
#             times there and back      column    row
#             0                         300.0     100.0
#             1                         299.2      99.7
#             5                         295.9      98.5
#             10                        291.7      97.0
#
# Boxes and masks drawn on a cube's faces lie beside the things of the panorama by half a pixel of it, 0.35
# degrees here. Draw on one of the two, and carry points by angles with half pixels of your own.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    py360convert==1.0.4 opencv-python-headless==5.0.0.93 scipy==1.17.1 numpy==2.4.6
cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" -I - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import py360convert

HEIGHT, WIDTH, FACE = 256, 512, 128
SEEN = {0: (300.0, 100.0), 1: (299.2, 99.7), 5: (295.9, 98.5), 10: (291.7, 97.0)}

print("py360convert", version("py360convert"))
rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(float)
spot = np.exp(-((columns - 300) ** 2 + (rows - 100) ** 2) / 18)
for times in range(11):
    if times in SEEN:
        place = (float((spot * columns).sum() / spot.sum()), float((spot * rows).sum() / spot.sum()))
        print(f"{times:2} times there and back: column {place[0]:.2f}, row {place[1]:.2f}")
        assert np.allclose(place, SEEN[times], atol=0.06), "the spot's place changed"
    cube = py360convert.e2c(spot[..., None], face_w=FACE)
    spot = py360convert.c2e(cube, HEIGHT, WIDTH)[..., 0]

# A front face that holds the longitude of every pixel, in degrees: the panorama's front must hold its own.
on_face = np.degrees(np.arctan((np.arange(FACE) + 0.5) / (FACE / 2) - 1))
faces = {name: np.zeros((FACE, FACE, 1)) for name in "FRBLUD"}
faces["F"] = np.tile(on_face, (FACE, 1))[..., None]
seen = py360convert.c2e(faces, HEIGHT, WIDTH, cube_format="dict")[HEIGHT // 2, :, 0]
true = ((np.arange(WIDTH) + 0.5) / WIDTH - 0.5) * 360
off = (seen - true)[WIDTH // 2 - 10 : WIDTH // 2 + 10] * WIDTH / 360
print(f"the front's middle shows what lies {off.min():.2f} to {off.max():.2f} pixels to the right")
assert 0.5 < off.min() and off.max() < 0.75, "c2e changed"
PYTHON
