"""A dataset's questions as rows for TRL, their pictures beside them and loaded on request.

Reads a dataset of `questions scenes`, or the folder that `massannot export trl` wrote for an
annotated one. `Evidence` is the ablation switch: the prompt keeps frames and profile, frames alone
or neither. `trained_on.json` beside a run's run.json lists the videos it was trained on (of scenes,
their seeds) and a digest of each question with its options, so that `rft eval` can warn where it
judges by the same.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from massannot.counts import counted
from massannot.dataset.layout import Layout
from massannot.dataset.reading import Dataset
from massannot.errors import UsageError
from massannot.questions.examples import Example, TrainingData, examples
from massannot.questions.expected_answer import COLUMNS
from massannot.questions.profile_blocks import Template
from massannot.questions.scene_dataset import SCHEME, scene_pictures
from massannot.rft.geometry_tokens import (
    BankEntry,
    bank_of,
    clip_geometry,
    placeholder,
    question_of,
)

FILE = "trained_on.json"

Row = dict[str, Any]
AnyRow = Mapping[str, Any]
Evidence = Literal[
    "frames+profile",
    "frames",
    "none",
    "frames+geometry",
    "frames+all-geometry",
    "frames+geometry+profile",
]
EVIDENCE: tuple[Evidence, ...] = get_args(Evidence)


@dataclass(frozen=True)
class TrainingRows:
    """Rows without their pictures, which are no table's."""

    rows: tuple[Row, ...]
    folder: Path
    left_out: tuple[str, ...] = ()
    export: Any = None
    """The `datasets.Dataset` of the rows; its pictures stay in its file until they are requested.
    None: the rows are about scenes."""

    def pictures(self, row: Mapping[str, Any]) -> list[Any]:
        """PIL images, one for each image part of the prompt."""
        if self.export is not None:
            return list(self.export[row["index"]]["images"])
        return _thumbnails(self.folder, row["clip_id"], row["uri"], tuple(row["frames"]))

    def bank(self, processor: Any) -> list[BankEntry]:
        """The geometry of each row, for a model's `geometry_bank`; empty: prompts have none."""
        return bank_of(self.rows, processor.tokenizer) if self.n_places else []

    def names(self) -> tuple[str, ...]:
        """Of the things whose points prompts have."""
        files = self._geometry_files
        return tuple(sorted({name for file in files for name in clip_geometry(file).names}))

    def geometry_digest(self) -> str | None:
        """blake2b-128 of the points; None: prompts have none."""
        if not self.n_places:
            return None
        content = [hashlib.blake2b(file.read_bytes()).hexdigest() for file in self._geometry_files]
        return _blake2b("\n".join(content), 16)

    @property
    def n_places(self) -> int:
        """Of geometry tokens in a prompt."""
        parts = self.rows[0]["prompt"][0]["content"] if self.rows else ()
        return sum(part["text"].count("<g") for part in parts if part.get("role") == "geometry")

    @property
    def _geometry_files(self) -> list[Path]:
        files = {row["geometry"] for row in self.rows} if self.n_places else set()
        return [Path(file) for file in sorted(files)]


def load(
    folder: Path,
    *,
    evidence: Evidence,
    frames: int = 4,
    template: Template = "mass-v1",
    held_out: bool = False,
    geometry: Path | None = None,
    n_tokens: int = 0,
) -> TrainingRows:
    """Every question of the folder; of an export, those to train on, or with `held_out` the others
    where it has any, test before val.

    `geometry`: the folder of the clips' points, for prompts that keep geometry in `n_tokens`
    places; None: rows of an export name the files themselves. Raises UsageError for a folder that
    is neither, or for an annotated dataset, whose pictures an export has to write first."""
    if evidence not in EVIDENCE:
        raise UsageError(f"evidence: found {evidence!r}, expected {', '.join(EVIDENCE)}")
    splits = ("test", "val", "train") if held_out else ("train",)
    exported = [folder / f"{split}.parquet" for split in splits]
    for file in exported:
        if file.exists():
            return _with_geometry(_exported(file, evidence), evidence, geometry, n_tokens)
    dataset = DatasetInMemory(Layout(folder))
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
        profile_template=template if "profile" in evidence else "none",
    )
    complete = examples(dataset, options, media="images")
    left_out = tuple(question.sentence for question in complete.left_out)
    rows = TrainingRows(tuple(map(_row, complete.examples)), folder, left_out)
    return _with_geometry(rows, evidence, geometry, n_tokens)


