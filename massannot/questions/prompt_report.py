"""A question's prompt as `rft show` prints it, for a person to read before a trainer does."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from massannot.dataset.reading import Dataset
from massannot.questions.examples import TrainingData, family_view
from massannot.questions.model_families import token_counter
from massannot.questions.prompts import Budget, ImagePart, VideoPrompt, build_prompt
from massannot.questions.question_view import QuestionView, find_question


def prompt_of(
    dataset: Dataset,
    question_id: str,
    options: TrainingData,
    *,
    min_quality: float | None = None,
) -> tuple[QuestionView, VideoPrompt]:
    """The question and its prompt, frames as images. Raises UsageError for an id
    that is not there, BadQuestion for a question without a prompt, PromptTooLong for a prompt over
    --max-tokens."""
    row = find_question(dataset, question_id)
    view = family_view(dataset, row, options, min_quality=min_quality)
    budget = None
    if options.processor is not None:
        size = options.family.resized(view.source_size, max_pixels=options.max_pixels)
        count = token_counter(options.processor, family=options.family, size=size, media="images")
        budget = Budget(n_tokens=options.max_tokens or 1 << 62, count=count)
    frames = view.frames(options.frames)
    return view, build_prompt(view.question, frames=frames, profile=view.profile, budget=budget)


def as_text(view: QuestionView, prompt: VideoPrompt) -> str:
    """Facts of the prompt, one a line, and the prompt itself with frames in brackets."""
    row, dropped = view.row, [f"{piece.what} {piece.name.strip()!r}" for piece in prompt.dropped]
    notes = [
        f"question    {row['question_id']} ({view.question.problem_type})",
        f"answer      {row['answer'] if row['answer'] is not None else 'unknown'}",
        f"reference   {view.reference or 'no profile'}",
        f"frames      {len(prompt.frames)} of {len(view.shots)}",
        f"tokens      {prompt.n_tokens if prompt.n_tokens is not None else 'not counted'}",
        f"dropped     {', '.join(dropped) or 'nothing'}",
    ]
    pieces = [
        f"[frame {part.frame}]" if isinstance(part, ImagePart) else part.text.rstrip("\n")
        for part in prompt.parts
    ]
    return "\n".join([*notes, "", *pieces])


def as_json(view: QuestionView, prompt: VideoPrompt) -> dict[str, Any]:
    parts = [
        {"frame": part.frame} if isinstance(part, ImagePart) else {"text": part.text}
        for part in prompt.parts
    ]
    return {
        "question_id": view.row["question_id"],
        "problem_type": view.question.problem_type,
        "answer": view.row["answer"],
        "parts": parts,
        "profile": prompt.profile,
        "reference": view.reference,
        "question": prompt.question,
        "n_tokens": prompt.n_tokens,
        "dropped": [asdict(piece) for piece in prompt.dropped],
    }
