"""What a question's row says to every trainer, and where its pictures lie.

It carries the whole row of `questions` as JSON (`source_row`), by which `load` gives the table back
equal; everything else in it is for the trainer.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from massannot.exporters._pictures import film_name, image_name
from massannot.rft.count_tokens import Media
from massannot.rft.examples import Example
from massannot.rft.expected import COLUMNS


def columns(example: Example) -> dict[str, Any]:
    """What rewards ask about, called as the fields of `rft.expected.Expected`; where the example
    comes from; its prompt's pieces apart; and what is true of its film."""
    return {**_of_answer(example), **_of_prompt(example), **_of_film(example)}


def picture_names(example: Example, media: Media) -> list[str]:
    """Files in the export's folder, in the order of the prompt."""
    if media == "video":
        return [] if example.film is None else [film_name(example.film)]
    return [image_name(shot) for shot in example.shots]


def _of_answer(example: Example) -> dict[str, Any]:
    expected = example.expected
    said = {field.name: getattr(expected, field.name) for field in fields(expected)}
    return {
        **{name: said[name] for name in COLUMNS},
        "options": list(expected.options),
        "evidence_times_s": list(expected.evidence_times_s),
        "evidence_boxes": [[t, *box] for t, box in expected.evidence_boxes],
    }


def _of_prompt(example: Example) -> dict[str, Any]:
    prompt = example.prompt
    return {
        "question_id": example.row["question_id"],
        "video_id": example.video_id,
        "category": example.row["category"],
        "profile": prompt.profile,
        "question": example.question,
        "times_s": list(prompt.times_s),
        "dropped": [f"{each.what} {each.name.strip()}" for each in prompt.dropped],
        "n_prompt_tokens": prompt.n_tokens,
        "source_row": json.dumps(example.row, ensure_ascii=False, allow_nan=False),
    }


def _of_film(example: Example) -> dict[str, Any]:
    """What is true of the film that a reader cannot know: its own times start at 0."""
    film = example.film
    if film is None:
        return {}
    return {
        "fps": float(film.fps),
        "frames_indices": film.ticks(len(example.shots)),
        "video_start": film.start_s,
        "video_end": film.t_s(len(film.shots) - 1),
    }
