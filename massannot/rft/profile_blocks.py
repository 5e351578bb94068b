"""A motion profile's text as blocks: what may be left out or moved without cutting a line.

Reads what `massannot.motion_profile` writes, both templates, and writes it back equal.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from massannot.errors import BadQuestion


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


@dataclass(frozen=True)
class ProfileBlocks:
    header: tuple[str, ...]
    segments: tuple[SegmentBlock, ...]

    @property
    def text(self) -> str:
        lines = list(self.header)
        for segment in self.segments:
            lines.append(segment.title)
            lines += [line for entity in segment.entities for line in entity.lines]
        return "".join(f"{line}\n" for line in lines)

    @property
    def entities(self) -> tuple[str, ...]:
        """Names in the order in which they come up."""
        names = [entity.name for segment in self.segments for entity in segment.entities]
        return tuple(dict.fromkeys(names))

    def without_entity(self, name: str) -> ProfileBlocks:
        kept = [
            replace(each, entities=tuple(one for one in each.entities if one.name != name))
            for each in self.segments
        ]
        return replace(self, segments=tuple(kept))

    def without_segment(self, title: str) -> ProfileBlocks:
        return replace(self, segments=tuple(each for each in self.segments if each.title != title))

    def shuffled(self, order: Sequence[int]) -> ProfileBlocks:
        """Under each title what the segment `order[place]` holds; the titles stay.

        mass-v2 writes times into its lines, by which a reader could sort them again.
        """
        moved = [
            replace(each, entities=self.segments[place].entities)
            for each, place in zip(self.segments, order, strict=True)
        ]
        return replace(self, segments=tuple(moved))


def profile_blocks(text: str) -> ProfileBlocks:
    """Raises BadQuestion for a line that no template has."""
    header: list[str] = []
    segments: list[SegmentBlock] = []
    for line in text.splitlines():
        title = re.fullmatch(r"  Video Segment \d+: Frame (\d+)\.\.\.(\d+)", line)
        if title:
            segments.append(SegmentBlock(line, int(title[1]), int(title[2]), ()))
        elif not segments:
            header.append(line)
        else:
            segments[-1] = _with_line(segments[-1], line)
    return ProfileBlocks(tuple(header), tuple(segments))


def joined(profiles: Sequence[ProfileBlocks], *, lengths: Sequence[int]) -> ProfileBlocks:
    """Clips that follow one another as one profile: frames and segments are counted on, and a line
    of the headers that differs between clips is there for each.

    `lengths`: frames of each clip.
    Raises BadQuestion where the clips' units differ: numbers of one would be read as the other's.
    """
    units = {line for each in profiles for line in each.header if line.startswith("  Units:")}
    if len(units) > 1:
        raise BadQuestion(f"motion profile: found {sorted(units)} in one span, expected one unit")
    headers = dict.fromkeys(line for each in profiles for line in each.header)
    segments: list[SegmentBlock] = []
    n_frames = 0
    for profile, length in zip(profiles, lengths, strict=True):
        for each in profile.segments:
            first, last = each.first_frame + n_frames, each.last_frame + n_frames
            title = f"  Video Segment {len(segments) + 1}: Frame {first}...{last}"
            segments.append(SegmentBlock(title, first, last, each.entities))
        n_frames += length
    return ProfileBlocks(tuple(headers), tuple(segments))


def _with_line(segment: SegmentBlock, line: str) -> SegmentBlock:
    entity = re.fullmatch(r"    \* Entity: (.+)", line)
    if entity:
        return replace(segment, entities=(*segment.entities, EntityBlock(entity[1], (line,))))
    if not line.startswith("    * ") or not segment.entities:
        raise BadQuestion(f"motion profile: found the line {line!r} in {segment.title.strip()!r}")
    *others, last = segment.entities
    return replace(segment, entities=(*others, replace(last, lines=(*last.lines, line))))
