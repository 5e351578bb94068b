#!/usr/bin/env bash
# xarray 2026.9.0, zarr-python 3.1.6, masks and labels in a zarr store of format 2
#
# Expected: what zarr reads from an array, `xarray.open_zarr` reads as well; 0 is the background.
# Seen:     zarr writes 0 as the array's fill value if none was given, and xarray takes that, in format
#           2 and not in format 3, for a missing value. Of 0, 1, 2 and 2^53 + 1:
#
#             dtype    format 2                               format 3
#             uint8    float32   nan 1 2 1                    uint8   0 1 2 1
#             int32    float64   nan 1 2 1                    int32   0 1 2 1
#             uint64   float64   nan 1 2 2^53                 uint64  0 1 2 2^53 + 1
#             bool     object    nan True True True           bool    False True True True
#             float32  float32   nan 1 2 2^53                 float32 0 1 2 2^53
#
#           `labels == 0` finds no background, wide ids meet, and a mask made boolean again is true
#           everywhere, since NaN is. Nothing warns. (In float32 2^53 + 1 is 2^53 from the start.)
#
# Open with `mask_and_scale=False`, or create the arrays with `fill_value=None` or in format 3.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    xarray==2026.9.0 zarr==3.1.6 pandas==3.1.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
import numpy as np
import xarray
import zarr

NAMES = ["row", "column"]
IDS = np.array([[0, 1], [2, 2**53 + 1]], np.uint64)
READ_AS = {"uint8": "float32", "int32": "float64", "uint64": "float64", "bool": "object", "float32": "float32"}


def written(name, labels, zarr_format, **options):
    if zarr_format == 2:
        options["attributes"] = {"_ARRAY_DIMENSIONS": NAMES}
    else:
        options["dimension_names"] = NAMES
    group = zarr.open_group(name, mode="w", zarr_format=zarr_format)
    array = group.create_array("labels", shape=labels.shape, dtype=labels.dtype, **options)
    array[:] = labels
    assert np.array_equal(array[:], labels), "zarr changed"
    return name


def read(name, **options):
    return xarray.open_zarr(name, consolidated=False, **options)["labels"].values


print("xarray", xarray.__version__, "zarr", zarr.__version__)
for dtype, read_as in READ_AS.items():
    labels = IDS.astype(dtype)
    old, new = (written(f"{dtype}.{number}", labels, number) for number in (2, 3))
    two, three = read(old), read(new)
    print(f"{dtype}: format 2 {two.dtype} {two.ravel().tolist()},", end=" ")
    print(f"format 3 {three.dtype} {three.ravel().tolist()}")
    assert two.dtype == read_as and np.isnan(float(two[0, 0])), "format 2 keeps 0 now"
    assert not (two == 0).any(), "format 2 keeps 0 now"
    assert three.dtype == dtype and np.array_equal(three, labels), "format 3 changed"
    unmasked = read(old, mask_and_scale=False)
    assert unmasked.dtype == dtype and np.array_equal(unmasked, labels), "mask_and_scale changed"
    no_fill = read(written(f"{dtype}.no_fill", labels, 2, fill_value=None))
    assert no_fill.dtype == dtype and np.array_equal(no_fill, labels), "fill_value=None changed"
    if dtype == "bool":
        assert two.astype(bool).all(), "the mask is false somewhere"
    if dtype == "uint64":
        assert int(two[1, 1]) == 2**53, "wide ids are kept now"
PYTHON
