"""A question of a dataset joined with its clips: their frames, the motion profile, the true answer.

A clip is annotated once for all questions about it; a question's profile shows the entities of the
question's own phrases and of the phrases of every question (-p). A question over several clips (a
span that was cut) has one profile, in which segments and frames are numbered through all of its
clips, a frame that two clips share is one, segments of several shots say in which they lie ("Shot
2"), and an identity has one name: "ball 2" is the same thing
in all of them, and "ball 3" perhaps one of the others after a cut. (In a dataset without
`identities` entities of different clips are not linked, and "ball" in one need not be "ball" in
the next.) `prompts` builds the prompt itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from massannot.counts import counted
from massannot.dataset.arrays import good_entities, rows_of_entities
from massannot.dataset.reading import ClipView, Dataset
from massannot.dataset.touching import own_lengths
from massannot.dataset.video_view import identified, numbered_names
from massannot.errors import BadQuestion, UsageError
from massannot.plan.join_questions import texts_of
from massannot.questions.answers import is_count, kind_of
from massannot.questions.expected_answer import COLUMNS, ExpectedAnswer
from massannot.questions.profile import entity_names, motion_profile
from massannot.questions.profile_blocks import Template, joined, profile_blocks
from massannot.questions.prompts import TypedQuestion
from massannot.questions.reference import Reference, ReferenceChoice, chosen_reference
from massannot.questions.shown_video import AS_IT_IS, ShownVideo

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
class QuestionView:
    """One question with its clips' data."""

    row: Row
    """Of the table `questions`."""
    question: TypedQuestion
    shots: tuple[Shot, ...]
    """Every annotated frame of its clips, in order of time."""
    profile: str | None
    """None: no template was given."""
    reference: Reference | None
    """Frame of reference of the profile's motions; None: there is no profile."""
    source_size: tuple[int, int]
    """(width, height) of the video, which boxes refer to."""
    shown: ShownVideo = AS_IT_IS
    """What is done to the video first; `shots` are in its times."""

    def frames(self, n: int) -> list[tuple[int, float]]:
        """At most n of the shots, first and last among them, as (index of `shots`, seconds)."""
        return [(index, self.shots[index].t_s) for index in evenly(len(self.shots), n)]

    def rewritten(self, row: Row) -> QuestionView:
        """The same question with other words in its row, such as other coordinates of boxes."""
        entities = self.question.entities
        return replace(self, row=row, question=_typed(row, entities=entities, shots=self.shots))


def question_view(
    dataset: Dataset,
    row: Row,
    *,
    template: Template | None,
    reference: ReferenceChoice = "auto",
    min_quality: float | None = None,
) -> QuestionView:
    """Join a row of `questions` with its clips. Raises BadQuestion for a row without a question,
    NoClip for one that no clip answers."""
    name = row["question_id"]
    if not row["question"]:
        raise BadQuestion(f"question {name}: found no text, expected a question")
    clip_ids = row["clip_ids"] or ([row["clip_id"]] if row["clip_id"] else [])
    if not clip_ids:
        raise NoClip(f"question {name}: no clip answers it; `failures` says why")
    views = [dataset.clip(clip_id) for clip_id in clip_ids]
    seen = tuple(
        shot
        for view, n_own in zip(views, own_lengths(views), strict=True)
        for shot in islice(_shots(view), n_own)
    )
    shown = ShownVideo.of(row)
    if shown.how == "reversed" and len(views) > 1:
        raise BadQuestion(
            f"question {name}: found {counted(len(views), 'clip')} to reverse, expected one"
        )
    shots = shown.shots(seen)
    if shown.how or len(shots) < len(seen):
        template = None  # the profile tells of the video as it is, and of its end
    first = views[0].row
    named = [text for view in views for text in _entities_named(view, name)]
    entities = tuple(dict.fromkeys(named or row["entities"] or ()))
    chosen = None if template is None else reference_of(views, reference)
    return QuestionView(
        row=row,
        question=_typed(row, entities=entities, shots=shots),
        shots=shots,
        profile=None
        if template is None or chosen is None
        else question_profile(
            dataset,
            views,
            name,
            template=template,
            reference=chosen,
            min_quality=min_quality,
        ),
        reference=chosen,
        source_size=(first["source_width"], first["source_height"]),
        shown=shown,
    )


