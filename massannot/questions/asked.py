"""What a question of a dataset asks, of which frames, with which motion profile.

Joins tables; the prompt itself is built in `prompts`. A question over several clips (a span that
was cut) has one profile, whose segments and frames are counted on from clip to clip; the clips'
entities are not linked, so that "ball" in one need not be "ball" in the next.

The motion profile of one question, and the rows of a clip that it is made of.

A clip is annotated once for all questions about it; of its entities a question's profile shows
those that the question and every question (-p) ask for, whoever else's phrase found them.

A film of a question's clips, and which of its frames a reader takes.

It has a constant rate, because readers take a frame's time to be its number over the rate, also
where the video's own rate varies: each tick shows the annotated frame nearest to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from massannot.dataset.arrays import good_entities, rows_of_entities
from massannot.dataset.reading import ClipView, Dataset
from massannot.errors import BadQuestion, UsageError
from massannot.plan.join_questions import texts_of
from massannot.questions.answers import is_count, kind_of
from massannot.questions.expected import COLUMNS, Expected
from massannot.questions.profile import Template, joined, motion_profile, profile_blocks
from massannot.questions.prompts import Question


def profile_of_question(
    view: ClipView, question_id: str, *, template: Template, min_quality: float | None = None
) -> str:
    """What one clip says about one question."""
    tables = tables_of_question(view, question_id, min_quality=min_quality)
    return motion_profile(tables, template=template, min_quality=min_quality)


def tables_of_question(
    view: ClipView, question_id: str, *, min_quality: float | None = None
) -> Mapping[str, pa.Table]:
    """The clip's tables as `motion_profile` reads them.

    `entities` are all that the question asks for, so that "ball 2" is the same one whatever the
    quality; `motions` and `positions` are of those that are good enough.
    """
    phrases = _phrases_of(view, question_id)
    asked = pa.array(phrases["phrase"].to_pylist(), phrases["phrase"].type)
    entities = view.table("entities")
    entities = entities.filter(pc.is_in(entities["phrase"], value_set=asked))
    good = good_entities(view, min_quality=min_quality) & set(entities["entity"].to_pylist())
    return {
        "clips": view.table("clips"),
        "segments": view.table("segments"),
        "phrases": phrases,
        "entities": entities,
        "motions": rows_of_entities(view, "motions", good),
        "positions": rows_of_entities(view, "positions", good),
    }


def _phrases_of(view: ClipView, question_id: str) -> pa.Table:
    """The clip's phrases that say what this question asks for, whoever asked first."""
    phrases = view.table("phrases")
    wanted = pa.array(sorted(texts_of(question_id, phrases.to_pylist())), pa.string())
    return phrases.filter(pc.is_in(phrases["text"], value_set=wanted))


