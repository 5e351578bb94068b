#!/usr/bin/env bash
# FFmpeg 8 in PyAV 18.1.0, depth in metres as floats (pixel format grayf32le), made smaller
#
# Expected: scaling keeps the unit. A wall at 4 m stays at 4 m; decoding a PFM gives it exactly.
# Seen:     everything beyond 1 is 1, with every kind of interpolation, in reformat() and in the
#           filter "scale": floats pass through 16 bits that stand for 0 to 1.
#
#             decoded       0.25   0.75   4.0   80.0
#             half as wide  0.25   0.75   1.0    1.0
#
# Film of depth (PFM, EXR, TIFF) that a pipeline of FFmpeg scales is flat behind the first metre, and
# looks as if it had been normalised. Scale it outside of FFmpeg, or carry millimetres as gray16le.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
from fractions import Fraction

import av
import numpy as np

DEPTH_M = np.repeat(np.float32([0.25, 0.75, 4, 80]), 32)[None].repeat(64, 0)
COLUMNS = [8, 24, 40, 56]

with open("depth.pfm", "wb") as file:
    file.write(b"Pf\n128 64\n-1.0\n" + DEPTH_M[::-1].astype("<f4").tobytes())
with av.open("depth.pfm") as film:
    decoded = next(film.decode(video=0))
print("PyAV", av.__version__, decoded.format.name, decoded.to_ndarray()[32, [16, 48, 80, 112]])
assert decoded.format.name == "grayf32le"
assert np.array_equal(decoded.to_ndarray(), DEPTH_M)


def filtered(frame, scale):
    graph = av.filter.Graph()
    size = {"width": frame.width, "height": frame.height, "format": frame.format.name}
    source = graph.add_buffer(**size, time_base=Fraction(1, 30))
    scaler, sink = graph.add("scale", scale), graph.add("buffersink")
    source.link_to(scaler)
    scaler.link_to(sink)
    graph.configure()
    frame.pts, frame.time_base = 0, Fraction(1, 30)
    source.push(frame)
    return sink.pull()


halves = {f"scale, {kind}": f"64:32:flags={kind}" for kind in ("neighbor", "bilinear", "bicubic")}
halves = {name: filtered(decoded, scale) for name, scale in halves.items()}
halves["reformat"] = decoded.reformat(width=64, height=32)
for name, half in halves.items():
    seen = half.to_ndarray()[16, COLUMNS]
    print(f"{name:16}", half.format.name, seen)
    assert half.format.name == "grayf32le"
    assert np.allclose(seen, [0.25, 0.75, 1, 1], atol=1e-4), "the scaling of floats changed"

deep = av.VideoFrame.from_ndarray((DEPTH_M[:, ::-1] * 800).astype(np.uint16), format="gray16le")
seen = filtered(deep, "64:32:flags=neighbor").to_ndarray()[16, COLUMNS]
print("gray16le        ", seen)
assert np.array_equal(seen, [64000, 3200, 600, 200]), "the scaling of gray16le changed"
PYTHON
