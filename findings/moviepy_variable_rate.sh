#!/usr/bin/env bash
# moviepy 2.2.1 with imageio-ffmpeg 0.8.1, an MP4 of variable frame rate
#
# Expected: get_frame(t) is the picture on screen at t; iter_frames() reaches the end of the film.
# Seen:     the film runs 3.45 times too slowly and its second half never comes. ffmpeg fills the
#           film up to 60 pictures a second, moviepy counts them as 17.39 a second, the mean:
#
#             t               0.5   1.0   2.0   3.0
#             on screen        15    30    42    54
#             get_frame(t)      4     8    17    26
#             iter_frames()   59 pictures, of which the last is number 29
#
# The film has 60 numbered pictures: 30 at 30 a second, then 30 at 12 a second.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    moviepy==2.2.1 imageio-ffmpeg==0.8.1 imageio==2.38.1 pillow==11.3.0 av==18.1.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
from fractions import Fraction
from importlib.metadata import version

import av
import moviepy
import numpy as np

TIMES = [Fraction(i, 30) if i < 30 else 1 + Fraction(i - 30, 12) for i in range(60)]


def numbered(number):
    bits = [255 if number >> bit & 1 else 0 for bit in range(8)]
    row = np.repeat(np.array(bits, np.uint8), 20)
    return np.broadcast_to(row[None, :, None], (96, 160, 3)).copy()


def number_of(rgb):
    return sum(1 << bit for bit in range(8) if rgb[48, 20 * bit + 10, 1] > 128)


with av.open("film.mp4", "w") as film:
    x264 = {"bf": "0", "x264-params": "keyint=12:threads=1"}
    stream = film.add_stream("libx264", rate=30, options=x264)
    stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
    stream.codec_context.time_base = Fraction(1, 60)
    for number, time in enumerate(TIMES):
        frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
        frame.pts, frame.time_base = int(time * 60), Fraction(1, 60)
        film.mux(stream.encode(frame))
    film.mux(stream.encode(None))

with av.open("film.mp4") as film:
    stored = [(number_of(f.to_ndarray(format="rgb24")), f.time) for f in film.decode(video=0)]
assert [number for number, _ in stored] == list(range(60))
assert all(abs(time - TIMES[number]) < 0.001 for number, time in stored)


def got(time):
    with moviepy.VideoFileClip("film.mp4") as clip:
        return number_of(clip.get_frame(time))


def on_screen(time):
    return max(number for number in range(60) if TIMES[number] <= time)


with moviepy.VideoFileClip("film.mp4") as clip:
    rate, iterated = clip.fps, [number_of(picture) for picture in clip.iter_frames()]
asked = (0.5, 1.0, 2.0, 3.0)
print("moviepy", version("moviepy"), "says", rate, "pictures a second")
print("on screen   ", [on_screen(time) for time in asked])
print("get_frame(t)", [got(time) for time in asked])
print("iter_frames():", len(iterated), "pictures, the last is", iterated[-1])
assert [on_screen(time) for time in asked] == [15, 30, 42, 54]
assert [got(time) for time in asked] == [4, 8, 17, 26], "get_frame changed"
assert (len(iterated), iterated[-1]) == (59, 29), "iter_frames changed"
PYTHON
