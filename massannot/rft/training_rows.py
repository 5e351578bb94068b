"""A dataset's questions as rows for TRL, their pictures beside them and loaded when asked for.

Reads a dataset of `questions scenes`, or the folder that `massannot export trl` wrote for an
annotated one. `Evidence` is the ablation switch: what of frames and profile the prompt keeps.

What a run was trained on, so that `rft eval` can say where it judges by the same.

`trained_on.json` lies beside run.json: the videos (of scenes, their seeds) and a digest of each
question with its options.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from massannot.dataset.layout import Layout
from massannot.dataset.reading import ClipView, Dataset
from massannot.errors import UsageError
from massannot.questions.examples import Example, TrainingData, examples
from massannot.questions.expected_answer import COLUMNS
from massannot.questions.profile import Template
from massannot.questions.scene_dataset import SCHEME, scene_pictures

FILE = "trained_on.json"

AnyRow = Mapping[str, Any]


def digest_of(rows: Sequence[AnyRow]) -> str:
    """blake2b-128 of all questions, in whatever order they stand."""
    return _blake2b("\n".join(sorted(map(_question, rows))), 16)


def remember(run: Path, rows: Sequence[AnyRow]) -> None:
    """Write FILE into the run's folder."""
    found = {"videos": _videos(rows), "questions": sorted(set(map(_question, rows)))}
    (run / FILE).write_text(json.dumps(found, indent=0) + "\n")


def seen_before(run: Path, rows: Sequence[AnyRow]) -> str | None:
    """A sentence where questions to judge by, or others about their videos, were trained on; None
    where none was, or where the run does not say."""
    if not (run / FILE).exists():
        return None
    there = json.loads((run / FILE).read_text())
    questions, videos = set(there["questions"]), set(there["videos"])
    n_questions = sum(_question(row) in questions for row in rows)
    n_of_videos = sum(row["group"] in videos for row in rows)
    if not n_of_videos:
        return None
    return (
        f"{run}: was trained on {n_questions} of these {len(rows)} questions, and on the videos of "
        f"{n_of_videos}: their scores say what it remembers"
    )


def _videos(rows: Sequence[AnyRow]) -> list[str]:
    return sorted({row["group"] for row in rows})


def _question(row: AnyRow) -> str:
    asked = row["prompt"][0]["content"][-1]["text"]
    return _blake2b(f"{row['group']}\n{asked}", 8)


