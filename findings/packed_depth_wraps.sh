#!/usr/bin/env bash
# xarray 2026.9.0 (zarr 3.1.6, scipy 1.17.1) and numcodecs 0.16.6, depth in metres packed into 16 bits
#
# Expected: depth beyond what millimetres of 16 bits hold (65.5 m) is the greatest depth, a hole or an error.
# Seen:     with `scale_factor` and `dtype` in the encoding, and with FixedScaleOffset, it starts again at
#           zero, without a warning: a wall at 70 m is the nearest thing. A noise of -0.1 m is the farthest.
#           xarray keeps a hole, numcodecs makes it 0 m:
#
#             written                               4.0   65.5   70.0   120.0   -0.1   NaN
#             xarray to zarr, uint16                4.0   65.5    4.464  54.464 65.436 NaN
#             xarray to netCDF, int16               4.0   -0.036  4.464 -11.072 -0.1   NaN
#             numcodecs FixedScaleOffset, uint16    4.0   65.5    4.464  54.464 65.436 0.0
#
# Of numcodecs' holes it is known: https://github.com/zarr-developers/numcodecs/issues/511. Clip before
# writing, or store floats with compression.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    xarray==2026.9.0 zarr==3.1.6 numcodecs==0.16.6 scipy==1.17.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import warnings
from importlib.metadata import version

import numcodecs
import numpy as np
import xarray

METRES = np.array([[4.0, 65.5, 70.0, 120.0, -0.1, np.nan]], np.float32)
UNSIGNED = [4.0, 65.5, 4.464, 54.464, 65.436]
SIGNED = [4.0, -0.036, 4.464, -11.072, -0.1]


def packed(kind):
    return {"depth": {"dtype": kind, "scale_factor": 0.001, "_FillValue": 0}}


def zarr(depth, zarr_format):
    path = f"depth{zarr_format}.zarr"
    depth.to_zarr(path, encoding=packed("uint16"), zarr_format=zarr_format, consolidated=False)
    return xarray.open_zarr(path, consolidated=False).depth.values


def netcdf(depth):
    depth.to_netcdf("depth.nc", engine="scipy", encoding=packed("int16"))
    with xarray.open_dataset("depth.nc") as stored:
        return stored.depth.values


codec = numcodecs.FixedScaleOffset(offset=0, scale=1000, dtype="f4", astype="u2")
depth = xarray.Dataset({"depth": (("y", "x"), METRES)})
print("xarray", version("xarray"), "numcodecs", version("numcodecs"))
with warnings.catch_warnings():
    warnings.simplefilter("error")
    seen = {
        "xarray, zarr 2": (zarr(depth, 2), [*UNSIGNED, np.nan]),
        "xarray, zarr 3": (zarr(depth, 3), [*UNSIGNED, np.nan]),
        "xarray, netCDF": (netcdf(depth), [*SIGNED, np.nan]),
        "numcodecs": (codec.decode(codec.encode(METRES[:, :5])).reshape(1, 5), UNSIGNED),
    }
for name, (found, expected) in seen.items():
    print(f"{name:15}", np.round(found[0], 3).tolist())
    assert np.allclose(found[0], expected, atol=1e-4, equal_nan=True), f"{name} changed"

with warnings.catch_warnings():  # numpy warns of the NaN
    warnings.simplefilter("ignore")
    hole = codec.decode(codec.encode(METRES[:, 5:]))
print("a hole in numcodecs", hole.tolist())
assert hole == 0, "numcodecs' holes changed"
PYTHON
