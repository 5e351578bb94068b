"""WebDataset tars: each video is a sample, with what lies beside it.

Members that share a name up to its first dot are one sample: the name is the video's id, what
lies beside it as .txt, or under `caption` or `text` in a .json, its caption.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from massannot.inputs.names import is_video_name
from massannot.inputs.question import Question
from massannot.storage.store import Store, store_of
from massannot.storage.tar_store import Member, members


def samples(tar: str) -> Iterator[Question]:
    """A row for each video in the tar, in the order of names. Raises UsageError for what is no tar,
    FileNotFoundError."""
    found = members(tar)
    videos = [name for name in found if is_video_name(name)]
    keys = Counter(map(_key, videos))
    store = store_of(tar)
    for name in sorted(videos):
        key = _key(name)
        caption, further = _beside(store, tar, found, key)
        yield Question(
            question_id=key if keys[key] == 1 else name,
            uri=f"{tar}#{name}",
            source_id=key if keys[key] == 1 else name,
            caption=caption,
            further=further,
        )


def _key(name: str) -> str:
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.partition(".")[0]


def _beside(
    store: Store, tar: str, found: Mapping[str, Member], key: str
) -> tuple[str | None, str | None]:
    """(caption, everything else as JSON) of a sample."""
    caption, values = None, {}
    if (member := found.get(f"{key}.txt")) is not None:
        text = store.get_range(tar, member.offset, member.size_bytes).decode(errors="replace")
        caption = text.strip() or None
    if (member := found.get(f"{key}.json")) is not None:
        values = _object(store.get_range(tar, member.offset, member.size_bytes))
        for name in ("caption", "text"):
            if caption is None and isinstance(values.get(name), str):
                caption = values.pop(name)
    return caption, json.dumps(values, ensure_ascii=False, sort_keys=True) if values else None


def _object(content: bytes) -> dict[str, Any]:
    """What a .json says; nothing when it is none: the video is what was asked for."""
    try:
        values = json.loads(content)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
