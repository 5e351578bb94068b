"""A prompt: frames as images with their times in text between them, motion profile, question.

The three are separate fields and meet only in `parts`. A prompt over its token budget loses whole
entities or whole segments of the profile, never part of a line, and lists them; the question's own
entities and segments are never dropped. Times keep their positions when frames are shuffled:
otherwise a model could read the order off the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

from massannot.counts import counted
from massannot.errors import BadQuestion
from massannot.questions.answers import Kind, bare_options
from massannot.questions.profile_blocks import ProfileBlocks, profile_blocks
from massannot.questions.units import unit


class PromptTooLong(BadQuestion):
    """A prompt over its budget after every droppable piece is gone."""

    reason = "prompt_too_long"

    def __init__(self, message: str, *, n_tokens: int) -> None:
        super().__init__(message)
        self.n_tokens = n_tokens


class NoTrack(BadQuestion):
    """An entity of the question without a motion in the profile."""

    reason = "no_track"


Role = Literal["time", "image", "profile", "question"]


@dataclass(frozen=True)
class TextPart:
    text: str
    role: Role


@dataclass(frozen=True)
class ImagePart:
    frame: int
    """Within the clip's annotated frames."""


@dataclass(frozen=True)
class Dropped:
    """A piece of the profile that the budget had no room for."""

    what: Literal["entity", "segment"]
    name: str


@dataclass(frozen=True, kw_only=True)
class TypedQuestion:
    """A question with the type of its answer, and the part of the profile that it needs."""

    question_id: str
    text: str
    problem_type: Kind
    options: tuple[str, ...] = ()
    unit: str | None = None
    entities: tuple[str, ...] = ()
    """The question's phrases; "ball" is also "ball 1" and "ball 2". Empty: unknown, so all."""
    frames: tuple[int, int] | None = None
    """First and last frame of the question; None: the whole clip."""
    cite_in: str | None = None
    """The coordinates of boxes, where the prompt asks for evidence; None: it does not."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The most tokens of a prompt, and their counter."""

    n_tokens: int
    count: Callable[[VideoPrompt], int]
    """As the model's own processor counts, with its images and all that a chat template adds."""


@dataclass(frozen=True, kw_only=True)
class VideoPrompt:
    frames: tuple[int, ...]
    """The frame at each position."""
    times_s: tuple[float, ...]
    """The time before each position, rising."""
    profile: str | None
    question: str
    """With its options and how to answer."""
    dropped: tuple[Dropped, ...] = ()
    n_tokens: int | None = None
    """As Budget counts; None: not counted."""

    @property
    def parts(self) -> list[TextPart | ImagePart]:
        parts: list[TextPart | ImagePart] = []
        for frame, t_s in zip(self.frames, self.times_s, strict=True):
            parts += [TextPart(f"{t_s:.2f} s:", "time"), ImagePart(frame)]
        if self.profile is not None:
            parts.append(TextPart(self.profile, "profile"))
        return [*parts, TextPart(self.question, "question")]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """A conversation as transformers' chat templates and TRL read it; images go beside it.
        Each part's `role` (time, image, profile or question) is for our trainer; chat templates do
        not read it."""
        content = [
            {"type": "image", "role": "image"}
            if isinstance(part, ImagePart)
            else {"type": "text", "text": part.text, "role": part.role}
            for part in self.parts
        ]
        return [{"role": "user", "content": content}]

    def text(self, *, image: str = "<image>") -> str:
        """One string with a placeholder for each image, as verl and ms-swift read it."""
        texts = [image if isinstance(part, ImagePart) else part.text for part in self.parts]
        return "\n".join(texts)

    def film_text(self, *, video: str = "<video>") -> str:
        """One string with one placeholder for all frames and their times before it: not every model
        gets the times from its processor, and those that do count from the film's beginning."""
        times = ", ".join(f"{t_s:.2f}" for t_s in self.times_s)
        shown = [f"Frames at {times} s:", video] if self.frames else []
        return "\n".join([*shown, *filter(None, [self.profile]), self.question])

    def shuffled(
        self, order: Sequence[int], *, segments: Sequence[int] | None = None
    ) -> VideoPrompt:
        """Frames, and with `segments` the profile's segments, in another order; times stay."""
        profile = self.profile
        if segments is not None and profile is not None:
            profile = profile_blocks(profile).shuffled(segments).text
        return replace(self, frames=tuple(self.frames[i] for i in order), profile=profile)


