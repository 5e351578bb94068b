"""Groups of flags that several commands share, each a dataclass: see cli/flag_groups.py."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from massannot.cli.flag_texts import (
    TypedBoxes,
    TypedPoints,
    absolute_file,
    calibration_choice,
    camera_source,
    known_sizes,
    pairs,
    rate,
    stage_option,
)
from massannot.cli.single_flags import WorkDir

if TYPE_CHECKING:
    from massannot.engine.settings import ExecutorSettings
    from massannot.jobs.run import RunOptions
    from massannot.recipes.model_flags import ModelFlags
    from massannot.recipes.spec import RunSpec, Selection
    from massannot.video.sampling import Sampling


@dataclass(frozen=True)
class RecipeOptions:
    """What to look for, with which models, in which pictures."""

    prompt: Annotated[
        list[str],
        typer.Option(
            "-p",
            "--prompt",
            "--text-prompt",
            help='What to look for; repeatable; "a; b", "a, b" and "a . b" are two.',
        ),
    ] = field(default_factory=list)
    profile: Annotated[
        str,
        typer.Option(
            help="Which models: embedded, small, mass, small-outdoor, mass-outdoor, "
            "permissive-relative; none: files and oracles only; auto: small. See `massannot "
            "models list`."
        ),
    ] = "auto"
    recipe: Annotated[
        str, typer.Option(help="A name of `recipes list`, or a file of yours such as ./mine.py.")
    ] = "annotate"
    model: Annotated[
        list[str],
        typer.Option(
            help="JOB=PROFILE, JOB=package.module:Class or JOB=./mine.py:Class, each also with "
            "@WEIGHTS: who does one job (detect, masks, depth, tracks, cameras)."
        ),
    ] = field(default_factory=list)
    fps: Annotated[
        str, typer.Option(help="Annotated frames a second, never above the source; or all.")
    ] = "10"
    clip_seconds: Annotated[
        float, typer.Option(help="Cut longer videos every so often.", min=0.01)
    ] = 20.0
    long_side: Annotated[
        int, typer.Option(help="Models see pictures of at most this size.", min=16)
    ] = 1280
    shots: Annotated[
        bool,
        typer.Option(
            help="Cut clips where the film is cut, and leave out dissolves, fades and blank frames."
        ),
    ] = True
    shared_frames: Annotated[
        bool,
        typer.Option(
            help="A clip that goes on within its shot begins with the last frame of the one before."
        ),
    ] = True
    dtype: Annotated[str, typer.Option(help="auto, fp32, bf16, fp16.")] = "auto"
    hfov: Annotated[
        float | None,
        typer.Option(help="Horizontal field of view, degrees; else 60 is assumed.", min=1, max=179),
    ] = None
    boxes: Annotated[str | None, typer.Option(help="Boxes from a file: COCO JSON.")] = None
    known_size: Annotated[
        list[str],
        typer.Option(
            metavar="PHRASE=METRES",
            help="The length of what a phrase names, as in 'a basketball=0.24': a clip in which "
            "one is seen whole gets its scale from it; repeatable.",
        ),
    ] = field(default_factory=list)
    box: TypedBoxes = field(default_factory=list)
    point: TypedPoints = field(default_factory=list)
    masks: Annotated[
        str | None, typer.Option(help="Masks from a file: COCO or YouTube-VIS JSON.")
    ] = None
    depth: Annotated[str | None, typer.Option(help="Depth from an npz or a folder.")] = None
    second_depth: Annotated[
        str | None,
        typer.Option(
            help="Depth of another model, from a file as for --depth (or --model "
            "second_depth=PROFILE): where no calibration is, intervals take in how far it differs."
        ),
    ] = None
    tracks: Annotated[str | None, typer.Option(help="Point tracks from an npz.")] = None
    cameras: Annotated[
        str,
        typer.Option(
            metavar="[FILE,]auto|estimate|assume",
            help="Intrinsics and poses from a file. Poses that nobody gives: estimate them from "
            "the background; assume that the camera stands still; auto: estimate where OpenCV is "
            "installed.",
        ),
    ] = "auto"
    cuboids: Annotated[
        str | None,
        typer.Option(
            help="Boxes in space from a JSON file, with the camera that sees them: positions, "
            "boxes and cameras are theirs."
        ),
    ] = None
    scenes: Annotated[str | None, typer.Option(help="Folder of scenes, for --oracle.")] = None
    oracle: Annotated[
        str | None,
        typer.Option(help="Answered by the scene's truth: detect,masks,depth,tracks,cameras."),
    ] = None
    box_threshold: Annotated[
        float | None,
        typer.Option(help="Least score of a box (the profile's own default).", min=0, max=1),
    ] = None
    text_threshold: Annotated[
        float | None, typer.Option(help="Least score of a phrase's words.", min=0, max=1)
    ] = None
    grid_size: Annotated[
        int,
        typer.Option(
            help="Points on a thing at most, N x N; of recipe track_grid, on the picture.",
            min=1,
            max=22,
        ),
    ] = 8
    options: Annotated[
        list[str],
        typer.Option(
            "--set", help="STAGE.OPTION=VALUE or JOB.OPTION=VALUE; see `recipes show annotate`."
        ),
    ] = field(default_factory=list)
    weights: Annotated[
        list[str],
        typer.Option(help="JOB=HUB_ID[@REVISION] or JOB=FOLDER: other weights for a job."),
    ] = field(default_factory=list)
    calibration: Annotated[
        str,
        typer.Option(
            help="What makes intervals of evidence: a file of `massannot calibrate`; auto: the "
            "shipped one for these very models and options, else none; none."
        ),
    ] = "auto"

    def flags(self, *, absolute: bool = False) -> ModelFlags:
        """The flags about models. `absolute`: local paths hold from any working folder.

        Raises UsageError.
        """
        from massannot.recipes.model_flags import ModelFlags

        cameras, poses = camera_source(self.cameras)
        paths = {
            "detect": self.boxes,
            "masks": self.masks,
            "depth": self.depth,
            "second_depth": self.second_depth,
            "tracks": self.tracks,
            "cameras": cameras,
            "cuboids": self.cuboids,
        }
        where = os.path.abspath if absolute else str
        return ModelFlags(
            profile=self.profile,
            files={job: where(path) for job, path in paths.items() if path},  # type: ignore[misc]  # its keys are jobs
            scenes=None if self.scenes is None else where(self.scenes),
            oracles=tuple(filter(None, (self.oracle or "").split(","))),
            models={
                job: absolute_file(name) for job, name in pairs(self.model, "--model JOB=NAME")
            },
            weights=dict(pairs(self.weights, "--weights JOB=WHERE")),
            boxes_by_hand=tuple(self.box),
            points_by_hand=tuple(self.point),
            box_threshold=self.box_threshold,
            text_threshold=self.text_threshold,
            dtype=self.dtype,
            hfov_deg=self.hfov,
            poses=poses,
        )

    def spec(
        self, sources: Sequence[str], flags: ModelFlags, *, depth_maps: bool, **fields: Any
    ) -> RunSpec:
        """Everything that decides the rows. Raises UsageError."""
        from massannot.inputs.phrase_list import phrases_of
        from massannot.recipes.model_flags import run_spec

        return run_spec(
            sources,
            phrases_of(self.prompt),
            flags=flags,
            options=dict(map(stage_option, self.options)),
            recipe=absolute_file(self.recipe),
            sampling=self.sampling(),
            grid_size=self.grid_size,
            depth_maps=depth_maps,
            known_sizes=known_sizes(self.known_size),
            calibration=calibration_choice(self.calibration),
            **fields,
        )

    def sampling(self) -> Sampling:
        from massannot.video.sampling import Sampling
        from massannot.video.shot_rule import ShotRule

        fps = None if self.fps == "all" else rate(self.fps)
        return Sampling(
            fps=fps,
            clip_s=self.clip_seconds,
            long_side=self.long_side,
            shots=ShotRule() if self.shots else None,
            shared_frames=self.shared_frames,
        )


@dataclass(frozen=True)
class SelectOptions:
    """Which of the videos that were named, and which stretch of them."""

    limit: Annotated[int | None, typer.Option(help="Only N videos.", min=1)] = None
    sample: Annotated[
        Literal["first", "random"], typer.Option(help="Which of them, with --limit.")
    ] = "first"
    seed: Annotated[int, typer.Option(help="Of the random sample.")] = 0
    root: Annotated[
        str | None,
        typer.Option(help="No manifest may name a video outside of this folder (links followed)."),
    ] = None

    start: Annotated[
        float | None,
        typer.Option(help="Each video from so many seconds on; manifests have columns.", min=0),
    ] = None
    end: Annotated[
        float | None,
        typer.Option(help="Up to so many seconds; with an end, a stretch is one clip.", min=0),
    ] = None

    def selection(self) -> Selection:
        from massannot.recipes.spec import Selection

        return Selection(
            limit=self.limit,
            sample=self.sample,
            seed=self.seed,
            root=self.root,
            start_s=self.start or None,
            end_s=self.end,
        )


@dataclass(frozen=True)
class ExecutorFlags:
    """Where the work is done, how long a clip may take, and what counts as failed."""

    work_dir: WorkDir = None
    executor: Annotated[
        Literal["local", "ray"], typer.Option(help="This machine, or a Ray cluster.")
    ] = "local"
    actors: Annotated[
        int | None,
        typer.Option("--actors", "--workers", help="Workers; default one a GPU.", min=1),
    ] = None
    actors_per_gpu: Annotated[
        int | None, typer.Option(help="ray: workers that share a GPU.", min=1)
    ] = None
    address: Annotated[
        str | None, typer.Option(help="ray: the cluster to join; also RAY_ADDRESS.")
    ] = None
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0 ...")] = "auto"
    max_failed: Annotated[
        float | None,
        typer.Option(
            help="Share of failed clips, or of a manifest's rows that cannot be asked, above "
            "which the exit code is 3; default 0 for annotate, 0.02 for run and retry.",
            min=0,
            max=1,
        ),
    ] = None
    hung_after: Annotated[
        float,
        typer.Option(
            help="Seconds a clip may always take; beyond, and 10 times its usual time, it is "
            "stopped and has failed.",
            min=1,
        ),
    ] = 120.0
    first_clip: Annotated[
        float | None,
        typer.Option(
            help="Seconds a clip may take while none is finished, so that nothing is usual; "
            "default 600, on a CPU more for models that are slow there.",
            min=1,
        ),
    ] = None
    grace: Annotated[
        float, typer.Option(help="Seconds that the clip in hand has after a signal.", min=0)
    ] = 30.0
    reuse: Annotated[
        Path | None,
        typer.Option(
            help="Another output folder: what would come out the same is taken from it, and "
            "phrases that are added leave the boxes of the others as they were."
        ),
    ] = None
    keep_depth: Annotated[
        bool,
        typer.Option(
            "--keep-depth",
            help="Keep the depth model's answers (large), for a later --reuse to take.",
        ),
    ] = False
    allow_code: Annotated[
        bool,
        typer.Option(
            "--allow-code",
            help="Go on although the code that decides rows has changed; it is recorded.",
        ),
    ] = False

    def settings(self) -> ExecutorSettings:
        """Raises UsageError for flags that do not go together."""
        from massannot.engine.settings import ExecutorSettings
        from massannot.engine.watchdog import Patience

        patience = Patience(hung_after_s=self.hung_after, grace_s=self.grace)
        if self.first_clip is not None:
            patience = replace(patience, first_clip_s=self.first_clip)
        return ExecutorSettings(
            executor=self.executor,
            device=self.device,
            workers=self.actors,
            actors_per_gpu=self.actors_per_gpu,
            address=self.address,
            patience=patience,
        )

    def options(self, *, max_failed: float) -> RunOptions:
        """`max_failed`: the command's own default."""
        from massannot.jobs.run import RunOptions
        from massannot.storage.path import place

        return RunOptions(
            max_failed=max_failed if self.max_failed is None else self.max_failed,
            reuse=None if self.reuse is None else place(self.reuse),
            keep_depth=self.keep_depth,
            allow_code=self.allow_code,
        )
