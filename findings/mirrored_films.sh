#!/usr/bin/env bash
# OpenCV 5.0.0, decord2 3.4.0 and PyAV 18.1.0 against imageio-ffmpeg 0.8.1 (ffmpeg 9.0.2) and
# imageio 2.38.1: a film that its MP4 mirrors
#
# Expected: a film whose display matrix says that left and right are exchanged, as of a camera that
#           faces its user, is read mirrored, as ffmpeg does, or as it is coded.
# Seen:     OpenCV and decord2 turn it by half a turn: top and bottom are exchanged too. They take
#           the matrix for a rotation; PyAV changes nothing and calls its rotation -180. If top and
#           bottom are exchanged, they change nothing. Where quarters A B (above), C D (below) go:
#
#                                  mirrored left to right    mirrored top to bottom
#             ffmpeg, imageio      B A, D C                  C D, A B
#             OpenCV, decord2      D C, B A                  A B, C D
#             PyAV                 A B, C D (-180)           A B, C D (0)
#
# Boxes drawn in a browser or on ffmpeg's pictures lie elsewhere in a loader that uses OpenCV. Read
# such a film with ffmpeg, or code it again so that its matrix is gone.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check --no-deps \
    imageio-ffmpeg==0.8.1 imageio==2.38.1 pillow==12.3.0 av==18.1.0 decord2==3.4.0 \
    opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import subprocess

import av
import cv2
import decord
import imageio.v3
import imageio_ffmpeg
import numpy as np

WIDTH, HEIGHT = 160, 96
GRAYS = {"A": 40, "B": 90, "C": 140, "D": 190}
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def call_ffmpeg(*options):
    subprocess.run([FFMPEG, "-loglevel", "error", "-y", *options], check=True)


def by_ffmpeg(path):
    call_ffmpeg("-i", path, "-frames:v", "1", "picture.png")
    return cv2.imread("picture.png")


def by_pyav(path):
    with av.open(path) as film:
        return next(film.decode(video=0)).to_ndarray(format="rgb24")


def rotation(path):
    with av.open(path) as film:
        return next(film.decode(video=0)).rotation


def quarters(picture):
    """The letters of the quarters: above left and right, then below."""
    assert picture.shape == (HEIGHT, WIDTH, 3), "the size changed"
    grays = [int(picture[row, column, 0]) for row in (24, 72) for column in (40, 120)]
    return "".join(min(GRAYS, key=lambda letter: abs(GRAYS[letter] - gray)) for gray in grays)


picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
picture[:48, :80], picture[:48, 80:], picture[48:, :80], picture[48:, 80:] = GRAYS.values()
with av.open("plain.mp4", "w") as film:
    stream = film.add_stream("libx264", rate=10, options={"crf": "0"})
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv444p"
    for _ in range(5):
        film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    film.mux(stream.encode(None))
call_ffmpeg("-display_hflip", "-i", "plain.mp4", "-c", "copy", "sideways.mp4")
call_ffmpeg("-display_vflip", "-i", "plain.mp4", "-c", "copy", "upside_down.mp4")

READERS = {  # the quarters of the plain film, of the one mirrored sideways, and of the other
    "ffmpeg": (by_ffmpeg, "ABCD", "BADC", "CDAB"),
    "imageio": (
        lambda path: imageio.v3.imread(path, plugin="FFMPEG", index=0), "ABCD", "BADC", "CDAB"
    ),
    "OpenCV": (lambda path: cv2.VideoCapture(path).read()[1], "ABCD", "DCBA", "ABCD"),
    "decord2": (
        lambda path: decord.VideoReader(path, num_threads=1)[0].asnumpy(), "ABCD", "DCBA", "ABCD"
    ),
    "PyAV": (by_pyav, "ABCD", "ABCD", "ABCD"),
}
print("ffmpeg", imageio_ffmpeg.get_ffmpeg_version(), "OpenCV", cv2.__version__)
PATHS = ("plain.mp4", "sideways.mp4", "upside_down.mp4")
for name, (read, *expected) in READERS.items():
    seen = [quarters(read(path)) for path in PATHS]
    print(f"{name:8}", dict(zip(PATHS, seen)))
    assert seen == expected, f"{name} changed"
rotations = [int(rotation(path)) for path in PATHS]
print("PyAV's rotation", dict(zip(PATHS, rotations)))
assert rotations == [0, -180, 0], "PyAV's rotation changed"
PYTHON
