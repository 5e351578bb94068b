#!/usr/bin/env bash
# albumentations 2.0.8, keypoints of pictures that are resized or bent
#
# Expected: the keypoint goes where the picture's content goes, as it does when the picture is flipped,
#           turned, or seen in perspective: there it fits to a thousandth of a pixel.
# Seen:     resizing multiplies x and y, as if the first pixel's middle were its corner, and the bending
#           transforms return whole numbers that are up to 3.7 pixels away. Each pixel of the picture (64 by
#           64) holds where it came from, so that the truth can be read from it; 20 seeds each:
#
#             transform                          greatest error      whole numbers
#             flip, turn, perspective                   0.00 px
#             Resize to 16 by 16                        0.38 px
#             RandomScale, twice as large               0.50 px
#             Resize to 256 by 256                      1.50 px
#             OpticalDistortion                         1.17 px       always
#             GridDistortion                            2.81 px       always
#             ElasticTransform                          1.19 px       always
#             PiecewiseAffine                           3.71 px       always
#             ThinPlateSpline                           3.35 px       always
#
# Known of resizing: https://github.com/albumentations-team/AlbumentationsX/issues/529, and of strong bends:
# https://github.com/albumentations-team/albumentations/issues/2285 (closed).
# Resize points with (x + 0.5) * scale - 0.5, and do not bend pictures whose points are to be exact.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    albumentations==2.0.8 albucore==0.0.24 opencv-python-headless==5.0.0.93 scipy==1.17.1 numpy==2.4.6
cd "$work"
NO_ALBUMENTATIONS_UPDATE=1 "$work/venv/bin/python" -I - <<'PYTHON'
import warnings

import albumentations as A
import numpy as np

warnings.simplefilter("ignore")
SIZE = 64
POINT = np.array([24.3, 36.7], np.float32)
CASES = {  # greatest error in px, and whether all keypoints are whole numbers
    "HorizontalFlip": (A.HorizontalFlip(p=1), 0.0, False),
    "Affine, turned": (A.Affine(rotate=(30, 30), p=1), 0.0, False),
    "Perspective": (A.Perspective(p=1), 0.0, False),
    "Resize to 16": (A.Resize(16, 16), 0.375, False),
    "RandomScale": (A.RandomScale((1, 1), p=1), 0.5, False),
    "Resize to 256": (A.Resize(256, 256), 1.5, False),
    "OpticalDistortion": (A.OpticalDistortion((0.3, 0.3), p=1), 1.172, True),
    "GridDistortion": (A.GridDistortion(p=1), 2.805, True),
    "ElasticTransform": (A.ElasticTransform(alpha=50, sigma=8, p=1), 1.193, True),
    "PiecewiseAffine": (A.PiecewiseAffine(p=1), 3.707, True),
    "ThinPlateSpline": (A.ThinPlateSpline(p=1), 3.353, True),
}
rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32)
PICTURE = np.stack([columns / SIZE, rows / SIZE, np.ones_like(rows)], -1)


def where_it_went(picture):
    """(x, y) in `picture` of what was at POINT, between pixels; None: out of the picture."""
    came_from = picture[..., :2] * SIZE
    away = np.linalg.norm(came_from - POINT, axis=-1)
    away[picture[..., 2] < 0.999] = np.inf
    if away.min() > 2:
        return None
    row, column = np.unravel_index(away.argmin(), away.shape)
    row, column = min(max(row, 1), away.shape[0] - 2), min(max(column, 1), away.shape[1] - 2)
    across = (came_from[row, column + 1] - came_from[row, column - 1]) / 2
    down = (came_from[row + 1, column] - came_from[row - 1, column]) / 2
    rest = np.linalg.solve(np.stack([across, down], -1), POINT - came_from[row, column])
    return np.array([column, row]) + rest


print("albumentations", A.__version__)
for name, (transform, expected, expected_whole) in CASES.items():
    errors, whole = [], []
    for seed in range(20):
        pipeline = A.Compose(
            [transform], keypoint_params=A.KeypointParams("xy", remove_invisible=False), seed=seed
        )
        result = pipeline(image=PICTURE.copy(), keypoints=POINT[None])
        truth = where_it_went(result["image"])
        if truth is not None and len(result["keypoints"]):
            keypoint = np.asarray(result["keypoints"][0], float)
            errors.append(np.abs(keypoint - truth).max())
            whole.append(np.array_equal(keypoint, keypoint.round()))
    assert len(errors) >= 19, f"{name} loses keypoints"
    print(f"{name:18} {len(errors)} pictures, greatest error {max(errors):.3f} px, whole", all(whole))
    assert abs(max(errors) - expected) < 0.01, f"{name} changed"
    assert all(whole) == expected_whole, f"{name} changed"
PYTHON
