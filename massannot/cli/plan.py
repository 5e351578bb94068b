"""`massannot plan`: what is to be done, written down once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from massannot.cli.app import AsJson, app, print_json
from massannot.cli.flag_groups import takes
from massannot.cli.options import RecipeOptions, SelectOptions
from massannot.cli.single_flags import DepthMaps, Quiet
from massannot.storage.allocator import ALLOCATOR

INTERRUPTED = 75


@app.command()
@takes(recipe=RecipeOptions, select=SelectOptions)
def plan(
    sources: Annotated[
        list[str],
        typer.Argument(help="Videos, as `annotate` takes them: see its help."),
    ],
    recipe: RecipeOptions,
    select: SelectOptions,
    folder: Annotated[Path, typer.Option("-o", "--output", help="The plan's folder, a new one.")],
    depth_maps: DepthMaps = False,
    shard_minutes: Annotated[
        float, typer.Option(help="How long one worker is at a shard, at that rate.", min=0.01)
    ] = 7.5,
    rate: Annotated[
        float,
        typer.Option(help="Million annotated pixels a second a worker gets through.", min=0.001),
    ] = 5.0,
    estimate: Annotated[
        bool,
        typer.Option("--estimate", help="Then annotate a few clips and say what all will take."),
    ] = False,
    pilot: Annotated[
        int, typer.Option(help="For --estimate: clips that are annotated to measure.", min=1)
    ] = 32,
    device: Annotated[str, typer.Option(help="For --estimate: auto, cpu, cuda:0 ...")] = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Plan a run: read every video's header, deal the work into shards, pin recipe and weights.

    Interrupted (exit code 75), the same command goes on. A finished plan never changes.

    \b
    massannot plan videos/ -p "a ball" -o plan --profile mass
    massannot plan @list.txt -p hoop -o plan --limit 500 --sample random --seed 1
    massannot plan videos/ -p "a ball" -o plan --profile mass --estimate --pilot 64
    """
    for name, value in ALLOCATOR.items():
        os.environ.setdefault(name, value)
    from massannot.jobs import estimate as estimates
    from massannot.jobs import plan as planning
    from massannot.jobs.console import Watcher

    spec = recipe.spec(
        sources,
        recipe.flags(absolute=True),
        depth_maps=depth_maps,
        select=select.selection(),
        shard_pixels=shard_minutes * 60 * rate * 1e6,
    )
    with Watcher(quiet=quiet) as watcher:
        try:
            finished = planning.make_plan(spec, folder, say=watcher.say)
        except KeyboardInterrupt as error:
            watcher.say("interrupted; the same command goes on")
            raise typer.Exit(INTERRUPTED) from error
        expected = None
        if estimate:
            try:
                expected = estimates.of_folder(
                    folder, finished, device=device, pilot_clips=pilot, progress=watcher.watch
                )
            except KeyboardInterrupt as error:
                watcher.say(f"interrupted: nothing was estimated; the plan in {folder} is finished")
                raise typer.Exit(INTERRUPTED) from error
    if as_json:
        shown = {} if expected is None else {"estimate": estimates.as_json(expected)}
        print_json({"plan": str(folder), **finished.counts, **shown})
    else:
        print(planning.as_text(folder, finished, spec.sampling))
        if expected is not None:
            print(estimates.as_text(expected))