def _with_geometry(
    data: TrainingRows, evidence: Evidence, folder: Path | None, n_tokens: int
) -> TrainingRows:
    """The places of geometry tokens behind each question, and the file that fills them. Raises
    UsageError where a clip has none, or a question several.

    Behind it: a model whose positions are learned, as the tiny one's are, reads no question that
    stands some places later than those it was taught."""
    if "geometry" not in evidence:
        return data
    rows = []
    for number, row in enumerate(data.rows):
        files = list(row.get("geometry") or [])
        if folder is not None:
            files = [str(folder / f"{row['clip_id']}.safetensors")]
        if len(files) != 1 or not Path(files[0]).exists():
            raise UsageError(
                f"question {row['question_id']}: found {files or 'no file'} for its geometry, "
                "expected one; name the folder of `massannot export geometry` with --geometry, "
                "here or in the export"
            )
        (message,) = row["prompt"]
        places = {"type": "text", "text": placeholder(number, n_tokens), "role": "geometry"}
        content = [*message["content"], places]
        rows.append({**row, "geometry": files[0], "prompt": [{**message, "content": content}]})
    return replace(data, rows=tuple(rows))


def trl_dataset(rows: TrainingRows, *, completion: Callable[[Row], str] | None = None) -> Any:
    """A `datasets.Dataset` whose pictures are loaded row by row and never stored in it.

    `completion`: what the model should answer, for supervised tuning; each row then has `images`,
    an empty list where nothing is shown, so that TRL's collator for pictures takes all of them."""
    from datasets import Dataset as RowsOfTrl

    shown = any(part["type"] == "image" for part in rows.rows[0]["prompt"][0]["content"])
    stored = [{k: v for k, v in row.items() if k != "images"} for row in rows.rows]
    if completion is not None:
        stored = [
            {**row, "completion": [{"role": "assistant", "content": completion(row)}]}
            for row in stored
        ]
    if not shown and completion is None:
        return RowsOfTrl.from_list(stored)
    return RowsOfTrl.from_list(stored).with_transform(_WithPictures(rows, shown))


class _WithPictures:
    """The transform of a `datasets.Dataset`, which pickles it for a fingerprint: of its folder
    alone, for thousands of rows take longer than a minute."""

    def __init__(self, rows: TrainingRows, shown: bool):
        self.rows, self.shown = rows, shown
        self.of_question = {row["question_id"]: row for row in rows.rows}

    def __getstate__(self) -> tuple[str, bool]:
        return str(self.rows.folder), self.shown

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        questions = batch["question_id"]
        shown = [self.rows.pictures(self.of_question[q]) if self.shown else [] for q in questions]
        return {**batch, "images": shown}


def balanced(data: TrainingRows) -> TrainingRows:
    """Questions of rarer categories repeated, from the first on, until all are as frequent."""
    by_category: dict[str, list[Row]] = defaultdict(list)
    for row in data.rows:
        by_category[row["category"]].append(row)
    most = max(map(len, by_category.values()))
    rows = [row for some in by_category.values() for row in islice(cycle(some), most)]
    return replace(data, rows=tuple(rows))


def digest_of(rows: Sequence[AnyRow]) -> str:
    """blake2b-128 of all questions, independent of their order."""
    return _blake2b("\n".join(sorted(map(_question_digest, rows))), 16)


def remember(run: Path, rows: Sequence[AnyRow]) -> None:
    """Write FILE into the run's folder."""
    videos = sorted({row["group"] for row in rows})
    values = {"videos": videos, "questions": sorted(set(map(_question_digest, rows)))}
    (run / FILE).write_text(json.dumps(values, indent=0) + "\n")


