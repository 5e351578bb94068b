#!/usr/bin/env bash
# datasets 5.2.0 (Hugging Face), times and positions in doubles, read with_format("numpy")
#
# Expected: a column of float64 is an array of float64, as with_format("pandas") gives.
# Seen:     it is float32, without a warning, except for a single number of a single row. The same cell
#           has two values:
#
#             time in the table                  1700000000.123, 1700000000.157, 1700000030.5
#             data[0]["time"]                    1700000000.123     float64
#             data[:]["time"], data.iter(3)      1700000000.0       float32, all three
#             data[0]["times"] (a list)          1700000000.0       float32, all three
#             data[0]["position"] (Array2D)      5432100.5 m        for 5432100.37 m
#
#           Half a minute of pictures has one time. What map() makes of it is stored as float32. Integers
#           keep their 64 bits.
#
# Give the type, with_format("numpy", dtype=numpy.float64), or store nanoseconds as int64.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    datasets==5.2.0 pyarrow==26.0.1 pandas==3.1.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import datasets
import numpy as np

TIMES = [1700000000.123, 1700000000.157, 1700000030.5]
POSITION = [[5432100.37, 1.0, 2.0]]

datasets.disable_progress_bars()
double = datasets.Value("float64")
features = {
    "time": double,
    "times": datasets.List(double),
    "position": datasets.Array2D((1, 3), "float64"),
    "ns": datasets.List(datasets.Value("int64")),
}
rows = {
    "time": TIMES,
    "times": [TIMES] * 3,
    "position": [POSITION] * 3,
    "ns": [[1700000000123456789]] * 3,
}
table = datasets.Dataset.from_dict(rows, features=datasets.Features(features))
arrays = table.with_format("numpy")
doubles = table.with_format("numpy", dtype=np.float64)

print("datasets", datasets.__version__)
for name, seen, expected in (
    ('[0]["time"]', arrays[0]["time"], TIMES[0]),
    ('[:]["time"]', arrays[:]["time"], np.float32([1.7e9] * 3)),
    ('.iter(3), "time"', next(arrays.iter(3))["time"], np.float32([1.7e9] * 3)),
    ('[0]["times"]', arrays[0]["times"], np.float32([1.7e9] * 3)),
    ('[0]["position"]', arrays[0]["position"], np.float32([[5432100.5, 1, 2]])),
    ('[0]["ns"]', arrays[0]["ns"], np.int64([1700000000123456789])),
    ('[:]["time"], dtype given', doubles[:]["time"], np.float64(TIMES)),
    ('[0]["times"], dtype given', doubles[0]["times"], np.float64(TIMES)),
    ('[0]["times"], pandas', table.with_format("pandas")[0]["times"][0], np.float64(TIMES)),
):
    print(f"{name:26} {seen.dtype} {np.ravel(seen).tolist()}")
    assert np.asarray(seen).dtype == np.asarray(expected).dtype, "the type changed"
    assert np.array_equal(seen, expected), "the values changed"

later = arrays.map(lambda row: {"later": row["times"] + 1}, load_from_cache_file=False)
print("what map() adds is stored as", later.features["later"].feature.dtype)
assert later.features["later"].feature.dtype == "float32", "map() changed"
PYTHON
