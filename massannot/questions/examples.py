"""Examples: a dataset's questions with prompts and answers, before a format writes them its way.

Bad questions are left out by name and the rest goes on; a wrong setting ends the export.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, get_args

from massannot.counts import counted
from massannot.dataset.reading import Dataset
from massannot.dataset.splits import Split, SplitBy, Splits
from massannot.errors import BadQuestion, UsageError
from massannot.questions.expected_answer import ExpectedAnswer
from massannot.questions.mask_evidence import with_mask_evidence
from massannot.questions.model_families import Media, ModelFamily, Size, family, token_counter
from massannot.questions.profile_blocks import Template, profile_blocks
from massannot.questions.prompts import Budget, PromptTooLong, VideoPrompt, build_prompt
from massannot.questions.question_view import (
    Film,
    QuestionView,
    Row,
    Shot,
    expected_answer,
    question_view,
)
from massannot.questions.reference import Reference, ReferenceChoice
from massannot.questions.shown_video import ShownVideo


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Options of turning questions into examples. A field's text is the help of its flag."""

    model_family: Annotated[
        str, "qwen2_5_vl or qwen3_vl: sizes of pictures, boxes in the text."
    ] = "qwen2_5_vl"
    frames: Annotated[
        int, "At most so many a question, evenly spaced; 0: none. Video-R1 trains on 16."
    ] = 16
    max_pixels: Annotated[int | None, "Of a picture; else the model family's."] = None
    media: Annotated[Media | None, "images or video; else the better one for the format."] = None
    split_by: Annotated[
        SplitBy,
        "Held out: video_id (a share --val of the videos) or split (the manifest's column). The "
        "manifest's test rows are apart in any case.",
    ] = "video_id"
    val: Annotated[
        float, "Share of the videos held out. A video stays where it is when others join."
    ] = 0.0
    profile_template: Annotated[
        Template | Literal["none"], "Motion profile in the prompt: mass-v1, mass-v2 or none."
    ] = "mass-v2"
    reference: Annotated[
        ReferenceChoice,
        "Frame of reference of the profile's motions: world, camera, or auto: the world where the "
        "camera's poses are known, or it stands still.",
    ] = "auto"
    cite: Annotated[
        bool,
        "Ask for evidence in the reasoning, for the rewards evidence_time and evidence_box; a "
        "question without any gets the boxes of its entities' masks in the frames shown.",
    ] = False
    processor: Annotated[Path | None, "Folder of the model whose tokenizer counts."] = None
    max_tokens: Annotated[
        int | None, "Of a prompt: whole pieces of the profile are dropped to stay within."
    ] = None

    geometry: Annotated[
        Path | None, "Folder of `export geometry`: names each clip's file in the column geometry."
    ] = None

    def __post_init__(self) -> None:
        family(self.model_family)
        wrong = {
            "--frames": self.frames < 0,
            "--media": self.media not in (None, "images", "video"),
            "--split-by": self.split_by not in get_args(SplitBy),
            "--val": not 0 <= self.val < 1,
            "--profile-template": self.profile_template not in ("mass-v1", "mass-v2", "none"),
            "--reference": self.reference not in get_args(ReferenceChoice),
            "--max-tokens": self.max_tokens is not None and self.max_tokens < 1,
        }
        for option in [option for option, is_wrong in wrong.items() if is_wrong]:
            value = getattr(self, option[2:].replace("-", "_"))
            raise UsageError(f"{option}: found {value!r}, expected {_EXPECTED[option]}")
        if self.max_tokens is not None and self.processor is None:
            raise UsageError(
                "--max-tokens: tokens are counted by the model's own tokenizer; name its folder "
                "with --processor"
            )
        if self.val and self.split_by == "split":
            raise UsageError("--val goes with --split-by video_id: the manifest says it otherwise")

    @property
    def family(self) -> ModelFamily:
        return family(self.model_family)

    @property
    def template(self) -> Template | None:
        return None if self.profile_template == "none" else self.profile_template


_EXPECTED = {
    "--frames": "0 or more",
    "--media": "images or video",
    "--split-by": "video_id or split",
    "--val": "a share of at least 0 and below 1",
    "--profile-template": "mass-v1, mass-v2 or none",
    "--reference": "auto, world or camera",
    "--max-tokens": "1 or more",
}


