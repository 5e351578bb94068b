"""`massannot annotate`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from massannot.cli.app import AsJson, app
from massannot.cli.options import KeepDepth, RecipeOptions, Reuse, Root, WorkDir, takes


@app.command()
@takes(asked=RecipeOptions)
def annotate(
    videos: Annotated[
        list[str],
        typer.Argument(
            help="Files, folders, globs, also at s3:// gs:// hf://; @list.txt with a name a line; "
            "WebDataset tars, shards-{000..012}.tar; a cosmos-curate folder; or a manifest: .csv "
            ".json .jsonl .parquet with columns video, question, entities and more."
        ),
    ],
    asked: RecipeOptions,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="The folder of the dataset, here or at s3:// or gs://; runs continue in it.",
        ),
    ] = Path("massannot-out"),
    work_dir: WorkDir = None,
    limit: Annotated[int | None, typer.Option(help="Only N videos.", min=1)] = None,
    sample: Annotated[
        Literal["first", "random"], typer.Option(help="Which of them, with --limit.")
    ] = "first",
    seed: Annotated[int, typer.Option(help="Of the random sample.")] = 0,
    root: Root = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0 ...")] = "auto",
    workers: Annotated[
        int | None, typer.Option(help="Processes; default one a GPU, one on the CPU.", min=1)
    ] = None,
    depth_maps: Annotated[bool, typer.Option(help="Store depth, as the film shows it.")] = True,
    films: Annotated[bool, typer.Option(help="Render a film per clip and the report.")] = True,
    max_failed: Annotated[
        float,
        typer.Option(help="Share of failed clips above which the exit code is 3.", min=0, max=1),
    ] = 0.0,
    reuse: Reuse = None,
    keep_depth: KeepDepth = False,
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
    from massannot.jobs import annotate as job
    from massannot.storage.path import place

    wanted = job.Job(
        videos=tuple(videos),
        prompts=tuple(asked.prompt),
        out=place(out),
        choice=asked.choice(depth_maps=depth_maps),
        sampling=asked.sampling(),
        device=device,
        workers=workers,
        limit=limit,
        sample=sample,
        seed=seed,
        root=root,
        films=films,
        max_failed=max_failed,
        reuse=reuse,
        keep_depth=keep_depth,
    )
    raise typer.Exit(job.run(wanted, quiet=quiet, verbose=verbose, as_json=as_json))
