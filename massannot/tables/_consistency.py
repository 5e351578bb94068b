"""Consistency of tables with each other, which no single table can check.

A TableSpec checks cells, keys and order. Here: references that point nowhere, lists of another
length than their clip, masks of another size than their picture, counts that do not count. All of
it holds within one shard, because a video's clips and their rows lie in one shard.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from massannot import tables
from massannot.counts import counted
from massannot.errors import BadMask, BadTable
from massannot.geometry import rle
from massannot.tables._spec import Reference, TableSpec


def check(given: Mapping[str, pa.Table]) -> None:
    """Refuse tables that break a specification or contradict each other. Raises BadTable."""
    for problem in problems(given):
        raise BadTable(problem)


def problems(given: Mapping[str, pa.Table]) -> Iterator[str]:
    """One sentence for each thing that is wrong, tables in alphabetical order.

    A table that breaks its own specification is reported alone, without further checks.
    """
    sound: dict[str, pa.Table] = {}
    for name in sorted(given):
        try:
            tables.spec(name, schema=given[name].schema).check(given[name])
        except BadTable as error:
            yield str(error)
        else:
            sound[name] = given[name]
    broken = set(given) - set(sound)
    for name, table in sound.items():
        spec = tables.spec(name, schema=table.schema)
        for reference in spec.references:
            if reference.table not in broken:
                yield from _dangling(spec, table, reference, sound.get(reference.table))
        if "clips" in sound:
            yield from _list_lengths(spec, table, sound["clips"])
    if "clips" in sound and "frames" in sound:
        yield from _frame_counts(sound["clips"], sound["frames"])
    if "clips" in sound and "masks" in sound:
        yield from _mask_sizes(sound["clips"], sound["masks"])
    if "masks" in sound:
        yield from _mask_counts(sound["masks"])
    if "phrases" in sound and "entities" in sound:
        yield from _entity_counts(sound["phrases"], sound["entities"])
    if "identities" in sound:
        yield from problems_of_links(sound["identities"])
        if "entities" in sound:
            yield from problems_of_identified(sound["identities"], sound["entities"])


def _dangling(
    spec: TableSpec, table: pa.Table, reference: Reference, target: pa.Table | None
) -> Iterator[str]:
    if table.num_rows == 0:
        return
    if target is None:
        yield f"table {spec.name}: refers to {reference.table}, which is not there"
        return
    ours, theirs = list(reference.columns), list(reference.target_columns or reference.columns)
    pointers = table.select(ours).drop_null()
    lost = pointers.join(target.select(theirs), keys=ours, right_keys=theirs, join_type="left anti")
    if lost.num_rows:
        first = lost.sort_by([(name, "ascending") for name in ours]).slice(0, 1).to_pylist()[0]
        yield (
            f"table {spec.name}: {counted(lost.num_rows, 'row points', many='rows point')} to "
            f"{first}, which is not in {reference.table}"
        )


def _list_lengths(spec: TableSpec, table: pa.Table, clips: pa.Table) -> Iterator[str]:
    columns = [column.name for column in spec.columns if column.items == "n_frames"]
    if not columns or table.num_rows == 0:
        return
    expected = _of_clip(table, clips, "n_frames")
    for name in columns:
        lengths = pc.list_value_length(table[name])
        wrong = _where(pc.not_equal(lengths, expected))
        if len(wrong):
            row = int(wrong[0])
            yield (
                f"table {spec.name}, column {name!r}: {counted(len(wrong), 'list')} of another "
                f"length than their clip; row {row} has "
                f"{counted(lengths[row].as_py(), 'item')}, clip "
                f"{table['clip_id'][row].as_py()} has {counted(expected[row].as_py(), 'frame')}"
            )


def _frame_counts(clips: pa.Table, frames: pa.Table) -> Iterator[str]:
    per_clip = frames.group_by("clip_id").aggregate([("frame", "count"), ("frame", "max")])
    compared = clips.select(["clip_id", "n_frames"]).join(per_clip, keys="clip_id")
    n_rows, last = pc.fill_null(compared["frame_count"], 0), pc.fill_null(compared["frame_max"], -1)
    wrong = pc.or_(
        pc.not_equal(n_rows, compared["n_frames"]),
        pc.not_equal(last, pc.subtract(compared["n_frames"], 1)),
    )
    for row in _where(wrong)[:1]:
        yield (
            f"table clips: clip {compared['clip_id'][row].as_py()} says "
            f"{counted(compared['n_frames'][row].as_py(), 'frame')}, table frames has "
            f"{n_rows[row].as_py()}, the last one number {last[row].as_py()}"
        )


def _mask_sizes(clips: pa.Table, masks: pa.Table) -> Iterator[str]:
    if masks.num_rows == 0:
        return
    height, width = _of_clip(masks, clips, "source_height"), _of_clip(masks, clips, "source_width")
    differs = pc.or_(pc.not_equal(masks["height"], height), pc.not_equal(masks["width"], width))
    for row in _where(differs)[:1]:
        yield (
            f"table masks: row {row} is {masks['width'][row]}x{masks['height'][row]}, "
            f"the picture of clip {masks['clip_id'][row]} is {width[row]}x{height[row]}"
        )


def _mask_counts(masks: pa.Table) -> Iterator[str]:
    columns = (masks[name].to_pylist() for name in ("counts", "height", "width", "area"))
    for row, (counts, height, width, area) in enumerate(zip(*columns, strict=True)):
        try:
            rle.check(counts, height=height, width=width)
        except BadMask as error:
            yield f"table masks: row {row}: {error}"
            return
        if rle.area(counts) != area:
            yield f"table masks: row {row} says {area} pixels, its runs have {rle.area(counts)}"
            return


def _entity_counts(phrases: pa.Table, entities: pa.Table) -> Iterator[str]:
    """Entities are those of the phrase's text: two questions may ask for the same."""
    texts = phrases.select(["clip_id", "phrase", "text"])
    named = entities.select(["clip_id", "phrase", "entity"]).join(texts, ["clip_id", "phrase"])
    per_text = named.group_by(["clip_id", "text"]).aggregate([("entity", "count")])
    phrase_rows = phrases.select(["clip_id", "phrase", "text", "n_entities"])
    compared = phrase_rows.join(per_text, keys=["clip_id", "text"])
    n_rows = pc.fill_null(compared["entity_count"], 0)
    for row in _where(pc.not_equal(n_rows, compared["n_entities"]))[:1]:
        yield (
            f"table phrases: phrase {compared['phrase'][row]} of clip "
            f"{compared['clip_id'][row]} says "
            f"{counted(compared['n_entities'][row].as_py(), 'entity')}, table entities has "
            f"{n_rows[row]}"
        )


