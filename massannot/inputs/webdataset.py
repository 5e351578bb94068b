"""WebDataset tars: each video is a row, with the caption that lies beside it.

A sample's key ends at the first dot of a name, the parts keep the rest in lower case: `clip2.0.MP4`
is the part `0.mp4` of the sample `clip2`. A video's caption is the .txt of the same name, or
`caption` or `text` in the .json of the same name; the sample's own (`clip2.txt`) where there is
none. A video's id is its name without the ending.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from massannot.errors import ClipError
from massannot.inputs.question import Problem, Question, with_valid_text
from massannot.inputs.text import is_video_name, refuse_impossible_name
from massannot.storage.json_text import parsed
from massannot.storage.store import store_of
from massannot.storage.tar_store import Member, members


def samples(tar: str) -> Iterator[Question]:
    """A row for each video in the tar, in the order of names. Raises UsageError for what is no tar,
    FileNotFoundError."""
    by_name = members(tar)
    parts = _Parts(tar, by_name)
    videos = sorted(filter(is_video_name, by_name))
    n_of_stem = Counter(map(_stem, videos))
    for name in videos:
        stem = _stem(name)
        own_id = stem if n_of_stem[stem] == 1 else name
        caption, further = parts.caption(name)
        row = Question(own_id, f"{tar}#{name}", own_id, caption=caption, further=further)
        try:
            refuse_impossible_name(row.uri)
        except ClipError as error:
            row = replace(row, problem=Problem(error.reason, str(error)))
        yield with_valid_text(row, where=f"{tar.rpartition('/')[2]}, {name}")


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _split(name: str) -> tuple[str, str]:
    """(key, part) of a member, split at the first dot of its file name."""
    folder, slash, base = name.rpartition("/")
    key, _, part = base.partition(".")
    return f"{folder}{slash}{key}", part.lower()


class _Parts:
    """The members of a tar by sample and part, and what they hold."""

    def __init__(self, tar: str, by_name: Mapping[str, Member]):
        self._tar = tar
        self._members = {_split(name): member for name, member in by_name.items()}

    def caption(self, video: str) -> tuple[str | None, str | None]:
        """(caption, everything else as JSON) of a video."""
        key, part = _split(video)
        own = part.rpartition(".")[0]
        text = self._content(key, own, "txt")
        caption = (text or b"").decode(errors="surrogateescape").strip() or None
        values = _object(self._content(key, own, "json") or b"")
        for name in ("caption", "text"):
            if caption is None and isinstance(values.get(name), str):
                caption = values.pop(name)
        return caption, json.dumps(values, ensure_ascii=False, sort_keys=True) if values else None

    def _content(self, key: str, own: str, ending: str) -> bytes | None:
        member = self._members.get((key, f"{own}.{ending}")) or self._members.get((key, ending))
        if member is None:
            return None
        return store_of(self._tar).get_range(self._tar, member.offset, member.size_bytes)


def _object(content: bytes) -> dict[str, Any]:
    """The object in a .json; an empty one where there is none: the video is there all the same."""
    try:
        values = parsed(content.decode(errors="surrogateescape"))
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
