"""`massannot explain`: what became of one clip, where, why, and what can be done.

A clip is named by its id or the beginning of it, or, where it never got one, as VIDEO#NUMBER or by
its video alone; a video by its address or the end of it.

What the workers' logs say of a clip: in which shard it was done, how long each stage took, or
the traceback. Logs may be gone, or lie on another machine: then they say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from massannot.counts import counted
from massannot.dataset import commits, plans
from massannot.dataset.journal import WHOLE_VIDEO, ClipKey, read_past
from massannot.dataset.layout import Layout
from massannot.errors import UsageError
from massannot.plan.folder import VIDEOS
from massannot.plan.planned_videos import split_edition
from massannot.storage.parquet import read_columns, read_parquet

BEGINS = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(,\d{3})?")
"""A line that says something of its own, and when; others belong to the one before."""


def shards_with(layout: Layout, beginning: str) -> set[str]:
    """Shards in which a clip was done whose id begins so."""
    done = re.compile(rf" done as {re.escape(beginning)}[0-9a-f]* in shard (\w+),")
    return {
        found[1]
        for path in _paths(layout)
        for line in _lines(path)
        if (found := done.search(line)) is not None
    }


def said_of(layout: Layout, key: ClipKey) -> tuple[str, ...]:
    """The last that a worker wrote of the clip, with what belongs to it."""
    said: list[str] = []
    when = ""
    for path in _paths(layout):
        inside = False
        for line in _lines(path):
            if begins := BEGINS.match(line):
                inside = f" clip {key} " in line and begins[0] >= when
                if inside:
                    said, when = [], begins[0]
            if inside:
                said.append(line.rstrip())
    return tuple(said)


def _paths(layout: Layout) -> list[Path]:
    return sorted(layout.logs.glob("*.log"))


def _lines(path: Path) -> Iterator[str]:
    with open(path, errors="replace") as lines:
        yield from lines


WAYS_OUT = {
    "not_found": "put the video back under this name, then retry",
    "video_changed": "plan anew into another folder: this plan is for the file as it was",
    "decoder_crashed": "retry; if it happens again, encode the video anew and plan anew",
    "model_failed": "the traceback says where; retry if it was the machine, else report it",
    "bad_model_output": "a model answered what its protocol does not allow; report it",
    "out_of_memory": "retry with fewer actors per GPU, or a smaller --long-side in a new plan",
    "hung": "retry; if it needs so long, with more --hung-after or --first-clip; else leave it out",
    "killed_process": "often memory: retry --status quarantined with fewer workers",
    "duplicate_video": "nothing to do: the same frames are annotated under the other name",
    "span_outside_video": "mend the manifest's times and plan anew",
    "span_without_shot": "ask about part of a shot, or annotate with --no-shots into a new folder",
    "not_unicode": "mend the row's text, which must be UTF-8, and plan anew",
    "impossible_name": "rename the file, or mend its name, and plan anew",
    "bad_phrase": "mend the phrase in the manifest and plan anew",
}
NO_VIDEO = "mend or leave out the file; mended it is another file, which a new plan takes up"
"""For everything else that is wrong with a file."""
TELLS_APART = 10
"""So much of an id is one clip's among many millions. The logs at hand may not know all of them."""


@dataclass(frozen=True)
class Explanation:
    clip: ClipKey
    clip_id: str | None
    shard: str
    state: str
    """done, failed, quarantined, begun, waiting; copy: of another video, whose clips it shares."""
    span: str | None = None
    attempts: tuple[int, ...] = ()
    """Numbers of the attempts at its shard that have left something."""
    failure: Mapping[str, Any] | None = None
    way_out: str | None = None
    log: tuple[str, ...] = field(default=())
    """What the workers' logs say of it: times of the stages, or the traceback."""


def explain(out: Path, name: str) -> list[Explanation]:
    """Everything that `name` names, at most a video's clips. Raises UsageError for nothing, or for
    a beginning that several clips share."""
    layout = Layout(out)
    found = _by_id(layout, name) or _by_video(layout, name)
    if not found:
        raise UsageError(
            f"{out}: found no clip {name!r}, expected a clip's id or its beginning, a video, or "
            f"VIDEO#NUMBER; `massannot status {out}` shows what there is"
        )
    return found


def as_text(found: Explanation) -> str:
    clip = "the whole video" if found.clip.clip_index == WHOLE_VIDEO else str(found.clip)
    lines = [f"{found.state}: {found.clip_id or clip}", f"  video:    {found.clip.uri}"]
    if found.span:
        lines.append(f"  span:     {found.span}")
    lines.append(f"  shard:    {found.shard}")
    if found.attempts:
        lines.append(f"  attempts: {', '.join(map(str, found.attempts))}")
    if found.failure:
        lines.append(f"  failed:   in {found.failure['stage']} [{found.failure['class']}]")
        lines.append(f"            {found.failure['message']}")
    if found.way_out:
        lines.append(f"  way out:  {found.way_out}")
    return "\n".join([*lines, *(f"  | {line}" for line in found.log)])


def as_json(found: Explanation) -> dict[str, Any]:
    values = {**vars(found), "clip": str(found.clip), "uri": found.clip.uri}
    return values | {"clip_index": found.clip.clip_index}


