"""The record of a spec: digests of code, weights and recorded answers beside it.

A later start must find the same, or it would add other rows to the same dataset.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from massannot.dataset.record import RunRecord
from massannot.models import weights
from massannot.plugins import is_file, is_outside
from massannot.recipes import registry
from massannot.recipes.models import needed_weights
from massannot.recipes.spec import RunSpec
from massannot.stages._stage import Pipeline

DECIDING = (
    "clip.py", "entities", "geometry", "inputs", "models", "recipes", "scenes", "stages", "tables",
    "video",
)  # fmt: skip
"""Parts of the package whose code can change a row. The rest plans, stores, schedules, draws or
exports rows that stand."""


def record_of(spec: RunSpec, pipeline: Pipeline | None = None) -> RunRecord:
    """The spec with everything else that a later start must find unchanged.

    `pipeline`: the spec's, where it is built already. Raises BadRecipe, UsageError, MissingWeights.
    """
    pipeline = spec.pipeline() if pipeline is None else pipeline
    return RunRecord(
        spec=spec.to_json(),
        recipe=pipeline.describe(),
        digest=pipeline.digest,
        code=code_of(spec),
        weights_digests={w.source: digest_of_weights(w) for w in needed_weights(spec)},
        answers=dict(_of_answers(spec)),
        notes=pipeline.notes,
    )


def code_of(spec: RunSpec) -> dict[str, str]:
    """Digests of the code that decides the spec's rows, the user's own files included."""
    return {**code_digests(), **code_outside(spec)}


@functools.cache
def code_digests() -> dict[str, str]:
    """Each deciding part when it was first looked at: a later edit does not run in this process."""
    package = Path(__file__).parent.parent
    parts = {name: package / name for name in DECIDING} | {"pipelines": registry().folder}
    return {name: _of_python(path) for name, path in parts.items()}


def code_outside(spec: RunSpec) -> dict[str, str]:
    """Digests of the user's own files: a recipe and models from outside the package."""
    files = list(_files_of(spec.recipe)) if is_outside(spec.recipe) else []
    for answerer in spec.models.values():
        module, colon, _ = answerer.name.partition(":")
        if answerer.kind == "model" and colon:
            files += _files_of(module)
    return {str(path): _of_python(path) for path in files}


def _files_of(module: str) -> Iterator[Path]:
    """The file of a module outside the package, named by its path or its dotted name."""
    if is_file(module):
        yield Path(module)
    elif importlib.util.find_spec(f"massannot.models.{module}") is None:
        found = importlib.util.find_spec(module)
        if found is not None and found.origin is not None:
            yield Path(found.origin)


def _of_python(path: Path) -> str:
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(path.parent)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def digest_of_weights(wanted: weights.Weights) -> str:
    """A hub's commit means the same files for ever; of local files the bytes count."""
    if wanted.on_hub:
        return wanted.revision
    return weights.find(wanted, download=False).sha256


def _of_answers(spec: RunSpec) -> Iterator[tuple[str, str]]:
    for job, answerer in spec.models.items():
        path = Path(answerer.name)
        if answerer.kind == "file" and path.is_file():
            yield job, hashlib.sha256(path.read_bytes()).hexdigest()
