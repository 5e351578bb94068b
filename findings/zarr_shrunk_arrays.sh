#!/usr/bin/env bash
# zarr 3.1.6 against HDF5 2.0.0 in h5py 3.16.0, an array that is made shorter and longer again
#
# Expected: rows that are new after `resize` hold the fill value, as in HDF5.
# Seen:     some hold what was there before the array was cut: zarr takes away whole chunks, and
#           leaves what lies beyond the end in the chunk that was cut. Twenty
#           pictures in chunks of eight, labelled 1 to 20, made ten long and twenty again:
#
#             picture          0 to 9     10 to 15    16 to 19
#             HDF5             1 to 10    0           0
#             zarr, format 2   1 to 10    11 to 16    0
#             zarr, format 3   1 to 10    11 to 16    0
#
#           So it is with shards too, and with rows and columns of one picture. Nothing warns.
#
# Known: https://github.com/zarr-developers/zarr-python/issues/1017 (open).
# A film that is cut and grows again has old labels where nobody drew. Write the fill value over
# what is cut before `resize`, or over what is new after it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    zarr==3.1.6 numcodecs==0.16.6 h5py==3.16.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
from importlib.metadata import version

import h5py
import numpy as np
import zarr

PICTURES, CUT, CHUNK = 20, 10, 8
LABELS = np.arange(1, PICTURES + 1, dtype=np.int32)
CLEAN = np.where(np.arange(PICTURES) < CUT, LABELS, 0)
STALE = np.where(np.arange(PICTURES) < 2 * CHUNK, LABELS, 0)


def cut_and_grow(array, before_cut=lambda: None):
    array[:] = LABELS
    before_cut()
    array.resize((CUT,))
    assert array.shape == (CUT,) and np.array_equal(array[:], LABELS[:CUT])
    array.resize((PICTURES,))
    return array[:]


def labels(name, zarr_format, **options):
    options |= {"shape": (PICTURES,), "chunks": (CHUNK,), "dtype": "int32", "fill_value": 0}
    return zarr.create_array(name, zarr_format=zarr_format, **options)


print("zarr", version("zarr"), "h5py", version("h5py"), "HDF5", h5py.version.hdf5_version)
with h5py.File("labels.h5", "w") as file:
    array = file.create_dataset(
        "labels", (PICTURES,), "int32", chunks=(CHUNK,), maxshape=(None,), fillvalue=0
    )
    seen = cut_and_grow(array)
print("HDF5          ", seen)
assert np.array_equal(seen, CLEAN), "HDF5 changed"

for zarr_format in (2, 3):
    seen = cut_and_grow(labels(f"format{zarr_format}.zarr", zarr_format))
    print("zarr, format", zarr_format, seen)
    assert np.array_equal(seen, STALE), "zarr changed"
    again = zarr.open_array(f"format{zarr_format}.zarr", mode="r")[:]
    assert np.array_equal(again, STALE), "zarr's store changed"

sharded = labels("shards.zarr", 3, shards=(2 * CHUNK,))
seen = cut_and_grow(sharded)
print("zarr, shards  ", seen)
assert np.array_equal(seen, STALE), "zarr's shards changed"

picture = zarr.create_array(
    "picture.zarr", shape=(8, 8), chunks=(8, 8), dtype="uint8", fill_value=0
)
picture[:] = 7
picture.resize((5, 3))
picture.resize((8, 8))
print("8 by 8, cut to 5 by 3 and grown:", np.count_nonzero(picture[:]), "pixels of label 7")
assert (picture[:] == 7).all(), "zarr changed in two directions"

array = labels("wiped.zarr", 3)
seen = cut_and_grow(array, lambda: array.__setitem__(slice(CUT, None), 0))
print("zarr, wiped   ", seen)
assert np.array_equal(seen, CLEAN), "the way out does not work"
PYTHON