def problems_of_links(identities: pa.Table) -> Iterator[str]:
    """Links of `identities`, all clips of their videos among the rows: each leads to an entity of
    the same identity, only the first of an identity has none, no clip has one twice."""
    rows = identities.to_pylist()
    identity = {(row["clip_id"], row["entity"]): row["identity"] for row in rows}
    seen: set[tuple[str, str, int]] = set()
    begun: set[tuple[str, int]] = set()
    for row in rows:
        where = f"table identities: entity {row['entity']} of clip {row['clip_id']}"
        link = row["linked_from_clip_id"], row["linked_from_entity"]
        key = row["video_id"], row["clip_id"], row["identity"]
        if (link[0] is None) != (row["how"] == "first"):
            yield f"{where} says {row['how']}, its link leads to {link}"
        elif link[0] is not None and identity.get(link) != row["identity"]:
            yield (
                f"{where} has identity {row['identity']}, its link leads to {link} with "
                f"{identity.get(link)}"
            )
        elif key in seen:
            yield f"{where} has identity {row['identity']}, as another entity of that clip has"
        elif link[0] is None and (row["video_id"], row["identity"]) in begun:
            yield f"{where} begins identity {row['identity']}, as another entity does"
        else:
            proposed = row["proposed_identity"]
            if proposed is not None and (link[0] is not None or proposed >= row["identity"]):
                yield f"{where}: proposal {proposed} is not before {row['identity']}"
                return
            seen.add(key)
            if link[0] is None:
                begun.add((row["video_id"], row["identity"]))
            continue
        return


def problems_of_identified(identities: pa.Table, entities: pa.Table) -> Iterator[str]:
    """Entities without a row of `identities`, of the same clips."""
    key = ["clip_id", "entity"]
    lost = entities.select(key).join(identities.select(key), keys=key, join_type="left anti")
    if lost.num_rows:
        first = lost.sort_by([(name, "ascending") for name in key]).slice(0, 1).to_pylist()[0]
        have = counted(lost.num_rows, "entity has", many="entities have")
        yield f"table identities: {have} no row, the first {first}"


def _of_clip(table: pa.Table, clips: pa.Table, column: str) -> pa.ChunkedArray:
    """The clip's value for each row of `table`; null where the clip is not there."""
    row = pc.index_in(table["clip_id"], value_set=clips["clip_id"].combine_chunks())
    return clips[column].take(row)


def _where(condition: pa.ChunkedArray) -> np.ndarray:
    """Rows in which `condition` is true; null is not."""
    return np.flatnonzero(pc.fill_null(condition, False).to_numpy())
