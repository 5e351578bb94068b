"""What a plan was made with: recipe, code, weights and answers, which a later run must repeat."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from massannot.models import weights
from massannot.recipes import spec as recipe
from massannot.recipes.models import needed_weights
from massannot.recipes.spec import Choice
from massannot.stages._stage import Pipeline
from massannot.video.sampling import Sampling

DECIDING = (
    "clip.py", "pixels.py", "pipeline.py", "protocols.py", "chosen_models.py", "recipe.py",
    "geometry", "io", "models", "scenes", "stages", "tables",
)  # fmt: skip
"""What of the package decides rows; the rest draws, exports, schedules or evaluates."""


def digests(choice: Choice, pipeline: Pipeline) -> dict[str, Any]:
    """Names and digests, so that a difference can be shown by name."""
    return {
        "recipe": pipeline.describe(),
        "code": code_digests(),
        "weights": {str(w.source): _of_weights(w) for w in needed_weights(choice)},
        "answers": _of_answers(choice),
    }


@functools.cache
def code_digests() -> dict[str, str]:
    """blake2b-128 of the Python files of each part that decides rows, when they were first asked
    for: what is edited later does not run in this process."""
    package = Path(__file__).parent.parent
    parts = {name: package / name for name in DECIDING} | {"recipes": recipe.folder()}
    return {name: _of_python(path) for name, path in parts.items()}


def choice_to_json(choice: Choice) -> dict[str, Any]:
    return asdict(choice)


def choice_from_json(values: Any) -> Choice:
    """Lists become tuples again, as Choice has them."""
    return Choice(**{name: _tuples(value) for name, value in values.items()})


def sampling_from_json(values: Any) -> Sampling:
    return Sampling(**values)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _of_python(path: Path) -> str:
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(path.parent)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _of_weights(wanted: weights.Weights) -> str:
    """A hub's commit means the same files for ever; of what lies here, the bytes count."""
    if wanted.on_hub:
        return wanted.revision
    return weights.find(wanted, download=False).sha256


def _of_answers(choice: Choice) -> dict[str, str]:
    """Files that answer instead of a model; a folder of answers is taken on trust."""
    named = {
        step: getattr(choice, step) for step in ("boxes", "masks", "depth", "tracks", "cameras")
    }
    return {
        step: hashlib.sha256(Path(path).read_bytes()).hexdigest()
        for step, path in named.items()
        if path and Path(path).is_file()
    }
