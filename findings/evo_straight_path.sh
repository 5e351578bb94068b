#!/usr/bin/env bash
# evo 1.38.1, alignment (Umeyama, with scale) of two straight camera paths
#
# Expected: two runs along the same line, never turned, differ by their noise of 1 mm; aligned, by no
#           more. If a line does not fix the rotation, evo says so.
# Seen:     align() turns the path about its own direction by an arbitrary angle. The error of the
#           positions stays perfect, each camera is turned by the same wrong angle:
#
#             seed      RMSE of positions      RMSE of rotations
#             0         2.4 mm                 32 degrees
#             1         2.2 mm                  1 degree
#             2         2.3 mm                 80 degrees
#
#           evo does refuse ("Degenerate covariance rank"), but only a line without noise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --no-deps --disable-pip-version-check \
    evo==1.38.1 natsort==8.4.0 numpy==2.4.6 scipy==1.17.1
cd "$work"
export HOME="$work"  # evo writes its settings there
"$work/venv/bin/python" -I - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from evo.core.geometry import GeometryException
from evo.core.metrics import APE, PoseRelation, StatisticsType
from evo.core.trajectory import PoseTrajectory3D

LINE = np.stack([np.zeros(100), np.zeros(100), np.linspace(0, 10, 100)], axis=1)
UNTURNED = np.tile([1.0, 0.0, 0.0, 0.0], (100, 1))


def path(noise):
    return PoseTrajectory3D(LINE + noise, UNTURNED, np.arange(100) / 30)


def errors(seed):
    random = np.random.default_rng(seed)
    truth = path(0.001 * random.standard_normal(LINE.shape))
    estimate = path(0.001 * random.standard_normal(LINE.shape))
    estimate.align(truth, correct_scale=True)
    found = []
    for relation in (PoseRelation.translation_part, PoseRelation.rotation_angle_deg):
        error = APE(relation)
        error.process_data((truth, estimate))
        found.append(float(error.get_statistic(StatisticsType.rmse)))
    return found


print("evo", version("evo"))
for seed, degrees in ((0, 32), (1, 1), (2, 80)):
    metres, turned = errors(seed)
    print(f"seed {seed}: positions {1000 * metres:.1f} mm, rotations {turned:.0f} degrees")
    assert metres < 0.003, "the positions no longer fit"
    assert round(turned) == degrees, "the rotation changed"
try:
    path(0).align(path(0), correct_scale=True)
except GeometryException as error:
    print("without noise:", error)
else:
    raise AssertionError("a line without noise is aligned now")
PYTHON