def _by_id(layout: Layout, beginning: str) -> list[Explanation]:
    """The finished clip whose id begins so. Ids say nothing of their shards, but logs do: all files
    of `clips` are opened only where they do not, or where another clip may begin so too."""
    if not re.fullmatch(r"[0-9a-f]{3,32}", beginning):
        return []
    named = shards_with(layout, beginning) if len(beginning) >= TELLS_APART else set()
    logged = [shard for shard in named if layout.published("clips", shard).exists()]
    found = [each for shard in logged for each in _in_shard(layout, shard, beginning)]
    if not found:
        published = sorted(path.stem for path in (layout.data / "clips").glob("*.parquet"))
        found = [each for shard in published for each in _in_shard(layout, shard, beginning)]
    for shard in layout.shards_in_staging() - _finished_once(layout):
        found += [
            Explanation(
                key, finished.clip_id, shard, "done", None, _attempts(layout, shard),
                log=said_of(layout, key),
            )
            for key, finished in read_past(layout, shard).finished.items()
            if finished.clip_id.startswith(beginning)
        ]  # fmt: skip
    if len(found) > 1:
        raise UsageError(
            f"{layout.out}: found {counted(len(found), 'clip')} that begin with {beginning!r}, "
            "expected one"
        )
    return found


def _finished_once(layout: Layout) -> set[str]:
    """Generations in staging whose shard has rows already, of this generation or another."""
    committed = commits.shards(layout)
    return {n for n in layout.shards_in_staging() if split_edition(n)[0] in committed}


def _in_shard(layout: Layout, shard: str, beginning: str) -> Iterator[Explanation]:
    """Of the shard's file row groups are read that can hold such ids."""
    path = layout.published("clips", shard)
    after = beginning[:-1] + chr(ord(beginning[-1]) + 1)
    such = [("clip_id", ">=", beginning), ("clip_id", "<", after)]
    ids = read_columns(path, ["clip_id"], filters=such)["clip_id"]
    for clip_id in ids.to_pylist():
        row = read_parquet(path, name="clips", clip_id=clip_id).to_pylist()[0]
        yield _done(layout, shard, row)


def _by_video(layout: Layout, name: str) -> list[Explanation]:
    """Every clip of the video that is known, or the one with that number."""
    address, _, number = name.rpartition("#") if "#" in name else (name, "", "")
    if "#" in name and not re.fullmatch(r"-1|\d+", number):
        address, number = name, ""  # some addresses have one of their own
    found = []
    for shard, uri in _planned(layout, address):
        of_video = list(_clips(layout, shard, uri))
        known = [
            each
            for each in of_video
            if not number or each.state == "copy" or each.clip.clip_index == int(number)
        ]
        whole = ClipKey(uri, WHOLE_VIDEO)
        state = "begun" if shard in layout.shards_in_staging() else "waiting"
        found += known or [Explanation(whole, None, shard, state, None, _attempts(layout, shard))]
    return found


def _planned(layout: Layout, address: str) -> Iterator[tuple[str, str]]:
    """(shard, uri) of the planned videos of this name, or whose name ends so."""
    for folder in plans.folders(layout):
        rows = read_columns(folder / VIDEOS, ["shard", "uri"])
        same = pc.or_(pc.equal(rows["uri"], address), pc.ends_with(rows["uri"], f"/{address}"))
        yield from dict.fromkeys(zip(*(c.to_pylist() for c in rows.filter(same).columns)))


def _clips(layout: Layout, shard: str, uri: str) -> Iterator[Explanation]:
    """What is known of each of a video's clips."""
    if commits.is_finished(layout, shard, 0):
        clips = read_parquet(layout.published("clips", shard), name="clips")
        for row in clips.filter(pc.equal(clips["uri"], uri)).to_pylist():
            yield _done(layout, shard, row)
        videos = read_parquet(layout.published("videos", shard), name="videos")
        for first in videos.filter(pc.equal(videos["uri"], uri))["same_as"].drop_null().to_pylist():
            way = f"nothing to do: its bytes are those of {first}, whose clips stand for both"
            yield Explanation(ClipKey(uri, WHOLE_VIDEO), None, shard, "copy", way_out=way)
        failures = read_parquet(layout.published("failures", shard), name="failures")
        for row in failures.filter(pc.equal(failures["uri"], uri)).to_pylist():
            yield _failed(layout, shard, row)
        return
    past = read_past(layout, shard)
    for key, finished in past.finished.items():
        if key.uri == uri:
            yield Explanation(key, finished.clip_id, shard, "done", log=said_of(layout, key))
    for key, failed in past.failed.items():
        if key.uri == uri:
            row = {**vars(failed), "uri": uri, "clip_index": key.clip_index, "class": failed.reason}
            yield _failed(layout, shard, row)


def _done(layout: Layout, shard: str, row: Mapping[str, Any]) -> Explanation:
    key = ClipKey(row["uri"], row["clip_index"])
    span = f"{row['t0_s']:g} to {row['t1_s']:g} s, {counted(row['n_frames'], 'frame')}"
    log = said_of(layout, key)
    return Explanation(key, row["clip_id"], shard, "done", span, log=log)


def _failed(layout: Layout, shard: str, row: Mapping[str, Any]) -> Explanation:
    key = ClipKey(row["uri"], row["clip_index"])
    failure = {name: row[name] for name in ("stage", "class", "message")}
    return Explanation(
        key,
        None,
        shard,
        row["status"],
        attempts=_attempts(layout, shard),
        failure=failure,
        way_out=WAYS_OUT.get(row["class"], NO_VIDEO),
        log=said_of(layout, key),
    )


def _attempts(layout: Layout, shard: str) -> tuple[int, ...]:
    return tuple(layout.attempts(shard))
