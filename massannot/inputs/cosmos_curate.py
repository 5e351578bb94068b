"""An output folder of cosmos-curate's split pipeline: clips with their uuids and captions.

`clips/{uuid}.mp4` are the videos. A clip's caption joins those of its windows, from
`metas_jsonl/v0/*.jsonl` or, where that is missing, `metas/v0/{uuid}.json`; the rest is carried
along. Clips that cosmos-curate filtered out lie elsewhere and are not read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from massannot.inputs.question import Question, with_valid_text
from massannot.inputs.text import is_video_name
from massannot.storage.json_text import parsed
from massannot.storage.store import Store, store_of

CLIPS, METAS, METAS_IN_CHUNKS = "clips", "metas/v0", "metas_jsonl/v0"
_CARRIED = ("source_video", "duration_span", "motion_score", "aesthetic_score")
_AT_ONCE = 32
"""Small files asked for together: their number is that of the clips."""


def is_cosmos_curate(folder: str) -> bool:
    """Whether a folder has clips and cosmos-curate's metadata of them."""
    store = store_of(folder)
    metas = (next(store.list(f"{folder}/{name}"), None) for name in (METAS_IN_CHUNKS, METAS))
    return any(metas) and next(store.list(f"{folder}/{CLIPS}"), None) is not None


def clips(folder: str) -> Iterator[Question]:
    """A row for each clip, in the order of their names."""
    store = store_of(folder)
    chunks = _metas_in_chunks(store, folder)
    uris = [entry.uri for entry in store.list(f"{folder}/{CLIPS}") if is_video_name(entry.uri)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        metas = pool.map(lambda uri: chunks.get(_uuid(uri)) or _meta(store, folder, uri), uris)
        for uri, meta in zip(uris, metas, strict=True):
            carried = {name: meta[name] for name in _CARRIED if name in meta}
            row = Question(
                question_id=_uuid(uri),
                uri=uri,
                source_id=_uuid(uri),
                caption=_caption(meta),
                further=json.dumps(carried, ensure_ascii=False) if carried else None,
            )
            yield with_valid_text(row, where=f"the metadata of clip {_uuid(uri)}")


def _uuid(uri: str) -> str:
    return uri.rpartition("/")[2].rpartition(".")[0]


def _metas_in_chunks(store: Store, folder: str) -> Mapping[str, Mapping[str, Any]]:
    metas: dict[str, Mapping[str, Any]] = {}
    for entry in store.list(f"{folder}/{METAS_IN_CHUNKS}"):
        for line in store.get(entry.uri).splitlines():
            meta = _object(line)
            if "span_uuid" in meta:
                metas[str(meta["span_uuid"])] = meta
    return metas


def _meta(store: Store, folder: str, uri: str) -> Mapping[str, Any]:
    try:
        return _object(store.get(f"{folder}/{METAS}/{_uuid(uri)}.json"))
    except FileNotFoundError:
        return {}


def _object(content: bytes) -> Mapping[str, Any]:
    """The object in a meta; an empty one where it is broken: the clip is there all the same."""
    try:
        values = parsed(content.decode(errors="surrogateescape"))
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _caption(meta: Mapping[str, Any]) -> str | None:
    """The captions of all windows in their order, each by the first model that wrote one."""
    windows = [w for w in meta.get("windows") or () if isinstance(w, dict)]
    texts = (_of_window(w) for w in sorted(windows, key=lambda w: w.get("start_frame") or 0))
    return "\n".join(text for text in texts if text) or None


def _of_window(window: Mapping[str, Any]) -> str:
    names = [name for name in window if name.endswith("_caption")]
    names.sort(key=lambda name: name.endswith("_enhanced_caption"))
    return next((str(window[name]).strip() for name in names if window[name]), "")
