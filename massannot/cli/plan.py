"""`massannot plan`: what is to be done, written down once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from massannot.cli.app import AsJson, app, print_json
from massannot.cli.options import RecipeOptions, Root, takes


@app.command()
@takes(asked=RecipeOptions)
def plan(
    sources: Annotated[
        list[str],
        typer.Argument(help="Videos, as `annotate` takes them: see its help."),
    ],
    asked: RecipeOptions,
    folder: Annotated[Path, typer.Option("-o", "--output", help="The plan's folder, a new one.")],
    depth_maps: Annotated[bool, typer.Option(help="Store depth, as films show it.")] = False,
    limit: Annotated[int | None, typer.Option(help="Only N videos.", min=1)] = None,
    sample: Annotated[
        Literal["first", "random"], typer.Option(help="Which of them, with --limit.")
    ] = "first",
    seed: Annotated[int, typer.Option(help="Of the random sample.")] = 0,
    root: Root = None,
    shard_minutes: Annotated[
        float, typer.Option(help="How long one worker is at a shard, at that rate.", min=0.01)
    ] = 7.5,
    rate: Annotated[
        float,
        typer.Option(help="Million annotated pixels a second a worker gets through.", min=0.001),
    ] = 5.0,
    estimate: Annotated[
        bool,
        typer.Option("--estimate", help="Then annotate 32 clips here and say what all will take."),
    ] = False,
    device: Annotated[str, typer.Option(help="For --estimate: auto, cpu, cuda:0 ...")] = "auto",
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")] = False,
    as_json: AsJson = False,
) -> None:
    """Plan a run: read every video's header, deal the work into shards, pin recipe and weights.

    Interrupted (exit code 130), the same command goes on. A finished plan never changes.

    \b
    massannot plan videos/ -p "a ball" -o plan --profile mass
    massannot plan @list.txt -p hoop -o pilot --limit 500 --sample random --seed 1
    massannot plan videos/ -p "a ball" -o plan --profile mass --estimate
    """
    from massannot.jobs import estimate as billing
    from massannot.jobs import plan as planning
    from massannot.jobs import run as running
    from massannot.jobs.console import Watcher

    wish = planning.Wish(
        sources=tuple(sources),
        prompts=tuple(asked.prompt),
        folder=folder,
        choice=asked.choice(depth_maps=depth_maps),
        sampling=asked.sampling(),
        limit=limit,
        sample=sample,
        seed=seed,
        root=root,
        shard_minutes=shard_minutes,
        pixels_a_second=rate * 1e6,
    )
    with Watcher(quiet=quiet) as watcher:
        record = planning.make(wish, say=watcher.say)
        bill = None
        if estimate:
            try:
                bill = running.estimate(folder, record, device=device, progress=watcher.watch)
            except KeyboardInterrupt:
                watcher.say(f"interrupted: nothing was estimated; the plan in {folder} is finished")
                raise
    if as_json:
        shown = {} if bill is None else {"estimate": billing.as_json(bill)}
        print_json({"plan": str(folder), **record.counts, **shown})
    else:
        print(planning.as_text(folder, record))
        if bill is not None:
            print(billing.as_text(bill))
