"""An output folder of cosmos-curate's split pipeline: clips with their uuids and captions.

`clips/{uuid}.mp4` are the videos. What `metas_jsonl/v0/*.jsonl`, or `metas/v0/{uuid}.json` where
that is missing, says about a clip's windows is its caption; the rest is carried along. Clips that
cosmos-curate filtered out lie elsewhere and are not read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from massannot.inputs.names import is_video_name
from massannot.inputs.question import Question
from massannot.storage.store import Store, store_of

CLIPS, METAS, METAS_IN_CHUNKS = "clips", "metas/v0", "metas_jsonl/v0"
_CARRIED = ("source_video", "duration_span", "motion_score", "aesthetic_score")
_AT_ONCE = 32
"""Small files asked for together: their number is that of the clips."""


def is_cosmos_curate(folder: str) -> bool:
    """Whether a folder has clips and what cosmos-curate says about them."""
    store = store_of(folder)
    metas = (next(store.list(f"{folder}/{name}"), None) for name in (METAS_IN_CHUNKS, METAS))
    return any(metas) and next(store.list(f"{folder}/{CLIPS}"), None) is not None


def clips(folder: str) -> Iterator[Question]:
    """A row for each clip, in the order of their names."""
    store = store_of(folder)
    said = _said_in_chunks(store, folder)
    uris = [entry.uri for entry in store.list(f"{folder}/{CLIPS}") if is_video_name(entry.uri)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        metas = pool.map(lambda uri: said.get(_uuid(uri)) or _said(store, folder, uri), uris)
        for uri, meta in zip(uris, metas, strict=True):
            carried = {name: meta[name] for name in _CARRIED if name in meta}
            yield Question(
                question_id=_uuid(uri),
                uri=uri,
                source_id=_uuid(uri),
                caption=_caption(meta),
                further=json.dumps(carried, ensure_ascii=False) if carried else None,
            )


def _uuid(uri: str) -> str:
    return uri.rpartition("/")[2].rpartition(".")[0]


def _said_in_chunks(store: Store, folder: str) -> Mapping[str, Mapping[str, Any]]:
    said: dict[str, Mapping[str, Any]] = {}
    for entry in store.list(f"{folder}/{METAS_IN_CHUNKS}"):
        for line in store.get(entry.uri).splitlines():
            meta = _object(line)
            if "span_uuid" in meta:
                said[str(meta["span_uuid"])] = meta
    return said


def _said(store: Store, folder: str, uri: str) -> Mapping[str, Any]:
    try:
        return _object(store.get(f"{folder}/{METAS}/{_uuid(uri)}.json"))
    except FileNotFoundError:
        return {}


def _object(content: bytes) -> Mapping[str, Any]:
    """What a meta says; nothing where it is broken: the clip is there all the same."""
    try:
        values = json.loads(content)
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
