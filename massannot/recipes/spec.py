"""RunSpec: everything that decides the rows of a run, in one object.

It is written once as JSON into a plan and into a dataset (see dataset/record.py). Where the work is
done, how long it may take and what is drawn afterwards are not part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from massannot.errors import UsageError
from massannot.models.profiles import Job
from massannot.video.sampling import Sampling
from massannot.video.shot_rule import ShotRule

if TYPE_CHECKING:
    from massannot.stages._stage import Pipeline

PoseChoice = Literal["auto", "assume", "estimate"]
"""What a user may ask for; a RunSpec says what it came to."""
SHARD_MINUTES = 7.5
"""Short enough that little is lost with a worker, long enough that files stay few."""
PIXELS_A_SECOND = 5e6
"""The assumed speed of a worker until `plan --estimate` has measured it: 10 s of GPU for a 10 s
clip of 960x540 at 10 frames a second."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which of the videos that the sources name are annotated, and which stretch of them."""

    limit: int | None = None
    sample: Literal["first", "random"] = "first"
    seed: int = 0
    root: str | None = None
    """No manifest may name a video outside of this folder."""
    start_s: float | None = None
    end_s: float | None = None
    """Of videos that no manifest names: the stretch that is annotated, see Span; None: from the
    first frame, to the last."""

    def __post_init__(self) -> None:
        if self.end_s is not None and self.end_s <= (self.start_s or 0):
            raise UsageError(
                f"--end {self.end_s:g}: found no stretch after {self.start_s or 0:g} s, expected a "
                "later time, in seconds after the first frame"
            )


@dataclass(frozen=True)
class Answerer:
    """Who does one job of a recipe.

    `kind` model: `name` is a profile, or a class: "file:Class" below massannot/models,
    "package.module:Class" or "path/file.py:Class" outside of it. `kind` file: `name` is the path of
    recorded answers. `kind` scene: `name` is a folder of rendered scenes, whose truth answers.
    """

    kind: Literal["model", "file", "scene"]
    name: str
    weights: str | None = None
    """A hub id, folder or file instead of the profile's own weights."""
    revision: str | None = None
    """The hub's commit, once the run is planned."""


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """Everything that decides the rows. Equal specs, code, weights and answers give equal bytes."""

    sources: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    select: Selection = field(default_factory=Selection)
    sampling: Sampling = field(
        default_factory=lambda: Sampling(shots=ShotRule(), shared_frames=True)
    )
    recipe: str = "annotate"
    """A name in pipelines/, or the path of a .py file."""
    models: Mapping[Job, Answerer] = field(default_factory=dict)
    """A job without an answerer is refused when a recipe wants it."""
    options: Mapping[str, str] = field(default_factory=dict)
    """"stage.option" or "job.option" to a value, as in --set. Where two of them are one option of
    a model, that of the stage wins."""
    grid_size: int = 8
    """Points on a thing at most, or on the picture for recipes without phrases: N x N."""
    poses: Literal["assume", "estimate"] = "assume"
    """What becomes of camera poses that nobody gives: assume that the camera stands still, or
    estimate them from the background."""
    known_sizes: Mapping[str, float] = field(default_factory=dict)
    """A phrase to the length in metres of what it names, which tells a clip's scale."""
    depth_maps: bool = False
    """Store depth in the table depth_maps."""
    calibration: str = "auto"
    """What makes intervals of evidence: the path of a calibration; auto: the shipped one that is
    true of these models and options, if there is one; none."""
    shard_pixels: float = SHARD_MINUTES * 60 * PIXELS_A_SECOND
    """Annotated pixels in a shard, at most."""
    folder: str | None = None
    """The folder from which relative names of videos start; None: wherever a process runs."""

    def pipeline(self) -> Pipeline:
        """Build the recipe's pipeline with all options. Loads no weights.

        Raises BadRecipe when the recipe, a stage or an option does not exist, UsageError for a job
        that has no answerer.
        """
        from massannot.recipes import built

        return built(self)

    @property
    def profiles(self) -> tuple[str, ...]:
        """The profiles that take part, each once."""
        from massannot.models.profiles import PROFILES

        known = {profile.name for profile in PROFILES}
        names = (model.name for model in self.models.values() if model.kind == "model")
        return tuple(dict.fromkeys(name for name in names if name in known))

    @property
    def profile(self) -> str:
        """The profile as people say it: "small", "none" without one."""
        return "+".join(self.profiles) or "none"

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `from_json` reads them."""
        return {
            **asdict(self),
            "sources": list(self.sources),
            "phrases": list(self.phrases),
            "sampling": self.sampling.to_json(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RunSpec:
        """Raises UsageError for a field that this version does not know."""
        _refuse_unknown(cls, values)
        _refuse_unknown(Selection, values["select"], "select.")
        for job, model in values["models"].items():
            _refuse_unknown(Answerer, model, f"models.{job}.")
        return cls(
            **{
                **values,
                "sources": tuple(values["sources"]),
                "phrases": tuple(values["phrases"]),
                "select": Selection(**values["select"]),
                "sampling": Sampling.from_json(values["sampling"]),
                "models": {job: Answerer(**model) for job, model in values["models"].items()},
                "options": dict(values["options"]),
                "known_sizes": dict(values.get("known_sizes", {})),
            }
        )


def _refuse_unknown(kind: type[Any], values: Mapping[str, Any], where: str = "") -> None:
    unknown = sorted(set(values) - {field.name for field in fields(kind)})
    if unknown:
        names = ", ".join(where + name for name in unknown)
        raise UsageError(
            f"spec.json: found {names}, expected fields of {kind.__name__}; another version of "
            "massannot wrote it: use that one, or plan anew"
        )
