#!/usr/bin/env bash
# scikit-image 0.26.0, a TIFF of three or four pictures (depth, masks, labels)
#
# Expected: `skimage.io.imread` stacks the gray pictures of a TIFF, N x H x W, as tifffile and imageio do.
# Seen:     so it does, except for three or four of them, which it takes for the colours of one picture:
#
#             pictures of 10 x 12   tifffile, imageio   scikit-image
#             2                     2 x 10 x 12         2 x 10 x 12
#             3                     3 x 10 x 12         10 x 12 x 3
#             4                     4 x 10 x 12         10 x 12 x 4
#             5                     5 x 10 x 12         5 x 10 x 12
#
#           Whether tifffile declared them as gray (`minisblack`) or Pillow wrote them page by page makes
#           no difference, and nothing warns. With `as_gray=True` they are mixed into one picture. A
#           loop over the pictures is one over ten rows.
#
# Read stacks with tifffile or imageio.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    scikit-image==0.26.0 tifffile==2026.3.3 imageio==2.38.1 pillow==12.3.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
import imageio.v3
import numpy as np
import skimage
import skimage.io
import tifffile
from PIL import Image

print("scikit-image", skimage.__version__, "tifffile", tifffile.__version__)
for count in (2, 3, 4, 5):
    stack = np.arange(count * 10 * 12, dtype=np.uint16).reshape(count, 10, 12)
    tifffile.imwrite("tifffile.tif", stack, photometric="minisblack")
    first, *others = [Image.fromarray(picture) for picture in stack]
    first.save("pillow.tif", save_all=True, append_images=others)
    for name in ("tifffile.tif", "pillow.tif"):
        assert np.array_equal(tifffile.imread(name), stack), "the file is wrong"
        assert np.array_equal(imageio.v3.imread(name), stack), "imageio changed"
        image = skimage.io.imread(name)
        print(f"{count} pictures of 10 x 12, {name}: {image.shape}")
        expected = np.moveaxis(stack, 0, -1) if count in (3, 4) else stack
        assert np.array_equal(image, expected), "scikit-image changed"
tifffile.imwrite("three.tif", np.zeros((3, 10, 12), np.uint8), photometric="minisblack")
mixed = skimage.io.imread("three.tif", as_gray=True)
print("three pictures with as_gray=True:", mixed.shape)
assert mixed.shape == (10, 12), "as_gray changed"
PYTHON