def find_question(dataset: Dataset, question_id: str) -> Row:
    """The question's row of `questions`. Raises UsageError for an id that is not there."""
    table = dataset.table_or_empty("questions")
    rows: list[dict[str, Any]] = table.filter(
        pc.equal(table["question_id"], question_id)
    ).to_pylist()
    if not rows:
        ids = table["question_id"].to_pylist()
        some = ", ".join(ids[:5]) + (", ..." if len(ids) > 5 else "")
        raise UsageError(
            f"{dataset.layout.out} has no question {question_id!r}; "
            + (f"it has {len(ids)}: {some}" if ids else "it has none; annotate a manifest")
        )
    return rows[0]


def expected_answer(row: Row) -> ExpectedAnswer:
    """The true answer of a row of `questions`; a count is exact where the row has no tolerance.
    Raises BadQuestion, naming the question."""
    name = row["question_id"]
    if row["answer"] is None:
        raise BadQuestion(f"question {name}: found no answer, expected one to train on")
    values = {column: row.get(column) for column in COLUMNS}
    flat = row.get("evidence_boxes") or []
    boxes = [flat[start : start + 5] for start in range(0, len(flat), 5)]
    values |= {"solution": row["answer"], "evidence_boxes": boxes}
    try:
        kind, unit = _kind(row)
        if values["tolerance"] is None and is_count(row["answer"], kind=kind, asked_unit=unit):
            values["tolerance"] = 0.0
        return ExpectedAnswer.from_row({**values, "problem_type": kind, "unit": unit})
    except BadQuestion as error:
        raise type(error)(f"question {name}: {error}") from error


