"""Every clip of a dataset as columns in memory, to search, filter and sort hundreds of thousands.

Only small columns of small tables are read: about 0.5 kB a clip. The states of `positions`, which
is large, are counted later, file by file, see `count_states`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from massannot.errors import UsageError
from massannot.tables.positions import STATES

Columns = Callable[[str, Sequence[str]], pa.Table]
"""Some columns of a table by its name; no rows where it is not there."""
Json = dict[str, Any]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

PHRASE = ("clip_id", "phrase", "text", "n_entities")
ENTITY = ("clip_id", "phrase", "quality", "quality_basis")
CLIP = ("clip_id", "source_id", "uri", "t0_s", "t1_s", "n_frames", "camera_static", "shot")
ORDERS = ("worst", "best", "name", "most", "longest")
CAMERAS = ("still", "moving", "unknown")


@dataclass(frozen=True)
class ClipQuery:
    """What is looked for; None or empty: anything."""

    q: str = ""
    """Part of the name, the address, the id or a phrase, whatever the case."""
    phrase: str | None = None
    state: str | None = None
    camera: str | None = None
    most: float | None = None
    """Quality of the worst entity at most; unknown is left out."""
    shot: int | None = None
    sort: str = "worst"
    clip_ids: Sequence[str] | None = None

    def __post_init__(self) -> None:
        for name, value, known in (
            ("sort", self.sort, ORDERS),
            ("camera", self.camera, CAMERAS),
            ("state", self.state, STATES),
        ):
            if value is not None and value not in known:
                raise UsageError(f"{name}: found {value!r}, expected one of {', '.join(known)}")


@dataclass(eq=False)
class ClipIndex:
    """Arrays over clips, in the order of their ids. `quality` is the worst known one, else NaN."""

    clips: pa.Table
    """The columns CLIP, and `name`."""
    n_entities: npt.NDArray[np.int32]
    n_unknown: npt.NDArray[np.int32]
    quality: npt.NDArray[np.float32]
    basis: npt.NDArray[np.object_]
    worst_text: Ints
    """Index into `texts` of the phrase of the clip's worst entity; -1: it has none."""
    texts: tuple[str, ...]
    """Every phrase, once."""
    asked_clip: npt.NDArray[np.int32]
    """Pairs of a clip and a phrase that was asked in it."""
    asked_text: npt.NDArray[np.int32]
    asked_found: npt.NDArray[np.int32]
    """Entities of the pair."""
    states: npt.NDArray[np.uint8]
    """Bit k: STATES[k] occurs in the clip, as far as counted."""
    states_counted: float = 0.0
    """Share of the files of positions that are counted."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def read(cls, columns: Columns) -> ClipIndex:
        clips = columns("clips", CLIP)
        clips = clips.take(pc.sort_indices(clips["clip_id"])).combine_chunks()
        ids, n = clips["clip_id"], clips.num_rows
        entities, row = _of_clips(columns("entities", ENTITY), ids)
        quality = entities["quality"].to_numpy().astype(np.float32)
        known = ~np.isnan(quality)
        worst = np.full(n, np.inf, np.float32)
        np.minimum.at(worst, row[known], quality[known])
        basis = np.full(n, None, object)
        is_worst = known & (quality == worst[row])
        grounds = entities["quality_basis"].combine_chunks().dictionary_encode()
        named = np.array([*grounds.dictionary.to_pylist(), None], object)
        codes = pc.fill_null(grounds.indices, len(named) - 1).to_numpy()
        basis[row[is_worst]] = named[codes[is_worst]]  # a name each would be a hundred bytes
        phrases, asking = _of_clips(columns("phrases", PHRASE), ids)
        coded = phrases["text"].combine_chunks().dictionary_encode()
        codes = coded.indices.to_numpy()
        n_texts = max(1, len(coded.dictionary))
        pairs, first = np.unique(asking * n_texts + codes, return_index=True)
        return cls(
            clips=clips.append_column("name", _names(clips)),
            n_entities=np.bincount(row, minlength=n).astype(np.int32),
            n_unknown=np.bincount(row[~known], minlength=n).astype(np.int32),
            quality=np.where(np.isinf(worst), np.float32(np.nan), worst),
            basis=basis,
            worst_text=_worst_text(row, quality, entities, asking, phrases, codes, n),
            texts=tuple(coded.dictionary.to_pylist()),
            asked_clip=(pairs // n_texts).astype(np.int32),
            asked_text=(pairs % n_texts).astype(np.int32),
            asked_found=phrases["n_entities"].to_numpy()[first].astype(np.int32),
            states=np.zeros(n, np.uint8),
        )

    def __len__(self) -> int:
        return self.clips.num_rows

    @property
    def worst_phrase(self) -> list[str]:
        """Of each clip the phrase of its worst entity."""
        texts = [*self.texts, "nothing found"]
        return [texts[code] for code in self.worst_text.tolist()]

    def count_states(self, part: pa.Table, *, share: float) -> None:
        """Add the rows (clip_id, state) of one file of positions. `share`: counted after it."""
        pairs = part.group_by(["clip_id", "state"], use_threads=False).aggregate([])
        pairs, row = _of_clips(pairs, self.clips["clip_id"])
        bit = pc.index_in(pairs["state"].cast(pa.string()), pa.array(STATES))
        row = row[pc.is_valid(bit).to_numpy()]  # earlier versions had other states as well
        with self._lock:
            np.bitwise_or.at(self.states, row, (1 << bit.drop_null().to_numpy()).astype(np.uint8))
            self.states_counted = share

    def select(self, query: ClipQuery) -> Ints:
        """The clips that answer the query, in its order."""
        mask = np.ones(len(self), np.bool_)
        if query.clip_ids is not None:
            mask &= self._column_in("clip_id", query.clip_ids)
        if query.q:
            mask &= self._matching(query.q)
        if query.phrase is not None:
            mask &= self._asked([query.phrase == text for text in self.texts])
        if query.state is not None:
            mask &= (self.states >> STATES.index(query.state)) & 1 == 1
        if query.camera is not None:
            mask &= self.cameras == CAMERAS.index(query.camera)
        if query.most is not None:
            with np.errstate(invalid="ignore"):
                mask &= self.quality <= query.most
        if query.shot is not None:
            mask &= pc.fill_null(pc.equal(self.clips["shot"], query.shot), False).to_numpy()
        chosen = np.flatnonzero(mask)
        return chosen[self._order(chosen, query.sort)]

    @property
    def cameras(self) -> npt.NDArray[np.int8]:
        """Index into CAMERAS."""
        static = self.clips["camera_static"]
        code = pc.if_else(static, 0, 1)
        return pc.fill_null(code, 2).to_numpy().astype(np.int8)

    def cards(self, chosen: Sequence[int] | Ints) -> list[Json]:
        """What the list shows of some clips."""
        rows = self.clips.take(pa.array(chosen, pa.int64())).to_pylist()
        cameras = self.cameras
        return [
            {
                "id": r["clip_id"],
                "name": r["name"],
                "uri": r["uri"],
                "t0_s": round(r["t0_s"], 3),
                "t1_s": round(r["t1_s"], 3),
                "n_frames": r["n_frames"],
                "shot": r["shot"],
                "camera": CAMERAS[cameras[k]],
                "entities": int(self.n_entities[k]),
                "unknown": int(self.n_unknown[k]),
                "quality": None if np.isnan(self.quality[k]) else round(float(self.quality[k]), 4),
                "basis": self.basis[k],
                "phrases": [self.texts[t] for t in self.asked_text[slice(*self._asked_range(k))]],
                "states": [s for n, s in enumerate(STATES) if self.states[k] >> n & 1],
            }
            for k, r in zip(chosen, rows, strict=True)
        ]

    def phrase_counts(self, most: int = 200) -> list[Json]:
        """The phrases asked in most clips: in how many, found in how many, entities."""
        n = len(self.texts)
        asked = np.bincount(self.asked_text, minlength=n)
        found = np.bincount(self.asked_text[self.asked_found > 0], minlength=n)
        things = np.bincount(self.asked_text, weights=self.asked_found, minlength=n).astype(int)
        order = np.lexsort((np.arange(n), -asked))[:most]
        return [
            {"text": self.texts[k], "n_clips": int(asked[k]), "n_found": int(found[k]),
             "n_entities": int(things[k])}
            for k in order
        ]  # fmt: skip

    def row_of(self, clip_id: str) -> int | None:
        """The clip's place; None: there is no such clip."""
        at = pc.index(self.clips["clip_id"], clip_id).as_py()
        return None if at < 0 else int(at)

    def _asked_range(self, clip: int) -> tuple[int, int]:
        first, end = np.searchsorted(self.asked_clip, [clip, clip + 1])
        return int(first), int(end)

    def _asked(self, texts: Sequence[bool]) -> Bools:
        """Clips in which any of the marked phrases was asked."""
        mask = np.zeros(len(self), np.bool_)
        mask[self.asked_clip[np.asarray(texts, np.bool_)[self.asked_text]]] = True
        return mask

    def _matching(self, part: str) -> Bools:
        mask = np.zeros(len(self), np.bool_)
        for name in ("name", "uri", "clip_id"):
            mask |= pc.match_substring(self.clips[name], part, ignore_case=True).to_numpy()
        return mask | self._asked([part.lower() in text.lower() for text in self.texts])

    def _column_in(self, name: str, values: Sequence[str]) -> Bools:
        found: Bools = pc.is_in(
            self.clips[name], value_set=pa.array(values, pa.string())
        ).to_numpy()
        return found

    def _order(self, chosen: Ints, sort: str) -> Ints:
        """Clips without entities come first in `worst`, then those of unknown quality."""
        quality, things = self.quality[chosen], self.n_entities[chosen]
        known = ~np.isnan(quality)
        if sort == "worst":
            return np.lexsort((chosen, np.where(known, quality, 0), known, things > 0))
        if sort == "best":
            return np.lexsort((chosen, np.where(known, -quality, 1)))
        if sort == "name":
            return pc.sort_indices(self.clips["name"].take(pa.array(chosen))).to_numpy()
        if sort == "most":
            return np.lexsort((chosen, -things))
        return np.lexsort((chosen, -self.clips["n_frames"].to_numpy()[chosen]))


