#!/usr/bin/env bash
# FFmpeg 8 in PyAV 18.1.0, filters on depth in millimetres (gray16le in, gray16le out)
#
# Expected: a filter that changes nothing here (no angle, no zoom), or one pixel (a box of one pixel in
#           the corner), leaves the other depths as they are, or says that it cannot.
# Seen:     a filter that has no 16 bits of gray is given something else, and what it returns is spread
#           out to 16 bits again. Neither the result's format nor any message tells of it. Of a ramp
#           with all 65,536 depths:
#
#             filter                          depths left    furthest off
#             drawbox                                 256          383 mm   (1000 mm is 1029)
#             zoompan, deshake                        256          253 mm   (1000 mm is 1028)
#             rotate, unsharp                      56,065            1 mm   (1000 mm is  999)
#             crop, pad, lenscorrection, tile      65,536            0
#
# A wall becomes stairs of a quarter of a metre when a box is drawn into the film of its depth. Let
# FFmpeg cut and pad depth, do the rest on arrays, and send a ramp through every chain first.
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

RAMP_MM = np.arange(65536, dtype=np.uint16).reshape(256, 256)
EXACT = (65536, 0, 1000)
EXPECTED = {
    "drawbox=0:0:1:1": (256, 383, 1029), "zoompan=1:s=256x256": (256, 253, 1028),
    "deshake": (256, 253, 1028), "rotate=0": (56065, 1, 999), "unsharp=3:3:0": (56065, 1, 999),
    "crop=256:256": EXACT, "pad=256:300": EXACT, "lenscorrection=k1=0": EXACT, "tile=1x1": EXACT,
}  # fmt: skip


def filtered(description):
    graph = av.filter.Graph()
    links = [graph.add_buffer(width=256, height=256, format="gray16le", time_base=Fraction(1, 30))]
    for text in (description, "format=gray16le"):
        name, _, options = text.partition("=")
        links.append(graph.add(name, options) if options else graph.add(name))
    links.append(graph.add("buffersink"))
    for before, after in zip(links, links[1:]):
        before.link_to(after)
    graph.configure()
    frame = av.VideoFrame.from_ndarray(RAMP_MM, format="gray16le")
    frame.pts, frame.time_base = 0, Fraction(1, 30)
    links[0].push(frame)
    return links[-1].pull()


print("PyAV", av.__version__, "libavfilter", av.library_versions["libavfilter"])
for description, (left, furthest, metre) in EXPECTED.items():
    frame = filtered(description)
    seen = frame.to_ndarray()[:256]
    off = np.abs(seen.astype(int) - RAMP_MM)[1:].max()
    result = (len(np.unique(seen)), int(off), int(seen[RAMP_MM == 1000][0]))
    print(f"{description:20}", frame.format.name, "depths left, furthest off, 1000 mm is:", result)
    assert frame.format.name == "gray16le"
    assert result == (left, furthest, metre), f"{description} changed"
PYTHON
