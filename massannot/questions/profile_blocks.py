"""The text of a motion profile as blocks, which can be left out, moved or joined without cutting a
line; the text of unchanged blocks is equal. profile.py writes the text, from tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from massannot.counts import counted
from massannot.errors import BadQuestion

Template = Literal["mass-v1", "mass-v2"]
CAMERA = "    * Camera: "


@dataclass(frozen=True)
class EntityBlock:
    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class SegmentBlock:
    title: str
    first_frame: int
    last_frame: int
    entities: tuple[EntityBlock, ...]
    camera: tuple[str, ...] = ()
    """Lines on the camera, before those on entities."""


@dataclass(frozen=True)
class ProfileBlocks:
    header: tuple[str, ...]
    segments: tuple[SegmentBlock, ...]

    @property
    def text(self) -> str:
        lines = list(self.header)
        for segment in self.segments:
            lines += [segment.title, *segment.camera]
            lines += [line for entity in segment.entities for line in entity.lines]
        return "".join(f"{line}\n" for line in lines)

    @property
    def entities(self) -> tuple[str, ...]:
        """Names in the order in which they come up."""
        names = [entity.name for segment in self.segments for entity in segment.entities]
        return tuple(dict.fromkeys(names))

    def without_entity(self, name: str) -> ProfileBlocks:
        segments = [
            replace(segment, entities=tuple(one for one in segment.entities if one.name != name))
            for segment in self.segments
        ]
        return replace(self, segments=tuple(segments))

    def without_segment(self, title: str) -> ProfileBlocks:
        return replace(
            self, segments=tuple(segment for segment in self.segments if segment.title != title)
        )

    def shuffled(self, order: Sequence[int]) -> ProfileBlocks:
        """Each title with the lines of the segment at its place of `order`; the titles stay.

        mass-v2 writes times into its lines, by which a reader could sort them again.
        """
        moved = [
            replace(
                other,
                title=segment.title,
                first_frame=segment.first_frame,
                last_frame=segment.last_frame,
            )
            for segment, other in zip(self.segments, (self.segments[i] for i in order), strict=True)
        ]
        return replace(self, segments=tuple(moved))


def profile_blocks(text: str) -> ProfileBlocks:
    """Raises BadQuestion for a line that no template has."""
    header: list[str] = []
    segments: list[SegmentBlock] = []
    for line in text.splitlines():
        title = re.fullmatch(r"  Video Segment \d+: Frame (\d+)\.\.\.(\d+)(?:, Shot \d+)?", line)
        if title:
            segments.append(SegmentBlock(line, int(title[1]), int(title[2]), ()))
        elif not segments:
            header.append(line)
        else:
            segments[-1] = _with_line(segments[-1], line)
    return ProfileBlocks(tuple(header), tuple(segments))


def joined(
    profiles: Sequence[ProfileBlocks],
    *,
    lengths: Sequence[int],
    shots: Sequence[int | None] | None = None,
) -> ProfileBlocks:
    """Clips that follow one another as one profile: frames and segments are counted on, the times
    are those of all of them, and another line of the headers that differs is there for each.

    `lengths`: frames of each clip that come before those of the next: one less than it has where
    the next begins with its last. `shots`: the shot of each, None where it is not known; of several
    ones each segment says in which it lies, counted from 1 within these clips.
    Raises BadQuestion where the clips' units differ: numbers of one would be read as the other's.
    """
    units = {line for item in profiles for line in item.header if line.startswith("  Units:")}
    if len(units) > 1:
        raise BadQuestion(f"motion profile: found {sorted(units)} in one span, expected one unit")
    n_all = sum(lengths)
    headers = dict.fromkeys(
        line for item in profiles for line in _timed(item.header, profiles, n_all)
    )
    segments: list[SegmentBlock] = []
    n_frames = 0
    names = _shot_names([None] * len(profiles) if shots is None else shots)
    for profile, length, shot in zip(profiles, lengths, names, strict=True):
        for item in profile.segments:
            first, last = item.first_frame + n_frames, item.last_frame + n_frames
            title = f"  Video Segment {len(segments) + 1}: Frame {first}...{last}{shot}"
            segments.append(replace(item, title=title, first_frame=first, last_frame=last))
        n_frames += length
    return ProfileBlocks(tuple(headers), tuple(segments))


def _shot_names(shots: Sequence[int | None]) -> list[str]:
    """ ", Shot 2" for each clip; empty where all lie in one, or it is not known."""
    in_order = list(dict.fromkeys(shot for shot in shots if shot is not None))
    if len(in_order) < 2:
        return [""] * len(shots)
    return ["" if shot is None else f", Shot {in_order.index(shot) + 1}" for shot in shots]


_TIME = re.compile(r"  Time: (\S+) s to (\S+) s of the video, \d+ frames?")


def _timed(
    header: Sequence[str], profiles: Sequence[ProfileBlocks], n_frames: int
) -> Iterator[str]:
    """The lines of a header, its times replaced by those of all clips together."""
    times = [found for item in profiles for line in item.header if (found := _TIME.fullmatch(line))]
    for line in header:
        if _TIME.fullmatch(line):
            span = f"{times[0][1]} s to {times[-1][2]} s"
            yield f"  Time: {span} of the video, {counted(n_frames, 'frame')}"
        else:
            yield line


def _with_line(segment: SegmentBlock, line: str) -> SegmentBlock:
    entity = re.fullmatch(r"    \* Entity: (.+)", line)
    if entity:
        return replace(segment, entities=(*segment.entities, EntityBlock(entity[1], (line,))))
    if line.startswith(CAMERA) and not segment.entities:
        return replace(segment, camera=(*segment.camera, line))
    if not line.startswith("    * ") or not segment.entities:
        raise BadQuestion(f"motion profile: found the line {line!r} in {segment.title.strip()!r}")
    *others, last = segment.entities
    return replace(segment, entities=(*others, replace(last, lines=(*last.lines, line))))