def _of_clips(rows: pa.Table, clip_ids: pa.ChunkedArray) -> tuple[pa.Table, Ints]:
    """The rows that belong to these clips, and the place of each one's clip."""
    place = pc.index_in(rows["clip_id"], value_set=clip_ids.combine_chunks())
    kept = rows.filter(pc.is_valid(place))
    return kept, place.drop_null().to_numpy().astype(np.int64)


def _worst_text(
    row: Ints,
    quality: npt.NDArray[np.float32],
    entities: pa.Table,
    asking: Ints,
    phrases: pa.Table,
    codes: Ints,
    n: int,
) -> Ints:
    """The phrase of each clip's worst entity as an index into the texts; unknown quality is worse
    than any. -1: the clip has no entity."""
    number = phrases["phrase"].to_numpy().astype(np.int64)
    most = int(number.max(initial=0)) + 1
    key = asking * most + number
    order = np.argsort(key)
    wanted = row * most + entities["phrase"].to_numpy()
    at = np.searchsorted(key[order], wanted)
    known = np.isin(wanted, key)
    text = np.full(len(wanted), -1, np.int64)
    text[known] = codes[order[at[known]]]
    worst_first = np.lexsort((np.nan_to_num(quality, nan=-1.0), row))
    clips, first = np.unique(row[worst_first], return_index=True)
    found = np.full(n, -1, np.int64)
    found[clips] = text[worst_first][first]
    return found