@dataclass(frozen=True)
class Film:
    """A question's clips as one film of constant rate, and the frames that a reader takes of it.

    Readers take a frame's time to be its number over the rate, also where the video's own rate
    varies; so each tick shows the annotated frame nearest to it.
    """

    indices: tuple[int, ...]
    """The index of the frame at each tick, among the frames of the span."""
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
        indices: list[int] = []
        for n in range(len(span)):
            tick, nearest = start_s + float(n / fps), indices[-1] if indices else 0
            while nearest + 1 < len(span) and (
                abs(span[nearest + 1].t_s - tick) <= abs(span[nearest].t_s - tick)
            ):
                nearest += 1
            indices.append(nearest)
        return cls(tuple(indices), tuple(span[index] for index in indices), fps, start_s)

    @property
    def clip_ids(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(shot.clip_id for shot in self.shots))

    def ticks(self, n: int) -> list[int]:
        """The ticks that Qwen's reader takes for n frames; it takes even numbers."""
        return evenly(len(self.shots), min(n, len(self.shots)) // 2 * 2)

    def t_s(self, tick: int) -> float:
        """In the video's own time."""
        return self.start_s + float(tick / self.fps)


def evenly(n_items: int, n: int) -> list[int]:
    """Indices of n of n_items, first and last among them; all, where there are fewer than n. Halves
    go to the even index, as in numpy's and torch's linspace().round()."""
    if n >= n_items:
        return list(range(n_items))
    if n < 2:
        return [0] * n
    return [round(index * (n_items - 1) / (n - 1)) for index in range(n)]


def question_profile(
    dataset: Dataset,
    views: Sequence[ClipView],
    question_id: str,
    *,
    template: Template,
    reference: ReferenceChoice = "auto",
    min_quality: float | None = None,
) -> str:
    """The motion profile of a question over all of its clips, in one frame of reference. Raises
    BadQuestion where their units differ."""
    chosen = reference_of(views, reference)
    found = [profile_tables(view, question_id, min_quality=min_quality) for view in views]
    texts = [
        motion_profile(
            tables, template=template, reference=chosen, min_quality=min_quality, names=names
        )
        for tables, names in zip(found, names_over_clips(dataset, views, found), strict=True)
    ]
    if len(texts) == 1:
        return texts[0]
    shots = [view.row["shot"] for view in views]
    blocks = [profile_blocks(text) for text in texts]
    return joined(blocks, lengths=own_lengths(views), shots=shots).text


def names_over_clips(
    dataset: Dataset, views: Sequence[ClipView], found: Sequence[Mapping[str, pa.Table]]
) -> list[dict[int, str]]:
    """For each clip of a question, what its profile calls the entities: of several clips the phrase
    each identity answers, numbered where several do. `found`: their `profile_tables`."""
    if len(views) == 1 or not dataset.table_or_empty("identities").num_rows:
        return [entity_names(tables) for tables in found]
    asked = {
        (view.clip_id, entity)
        for view, tables in zip(views, found, strict=True)
        for entity in tables["entities"]["entity"].to_pylist()
    }
    rows = [
        row
        for row in identified(dataset, views).to_pylist()
        if (row["clip_id"], row["entity"]) in asked
    ]
    names: dict[str, dict[int, str]] = {view.clip_id: {} for view in views}
    for (clip_id, entity), name in numbered_names(rows).items():
        names[clip_id][entity] = name
    return [names[view.clip_id] for view in views]


def reference_of(views: Sequence[ClipView], choice: ReferenceChoice) -> Reference:
    """The one frame of reference of a profile over these clips."""
    names = ("clips", "cameras", "motions")
    return chosen_reference([{name: view.table(name) for name in names} for view in views], choice)


def profile_tables(
    view: ClipView, question_id: str, *, min_quality: float | None = None
) -> Mapping[str, pa.Table]:
    """The clip's tables as `motion_profile` reads them, for one question.

    `entities` are all that answer the question's phrases, so that "ball 2" is the same one at any
    quality; `motions` and `positions` are of those that are good enough.
    """
    phrases = _phrases(view, question_id)
    numbers = pa.array(phrases["phrase"].to_pylist(), phrases["phrase"].type)
    entities = view.table("entities")
    entities = entities.filter(pc.is_in(entities["phrase"], value_set=numbers))
    good = good_entities(view, min_quality=min_quality) & set(entities["entity"].to_pylist())
    return {
        "clips": view.table("clips"),
        **{name: view.table(name) for name in ("segments", "frames", "cameras")},
        "phrases": phrases,
        "entities": entities,
        "motions": rows_of_entities(view, "motions", good),
        "positions": rows_of_entities(view, "positions", good),
    }


def _phrases(view: ClipView, question_id: str) -> pa.Table:
    """The clip's phrases with a text of this question, also those of other questions."""
    phrases = view.table("phrases")
    texts = pa.array(sorted(texts_of(question_id, phrases.to_pylist())), pa.string())
    return phrases.filter(pc.is_in(phrases["text"], value_set=texts))


def _shots(view: ClipView) -> Iterable[Shot]:
    frames = view.table("frames")
    for frame, t_s in zip(frames["frame"].to_pylist(), frames["t_s"].to_pylist(), strict=True):
        yield Shot(view.clip_id, frame, t_s)


def _kind(row: Row) -> tuple[str, str | None]:
    """(kind, unit) of the row's own columns (Video-R1's names too), else of its answer's text."""
    if row.get("problem_type"):
        return row["problem_type"], row.get("unit")
    return kind_of(
        row["answer"],
        question=row.get("question"),
        options=row.get("options"),
        asked_unit=row.get("unit"),
    )


def _typed(row: Row, *, entities: tuple[str, ...], shots: Sequence[Shot]) -> TypedQuestion:
    if row["answer"] is not None:
        expected = expected_answer(row)
        kind, unit, options = expected.problem_type, expected.unit, expected.options
    else:
        kind, unit = kind_of(None, options=row.get("options"), asked_unit=row.get("unit"))
        options = tuple(row.get("options") or ())
    return TypedQuestion(
        question_id=row["question_id"],
        text=row["question"],
        problem_type=kind,
        options=options,
        unit=unit,
        entities=entities,
        frames=_frames_named(row["question"], shots),
    )


def _entities_named(view: ClipView, question_id: str) -> list[str]:
    """The manifest's entities as this clip spells them; two questions share a spelling. None where
    the phrases are not the manifest's, as in rendered scenes."""
    return [
        phrase["text"]
        for phrase in view.table("phrases").to_pylist()
        if phrase["question_id"] == question_id and phrase["origin"] == "entities"
    ]


def _frames_named(text: str, shots: Sequence[Shot]) -> tuple[int, int] | None:
    """First and last frame of a question "between 1 s and 2.5 s" or "from 1 to 2.5 seconds" that
    names no other times."""
    spans = re.findall(
        r"\b(?:between|from)\s+(\d+(?:\.\d+)?)\s*(?:s|seconds?)?\s+(?:and|to|until)"
        r"\s+(\d+(?:\.\d+)?)\s*(?:s|seconds?)\b",
        text,
        re.IGNORECASE,
    )
    n_times = len(re.findall(r"\d\s*(?:s|seconds?)\b", text, re.IGNORECASE))
    if len(spans) != 1 or n_times > 2:
        return None
    start, end = map(float, spans[0])
    inside = [index for index, shot in enumerate(shots) if start <= shot.t_s <= end]
    return (inside[0], inside[-1]) if inside else None
