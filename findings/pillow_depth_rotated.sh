#!/usr/bin/env bash
# Pillow 12.3.0, a depth map of 16 bits (mode I;16, as a 16-bit PNG opens) rotated or moved
#
# Expected: a wall that is 1000 mm away everywhere is so after `rotate` or `transform`; or a refusal, as
#           `reduce`, `thumbnail` and filters give ("image has wrong mode").
# Seen:     with BILINEAR and BICUBIC the bytes are interpolated, not the numbers, without a warning.
#           Resizing is right, and so is NEAREST:
#
#             of 1000 everywhere                  BILINEAR   BICUBIC    NEAREST
#             I;16 rotated by 10 degrees          7 to 227   3 to 231   1000
#             I;16 moved by half a pixel          117        117        1000
#             I;16 resized                        1000       1000       1000
#             mode F or I, all of these           1000       1000       1000
#
#           paste(1000, box) writes 59624 (the byte 232 twice); a number pasted into mode I stays.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check pillow==12.3.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
import numpy as np
import PIL
from PIL import Image

Image.fromarray(np.full((40, 40), 1000, np.uint16)).save("depth.png")
depth = Image.open("depth.png")
half_a_pixel = (1, 0, 0.5, 0, 1, 0.5)
middle = slice(15, 25)


def lowest_and_highest(image):
    found = np.asarray(image)[middle, middle]
    return round(float(found.min())), round(float(found.max()))


print("Pillow", PIL.__version__, "mode", depth.mode)
assert depth.mode == "I;16"
for name, rotated, moved in (
    ("NEAREST", (1000, 1000), (1000, 1000)),
    ("BILINEAR", (7, 227), (117, 117)),
    ("BICUBIC", (3, 231), (117, 117)),
):
    kind = Image.Resampling[name]
    for image in (depth, depth.convert("F"), depth.convert("I")):
        seen = {
            "rotated": lowest_and_highest(image.rotate(10, resample=kind)),
            "moved": lowest_and_highest(
                image.transform((40, 40), Image.Transform.AFFINE, half_a_pixel, kind)
            ),
            "resized": lowest_and_highest(image.resize((40, 40), kind, box=(0.5, 0.5, 39.5, 39.5))),
        }
        print(f"{name:8} {image.mode:4}", seen)
        if image.mode == "I;16":
            assert seen["rotated"] == rotated, "rotate changed"
            assert seen["moved"] == moved, "transform changed"
            assert seen["resized"] == (1000, 1000)
        else:
            assert set(seen.values()) == {(1000, 1000)}

for mode, expected in (("I;16", 59624), ("I", 1000)):
    canvas = Image.new(mode, (4, 4))
    canvas.paste(1000, (0, 0, 4, 4))
    print("paste(1000) into", mode, canvas.getpixel((0, 0)))
    assert canvas.getpixel((0, 0)) == expected, "paste changed"
PYTHON
