"""TableSpec: a table declared once; its Arrow schema, checks and JSON schema are derived from it.

Cell rules, the same for every table: null means unknown; NaN and infinity are refused; -0.0 is
stored as 0.0; no fixed-size lists, structs or Arrow dictionaries (readers differ on them). A name
ending in `_m` is always metres; other lengths have `scale_type` in the same row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from massannot.counts import counted
from massannot.errors import BadTable, NewerTable

CONVENTIONS = (
    "pixels: display-rotated source picture, origin at its top-left CORNER, the first pixel's "
    "centre is (0.5, 0.5), cx and cy likewise; boxes: x0 y0 x1 y1, half-open; camera: OpenCV axes "
    "(x right, y down, z forward), depth along z; world: the clip's first camera; "
    "time: t_s = (pts - the stream's first pts) * time_base"
)

STRING = pa.string()
BINARY = pa.binary()
BOOL = pa.bool_()
INT16 = pa.int16()
INT32 = pa.int32()
INT64 = pa.int64()
FLOAT32 = pa.float32()
FLOAT64 = pa.float64()

SCALE_TYPES = ("metric", "relative", "affine")
LIFTED_SCALE_TYPES = ("metric", "relative")  # nothing is lifted from affine depth
ORIGINS = ("given", "assumed", "estimated")
POINT_STATES = ("measured", "interpolated", "absent")
SOURCE_KINDS = ("real", "generated", "rendered")
INTERVAL_BASES = ("calibrated", "internal", "none")
INTERVAL_LEVELS = (50, 68, 90)
"""Nominal coverage of intervals, per cent."""


def list_of(item: pa.DataType) -> pa.DataType:
    """A variable-size list whose items are never null unless the column allows it."""
    return pa.list_(pa.field("item", item))


@dataclass(frozen=True)
class Column:
    """One column; its unit and frame of reference stand in the name or in `doc`."""

    name: str
    type: pa.DataType
    doc: str
    nullable: bool = False
    one_of: tuple[str, ...] = ()
    """Allowed values of a string column; empty: any."""
    items: int | str | None = None
    """Length of a list: a number, or `n_frames` for the clip's frame count. None: any."""
    steps: int = 0
    """Steps of one unit to whose multiples what a model or this program found is rounded, with
    `in_steps`: digits that mean nothing are most of a file. What was given stays exact. 0: none."""


Floats = TypeVar("Floats", NDArray[np.float32], NDArray[np.float64])


def in_steps(column: Column, values: Floats) -> Floats:
    """`values` at whole multiples of the column's step; NaN stays."""
    if not column.steps:
        return values
    steps: Any = values * np.float32(column.steps)
    rounded: Floats = np.round(steps) / np.float32(column.steps)
    return rounded


def half_widths(of: Sequence[str]) -> tuple[Column, ...]:
    """Columns NAME_half_LEVEL for each name: x_cam gives x_half_50 ..."""
    return tuple(
        Column(
            f"{column.removesuffix('_cam')}_half_{level}",
            FLOAT32,
            f"Half of the {level} % interval of {column} around it.",
            nullable=True,
        )
        for column in of
        for level in INTERVAL_LEVELS
    )


@dataclass(frozen=True)
class Reference:
    """`columns` of this table must exist in `table`, as `target_columns` (default: same names)."""

    columns: tuple[str, ...]
    table: str
    target_columns: tuple[str, ...] = ()


class Stated(NamedTuple):
    """What a file or a table in memory says that it is; nothing where nothing is said."""

    name: str
    version: int
    key: tuple[str, ...]


def stated(schema: pa.Schema) -> Stated:
    """Raises BadTable where the metadata are damaged."""
    metadata = schema.metadata or {}
    texts = [metadata.get(f"massannot.{of}".encode(), b"") for of in ("table", "version", "key")]
    try:
        name, version, key = (text.decode() for text in texts)
        return Stated(name, int(version or 0), tuple(key.split(",")) if key else ())
    except ValueError as error:  # as UnicodeDecodeError is
        raise BadTable(
            f"found table {texts[0]!r}, version {texts[1]!r}, key {texts[2]!r} in its metadata, "
            "expected texts and a number: the file is damaged"
        ) from error