@dataclass(frozen=True, kw_only=True)
class Example:
    row: Row
    """Of the table `questions`, as the annotator wrote it."""
    question: str
    """The bare question, with boxes as the family writes them."""
    expected: ExpectedAnswer
    prompt: VideoPrompt
    reference: Reference | None
    """Frame of reference of the profile's motions; None: it has no profile."""
    shots: tuple[Shot, ...]
    """The frame at each position of the prompt."""
    film: Film | None
    """None: its frames are images, or it has none."""
    size: Size
    """(width, height) of its pictures."""
    source_width: int
    """Of the video, in whose pixels `shown` has its boxes."""
    shown: ShownVideo
    """What is done to the video first."""
    video_id: str
    split: Split
    geometry: tuple[Path, ...] = ()
    """The files of its clips' points; none: they were not asked for."""


@dataclass(frozen=True)
class LeftOut:
    """A question that became no example."""

    reason: str
    """A short, stable word for counting, see errors.ClipError."""
    sentence: str


@dataclass(frozen=True)
class Examples:
    examples: tuple[Example, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    """Sentences on the manifest's own split, and on profiles without motion."""


def examples(
    dataset: Dataset, options: TrainingData, *, media: Media, min_quality: float | None = None
) -> Examples:
    """Every question of the dataset, by id. Raises UsageError for a dataset without questions, and
    for settings that fit no question."""
    rows = dataset.table_or_empty("questions").to_pylist()
    if not rows:
        raise UsageError(
            f"{dataset.layout.out} holds no question, expected some; annotate a manifest "
            "with a column 'question'"
        )
    if media == "video" and options.frames == 1:
        raise UsageError("--frames 1 with a video: found one frame, expected at least 2, or 0")
    video_of = _videos(dataset)
    splits = Splits.of(rows, video_of=video_of, by=options.split_by, val=options.val)
    counter = _counters(options, media)
    complete: list[Example] = []
    left_out: list[LeftOut] = []
    too_long: list[int] = []
    for row in rows:
        try:
            asked = with_mask_evidence(dataset, row, frames=options.frames) if options.cite else row
            view = family_view(dataset, asked, options, min_quality=min_quality)
            video_id = video_of[view.shots[0].clip_id]
            split = splits.split(row, video_id)
            complete.append(_example(view, row, options, media, counter, video_id, split))
        except PromptTooLong as error:
            too_long.append(error.n_tokens)
        except BadQuestion as error:
            left_out.append(LeftOut(error.reason, str(error)))
    if too_long:
        raise UsageError(
            f"--max-tokens {options.max_tokens}: {len(too_long)} of "
            f"{counted(len(rows), 'prompt stays', many='prompts stay')} longer, the longest has "
            f"{counted(max(too_long), 'token')}, and the trainer would drop them; raise it here "
            "and there, or show fewer --frames or smaller ones with --max-pixels"
        )
    notes = splits.notes([(example.row, example.split) for example in complete])
    return Examples(tuple(complete), tuple(left_out), (*notes, *_empty_profiles(complete)))


def _empty_profiles(complete: Sequence[Example]) -> tuple[str, ...]:
    """A sentence where profiles hold no motion."""
    shown = [example for example in complete if example.prompt.profile is not None]
    empty = [each for each in shown if not profile_blocks(each.prompt.profile or "").entities]
    if not empty:
        return ()
    sentence = (
        f"{len(empty)} of {counted(len(shown), 'profile holds', many='profiles hold')} no motion, "
        f"as that of {empty[0].row['question_id']}: nothing that its question names was found and "
        "followed; name the things in the manifest's entities, or with -p"
    )
    return (sentence,)


def _videos(dataset: Dataset) -> dict[str, str]:
    """Video id by clip id, and by address, also by that of a copy without clips."""
    video_of: dict[str, str] = {}
    for name, key in (("videos", "uri"), ("clips", "uri"), ("clips", "clip_id")):
        table = dataset.table_or_empty(name)
        keys, video_ids = table[key].to_pylist(), table["video_id"].to_pylist()
        video_of |= zip(keys, video_ids, strict=True)
    return video_of


def family_view(
    dataset: Dataset, row: Row, options: TrainingData, *, min_quality: float | None = None
) -> QuestionView:
    """The question, with every box in its text and answer as the model family writes it."""
    view = question_view(
        dataset,
        row,
        template=options.template,
        reference=options.reference,
        min_quality=min_quality,
    )
    source = view.source_size
    resized = options.family.resized(source, max_pixels=options.max_pixels)

    def text(value: str | None) -> str | None:
        return value and options.family.text(value, source=source, resized=resized)

    _check_evidence(view)
    flat = row["evidence_boxes"] or []
    boxes: list[float] = []
    for t, *box in (flat[start : start + 5] for start in range(0, len(flat), 5)):
        x0, y0, x1, y1 = box
        boxes += [t, *options.family.box((x0, y0, x1, y1), source=source, resized=resized)]
    written = {
        **row,
        "question": text(row["question"]),
        "answer": text(row["answer"]),
        "options": row["options"] and [text(option) for option in row["options"]],
        "evidence_boxes": boxes or None,
    }
    return view if written == row else view.rewritten(written)


def _check_evidence(view: QuestionView) -> None:
    """Raises BadQuestion for evidence at a time that its clips do not show, or outside of the
    picture."""
    row, (width, height) = view.row, view.source_size
    flat = row["evidence_boxes"] or []
    boxes = [flat[start : start + 5] for start in range(0, len(flat), 5)]
    first_s, last_s = view.shots[0].t_s, view.shots[-1].t_s
    for t_s in (*(row["evidence_times_s"] or ()), *(box[0] for box in boxes)):
        if not first_s - _NEAR_S <= t_s <= last_s + _NEAR_S:
            raise BadQuestion(
                f"question {row['question_id']}: found evidence at {t_s:g} s, expected a time "
                f"within {first_s:g} to {last_s:g} s, which its clips show"
            )
    for box in boxes:
        if min(box[1:]) < -1 or box[3] > width + 1 or box[4] > height + 1:
            raise BadQuestion(
                f"question {row['question_id']}: found evidence_boxes {box[1:]}, expected pixels "
                f"of the video's {width}x{height}"
            )


_NEAR_S = 0.5
"""Evidence may lie between annotated frames, or just behind the last one."""


def _example(
    view: QuestionView,
    row: Row,
    options: TrainingData,
    media: Media,
    counter: Callable[[Size], Callable[[VideoPrompt], int]] | None,
    video_id: str,
    split: Split,
) -> Example:
    expected = expected_answer(view.row)
    size = options.family.resized(view.source_size, max_pixels=options.max_pixels)
    frames, film = view.frames(options.frames), None
    if media == "video" and frames:
        if len(view.shots) < 2:
            raise BadQuestion(
                f"question {row['question_id']}: found 1 frame, expected at least 2 for a video"
            )
        film = Film.of(view.shots)
        frames = [(film.indices[tick], film.t_s(tick)) for tick in film.ticks(options.frames)]
    budget = None
    if counter is not None:
        budget = Budget(n_tokens=options.max_tokens or _NO_LIMIT, count=counter(size))
    question = view.question
    if options.cite and expected.evidence_boxes:
        width, height = size
        written = (
            "thousandths of the frame"
            if options.family.thousandths
            else (f"pixels of the {width}x{height} frame")
        )
        question = replace(question, cite_in=written)
    prompt = build_prompt(question, frames=frames, profile=view.profile, budget=budget)
    return Example(
        row=row,
        question=view.question.text,
        expected=expected,
        prompt=prompt,
        reference=view.reference,
        shots=tuple(view.shots[index] for index in prompt.frames),
        film=film,
        size=size,
        source_width=view.source_size[0],
        shown=view.shown,
        video_id=video_id,
        split=split,
        geometry=_geometry(view, options.geometry),
    )


def _geometry(view: QuestionView, folder: Path | None) -> tuple[Path, ...]:
    """The files of its clips. Raises BadQuestion for a clip without one."""
    if folder is None:
        return ()
    clip_ids = dict.fromkeys(shot.clip_id for shot in view.shots)
    files = tuple(folder / f"{clip_id}.safetensors" for clip_id in clip_ids)
    missing = [file for file in files if not file.exists()]
    if missing:
        raise BadQuestion(
            f"question {view.row['question_id']}: found no {missing[0]}, expected the points of "
            "its clip; `massannot export geometry` says which clips it leaves out, and why"
        )
    return files


_NO_LIMIT = 1 << 62


def _counters(
    options: TrainingData, media: Media
) -> Callable[[Size], Callable[[VideoPrompt], int]] | None:
    """A counter for each size of pictures."""
    folder = options.processor
    if folder is None:
        return None
    return cache(lambda size: token_counter(folder, family=options.family, size=size, media=media))
