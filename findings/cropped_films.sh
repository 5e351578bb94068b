#!/usr/bin/env bash
# imageio-ffmpeg 0.8.1 (ffmpeg 9.0.2), imageio 2.38.1, moviepy 2.2.1 against PyAV 18.1.0, OpenCV 5.0.0 and
# decord2 3.4.0: a film that its container crops
#
# Expected: one picture. The film is coded as 160 by 96; `clap` in its MP4 (PixelCrop in Matroska) says that
#           120 by 80 of it are shown, without 20 columns and 8 rows at each side.
# Seen:     three pictures. The column of the film's pixel in a reader's column 30:
#
#                                               size         column 30 shows
#             PyAV, OpenCV, decord2             160 by 96    30
#             ffmpeg, imageio's FFMPEG plugin   120 by 80    50
#             moviepy                           160 by 96    42 (cropped, then stretched)
#
#           imageio-ffmpeg logs that sizes differ, moviepy says nothing, and PyAV gives no access to the
#           crop. Boxes drawn on pictures that ffmpeg wrote are 20 and 8 pixels off in a loader that uses
#           OpenCV. Of players: https://github.com/mpv-player/mpv/issues/16278. Turn it off with ffmpeg's
#           `-apply_cropping codec`, or code such a film again.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    imageio-ffmpeg==0.8.1 imageio==2.38.1 moviepy==2.2.1 av==18.1.0 decord2==3.4.0 \
    opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import logging
import struct
import subprocess
from pathlib import Path

import av
import cv2
import decord
import imageio.v3
import imageio_ffmpeg
import moviepy
import numpy as np

WIDTH, HEIGHT, CROPPED_WIDTH, CROPPED_HEIGHT = 160, 96, 120, 80
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
logging.disable(logging.WARNING)

with av.open("whole.mp4", "w") as film:
    stream = film.add_stream("libx264", rate=10, options={"crf": "0"})
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv444p"
    picture = np.broadcast_to(np.arange(WIDTH, dtype=np.uint8)[None, :, None], (HEIGHT, WIDTH, 3))
    for _ in range(10):
        film.mux(stream.encode(av.VideoFrame.from_ndarray(picture.copy(), format="rgb24")))
    film.mux(stream.encode(None))


def with_clean_aperture(content):
    """The MP4 with a `clap` box in the description of its film; its `moov` comes last."""
    width_and_height = (CROPPED_WIDTH, 1, CROPPED_HEIGHT, 1)
    clap = struct.pack(">I4s8i", 40, b"clap", *width_and_height, 0, 1, 0, 1)
    before_children = {b"stsd": 8, b"avc1": 78}
    start, end, longer = 0, len(content), []
    for wanted in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        while content[start + 4 : start + 8] != wanted:
            start += struct.unpack_from(">I", content, start)[0]
        longer.append(start)
        end = start + struct.unpack_from(">I", content, start)[0]
        start += 8 + before_children.get(wanted, 0)
    result = bytearray(content[:end] + clap + content[end:])
    for place in longer:
        struct.pack_into(">I", result, place, struct.unpack_from(">I", content, place)[0] + len(clap))
    return bytes(result)


def by_pyav(path):
    with av.open(path) as file:
        return next(file.decode(video=0)).to_ndarray(format="rgb24")


def by_ffmpeg(path, *options):
    command = [FFMPEG, "-loglevel", "error", *options, "-i", path, "-frames:v", "1", "-y", "out.png"]
    subprocess.run(command, check=True)
    return cv2.imread("out.png")


def by_moviepy(path):
    with moviepy.VideoFileClip(path) as clip:
        return clip.get_frame(0)


READERS = {  # size, and which column is seen in column 30
    "PyAV": (by_pyav, (HEIGHT, WIDTH), 30),
    "OpenCV": (lambda path: cv2.VideoCapture(path).read()[1], (HEIGHT, WIDTH), 30),
    "decord2": (lambda path: decord.VideoReader(path, num_threads=1)[0].asnumpy(), (HEIGHT, WIDTH), 30),
    "ffmpeg": (by_ffmpeg, (CROPPED_HEIGHT, CROPPED_WIDTH), 50),
    "imageio": (
        lambda path: imageio.v3.imread(path, plugin="FFMPEG", index=0),
        (CROPPED_HEIGHT, CROPPED_WIDTH),
        50,
    ),
    "moviepy": (by_moviepy, (HEIGHT, WIDTH), 42.5),
}
Path("cropped.mp4").write_bytes(with_clean_aperture(Path("whole.mp4").read_bytes()))
copy = [FFMPEG, "-loglevel", "error", "-i", "cropped.mp4", "-c", "copy", "cropped.mkv"]
subprocess.run(copy, check=True)

print("ffmpeg", imageio_ffmpeg.get_ffmpeg_version())
for path in ("cropped.mp4", "cropped.mkv"):
    for name, (read, size, column) in READERS.items():
        seen = read(path)
        print(path, f"{name:8}", seen.shape[1], "by", seen.shape[0], "column 30 shows", seen[40, 30, 0])
        assert seen.shape[:2] == size, f"{name}: the size changed"
        assert abs(float(seen[40, 30, 0]) - column) <= 1, f"{name}: the crop changed"
    whole = by_ffmpeg(path, "-apply_cropping", "codec")
    assert whole.shape == (HEIGHT, WIDTH, 3) and abs(int(whole[40, 30, 0]) - 30) <= 1, "ffmpeg changed"
PYTHON
