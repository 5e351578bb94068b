"""A dataset in DuckDB: a view a table, and the view `flat`, which joins what most queries want.

DuckDB reads the Parquet files as they lie and only what a query needs of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from massannot import tables
from massannot.dataset.reading import Dataset
from massannot.errors import NothingToRun, UsageError

INPUTS = ("clips", "frames", "phrases", "entities", "masks", "positions")
"""What `flat` is made of."""
FLAT = """
WITH named AS (
  SELECT e.clip_id, e.entity, p.text AS phrase, e.quality, e.measured_share,
    CASE WHEN count(*) OVER texts = 1 THEN p.text
      ELSE p.text || ' ' || row_number() OVER (PARTITION BY e.clip_id, p.text ORDER BY e.entity)
    END AS name
  FROM entities e JOIN phrases p ON p.clip_id = e.clip_id AND p.phrase = e.phrase
  WINDOW texts AS (PARTITION BY e.clip_id, p.text)
), timed AS (
  SELECT p.*, f.t_s,
    lead(f.t_s) OVER near - lag(f.t_s) OVER near AS span_s,
    bool_or(p.x_world IS NOT NULL) OVER (PARTITION BY p.clip_id) AS in_world,
    sqrt((lead(x_world) OVER near - lag(x_world) OVER near) ** 2
      + (lead(y_world) OVER near - lag(y_world) OVER near) ** 2
      + (lead(z_world) OVER near - lag(z_world) OVER near) ** 2) AS way_world,
    sqrt((lead(x_cam) OVER near - lag(x_cam) OVER near) ** 2
      + (lead(y_cam) OVER near - lag(y_cam) OVER near) ** 2
      + (lead(z_cam) OVER near - lag(z_cam) OVER near) ** 2) AS way_cam
  FROM positions p JOIN frames f ON f.clip_id = p.clip_id AND f.frame = p.frame
  WINDOW near AS (PARTITION BY p.clip_id, p.entity ORDER BY p.frame)
)
SELECT t.clip_id, t.entity, t.frame, c.uri, c.source_id, n.name, n.phrase, t.t_s, t.state,
  o.name AS occluder, m.area > 0 AND m.state = 'visible' AS visible, m.x0, m.y0, m.x1, m.y1, m.area,
  t.scale_type, t.x_cam, t.y_cam, t.z_cam, t.x_world, t.y_world, t.z_world,
  t.x_half_90, t.y_half_90, t.z_half_90, t.interval_basis, t.size_x, t.size_y, t.size_z,
  sqrt(t.x_cam ** 2 + t.y_cam ** 2 + t.z_cam ** 2) AS distance,
  CASE WHEN t.in_world THEN t.way_world ELSE t.way_cam END / t.span_s AS speed,
  n.quality, n.measured_share
FROM timed t
JOIN clips c ON c.clip_id = t.clip_id
JOIN named n ON n.clip_id = t.clip_id AND n.entity = t.entity
LEFT JOIN named o ON o.clip_id = t.clip_id AND o.entity = t.occluder
LEFT JOIN masks m ON m.clip_id = t.clip_id AND m.entity = t.entity AND m.frame = t.frame
"""


def connected(dataset: Dataset) -> Any:
    """A DuckDB connection in memory with a view for each table, without rows where the dataset has
    none, and `flat`. Raises NothingToRun without duckdb, UsageError for a dataset in a bucket."""
    duckdb = _duckdb()
    if dataset.layout.in_bucket:
        raise UsageError(f"{dataset.layout.out}: expected a local folder, or a copy of the dataset")
    connection = duckdb.connect()
    for name in tables.names():
        if files := dataset.files(name):
            listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in files)
            rows = f"read_parquet([{listed}], union_by_name = true)"
            connection.execute(f'CREATE VIEW "{name}" AS SELECT * FROM {rows}')
        elif name != "flat":
            connection.register(name, tables.spec(name).empty())
    if not dataset.files("flat"):
        connection.execute(f"CREATE VIEW flat AS {FLAT}")
    return connection


def answer(dataset: Dataset, query: str) -> pa.Table:
    """What a query gives. Raises UsageError for one that DuckDB refuses, naming the views there
    are, and what `connected` raises."""
    connection = connected(dataset)
    try:
        found = connection.sql(query)
    except _duckdb().Error as error:
        names = ", ".join(row[0] for row in connection.execute("SHOW TABLES").fetchall())
        raise UsageError(f"{error}\nviews: {names}") from error
    if found is None:
        raise UsageError(f"{query!r}: expected a query that gives rows")
    return found.to_arrow_table()


def flat_rows(read: Callable[[str], pa.Table]) -> pa.Table:
    """The rows of `flat` of some clips. `read` gives these clips' rows of each of INPUTS. Raises
    NothingToRun without duckdb."""
    connection = _duckdb().connect()
    connection.execute("SET threads = 1")
    for name in INPUTS:
        connection.register(name, read(name))
    spec = tables.spec("flat")
    found = connection.sql(FLAT).to_arrow_table().select(list(spec.names))
    connection.close()
    return spec.checked(found.cast(spec.schema().remove_metadata()))


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise NothingToRun(
            "found no duckdb, which answers SQL: pip install 'massannot[sql]'"
        ) from error
    return duckdb
