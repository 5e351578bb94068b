#!/usr/bin/env bash
# pycolmap 4.2.1, COLMAP's text format, a pose edited in images.txt
#
# Expected: images.txt lists each image with its pose: edit one, read the folder, see the edit.
# Seen:     write_text() also writes rigs.txt and frames.txt, with the poses a second time, and
#           the reader takes those. A translation edited in images.txt to 1, 2, 3:
#
#             with frames.txt and rigs.txt      the old 0, 0, 5, without a word
#             without frames.txt                IndexError
#             without either                    1, 2, 3
#
#           Image.cam_from_world() returns a copy as well: setting its translation changes nothing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    pycolmap==4.2.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
from pathlib import Path

import numpy as np
import pycolmap

pycolmap.set_random_seed(0)
scene = pycolmap.synthesize_dataset(pycolmap.SyntheticDatasetOptions())
folder = Path("scene")
folder.mkdir()
scene.write_text(folder)
written = sorted(file.name for file in folder.iterdir())


def translation():
    image = pycolmap.Reconstruction(folder).images[1]
    return np.round(image.cam_from_world().translation, 6).tolist()


# A line of a pose: id, quaternion (4), translation (3), camera, name.
lines = (folder / "images.txt").read_text().split("\n")
index = next(number for number, line in enumerate(lines) if line.startswith("1 "))
fields = lines[index].split(" ")
lines[index] = " ".join([*fields[:5], "1", "2", "3", *fields[8:]])

before = translation()
(folder / "images.txt").write_text("\n".join(lines))
edited = translation()
(folder / "frames.txt").unlink()
try:
    without_frames = translation()
except IndexError as error:
    without_frames = f"IndexError: {error}"
(folder / "rigs.txt").unlink()
without_both = translation()

scene.images[1].cam_from_world().translation = np.array([1.0, 2.0, 3.0])
in_memory = np.round(scene.images[1].cam_from_world().translation, 6).tolist()

print("pycolmap", pycolmap.__version__, "writes", *written)
print("before the edit          ", before)
print("images.txt edited        ", edited)
print("and without frames.txt   ", without_frames)
print("and without rigs.txt     ", without_both)
print("set on cam_from_world()  ", in_memory)
assert written == ["cameras.txt", "frames.txt", "images.txt", "points3D.txt", "rigs.txt"]
assert edited == before == [0, 0, 5], "the edit is seen now"
assert without_frames == "IndexError: unordered_map::at", "a folder without frames.txt is read"
assert without_both == [1, 2, 3]
assert in_memory == before, "cam_from_world() is no copy now"
PYTHON