def seen_before(run: Path, rows: Sequence[AnyRow]) -> str | None:
    """A warning where a run was trained on some of these questions, or on others about their
    videos; None where it was not, or has no FILE."""
    if not (run / FILE).exists():
        return None
    trained = json.loads((run / FILE).read_text())
    questions, videos = set(trained["questions"]), set(trained["videos"])
    n_questions = sum(_question_digest(row) in questions for row in rows)
    n_of_videos = sum(row["group"] in videos for row in rows)
    if not n_of_videos:
        return None
    return (
        f"{run}: was trained on {n_questions} of these {counted(len(rows), 'question')}, and on "
        f"the videos of {n_of_videos}: their scores say what it remembers"
    )


def _question_digest(row: AnyRow) -> str:
    question = question_of(row)
    return _blake2b(f"{row['group']}\n{question}", 8)


def _blake2b(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


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
        "thinking": "",
        "described": "",
        **json.loads(row["further"] or "{}"),
    }


def _exported(file: Path, evidence: Evidence) -> TrainingRows:
    from datasets import load_dataset

    export = load_dataset("parquet", data_files=str(file), split="train")
    if not {"prompt", "images", "solution", "profile"} <= set(export.column_names):
        raise UsageError(
            f"{file}: found columns {sorted(export.column_names)}, expected what `massannot export "
            "trl` writes; the other exports are for other trainers"
        )
    rows = []
    for index, row in enumerate(export.remove_columns("images")):
        more = {"index": index, "group": row["video_id"], "split": file.stem}
        more |= {"thinking": "", "described": ""}
        for message in row["prompt"]:
            parts = _with_roles(message["content"], profile=row["profile"])
            message["content"] = [part for part in parts if part["role"] in _ROLES[evidence]]
        rows.append({**row, **more})
    return TrainingRows(tuple(rows), file.parent, export=export)


_ROLES: Mapping[Evidence, tuple[str, ...]] = {
    "frames+profile": ("time", "image", "profile", "question"),
    "frames": ("time", "image", "question"),
    "frames+geometry": ("time", "image", "question"),
    "frames+all-geometry": ("time", "image", "question"),
    "frames+geometry+profile": ("time", "image", "profile", "question"),
    "none": ("question",),
}


def _with_roles(parts: Sequence[AnyRow], *, profile: str | None) -> list[Row]:
    """The parts of a prompt with their roles, which the file of an export does not have: the
    question is last, the row has the profile's text, and all other texts are times."""
    *others, question = parts
    named = [
        {**part, "role": "image"}
        if part["type"] == "image"
        else {**part, "role": "profile" if part["text"] == profile else "time"}
        for part in others
    ]
    return [*named, {**question, "role": "question"}]


@lru_cache(maxsize=16384)
def _thumbnails(folder: Path, clip_id: str, uri: str, frames: tuple[int, ...]) -> list[Any]:
    from PIL import Image

    pictures = scene_pictures(folder, clip_id, uri=uri, frames=frames)
    return [Image.fromarray(pixels) for pixels in pictures]


class DatasetInMemory(Dataset):
    """Reads each table once: thousands of clips lie in one file."""

    def __init__(self, layout: Layout):
        super().__init__(layout)
        self._tables: dict[str, tuple[pa.Table, dict[str, tuple[int, int]]]] = {}

    def _rows_of_clip(self, name: str, clip_id: str) -> pa.Table:
        if name not in self._tables:
            table = self.table_or_empty(name)
            self._tables[name] = (table, _spans(table))
        table, spans = self._tables[name]
        return table.slice(*spans.get(clip_id, (0, 0)))


def _spans(table: pa.Table) -> dict[str, tuple[int, int]]:
    """(first row, number of rows) of each clip, of a table in key order."""
    spans, start = {}, 0
    for count in pc.value_counts(table["clip_id"]).to_pylist():  # in order of appearance
        spans[count["values"]] = (start, count["counts"])
        start += count["counts"]
    return spans
