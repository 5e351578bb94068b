#!/usr/bin/env bash
# PySceneDetect 0.7.2, its OpenCV and its PyAV backend, an MP4 of variable frame rate
#
# Expected: a cut's frame number is the index of the first picture behind it, 45 and 90 here, or at
#           least the same with both backends.
# Seen:     two backends, two numbers, neither the picture's index; the seconds are right in both:
#
#             cut at            picture 45 (1.5 s)   picture 90 (4.5 s)
#             OpenCV backend    frame 26             frame 78
#             PyAV backend      frame 90             frame 270
#
#           They are the seconds times a rate: the mean, 17.27, in one, 60 in the other.
#
# The film: 60 pictures at 30 a second, then 60 at 12 a second; black, white, violet.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    scenedetect==0.7.2 opencv-python-headless==5.0.0.93 av==18.1.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
from fractions import Fraction

import av
import numpy as np
import scenedetect

TIMES = [Fraction(i, 30) if i < 60 else 2 + Fraction(i - 60, 12) for i in range(120)]
CUTS = (45, 90)
COLOURS = ((20, 20, 20), (220, 220, 220), (90, 20, 160))


def write_film():
    with av.open("film.mp4", "w") as film:
        x264 = {"bf": "0", "x264-params": "threads=1"}
        stream = film.add_stream("libx264", rate=30, options=x264)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 60)
        for number, time in enumerate(TIMES):
            colour = COLOURS[sum(number >= cut for cut in CUTS)]
            picture = np.full((96, 160, 3), colour, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = int(time * 60), Fraction(1, 60)
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))


def cuts(backend):
    film = scenedetect.open_video("film.mp4", backend=backend)
    manager = scenedetect.SceneManager()
    manager.add_detector(scenedetect.ContentDetector())
    manager.detect_scenes(film)
    starts = [start for start, _ in manager.get_scene_list()][1:]
    frames = [start.frame_num for start in starts]
    return frames, [round(start.seconds, 2) for start in starts], round(float(film.frame_rate), 2)


write_film()
opencv, pyav = cuts("opencv"), cuts("pyav")
print("PySceneDetect", scenedetect.__version__)
print("true  ", list(CUTS), [float(TIMES[cut]) for cut in CUTS])
print("opencv", *opencv)
print("pyav  ", *pyav)
assert opencv[1] == pyav[1] == [1.5, 4.5], "the seconds changed"
assert opencv[0] == [26, 78], "the frame numbers of the OpenCV backend changed"
assert pyav[0] == [90, 270], "the frame numbers of the PyAV backend changed"
PYTHON