def build_prompt(
    question: TypedQuestion,
    *,
    frames: Sequence[tuple[int, float]] = (),
    profile: str | None = None,
    budget: Budget | None = None,
) -> VideoPrompt:
    """The prompt of one question.

    `frames`: (frame, seconds) in order of time; none: a blind prompt. `profile`: what
    `motion_profile` wrote, of either template. Raises BadQuestion, naming the question, for frames
    out of order or a text with an image's placeholder in it; NoTrack for an entity asked about
    without a line in the profile; PromptTooLong for a prompt that does not fit with all droppable
    pieces gone.
    """
    times = [t_s for _, t_s in frames]
    if any(later <= earlier for earlier, later in pairwise(times)):
        raise _refusal(question, f"found frames at {times} s", "rising times")
    blocks = profile_blocks(profile) if profile is not None else None
    if blocks is not None:
        _check_entities(question, blocks)
    request = _request(question)
    for text in (request, profile or ""):
        if match := re.search(r"<(?:image|video|audio)>|<\|", text):
            raise _refusal(question, f"found {match[0]!r} in the text", "no placeholder there")
    prompt = VideoPrompt(
        frames=tuple(frame for frame, _ in frames),
        times_s=tuple(times),
        profile=profile,
        question=request,
    )
    return prompt if budget is None else _within(prompt, question, blocks=blocks, budget=budget)


def _within(
    prompt: VideoPrompt, question: TypedQuestion, *, blocks: ProfileBlocks | None, budget: Budget
) -> VideoPrompt:
    """Pieces dropped one by one, the least needed first, until the prompt fits."""
    queue = _droppable(question, blocks) if blocks else []
    dropped: list[Dropped] = []
    while (n_tokens := budget.count(prompt)) > budget.n_tokens:
        if blocks is None or not queue:
            gone = (
                f" and {counted(len(dropped), 'piece')} of the profile dropped" if dropped else ""
            )
            raise PromptTooLong(
                f"question {question.question_id}: found {counted(n_tokens, 'token')} with "
                f"{counted(len(prompt.frames), 'frame')}{gone}, expected at most "
                f"{budget.n_tokens}; raise the budget or show fewer or smaller frames",
                n_tokens=n_tokens,
            )
        piece = queue.pop(0)
        drop = blocks.without_entity if piece.what == "entity" else blocks.without_segment
        blocks = drop(piece.name)
        dropped.append(piece)
        prompt = replace(prompt, profile=blocks.text, dropped=tuple(dropped))
    return replace(prompt, n_tokens=n_tokens)


def _droppable(question: TypedQuestion, blocks: ProfileBlocks) -> list[Dropped]:
    """Other entities than the question's, the last first; then segments outside of its frames, the
    farthest first. A question without either may need all of them."""
    others = [name for name in blocks.entities if not _is_needed(name, question)]
    pieces = [Dropped("entity", name) for name in reversed(others)]
    if question.frames is None:
        return pieces
    first, last = question.frames
    far = {
        segment.title: max(first - segment.last_frame, segment.first_frame - last)
        for segment in blocks.segments
    }
    outside = sorted((title for title in far if far[title] > 0), key=lambda title: -far[title])
    return pieces + [Dropped("segment", title) for title in outside]


def _check_entities(question: TypedQuestion, blocks: ProfileBlocks) -> None:
    for phrase in question.entities:
        if not any(_answers(name, phrase) for name in blocks.entities):
            raise NoTrack(
                f"question {question.question_id}: found no motion of {phrase!r} in the profile, "
                f"expected one; it has {', '.join(blocks.entities) or 'none'}"
            )


def _is_needed(name: str, question: TypedQuestion) -> bool:
    return not question.entities or any(_answers(name, phrase) for phrase in question.entities)


def _answers(name: str, phrase: str) -> bool:
    """Whether an entity of the profile answers the phrase: by its name, or numbered."""
    return re.fullmatch(rf"{re.escape(phrase)}(?: \d+)?", name) is not None


def _request(question: TypedQuestion) -> str:
    """The question, its options, and how to answer."""
    lines = [question.text.strip()]
    if not lines[0]:
        raise _refusal(question, "found no text", "a question")
    if question.problem_type == "multiple_choice":
        options = bare_options(question.options)
        lines += [f"{letter}. {text}" for letter, text in zip(_LETTERS, options, strict=False)]
    written = f" in {unit(question.unit).symbol}" if question.unit else ""
    if question.problem_type == "interval" and not written:
        written = " in seconds"
    lines += [_HOW[question.problem_type].format(unit=written), _FORM]
    if question.cite_in is not None:
        lines.append(_CITE.format(coordinates=question.cite_in))
    return "\n".join(lines)


def _refusal(question: TypedQuestion, problem: str, expected: str) -> BadQuestion:
    return BadQuestion(f"question {question.question_id}: {problem}, expected {expected}")


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_HOW: dict[Kind, str] = {
    "multiple_choice": "Answer with the letter of one option.",
    "number": "Answer with one number{unit}.",
    "yes_no": "Answer yes or no.",
    "clock": "Answer with an hour of the clock from 1 to 12; 12 is straight on.",
    "interval": 'Answer with a start and an end{unit}, as in "3.5 to 4.5".',
    "text": "Answer in one sentence.",
}
_FORM = (
    "First reason between <think> and </think>, "
    "then give only the answer between <answer> and </answer>."
)
_CITE = (
    "While reasoning, cite what you see, where and when, as "
    "<obj>name</obj><box>[x0, y0, x1, y1]</box>at<t>seconds</t>s, with boxes in {coordinates}."
)
"""The notation of Open-o3 Video (arXiv 2510.20579), which the evidence rewards read."""
