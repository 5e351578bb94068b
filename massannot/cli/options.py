"""The flags that decide what a run writes, shared by the commands that begin one.

Options that say where things lie, for every command that reads videos or writes a dataset.

Flags that several commands share: one dataclass, which a command takes as one value.

`@takes(asked=RecipeOptions)` shows typer a flag for each field of RecipeOptions in the place of the
command's parameter `asked`.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from massannot.errors import UsageError

if TYPE_CHECKING:
    from massannot.recipes.spec import Choice
    from massannot.video.sampling import Sampling


def _into_environment(folder: str | None) -> str | None:
    """Workers in other processes hear of it too."""
    if folder is not None:
        os.environ["MASSANNOT_WORK_DIR"] = os.path.abspath(folder)
    return folder


WorkDir = Annotated[
    str | None,
    typer.Option(
        help="For an output in a bucket: where unfinished work lies; on a cluster a folder that "
        "all machines see. Default: MASSANNOT_WORK_DIR, else the user's cache.",
        callback=_into_environment,
    ),
]
Root = Annotated[
    str | None,
    typer.Option(help="No manifest may name a video outside of this folder (links followed)."),
]


Command = Callable[..., None]


def takes(**groups: type) -> Callable[[Command], Command]:
    """Decorates a command. The fields' annotations are typer's; every field has a default."""

    def decorated(command: Command) -> Command:
        flags = {name: _flags(group) for name, group in groups.items()}
        shown: list[inspect.Parameter] = []
        for own in inspect.signature(command, eval_str=True).parameters.values():
            shown += flags.get(own.name, [own.replace(kind=inspect.Parameter.KEYWORD_ONLY)])

        @functools.wraps(command)
        def with_flags(**given: Any) -> None:
            values = {
                name: group(**{flag.name: given.pop(flag.name) for flag in flags[name]})
                for name, group in groups.items()
            }
            command(**values, **given)

        with_flags.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
        with_flags.__annotations__ = {flag.name: flag.annotation for flag in shown}
        return with_flags

    return decorated


def _flags(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            option.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=[] if option.default is MISSING else option.default,
            annotation=hints[option.name],
        )
        for option in fields(group)
    ]


Reuse = Annotated[
    Path | None,
    typer.Option(help="Another output folder: what would come out the same is taken from it."),
]
KeepDepth = Annotated[
    bool,
    typer.Option(
        "--keep-depth", help="Keep the depth model's answers (large), for a later --reuse to take."
    ),
]


@dataclass(frozen=True)
class RecipeOptions:
    """What to look for, with which models, in which pictures."""

    prompt: Annotated[
        list[str],
        typer.Option(
            "-p", "--prompt", "--text-prompt", help='What to look for; repeatable; also "a . b".'
        ),
    ] = field(default_factory=list)
    profile: Annotated[
        str,
        typer.Option(
            help="Which models: embedded, small, mass, permissive-relative; none: files and "
            "oracles only; auto: small. See `massannot models list`."
        ),
    ] = "auto"
    fps: Annotated[
        str, typer.Option(help="Annotated frames a second, never above the source; or all.")
    ] = "10"
    clip_seconds: Annotated[
        float, typer.Option(help="Cut longer videos every so often.", min=0.01)
    ] = 20.0
    long_side: Annotated[
        int, typer.Option(help="Models see pictures of at most this size.", min=16)
    ] = 1280
    dtype: Annotated[str, typer.Option(help="auto, fp32, bf16, fp16.")] = "auto"
    hfov: Annotated[
        float | None,
        typer.Option(help="Horizontal field of view, degrees; else 60 is assumed.", min=1, max=179),
    ] = None
    boxes: Annotated[str | None, typer.Option(help="Boxes from a file: COCO JSON.")] = None
    masks: Annotated[
        str | None, typer.Option(help="Masks from a file: COCO or YouTube-VIS JSON.")
    ] = None
    depth: Annotated[str | None, typer.Option(help="Depth from an npz or a folder.")] = None
    tracks: Annotated[str | None, typer.Option(help="Point tracks from an npz.")] = None
    cameras: Annotated[str | None, typer.Option(help="Intrinsics and poses from a file.")] = None
    scenes: Annotated[str | None, typer.Option(help="Folder of rendered scenes, for --oracle.")] = (
        None
    )
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
        int | None,
        typer.Option(help="Points on a thing at most, N x N: 8 is 64, the default.", min=1, max=22),
    ] = None
    options: Annotated[
        list[str], typer.Option("--set", help="STAGE.OPTION=VALUE; see `recipes show annotate`.")
    ] = field(default_factory=list)
    weights: Annotated[
        list[str],
        typer.Option(help="JOB=HUB_ID[@REVISION] or JOB=FOLDER: other weights for a job."),
    ] = field(default_factory=list)

    def choice(self, *, depth_maps: bool) -> Choice:
        from massannot.recipes.spec import Choice

        return Choice(
            profile=self.profile,
            scenes=self.scenes,
            oracles=tuple(filter(None, (self.oracle or "").split(","))),
            boxes=self.boxes,
            masks=self.masks,
            depth=self.depth,
            tracks=self.tracks,
            cameras=self.cameras,
            hfov_deg=self.hfov,
            depth_maps=depth_maps,
            dtype=self.dtype,
            weights=tuple(_pair(text, "--weights JOB=WHERE") for text in self.weights),
            options=(*self._grid(), *(_option(text) for text in self.options)),
            box_threshold=self.box_threshold,
            text_threshold=self.text_threshold,
        )

    def _grid(self) -> tuple[tuple[str, str, str], ...]:
        if self.grid_size is None:
            return ()
        return (("track_points", "max_per_entity", str(self.grid_size**2)),)

    def sampling(self) -> Sampling:
        from massannot.video.sampling import Sampling

        fps = None if self.fps == "all" else _rate(self.fps)
        return Sampling(fps=fps, clip_s=self.clip_seconds, long_side=self.long_side)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 < rate < float("inf"):
        raise UsageError(f"--fps {text}: expected frames a second above 0, or all")
    return rate


def _pair(text: str, form: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not (left and equals and right):
        raise UsageError(f"{text!r}: expected {form}")
    return left, right


def _option(text: str) -> tuple[str, str, str]:
    name, value = _pair(text, "--set STAGE.OPTION=VALUE")
    stage, dot, option = name.partition(".")  # the option may have dots of its own
    if not (stage and dot and option):
        raise UsageError(f"--set {text}: expected STAGE.OPTION=VALUE")
    return stage, option, value
