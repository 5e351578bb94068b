"""Recipes: each a file with a function `pipeline(spec)` that returns a Pipeline.

Those of the project lie in `pipelines/` at the top of a checkout, installed as massannot/pipelines;
a user's own is named by its path. A file is imported only when it is named.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from massannot.errors import BadRecipe
from massannot.plugins import Registry

if TYPE_CHECKING:
    from massannot.recipes.spec import RunSpec
    from massannot.stages._stage import Pipeline


def built(spec: RunSpec) -> Pipeline:
    """The pipeline of the spec's recipe, with its options. See RunSpec.pipeline."""
    from massannot.recipes.calibrated import with_calibration
    from massannot.recipes.models import JOBS, suited

    pipeline: Pipeline = registry().attribute(spec.recipe, "pipeline")(spec)
    pipeline = suited(pipeline, spec)
    for name, value in spec.options.items():
        target, _, option = name.partition(".")
        if target not in JOBS:  # a job's options are set where its model is built
            pipeline = pipeline.with_option(target, option, value)
    if "clips" not in pipeline.tables:
        raise BadRecipe(f"recipe {pipeline.name} writes no table 'clips'; add SummarizeClip()")
    return with_calibration(pipeline, spec)


@cache
def registry() -> Registry:
    """The recipes of the installed package, or of the checkout. Raises BadRecipe without any."""
    package = Path(__file__).parent.parent
    for folder in (package / "pipelines", package.parent / "pipelines"):
        if folder.is_dir():
            return Registry("recipe", folder, package=None, error=BadRecipe)
    raise BadRecipe(f"no recipes beside {package}: the installation is incomplete; reinstall")
