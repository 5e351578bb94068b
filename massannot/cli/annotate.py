"""`massannot annotate`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from massannot.cli.app import AsJson, app
from massannot.errors import UsageError


@app.command()
def annotate(
    videos: Annotated[
        list[str],
        typer.Argument(
            help="Files, folders, globs, @list.txt with a name a line, or a manifest: .csv .json "
            ".jsonl .parquet with columns video, question, entities and more."
        ),
    ],
    prompt: Annotated[
        list[str],
        typer.Option(
            "-p", "--prompt", "--text-prompt", help='What to look for; repeatable; also "a . b".'
        ),
    ] = [],  # noqa: B006  # typer copies it
    out: Annotated[
        Path, typer.Option("-o", "--output", help="The folder of the dataset; runs continue in it.")
    ] = Path("massannot-out"),
    profile: Annotated[
        str,
        typer.Option(
            help="Which models: embedded, small, mass, permissive-relative; none: files and "
            "oracles only; auto: small. See `massannot models list`."
        ),
    ] = "auto",
    fps: Annotated[
        str, typer.Option(help="Annotated frames a second, never above the source; or all.")
    ] = "10",
    clip_seconds: Annotated[
        float, typer.Option(help="Cut longer videos every so often.", min=0.01)
    ] = 20.0,
    long_side: Annotated[
        int, typer.Option(help="Models see pictures of at most this size.", min=16)
    ] = 1280,
    limit: Annotated[int | None, typer.Option(help="Only the first N videos.", min=1)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0 ...")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, fp32, bf16, fp16.")] = "auto",
    workers: Annotated[
        int | None, typer.Option(help="Processes; default one a GPU, one on the CPU.", min=1)
    ] = None,
    hfov: Annotated[
        float | None,
        typer.Option(help="Horizontal field of view, degrees; else 60 is assumed.", min=1, max=179),
    ] = None,
    boxes: Annotated[str | None, typer.Option(help="Boxes from a file: COCO JSON.")] = None,
    masks: Annotated[
        str | None, typer.Option(help="Masks from a file: COCO or YouTube-VIS JSON.")
    ] = None,
    depth: Annotated[str | None, typer.Option(help="Depth from an npz or a folder.")] = None,
    tracks: Annotated[str | None, typer.Option(help="Point tracks from an npz.")] = None,
    cameras: Annotated[str | None, typer.Option(help="Intrinsics and poses from a file.")] = None,
    scenes: Annotated[
        str | None, typer.Option(help="Folder of rendered scenes, for --oracle.")
    ] = None,
    oracle: Annotated[
        str | None,
        typer.Option(help="Answered by the scene's truth: detect,masks,depth,tracks,cameras."),
    ] = None,
    box_threshold: Annotated[
        float | None,
        typer.Option(help="Least score of a box (the profile's own default).", min=0, max=1),
    ] = None,
    text_threshold: Annotated[
        float | None, typer.Option(help="Least score of a phrase's words.", min=0, max=1)
    ] = None,
    options: Annotated[
        list[str], typer.Option("--set", help="STAGE.OPTION=VALUE; see `recipes show annotate`.")
    ] = [],  # noqa: B006
    weights: Annotated[
        list[str], typer.Option(help="JOB=HUB_ID or JOB=FOLDER: other weights for one job.")
    ] = [],  # noqa: B006
    depth_maps: Annotated[bool, typer.Option(help="Store depth, as the film shows it.")] = True,
    films: Annotated[bool, typer.Option(help="Render a film per clip and the report.")] = True,
    max_failed: Annotated[
        float,
        typer.Option(help="Share of failed clips above which the exit code is 3.", min=0, max=1),
    ] = 0.0,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="More on stderr.")] = False,
    as_json: AsJson = False,
) -> None:
    """Annotate videos: boxes, masks, tracks, 3D motion; a film per clip and a report.

    The same command continues an interrupted run and does nothing twice.

    \b
    massannot annotate ball.mp4 -p "a red ball" -p "a blue box" -o out
    massannot annotate videos/ -p "a ball . a hoop" -o out --profile mass --fps 5
    massannot annotate ball.mp4 -p ball -o out --profile none \\
        --boxes boxes.json --masks masks.json --depth depth.npz
    massannot annotate scenes/videos -p "a red ball" -o out --profile none \\
        --scenes scenes --oracle detect,masks,depth,cameras
    """
    from massannot import job
    from massannot.io.video import Sampling
    from massannot.recipe import Choice

    choice = Choice(
        profile=profile,
        scenes=scenes,
        oracles=tuple(filter(None, (oracle or "").split(","))),
        boxes=boxes,
        masks=masks,
        depth=depth,
        tracks=tracks,
        cameras=cameras,
        hfov_deg=hfov,
        depth_maps=depth_maps,
        dtype=dtype,
        weights=tuple(_pair(text, "--weights JOB=WHERE") for text in weights),
        options=tuple(_option(text) for text in options),
        box_threshold=box_threshold,
        text_threshold=text_threshold,
    )
    sampling = Sampling(
        fps=None if fps == "all" else _rate(fps),
        clip_s=clip_seconds,
        long_side=long_side,
    )
    wanted = job.Job(
        videos=tuple(videos),
        prompts=tuple(prompt),
        out=out,
        choice=choice,
        sampling=sampling,
        device=device,
        workers=workers,
        limit=limit,
        films=films,
        max_failed=max_failed,
    )
    raise typer.Exit(job.run(wanted, quiet=quiet, verbose=verbose, as_json=as_json))


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
