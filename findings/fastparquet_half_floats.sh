#!/usr/bin/env bash
# fastparquet 2026.9.0, a column of half floats (FLOAT16) that pyarrow 26.0.1 wrote
#
# Expected: numbers, as DuckDB and polars read them, or a refusal.
# Seen:     each number is its two raw bytes, without a warning, in a list too; there a zero byte at
#           the end is lost, so that 0.0 is the empty text:
#
#             written    1.5       -0.25        [0.0, 1.0]
#             read       b'\x00>'  b'\x00\xb4'  [b'', b'\x00<']
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    fastparquet==2026.9.0 duckdb==2.0.1 pyarrow==26.0.1 numpy==2.2.6 pandas==3.1.1
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import duckdb
import fastparquet
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

features = pa.FixedSizeListArray.from_arrays(pa.array(np.array([0, 1, 2, 3], np.float16)), 2)
confidence = pa.array(np.array([1.5, -0.25], np.float16))
pq.write_table(pa.table({"confidence": confidence, "features": features}), "half.parquet")

print("fastparquet", fastparquet.__version__)
numbers = duckdb.sql("select confidence, features from 'half.parquet'").fetchall()
print("DuckDB     ", numbers)
assert numbers == [(1.5, [0.0, 1.0]), (-0.25, [2.0, 3.0])]
found = fastparquet.ParquetFile("half.parquet").to_pandas()
print("fastparquet", list(found["confidence"]), list(map(list, found["features"])))
assert list(found["confidence"]) == [b"\x00>", b"\x00\xb4"], "fastparquet changed"
assert list(found["features"][0]) == [b"", b"\x00<"], "fastparquet changed"
PYTHON
