"""A question's prompt as a person reads it, before any trainer does."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from massannot.dataset.reading import Dataset
from massannot.questions.asked import Asked, find_question
from massannot.questions.examples import TrainingData, asked_of_family
from massannot.questions.prompts import Budget, ImagePart, Prompt, build_prompt
from massannot.questions.tokens import token_counter


def prompt_of(
    dataset: Dataset,
    question_id: str,
    options: TrainingData,
    *,
    min_quality: float | None = None,
) -> tuple[Asked, Prompt]:
    """Frames as images. Raises UsageError for an id that is not there, BadQuestion for a question
    that has no prompt, PromptTooLong for one that --max-tokens has no room for."""
    row = find_question(dataset, question_id)
    about = asked_of_family(dataset, row, options, min_quality=min_quality)
    budget = None
    if options.processor is not None:
        size = options.family.resized(about.source_size, max_pixels=options.max_pixels)
        count = token_counter(options.processor, family=options.family, size=size, media="images")
        budget = Budget(n_tokens=options.max_tokens or 1 << 62, count=count)
    frames = about.frames(options.frames)
    return about, build_prompt(about.question, frames=frames, profile=about.profile, budget=budget)


def as_text(about: Asked, prompt: Prompt) -> str:
    """What is known of the prompt, a line, and the prompt itself with frames in brackets."""
    row, dropped = about.row, [f"{each.what} {each.name.strip()!r}" for each in prompt.dropped]
    notes = [
        f"question    {row['question_id']} ({about.question.problem_type})",
        f"answer      {row['answer'] if row['answer'] is not None else 'unknown'}",
        f"frames      {len(prompt.frames)} of {len(about.shots)}",
        f"tokens      {prompt.n_tokens if prompt.n_tokens is not None else 'not counted'}",
        f"dropped     {', '.join(dropped) or 'nothing'}",
    ]
    pieces = [
        f"[frame {part.frame}]" if isinstance(part, ImagePart) else part.text.rstrip("\n")
        for part in prompt.parts
    ]
    return "\n".join([*notes, "", *pieces])


def as_json(about: Asked, prompt: Prompt) -> dict[str, Any]:
    parts = [
        {"frame": part.frame} if isinstance(part, ImagePart) else {"text": part.text}
        for part in prompt.parts
    ]
    return {
        "question_id": about.row["question_id"],
        "problem_type": about.question.problem_type,
        "answer": about.row["answer"],
        "parts": parts,
        "profile": prompt.profile,
        "question": prompt.question,
        "n_tokens": prompt.n_tokens,
        "dropped": [asdict(each) for each in prompt.dropped],
    }
