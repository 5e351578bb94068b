"""Keys of stages: equal keys, equal results for equal frames.

A key covers the stage's options, weights and code, the files that answer instead of a model, and
the keys of the stages that wrote what it reads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from massannot.chosen_models import pins_of
from massannot.io.video import Sampling
from massannot.pipeline import Pipeline
from massannot.planned_with import digests
from massannot.recipe import Choice


@dataclass(frozen=True)
class Made:
    """A pipeline whose stages have keys: equal keys, equal results for equal frames."""

    pipeline: Pipeline
    keys: tuple[str, ...]
    by_phrases: tuple[bool, ...]
    """Whether the clip's phrases decide too."""

    def writers(self, name: str) -> list[int]:
        """Places of the stages that write it, in order."""
        return [n for n, stage in enumerate(self.pipeline.stages) if name in stage.writes]

    def writer_before(self, name: str, place: int) -> int | None:
        return max((n for n in self.writers(name) if n < place), default=None)


def made(choice: Choice, sampling: Sampling) -> Made:
    """The pipeline of a choice, with its keys."""
    pipeline = choice.build()
    known = digests(choice, pipeline)
    keys: list[str] = []
    by_phrases: list[bool] = []
    bare = Made(pipeline, (), ())
    for place, (stage, described) in enumerate(
        zip(pipeline.stages, known["recipe"]["stages"], strict=True)
    ):
        before = {name: bare.writer_before(name, place) for name in stage.reads}
        content = {
            "stage": described,
            "weights": {s: known["weights"].get(s) for s in pins_of(described)},
            "answers": [
                known["answers"][s] for s in known["answers"] if _names(described, choice, s)
            ],
            "code": known["code"],
            "reads": {n: str(sampling) if w is None else keys[w] for n, w in before.items()},
        }
        text = json.dumps(content, sort_keys=True, ensure_ascii=False)
        keys.append(hashlib.blake2b(text.encode(), digest_size=16).hexdigest())
        inherited = any(by_phrases[w] for w in before.values() if w is not None)
        by_phrases.append(inherited or getattr(stage, "uses_phrases", False))
    return Made(pipeline, tuple(keys), tuple(by_phrases))


def _names(described: Any, choice: Choice, step: str) -> bool:
    """Whether a stage's description names the file that answers for `step`."""
    path = str(getattr(choice, step))
    if isinstance(described, Mapping):
        return any(_names(value, choice, step) for value in described.values())
    if isinstance(described, list):
        return any(_names(value, choice, step) for value in described)
    return described == path
