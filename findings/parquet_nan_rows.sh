#!/usr/bin/env bash
# DuckDB 2.0.1 and pyarrow 26.0.1's datasets, a Parquet column with NaN written by pyarrow
#
# Expected: a filter finds the same rows in a Parquet file as in the table that was written to it.
# Seen:     the file's minimum and maximum leave NaN out, and the readers decide by them: a filter
#           that they call impossible loses the NaN row, one that they call certain adds it.
#           z is 1, 2, NaN, 3; the rows found:
#
#                                         table      file
#             DuckDB   isnan(z)           2          none
#             DuckDB   z <= 100           0, 1, 3    0, 1, 2, 3
#             pyarrow  not (z <= 100)     2          none
#
#           Without statistics (write_statistics=False) file and table agree.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    duckdb==2.0.1 pyarrow==26.0.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

in_memory = pa.table({"row": [0, 1, 2, 3], "z": np.array([1, 2, np.nan, 3])})
pq.write_table(in_memory, "z.parquet")
pq.write_table(in_memory, "plain.parquet", write_statistics=False)


def with_duckdb(condition, source):
    return [row for (row,) in duckdb.sql(f"select row from {source} where {condition}").fetchall()]


def with_pyarrow(path):
    beyond = ~(pc.field("z") <= 100)
    source = ds.dataset(path).to_table(filter=beyond) if path else in_memory.filter(beyond)
    return source["row"].to_pylist()


print("DuckDB", duckdb.__version__, "pyarrow", pa.__version__)
for condition, in_table, in_file in (
    ("isnan(z)", [2], []),
    ("z <= 100", [0, 1, 3], [0, 1, 2, 3]),
):
    seen = with_duckdb(condition, "in_memory"), with_duckdb(condition, "'z.parquet'")
    print("DuckDB ", condition, "table", seen[0], "file", seen[1])
    assert seen == (in_table, in_file), "DuckDB changed"
    assert with_duckdb(condition, "'plain.parquet'") == in_table
seen = with_pyarrow(None), with_pyarrow("z.parquet")
print("pyarrow not (z <= 100) table", seen[0], "file", seen[1])
assert seen == ([2], []), "pyarrow changed"
assert with_pyarrow("plain.parquet") == [2]
PYTHON