@dataclass(frozen=True)
class TableSpec:
    """A table: its name, version, key (= sort order), columns, and what its keys point to."""

    name: str
    version: int
    key: tuple[str, ...]
    doc: str
    columns: tuple[Column, ...]
    references: tuple[Reference, ...] = ()
    of_runs: bool = True
    """Whether annotating writes it; else it is made of a finished dataset."""

    @classmethod
    def from_schema(cls, schema: pa.Schema) -> TableSpec:
        """The declaration that `schema()` wrote into a file, as far as it is there: without
        references and the checks of single columns."""
        name, version, key = stated(schema)
        if not key:
            raise BadTable(f"table {name}: found no key in its metadata: the file is damaged")
        return cls(
            name=name,
            version=version,
            key=key,
            doc=f"One row per {', '.join(key)}.",
            columns=tuple(
                Column(
                    field.name,
                    field.type,
                    (field.metadata or {}).get(b"doc", b"").decode(),
                    nullable=field.nullable,
                )
                for field in schema
            ),
        )

    @property
    def of_clips(self) -> bool:
        """Whether its rows belong to clips, whose stages write them; else to the videos of a shard,
        whose worker does."""
        return self.key[0] == "clip_id"

    def column(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise BadTable(f"table {self.name} has no column {name!r}; it has {list(self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def schema(self) -> pa.Schema:
        """The Arrow schema; version, key, conventions and each column's sentence as metadata."""
        return self._schema

    @cached_property
    def _schema(self) -> pa.Schema:
        fields = [
            pa.field(
                c.name,
                c.type,
                nullable=c.nullable,
                metadata={"doc": c.doc} | ({"step": f"1/{c.steps}"} if c.steps else {}),
            )
            for c in self.columns
        ]
        metadata = {
            "massannot.table": self.name,
            "massannot.version": str(self.version),
            "massannot.key": ",".join(self.key),
            "massannot.conventions": CONVENTIONS,
        }
        return pa.schema(fields, metadata=metadata)

    def empty(self) -> pa.Table:
        return self.schema().empty_table()

    def from_columns(self, columns: Mapping[str, Any]) -> pa.Table:
        """A valid, sorted table from one sequence or array per column.

        A nullable column may be left out (all null). Float arrays may hold NaN for unknown in
        nullable columns: it becomes null. Raises BadTable.
        """
        unknown = sorted(set(columns) - set(self.names))
        if unknown:
            raise BadTable(
                f"table {self.name}: unknown columns {unknown}; known: {list(self.names)}"
            )
        n_rows = max((len(values) for values in columns.values()), default=0)
        arrays = [self._array(column, columns.get(column.name), n_rows) for column in self.columns]
        return self.checked(pa.Table.from_arrays(arrays, names=list(self.names)))

    def from_rows(self, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
        """A valid, sorted table from one mapping per row; for small tables."""
        if not rows:
            return self.empty()
        names = {name for row in rows for name in row}
        return self.from_columns({name: [row.get(name) for row in rows] for name in names})

    def _array(self, column: Column, values: Any, n_rows: int) -> pa.Array:
        if values is None:
            if not column.nullable:
                raise BadTable(f"table {self.name}: column {column.name!r} is missing")
            return pa.nulls(n_rows, column.type)
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        if isinstance(values, pa.Array):
            return _positive_zero(values.cast(column.type))
        try:
            array = pa.array(values, type=column.type, from_pandas=column.nullable)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise BadTable(
                f"table {self.name}, column {column.name!r}: {error}; expected {column.type}"
            ) from error
        return _positive_zero(array)

    def checked(self, table: pa.Table) -> pa.Table:
        """`table` sorted by key, in one chunk, with every cell rule checked. Raises BadTable."""
        self._check_version(table)
        self._check_columns(table)
        for column in self.columns:
            self._check_cells(column, table[column.name])
        table = self.sorted(table.select(list(self.names)).cast(self.schema()))
        self._check_key(table)
        return table

    def sorted(self, table: pa.Table) -> pa.Table:
        """Rows in key order, in one chunk (several chunks of lists would give other bytes)."""
        if table.num_rows > 1:
            order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in self.key])
            if not np.array_equal(order.to_numpy(), np.arange(table.num_rows)):
                table = table.take(order)
        return table.combine_chunks()

    def check(self, table: pa.Table) -> None:
        """Refuse a table that breaks the specification. Raises BadTable or NewerTable."""
        self._check_version(table)
        self._check_columns(table)
        for column in self.columns:
            self._check_cells(column, table[column.name])
        self._check_key(table)

    def _check_version(self, table: pa.Table) -> None:
        version = stated(table.schema).version
        if version > self.version:
            raise NewerTable(
                f"table {self.name} has version {version}; this massannot reads up to "
                f"{self.version}: install a newer massannot"
            )

    def _check_columns(self, table: pa.Table) -> None:
        for column in self.columns:
            index = table.schema.get_field_index(column.name)
            if index < 0:
                raise BadTable(f"table {self.name}: column {column.name!r} is missing")
            actual = table.schema.field(index).type
            if actual != column.type:
                raise BadTable(
                    f"table {self.name}, column {column.name!r}: found {actual}, "
                    f"expected {column.type}"
                )

    def _check_cells(self, column: Column, values: pa.ChunkedArray) -> None:
        where = f"table {self.name}, column {column.name!r}"
        if not column.nullable and values.null_count:
            row = pc.index(pc.is_null(values), True).as_py()
            kind = "a key" if column.name in self.key else "a column that is never null"
            raise BadTable(f"{where}: null in row {row}, but this is {kind}")
        flat = values
        if pa.types.is_list(column.type):
            flat = pc.list_flatten(values)
            if isinstance(column.items, int):
                self._check_lengths(where, values, column.items)
        if pa.types.is_floating(flat.type) and len(flat):
            finite = pc.all(pc.is_finite(flat), skip_nulls=True).as_py()
            if finite is False:
                raise BadTable(f"{where}: NaN or infinity; unknown is written as null")
        if column.one_of:
            allowed = pc.is_in(flat, value_set=pa.array(column.one_of), skip_nulls=False)
            allowed = pc.or_(allowed, pc.is_null(flat))
            if pc.all(allowed).as_py() is False:
                row = pc.index(allowed, False).as_py()
                raise BadTable(f"{where}: {flat[row].as_py()!r} is not one of {column.one_of}")

    def _check_lengths(self, where: str, values: pa.ChunkedArray, expected: int) -> None:
        lengths = pc.list_value_length(values)
        right = pc.or_kleene(pc.equal(lengths, expected), pc.is_null(lengths))
        if pc.all(right).as_py() is False:
            row = pc.index(right, False).as_py()
            found = counted(lengths[row].as_py(), "item")
            raise BadTable(f"{where}: row {row} has {found}, expected {expected}")

    def _check_key(self, table: pa.Table) -> None:
        if table.num_rows < 2:
            return
        ascending = np.zeros(table.num_rows - 1, dtype=bool)
        tied = np.ones(table.num_rows - 1, dtype=bool)
        for name in self.key:
            values = table[name].combine_chunks()
            before, after = values.slice(0, len(values) - 1), values.slice(1)
            ascending |= tied & pc.less(before, after).to_numpy(zero_copy_only=False)
            tied &= pc.equal(before, after).to_numpy(zero_copy_only=False)
        wrong = np.flatnonzero(~ascending)
        if len(wrong):
            row = int(wrong[0]) + 1
            key = {name: table[name][row].as_py() for name in self.key}
            what = "repeated" if tied[wrong[0]] else "out of order"
            raise BadTable(
                f"table {self.name}: key {key} in row {row} is {what}; sort by {self.key}"
            )


def _positive_zero(array: pa.Array) -> pa.Array:
    """-0.0 written as 0.0, so that equal values have equal bytes."""
    if pa.types.is_floating(array.type):
        return pc.add(array, pa.scalar(0.0, array.type))
    if pa.types.is_list(array.type) and pa.types.is_floating(array.type.value_type):
        return pa.ListArray.from_arrays(
            array.offsets,
            pc.add(array.values, pa.scalar(0.0, array.type.value_type)),
            type=array.type,
            mask=array.is_null() if array.null_count else None,
        )
    return array
