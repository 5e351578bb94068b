"""Recipes: files in `pipelines/`, each a function `pipeline(choice)` that returns a Pipeline.

They are found by file name and imported only when named. In a checkout they lie in `pipelines/`;
in an installed wheel the same files lie in `massannot/pipelines/`. `Choice` is everything a command
can ask of a recipe; it is small and picklable, so that a worker process builds its own pipeline.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from massannot.errors import BadRecipe, UsageError
from massannot.stages._stage import Pipeline

STEPS = ("detect", "masks", "depth", "tracks", "cameras")
"""The jobs whose answers may come from a file or, on rendered scenes, from the truth."""

DTYPES = ("auto", "fp32", "bf16", "fp16")


@dataclass(frozen=True)
class Choice:
    """What the user asked for. A recipe takes what it understands and refuses the rest by name."""

    recipe: str = "annotate"
    profile: str = "auto"
    """Which models and weights, see massannot/models/profiles.py; auto: the shipped ones."""
    scenes: str | None = None
    """Folder written by `massannot scenes render`: where oracles find the truth."""
    oracles: tuple[str, ...] = ()
    """Which of STEPS the truth answers instead of a model."""
    boxes: str | None = None
    masks: str | None = None
    depth: str | None = None
    tracks: str | None = None
    cameras: str | None = None
    """Files that answer instead of a model."""
    hfov_deg: float | None = None
    """Horizontal field of view; None: assumed, and said so."""
    depth_maps: bool = False
    """Store depth in the table depth_maps."""
    weights: tuple[tuple[str, str], ...] = ()
    """(model, hub id or folder) pairs that replace the profile's weights."""
    revisions: tuple[tuple[str, str], ...] = ()
    """(hub id, commit) pairs: what branches and tags meant when the run was planned."""
    box_threshold: float | None = None
    text_threshold: float | None = None
    """None: the profile's own."""
    dtype: str = "auto"
    options: tuple[tuple[str, str, str], ...] = ()
    """(stage, option, value), as in --set stage.option=value."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.oracles) - set(STEPS))
        if unknown:
            raise UsageError(f"--oracle {','.join(unknown)}: expected some of {', '.join(STEPS)}")
        jobs = STEPS[:4]  # nobody's weights estimate cameras
        for job, _ in self.weights:
            if job not in jobs:
                raise UsageError(f"--weights {job}=...: expected one of {', '.join(jobs)}")
        if self.dtype not in DTYPES:
            raise UsageError(f"--dtype {self.dtype}: expected one of {', '.join(DTYPES)}")
        if self.oracles and self.scenes is None:
            raise UsageError("--oracle needs --scenes FOLDER, where the truth lies")

    def build(self) -> Pipeline:
        """The pipeline. Raises BadRecipe when the recipe or an option does not exist."""
        built: Pipeline = _function(self.recipe)(self)
        for stage, option, value in self.options:
            built = built.with_option(stage, option, value)
        return built

    def asks_truth(self, step: str) -> bool:
        """Whether the rendered scene's truth does this job."""
        return step in self.oracles

    def asking(self, **changes: object) -> Choice:
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def folder() -> Path:
    """Where the recipe files lie: beside the installed package, or in the checkout."""
    package = Path(__file__).parent.parent
    for candidate in (package / "pipelines", package.parent / "pipelines"):
        if candidate.is_dir():
            return candidate
    raise BadRecipe(f"no recipes beside {package}: the installation is incomplete; reinstall")


def names() -> tuple[str, ...]:
    return tuple(sorted(p.stem for p in folder().glob("*.py") if not p.stem.startswith("_")))


def summary(name: str) -> str:
    """The recipe's docstring, read without importing it."""
    return ast.get_docstring(ast.parse(_path(name).read_text(encoding="utf-8"))) or ""


def _path(name: str) -> Path:
    wanted = name.replace("-", "_")
    if wanted not in names():
        raise BadRecipe(f"no recipe {name!r}; recipes: {', '.join(names())}")
    return folder() / f"{wanted}.py"


def _function(name: str):  # type: ignore[no-untyped-def]  # a function of a file found by name
    path = _path(name)
    found = importlib.util.spec_from_file_location(f"massannot.pipelines.{path.stem}", path)
    if found is None or found.loader is None:
        raise BadRecipe(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module.pipeline