@dataclass(frozen=True)
class Film:
    places: tuple[int, ...]
    """Of the span's frames, which one each tick shows."""
    shots: tuple[Shot, ...]
    """Those frames."""
    fps: Fraction
    start_s: float
    """Of the first tick, in the video's own time; in the film it is 0."""

    @classmethod
    def of(cls, span: Sequence[Shot]) -> Film:
        """All annotated frames of a question's clips, of which there are at least two, at their
        mean rate."""
        start_s, end_s = span[0].t_s, span[-1].t_s
        fps = Fraction((len(span) - 1) / (end_s - start_s)).limit_denominator(1001)
        places: list[int] = []
        for n in range(len(span)):
            tick, nearest = start_s + float(n / fps), places[-1] if places else 0
            while nearest + 1 < len(span) and (
                abs(span[nearest + 1].t_s - tick) <= abs(span[nearest].t_s - tick)
            ):
                nearest += 1
            places.append(nearest)
        return cls(tuple(places), tuple(span[place] for place in places), fps, start_s)

    @property
    def clip_ids(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(shot.clip_id for shot in self.shots))

    def ticks(self, n: int) -> list[int]:
        """Those that Qwen's reader takes when it is asked for n frames; it takes even numbers."""
        return evenly(len(self.shots), min(n, len(self.shots)) // 2 * 2)

    def t_s(self, tick: int) -> float:
        """In the video's own time."""
        return self.start_s + float(tick / self.fps)


Row = Mapping[str, Any]


class NoClip(BadQuestion):
    """A question whose video or span could not be annotated."""

    reason = "no_clip"


@dataclass(frozen=True)
class Shot:
    """One annotated frame."""

    clip_id: str
    frame: int
    t_s: float


@dataclass(frozen=True, kw_only=True)
class Asked:
    row: Row
    """Of the table `questions`."""
    question: Question
    shots: tuple[Shot, ...]
    """Every annotated frame of its clips, in order of time."""
    profile: str | None
    """None: no template was asked for."""
    source_size: tuple[int, int]
    """(width, height) of the video, which boxes refer to."""

    def frames(self, n: int) -> list[tuple[int, float]]:
        """At most n of the shots, first and last among them, as (place in `shots`, seconds)."""
        return [(place, self.shots[place].t_s) for place in evenly(len(self.shots), n)]


def asked(
    dataset: Dataset, row: Row, *, template: Template | None, min_quality: float | None = None
) -> Asked:
    """Raises BadQuestion for a row that asks nothing, NoClip for one that no clip answers."""
    name = row["question_id"]
    if not row["question"]:
        raise BadQuestion(f"question {name}: found no text, expected a question")
    clip_ids = row["clip_ids"] or ([row["clip_id"]] if row["clip_id"] else [])
    if not clip_ids:
        raise NoClip(f"question {name}: no clip answers it; `failures` says why")
    views = [dataset.clip(clip_id) for clip_id in clip_ids]
    shots = tuple(shot for view in views for shot in _shots(view))
    first = views[0].row
    return Asked(
        row=row,
        question=_question(row, views, shots=shots),
        shots=shots,
        profile=None if template is None else _profile(views, name, template, min_quality),
        source_size=(first["source_width"], first["source_height"]),
    )


def find_question(dataset: Dataset, question_id: str) -> Row:
    """Its row of `questions`. Raises UsageError for an id that is not there."""
    table = dataset.table_or_empty("questions")
    found: list[dict[str, Any]] = table.filter(
        pc.equal(table["question_id"], question_id)
    ).to_pylist()
    if not found:
        ids = table["question_id"].to_pylist()
        some = ", ".join(ids[:5]) + (", ..." if len(ids) > 5 else "")
        raise UsageError(
            f"{dataset.layout.out} has no question {question_id!r}; "
            + (f"it has {len(ids)}: {some}" if ids else "it has none; annotate a manifest")
        )
    return found[0]


def expected_of(row: Row) -> Expected:
    """The answer of a row of `questions`; a count is exact where the row says no tolerance. Raises
    BadQuestion, naming the question."""
    name = row["question_id"]
    if row["answer"] is None:
        raise BadQuestion(f"question {name}: found no answer, expected one to train on")
    said = {column: row.get(column) for column in COLUMNS}
    flat = row.get("evidence_boxes") or []
    boxes = [flat[start : start + 5] for start in range(0, len(flat), 5)]
    said |= {"solution": row["answer"], "evidence_boxes": boxes}
    try:
        kind, unit = _kind(row)
        if said["tolerance"] is None and is_count(row["answer"], kind=kind, asked_unit=unit):
            said["tolerance"] = 0.0
        return Expected.from_row({**said, "problem_type": kind, "unit": unit})
    except BadQuestion as error:
        raise type(error)(f"question {name}: {error}") from error


def evenly(n_there: int, n: int) -> list[int]:
    """Places of n of n_there things in a row, first and last among them; all, where n are not
    there. Halves go to the even place, as numpy's and torch's linspace().round() do."""
    if n >= n_there:
        return list(range(n_there))
    if n < 2:
        return [0] * n
    return [round(place * (n_there - 1) / (n - 1)) for place in range(n)]


def _shots(view: ClipView) -> Iterable[Shot]:
    frames = view.table("frames")
    for frame, t_s in zip(frames["frame"].to_pylist(), frames["t_s"].to_pylist(), strict=True):
        yield Shot(view.clip_id, frame, t_s)


def _kind(row: Row) -> tuple[str, str | None]:
    """As the row says (Video-R1's names too), else as its answer reads."""
    if row.get("problem_type"):
        return row["problem_type"], row.get("unit")
    return kind_of(
        row["answer"],
        question=row.get("question"),
        options=row.get("options"),
        asked_unit=row.get("unit"),
    )


def _question(row: Row, views: Sequence[ClipView], *, shots: Sequence[Shot]) -> Question:
    if row["answer"] is not None:
        expected = expected_of(row)
        kind, unit, options = expected.problem_type, expected.unit, expected.options
    else:
        kind, unit = kind_of(None, options=row.get("options"), asked_unit=row.get("unit"))
        options = tuple(row.get("options") or ())
    named = [text for view in views for text in _entities_named(view, row["question_id"])]
    return Question(
        question_id=row["question_id"],
        text=row["question"],
        problem_type=kind,
        options=options,
        unit=unit,
        entities=tuple(dict.fromkeys(named or row["entities"] or ())),
        frames=_frames_asked(row["question"], shots),
    )


def _entities_named(view: ClipView, question_id: str) -> list[str]:
    """The manifest's entities as this clip spells them; two questions share a spelling. None where
    the phrases are not the manifest's, as in rendered scenes."""
    return [
        phrase["text"]
        for phrase in view.table("phrases").to_pylist()
        if phrase["question_id"] == question_id and phrase["origin"] == "entities"
    ]


def _frames_asked(text: str, shots: Sequence[Shot]) -> tuple[int, int] | None:
    """Of a question "between 1 s and 2.5 s" or "from 1 to 2.5 seconds", and of no other times."""
    found = re.findall(
        r"\b(?:between|from)\s+(\d+(?:\.\d+)?)\s*(?:s|seconds?)?\s+(?:and|to|until)"
        r"\s+(\d+(?:\.\d+)?)\s*(?:s|seconds?)\b",
        text,
        re.IGNORECASE,
    )
    n_times = len(re.findall(r"\d\s*(?:s|seconds?)\b", text, re.IGNORECASE))
    if len(found) != 1 or n_times > 2:
        return None
    start, end = map(float, found[0])
    inside = [place for place, shot in enumerate(shots) if start <= shot.t_s <= end]
    return (inside[0], inside[-1]) if inside else None


def _profile(
    views: Sequence[ClipView], question_id: str, template: Template, min_quality: float | None
) -> str:
    texts = [
        profile_of_question(view, question_id, template=template, min_quality=min_quality)
        for view in views
    ]
    if len(texts) == 1:
        return texts[0]
    lengths = [len(view) for view in views]
    return joined([profile_blocks(text) for text in texts], lengths=lengths).text