def _blake2b(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


Row = dict[str, Any]
Evidence = Literal["frames+profile", "frames", "none"]
EVIDENCE: tuple[Evidence, ...] = get_args(Evidence)
PROFILE = "Motion Profile"
"""How the profile's text part begins."""


@dataclass(frozen=True)
class TrainingRows:
    """Rows without their pictures, which are no table's."""

    rows: tuple[Row, ...]
    folder: Path
    left_out: tuple[str, ...] = ()
    export: Any = None
    """The `datasets.Dataset` that the rows are of; its pictures stay in its file until asked for.
    None: the rows are about scenes."""

    def pictures(self, row: Mapping[str, Any]) -> list[Any]:
        """PIL images, one for each image part of the prompt."""
        if self.export is not None:
            return list(self.export[row["place"]]["images"])
        return _thumbnails(self.folder, row["clip_id"], row["uri"], tuple(row["frames"]))


def load(
    folder: Path,
    *,
    evidence: Evidence,
    frames: int = 4,
    template: Template = "mass-v1",
    held_out: bool = False,
) -> TrainingRows:
    """Every question of the folder; of an export, those to train on, or with `held_out` the others
    where it has any, test before val. Raises UsageError for a folder that is neither, or for an
    annotated dataset, whose pictures an export has to write first."""
    if evidence not in EVIDENCE:
        raise UsageError(f"evidence: found {evidence!r}, expected {', '.join(EVIDENCE)}")
    splits = ("test", "val", "train") if held_out else ("train",)
    exported = [folder / f"{split}.parquet" for split in splits]
    for file in exported:
        if file.exists():
            return _exported(file, evidence)
    dataset = _InMemory(Layout(folder))
    if not dataset.names:
        raise UsageError(
            f"{folder}: found neither a dataset nor train.parquet; `massannot questions scenes` or "
            "`massannot export trl` writes what can be trained on"
        )
    uris = dataset.table("clips")["uri"].to_pylist()
    if not all(uri.startswith(SCHEME) for uri in uris):
        raise UsageError(
            f"{folder}: found an annotated dataset, expected its export with pictures: "
            f"`massannot export trl {folder} DEST`, then --data DEST"
        )
    options = TrainingData(
        frames=0 if evidence == "none" else frames,
        profile_template=template if evidence == "frames+profile" else "none",
    )
    complete = examples(dataset, options, media="images")
    left_out = tuple(question.sentence for question in complete.left_out)
    return TrainingRows(tuple(map(_row, complete.examples)), folder, left_out)


def balanced(data: TrainingRows) -> TrainingRows:
    """Questions of rarer categories repeated, from the first on, until all are as frequent."""
    by_category: dict[str, list[Row]] = defaultdict(list)
    for row in data.rows:
        by_category[row["category"]].append(row)
    most = max(map(len, by_category.values()))
    rows = [row for some in by_category.values() for row in islice(cycle(some), most)]
    return replace(data, rows=tuple(rows))


def _row(example: Example) -> Row:
    row = example.row
    return {
        "prompt": example.prompt.messages,
        **{name: row.get(name) for name in COLUMNS},
        "solution": row["answer"],
        "question_id": row["question_id"],
        "category": row["category"],
        "split": row["split"],
        "group": row["uri"].partition("/")[0],
        "uri": row["uri"],
        "clip_id": row["clip_id"],
        "frames": [shot.frame for shot in example.shots],
        "thinking": json.loads(row["further"] or "{}").get("thinking", ""),
    }


def _exported(file: Path, evidence: Evidence) -> TrainingRows:
    from datasets import load_dataset

    export = load_dataset("parquet", data_files=str(file), split="train")
    if not {"prompt", "images", "solution"} <= set(export.column_names):
        raise UsageError(
            f"{file}: found columns {sorted(export.column_names)}, expected what `massannot export "
            "trl` writes; the other exports are for other trainers"
        )
    rows = []
    for place, each in enumerate(export.remove_columns("images")):
        more = {"place": place, "group": each["video_id"], "split": file.stem, "thinking": ""}
        for message in each["prompt"]:
            message["content"] = [p for p in message["content"] if _is_kept(p, evidence)]
        rows.append({**each, **more})
    return TrainingRows(tuple(rows), file.parent, export=export)


def _is_kept(part: Mapping[str, Any], evidence: Evidence) -> bool:
    is_profile = part["type"] == "text" and part["text"].startswith(PROFILE)
    is_picture = part["type"] == "image" or (
        part["type"] == "text" and part["text"].endswith(" s:") and len(part["text"]) < 16
    )
    if evidence == "frames":
        return not is_profile
    return evidence == "frames+profile" or not (is_profile or is_picture)


@lru_cache(maxsize=16384)
def _thumbnails(folder: Path, clip_id: str, uri: str, frames: tuple[int, ...]) -> list[Any]:
    from PIL import Image

    found = scene_pictures(folder, clip_id, uri=uri, frames=frames)
    return [Image.fromarray(pixels) for pixels in found]


class _InMemory(Dataset):
    """Reads each table once: thousands of clips lie in one file."""

    def __init__(self, layout: Layout):
        super().__init__(layout)
        self._tables: dict[str, pa.Table] = {}
        self.clip = cache(self._clip)  # type: ignore[method-assign]

    def _clip(self, clip_id: str) -> ClipView:
        return ClipView(clip_id, self._rows)

    def _rows(self, name: str, clip_id: str) -> pa.Table:
        if name not in self._tables:
            self._tables[name] = self.table_or_empty(name)
        table = self._tables[name]
        return table.filter(pc.equal(table["clip_id"], clip_id))