def _names(clips: pa.Table) -> pa.ChunkedArray:
    """The user's own id, else the file's name."""
    return pc.coalesce(clips["source_id"], pc.replace_substring_regex(clips["uri"], "^.*/", ""))


def index_data(
    index: ClipIndex, failures: pa.Table, *, title: str, lines: Sequence[str], notes: Sequence[str]
) -> Json:
    """What the page of the list needs but for its clips; "server": whether those are asked for."""
    return {
        "kind": "index",
        "server": False,
        "title": title,
        "lines": list(lines),
        "notes": list(notes),
        "phrases": index.phrase_counts(),
        "failures": failure_counts(failures),
        "shown_of": None,
        "review": None,
    }


def failure_counts(failures: pa.Table) -> list[Mapping[str, Any]]:
    """Failures by class and stage, with one of each kind."""
    counts: dict[tuple[str, str], Json] = {}
    for row in failures.to_pylist():
        key = (row["class"], row["stage"])
        example = f"{row['uri']}: {row['message']}"
        of_kind = counts.setdefault(
            key, {"class": key[0], "stage": key[1], "n": 0, "example": example}
        )
        of_kind["n"] += 1
    return sorted(counts.values(), key=lambda kind: -kind["n"])


def failed_cards(failures: pa.Table) -> list[Json]:
    """A card a failure."""
    return [
        {"name": PurePosixPath(r["uri"]).name, "uri": r["uri"], "class": r["class"],
         "stage": r["stage"], "message": r["message"], "phrases": [], "states": []}
        for r in failures.to_pylist()
    ]  # fmt: skip
